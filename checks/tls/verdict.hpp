// What a chain of certificates means: how long it holds, and whether it is trusted. Pure.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>
#include <vitald/check.hpp>

#include "../net/tls.hpp"

namespace vital::tls {

struct Demands {
  double warn_days = 21;
  double fail_days = 3;
  bool is_trust_judged = true;     // tls.mode verify
  std::vector<std::string> names;  // further names the certificate must carry
  bool wants_tls13 = false;
};

// Whether one of the certificate's names ("a.example, *.b.example") covers this one, as RFC 6125 has it: a star stands
// for one whole label, the leftmost.
bool covers(const std::vector<std::string>& names, std::string_view wanted);

// The verdict on what was seen in a handshake that came far enough for a certificate. `expected` is the name that was
// verified; `protocol` as OpenSSL calls it.
check::Result judge(const net::TlsReport& report, const Demands& demands, const std::string& expected,
                    const std::string& protocol, std::time_t now);

}  // namespace vital::tls
