// The network check: whether an interface of this host is up and has its link, and how many packets were lost to errors
// or dropped between this probe and the one before. It asks by netlink, so it sees the interfaces of the agent's own
// network namespace, whatever is mounted on /sys. [loop]
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "findings.hpp"
#include "host_check.hpp"
#include "host_counters.hpp"

namespace vital::check {
namespace {

struct Link {
  bool is_up = false, has_carrier = false;
  rtnl_link_stats counted{};
};

// The counters are of 32 bits and go round.
double grown(uint32_t now, uint32_t before) { return static_cast<double>(static_cast<uint32_t>(now - before)); }

class Network final : public HostCheck {
 public:
  Network(const Host& host, const Options& o)
      : HostCheck(host),
        interface_(o.text("interface")),
        errors_(Limit::option(o, "warn_errors", "fail_errors", Bad::above, Unit::none, 1)),
        drops_(Limit::option(o, "warn_drops", "fail_drops", Bad::above)),
        speed_(Limit::option(o, "warn_speed", "fail_speed", Bad::below)) {
    if (interface_.empty() || interface_.size() >= IFNAMSIZ || interface_.find('/') != std::string::npos) {
      throw Invalid("interface", "\"" + interface_ + "\" is no name of an interface; write eth0, for example");
    }
  }

 private:
  std::optional<Result> look(Duration now) override {
    ifaddrs* raw = nullptr;
    if (getifaddrs(&raw) != 0)
      return unknown(Cause::agent, std::string("the interfaces cannot be listed: ") + std::strerror(errno));
    struct Free {
      void operator()(ifaddrs* list) const { freeifaddrs(list); }
    };
    const std::unique_ptr<ifaddrs, Free> list(raw);
    std::optional<Link> link;
    for (const ifaddrs* i = raw; i != nullptr && !link; i = i->ifa_next) {
      if (interface_ != i->ifa_name || i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_PACKET ||
          i->ifa_data == nullptr)
        continue;
      link = Link{(i->ifa_flags & IFF_UP) != 0, (i->ifa_flags & IFF_RUNNING) != 0, {}};
      std::memcpy(&link->counted, i->ifa_data, sizeof link->counted);
    }
    if (!link) return fail(Cause::content, interface_ + ": there is no such interface");
    if (!link->is_up) return fail(Cause::unreachable, interface_ + " is down: somebody switched it off");
    if (!link->has_carrier)
      return fail(Cause::unreachable, interface_ + " has no link: the cable, the port or the other side");

    const std::optional<rtnl_link_stats> before = std::exchange(before_, link->counted);
    const double seconds = std::chrono::duration<double>(now - std::exchange(at_, now)).count();
    if (!before || seconds <= 0) return {};
    const auto rate = [&](__u32 rtnl_link_stats::*in, __u32 rtnl_link_stats::*out) {
      return (grown(link->counted.*in, (*before).*in) + grown(link->counted.*out, (*before).*out)) / seconds;
    };
    const double errors = rate(&rtnl_link_stats::rx_errors, &rtnl_link_stats::tx_errors);
    const double drops = rate(&rtnl_link_stats::rx_dropped, &rtnl_link_stats::tx_dropped);
    Findings found;
    Result result = pass(interface_ + " is up");
    const auto judge = [&](const Limit& limit, const char* name, double value, const char* what) {
      char words[64];
      std::snprintf(words, sizeof words, "%.3g %s a second", value, what);
      found.judge(limit, value, words);
      limit.measure(result, name, value, "/s");
    };
    judge(errors_, "errors", errors, "errors");
    judge(drops_, "drops", drops, "drops");
    result.measure("received", grown(link->counted.rx_bytes, before->rx_bytes) / seconds, "B/s");
    result.measure("sent", grown(link->counted.tx_bytes, before->tx_bytes) / seconds, "B/s");
    if (speed_.is_set()) {
      const std::optional<double> speed = number_in(content_of("/sys/class/net/" + interface_ + "/speed"));
      if (speed && *speed > 0) {
        char words[64];
        std::snprintf(words, sizeof words, "its link runs at %.0f Mbit/s", *speed);
        found.judge(speed_, *speed, words);
        speed_.measure(result, "speed", *speed, "Mbit/s");
      } else {
        found.add(Verdict::unknown, Cause::config,
                  "this interface does not tell its speed; leave out the limits of it");
      }
    }
    return found.into(std::move(result), interface_);
  }

  std::string interface_;
  Limit errors_, drops_, speed_;
  std::optional<rtnl_link_stats> before_;
  Duration at_{};
};

constexpr OptionRow options[] = {
    {"interface", Type::string, nullptr, "the interface to watch", "eth0", VITAL_OPTION_REQUIRED},
    {"warn_errors", Type::number, "1", "more errors a second than this, in and out, since the last probe is a warning",
     nullptr, 0, nullptr, 0, 1e9},
    {"fail_errors", Type::number, nullptr, "more than this is a failure; default none", nullptr, 0, nullptr, 0, 1e9},
    {"warn_drops", Type::number, nullptr,
     "more packets dropped a second than this is a warning; default none, since a few are normal", "100", 0, nullptr, 0,
     1e9},
    {"fail_drops", Type::number, nullptr, "more than this is a failure", nullptr, 0, nullptr, 0, 1e9},
    {"warn_speed", Type::integer, nullptr, "a link that runs at fewer Mbit/s than this is a warning", "1000", 0,
     nullptr, 1, 10000000},
    {"fail_speed", Type::integer, nullptr, "fewer than this is a failure", "100", 0, nullptr, 1, 10000000},
};

}  // namespace
}  // namespace vital::check

using vital::check::Network;
using vital::check::options;
VITAL_ASYNC_MODULE(Network, "network", "1.0", "whether an interface has its link, and what it loses", options)
