// Overlays: what was laid over the node and over services, by operators (one each) and by files of the spool (one a
// file), until it is ended where it came from, or expires. Where several lie on the same, the gravest is what counts.
// Expiry is given in wall time and turned into an instant when it is set, so that a clock that jumps later ends
// nothing. Pure.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "core/snapshot.hpp"

namespace vital {

class Overlays {
 public:
  // Replaces what lies there from the same source.
  void set(Now now, const Overlay& overlay) {
    clear(overlay.service, overlay.source);
    Laid laid{overlay, std::nullopt};
    if (overlay.until) laid.until = now.mono + std::max<Duration>(*overlay.until - now.wall, Duration::zero());
    laid_.push_back(std::move(laid));
  }

  // Empty if there was none.
  std::optional<Overlay> clear(std::string_view service, std::string_view source) {
    for (auto it = laid_.begin(); it != laid_.end(); ++it) {
      if (it->overlay.service != service || it->overlay.source != source) continue;
      Overlay gone = std::move(it->overlay);
      laid_.erase(it);
      return gone;
    }
    return {};
  }

  // Those that ended by now, removed.
  std::vector<Overlay> expire(Instant now) {
    std::vector<Overlay> gone;
    for (auto it = laid_.begin(); it != laid_.end();) {
      if (it->until && *it->until <= now) {
        gone.push_back(std::move(it->overlay));
        it = laid_.erase(it);
      } else {
        ++it;
      }
    }
    return gone;
  }

  // The gravest on this service, empty for the node itself; null if there is none.
  const Overlay* on(std::string_view service) const {
    const Overlay* gravest = nullptr;
    for (const Laid& l : laid_) {
      if (l.overlay.service == service && (gravest == nullptr || l.overlay.kind > gravest->kind)) gravest = &l.overlay;
    }
    return gravest;
  }

  std::optional<Instant> wake() const {
    std::optional<Instant> at;
    for (const Laid& l : laid_) {
      if (l.until && (!at || *l.until < *at)) at = l.until;
    }
    return at;
  }

  std::vector<Overlay> all() const {
    std::vector<Overlay> out;
    for (const Laid& l : laid_) out.push_back(l.overlay);
    return out;
  }

 private:
  struct Laid {
    Overlay overlay;
    std::optional<Instant> until;
  };
  std::vector<Laid> laid_;
};

}  // namespace vital
