// What the host gives its programs: a clock that is right, a resolver that answers; see finding.hpp.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "cmd/doctor/finding.hpp"
#include "loop/loop.hpp"
#include "publish/address.hpp"

namespace vital::doctor {
namespace {

using namespace std::chrono_literals;

constexpr Duration resolver_patience = 2s;
constexpr std::size_t most_servers = 3;     // as the C library asks
constexpr long worst_error_us = 1'000'000;  // of a clock that calls itself synchronised

// What resolv.conf(5) names, else this host.
std::vector<std::string> name_servers() {
  std::vector<std::string> out;
  std::ifstream in("/etc/resolv.conf");
  std::string line;
  while (std::getline(in, line) && out.size() < most_servers) {
    std::istringstream words(line);
    std::string key, address;
    if (words >> key >> address && key == "nameserver") out.push_back(address.substr(0, address.find('%')));
  }
  if (out.empty()) out.emplace_back("127.0.0.1");
  return out;
}

// Empty if it answered a question for the root's name servers with anything at all (RFC 1035, 4.1).
std::string ask(const std::string& server) {
  SocketAddress address;
  try {
    address = SocketAddress::parse(server.find(':') == std::string::npos ? server + ":53" : "[" + server + "]:53");
  } catch (const std::exception& e) {
    return e.what();
  }
  const UniqueFd fd(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto trouble = [] { return std::generic_category().message(errno); };
  if (!fd || connect(fd.get(), address.raw(), address.length) != 0) return trouble();
  constexpr std::array<unsigned char, 17> question{0x76, 0x64, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
  if (send(fd.get(), question.data(), question.size(), MSG_NOSIGNAL) < 0) return trouble();
  const Instant until = Loop::now() + resolver_patience;
  while (true) {
    const auto left = milliseconds(until - Loop::now());
    pollfd p{fd.get(), POLLIN, 0};
    const int n = left > 0 ? poll(&p, 1, static_cast<int>(left)) : 0;
    if (n == 0) return "no answer within " + format_duration(resolver_patience);
    if (n < 0) {
      if (errno == EINTR) continue;
      return trouble();
    }
    std::array<unsigned char, 512> answer{};
    const ssize_t got = recv(fd.get(), answer.data(), answer.size(), 0);
    if (got < 0) return trouble();
    if (got >= 12 && answer[0] == question[0] && answer[1] == question[1] && (answer[2] & 0x80U) != 0) return {};
  }
}

}  // namespace

void look_at_clock(Findings& out) {
  timex clock{};
  const int state = adjtimex(&clock);
  if (state < 0) {
    out.push_back({Level::warning, "clock",
                   "the kernel does not say whether it is synchronised: " + std::generic_category().message(errno),
                   "look yourself: timedatectl, chronyc tracking"});
  } else if (state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0) {
    out.push_back({Level::warning, "clock",
                   "it is not synchronised: times in the journal, certificates and failover evidence need it",
                   "run chrony or systemd-timesyncd: apt-get install chrony"});
  } else if (clock.maxerror > worst_error_us) {
    out.push_back({Level::warning, "clock", fmt::format("it may be wrong by {} ms", clock.maxerror / 1000),
                   "look: chronyc tracking"});
  } else {
    out.push_back({Level::ok, "clock", fmt::format("synchronised, wrong by at most {} ms", clock.maxerror / 1000), {}});
  }
}

void look_at_resolver(Findings& out) {
  const auto servers = name_servers();
  std::size_t silent = 0;
  Findings found;
  for (const std::string& server : servers) {
    const std::string why = ask(server);
    if (why.empty()) {
      found.push_back({Level::ok, "resolver", server + " answers", {}});
    } else {
      ++silent;
      found.push_back({Level::warning, "resolver", one_line(server, 64) + ": " + why,
                       "correct nameserver in /etc/resolv.conf, or that server"});
    }
  }
  for (Finding& f : found) {
    // With one that answers names are found, later; with none they are not.
    if (f.level == Level::warning && silent == servers.size()) f.level = Level::problem;
    out.push_back(std::move(f));
  }
}

}  // namespace vital::doctor
