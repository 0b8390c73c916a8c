// OverlayStore: the overlays operators laid, kept over a restart in one small file of state_dir. A thread of its own
// writes it, so that a disk that hangs holds up nobody; only the newest set waits. What the file holds is believed only
// if it is whole: a checksum and a version stand before it.
//
//   OverlayStore store("/var/lib/vitald");
//   store.save(snapshot.overlays, [](std::string trouble) { ... });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "core/snapshot.hpp"

namespace vital {

// The file's text, and the way back: empty `problem` if it could be read. Pure.
std::string print_overlays(const std::vector<Overlay>& overlays);
std::vector<Overlay> parse_overlays(std::string_view text, std::string* problem);

class OverlayStore {
 public:
  explicit OverlayStore(std::string state_dir);
  // What is still to be written is left to its thread; see finish().
  ~OverlayStore();
  OverlayStore(const OverlayStore&) = delete;
  OverlayStore& operator=(const OverlayStore&) = delete;

  // What the last save left; nothing if there was none. `problem` says in one line why a file was ignored. [control]
  std::vector<Overlay> load(std::string* problem) const;

  // Replaces the file, safe against a crash at any moment. `done` gets an empty text, or why it could not be written,
  // on the store's thread; a save that was overtaken by a newer one is done when that one is. [any]
  void save(std::vector<Overlay> overlays, std::function<void(const std::string& trouble)> done);

  // Before the process ends: waits until everything is written, but not longer than `patience`. [control]
  void finish(Duration patience);

 private:
  struct Shared;
  std::string path_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vital
