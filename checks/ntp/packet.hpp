// SNTP (RFC 4330, RFC 5905): a question to bytes, an answer's bytes to what it says, and what that means. Pure: times
// are given, in seconds of the Unix epoch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

namespace vital::ntp {

constexpr size_t packet_size = 48;

// A question that tells nothing of our clock: the server gives `cookie` back, and we know when it went out.
std::string question(uint64_t cookie);

struct Answer {
  int leap = 0;  // 3 = unsynchronised
  int stratum = 0;
  double root_delay = 0;       // seconds
  double root_dispersion = 0;  // seconds
  std::string reference;       // of stratum 0 and 1 four letters, otherwise an address
  double received = 0;         // when the server got the question
  double sent = 0;             // and sent its answer
};
// Nothing if it is no answer to the question with this cookie.
std::optional<Answer> parse(std::string_view bytes, uint64_t cookie);

struct Demands {
  double warn_offset = 0.1;  // seconds, either way
  double fail_offset = 1;
  long long max_stratum = 15;
};
// `asked` and `heard` are our own clock when the question went out and the answer came.
check::Result judge(const Answer& answer, double asked, double heard, const Demands& demands,
                    const std::string& target);

}  // namespace vital::ntp
