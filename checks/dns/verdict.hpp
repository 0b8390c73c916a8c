// What an answer of a name server means against what is expected. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>
#include <vitald/check.hpp>

#include "message.hpp"

namespace vital::dns {

struct Demands {
  std::string rcode = "NOERROR";
  uint16_t type = 1;
  long long min_answers = 1;         // of `type`
  std::vector<std::string> answers;  // each must be among them, as Record::text has it
  bool is_exact = false;             // and no others
  double min_ttl = 0;                // seconds
  bool wants_authoritative = false;
  bool wants_authenticated = false;
};

// `what` is the question for the words: "www.example A".
check::Result judge(const Answer& answer, const Demands& demands, const std::string& what);

// How far a serial is behind another, in the arithmetic of RFC 1982: positive = behind.
long long behind(uint32_t ours, uint32_t primary);
// The serial in an answer to SOA.
std::optional<uint32_t> serial_of(const Answer& answer);

}  // namespace vital::dns
