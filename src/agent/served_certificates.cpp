// See served_certificates.hpp.
#include "agent/served_certificates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/duration.hpp"
#include "publish/tls.hpp"

namespace vital {
namespace {

constexpr Duration say_again_after = std::chrono::hours(24);

}  // namespace

void ServedCertificates::adopt(const FrontOptions& options) {
  std::vector<ListenerCertificate> list;
  std::vector<Instant> said_at;
  const auto add = [&](const char* listener, const std::vector<Doorway>& doors) {
    for (const Doorway& door : doors) {
      if (!door.tls) continue;
      list.push_back({listener, door.address, door.tls->not_after()});
      const auto same = std::find(list_.begin(), list_.end(), list.back());
      said_at.push_back(same == list_.end() ? Instant{} : said_at_.at(static_cast<std::size_t>(same - list_.begin())));
    }
  };
  add("health", options.health);
  add("grpc", options.grpc);
  list_ = std::move(list);
  said_at_ = std::move(said_at);
}

std::vector<Note> ServedCertificates::look(Now now) {
  std::vector<Note> out;
  for (std::size_t i = 0; i < list_.size(); ++i) {
    const ListenerCertificate& c = list_[i];
    const Duration rest = c.not_after - now.wall;
    if (rest > certificate_notice) continue;
    if (said_at_[i] != Instant{} && now.mono < said_at_[i] + say_again_after) continue;
    said_at_[i] = now.mono;
    const bool is_over = rest <= Duration{};
    out.push_back({is_over ? Note::Level::error : Note::Level::warning,
                   is_over ? "certificate_expired" : "certificate_expiring",
                   {{"listener", c.listener},
                    {"address", c.address},
                    {"not_after", format_wall(c.not_after)},
                    {is_over ? "since" : "in", friendly_duration(is_over ? -rest : rest)},
                    {"effect", is_over ? "who verifies it takes this node for dead" : "renew it"}}});
  }
  return out;
}

std::string ServedCertificates::metrics() const {
  if (list_.empty()) return {};
  std::string out =
      "# HELP vitald_listener_certificate_not_after_timestamp_seconds When the certificate a listener shows expires, "
      "since the epoch.\n# TYPE vitald_listener_certificate_not_after_timestamp_seconds gauge\n";
  for (const ListenerCertificate& c : list_) {
    out += fmt::format("vitald_listener_certificate_not_after_timestamp_seconds{{listener=\"{}\",address=\"{}\"}} {}\n",
                       c.listener, c.address,
                       std::chrono::duration_cast<std::chrono::seconds>(c.not_after.time_since_epoch()).count());
  }
  return out;
}

}  // namespace vital
