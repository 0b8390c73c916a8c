// The rules; see verdict.hpp.
#include "verdict.hpp"

#include <algorithm>

#include "../net/text.hpp"

namespace vital::dns {

using check::Cause;
using check::Result;

namespace {

std::string listed(const std::vector<std::string>& texts) {
  std::string out;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i == 5) return out + ", and " + std::to_string(texts.size() - i) + " more";
    const std::string shown = net::quoted(texts[i], 100);
    out += (i > 0 ? ", " : "") + shown.substr(1, shown.size() - 2);
  }
  return out;
}

}  // namespace

Result judge(const Answer& answer, const Demands& demands, const std::string& what) {
  std::vector<std::string> found;
  std::optional<uint32_t> ttl;
  for (const Record& record : answer.answers) {
    if (record.type == demands.type || record.type == 5) ttl = std::min(ttl.value_or(record.ttl), record.ttl);
    if (record.type == demands.type) found.push_back(record.text);
  }
  const std::string rcode = rcode_name(answer.rcode);
  const auto decide = [&]() -> Result {
    if (rcode != demands.rcode) {
      return check::fail(Cause::content, what + " was answered with " + rcode + ", expected " + demands.rcode);
    }
    if (demands.rcode != "NOERROR") return check::pass(what + " was answered with " + rcode + ", as expected");
    if (static_cast<long long>(found.size()) < demands.min_answers) {
      return check::fail(Cause::content, what + ": " + std::to_string(found.size()) +
                                             (found.size() == 1 ? " answer" : " answers") + ", expected at least " +
                                             std::to_string(demands.min_answers));
    }
    for (const std::string& wanted : demands.answers) {
      if (std::find(found.begin(), found.end(), wanted) == found.end()) {
        return check::fail(Cause::content, what + " is " + listed(found) + "; expected " + wanted + " among them");
      }
    }
    if (demands.is_exact) {
      for (const std::string& one : found) {
        if (std::find(demands.answers.begin(), demands.answers.end(), one) == demands.answers.end()) {
          return check::fail(Cause::content, what + " is also " + net::quoted(one) + ", which is not expected");
        }
      }
    }
    if (demands.wants_authoritative && !answer.is_authoritative) {
      return check::fail(Cause::role, what + ": the answer is not authoritative");
    }
    if (demands.wants_authenticated && !answer.is_authenticated) {
      return check::fail(Cause::content, what + ": the answer is not authenticated (no AD flag)");
    }
    if (ttl && static_cast<double>(*ttl) < demands.min_ttl) {
      return check::fail(Cause::content, what + " may be kept for " + std::to_string(*ttl) +
                                             " s only, expected at least " +
                                             std::to_string(static_cast<long long>(demands.min_ttl)) + " s");
    }
    return check::pass(what + (found.empty() ? ": no answer, as expected" : " is " + listed(found)));
  };
  Result result = decide();
  result.measure("answers", static_cast<double>(found.size()), "", check::no_threshold,
                 demands.rcode == "NOERROR" ? static_cast<double>(demands.min_answers) : check::no_threshold);
  if (ttl)
    result.measure("ttl", *ttl, "s", check::no_threshold, demands.min_ttl > 0 ? demands.min_ttl : check::no_threshold);
  result.fact("rcode", rcode);
  if (answer.is_authoritative) result.fact("authoritative", "yes");
  if (answer.is_authenticated) result.fact("authenticated", "yes");
  return result;
}

long long behind(uint32_t ours, uint32_t primary) { return static_cast<int32_t>(primary - ours); }

std::optional<uint32_t> serial_of(const Answer& answer) {
  for (const Record& record : answer.answers) {
    if (record.type == 6) return record.serial;
  }
  return {};
}

}  // namespace vital::dns
