// The rules; see verdict.hpp.
#include "verdict.hpp"

#include <cctype>
#include <cstdio>

namespace vital::tls {

using check::Cause;
using check::Result;

namespace {

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string date(std::time_t when) {
  tm parts{};
  char text[32] = "?";
  if (gmtime_r(&when, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

std::string days_in_words(double days) {
  const long whole = static_cast<long>(days < 0 ? -days : days);
  const std::string number = std::to_string(whole) + (whole == 1 ? " day" : " days");
  return days < 0 ? "ended " + number + " ago" : "ends in " + number;
}

}  // namespace

bool covers(const std::vector<std::string>& names, std::string_view wanted) {
  const std::string name = lower(wanted);
  for (const std::string& raw : names) {
    const std::string one = lower(raw);
    if (one == name) return true;
    const size_t dot = name.find('.');
    if (one.size() > 2 && one[0] == '*' && one[1] == '.' && dot != std::string::npos && dot > 0 &&
        one.substr(1) == name.substr(dot)) {
      return true;
    }
  }
  return false;
}

Result judge(const net::TlsReport& report, const Demands& demands, const std::string& expected,
             const std::string& protocol, std::time_t now) {
  // What counts is the way from the server's certificate to the authority we trust. An old certificate that is sent
  // along and not needed harms nobody; only where no way was found is all that was sent looked at.
  const bool is_trusted = report.errors.empty() && !report.verified.empty();
  const auto& way = is_trusted ? report.verified : report.sent;
  const net::SeenCertificate* first_to_end = nullptr;
  for (const auto& one : way) {
    if (first_to_end == nullptr || one.not_after < first_to_end->not_after) first_to_end = &one;
  }
  const double left = first_to_end != nullptr ? first_to_end->days_left(now) : report.days_left(now);
  const bool is_own = first_to_end == nullptr || first_to_end == &way.front();
  const std::string ends =
      (is_own ? "its certificate " : "the certificate " + first_to_end->subject + " of its chain ") +
      days_in_words(left) + " (" + date(first_to_end != nullptr ? first_to_end->not_after : report.not_after) + ")";
  const std::string rejection = report.rejection(expected, now);

  std::string missing;
  for (const std::string& name : demands.names) {
    if (!covers(report.all_names, name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  Result result = check::pass(ends);
  if (demands.is_trust_judged && !rejection.empty()) {
    const bool says_it = rejection.find("expired") != std::string::npos;
    result = check::fail(Cause::tls, rejection + (says_it ? "" : "; " + ends));
  } else if (left < demands.fail_days) {
    result = check::fail(Cause::tls, ends);
  } else if (!missing.empty()) {
    result = check::fail(Cause::tls, "its certificate is for " + report.names + ", not for " + missing);
  } else if (demands.wants_tls13 && protocol != "TLSv1.3") {
    result = check::fail(Cause::tls, "it speaks " + protocol + ", expected TLSv1.3");
  } else if (left < demands.warn_days) {
    result = check::warn(Cause::tls, ends);
  }
  result.measure("chain_days_left", left, "d", demands.warn_days, demands.fail_days);
  for (size_t i = 1; i < report.sent.size(); ++i) {
    result.measure("certificate_" + std::to_string(i) + "_days_left", report.sent[i].days_left(now), "d");
  }
  for (size_t i = 0; i < report.sent.size(); ++i) {
    const auto& one = report.sent[i];
    result.fact("certificate_" + std::to_string(i), one.subject + " by " + one.issuer + " until " +
                                                        date(one.not_after) + (i == 0 ? " for " + one.names : ""));
  }
  if (is_trusted && !report.verified.empty()) {
    result.fact("authority", report.verified.back().subject + " until " + date(report.verified.back().not_after));
  }
  result.fact("verification", rejection.empty() ? "ok" : rejection);
  if (!protocol.empty()) result.fact("protocol", protocol);
  return result;
}

}  // namespace vital::tls
