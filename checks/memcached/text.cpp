// Reads answers and judges them; see text.hpp.
#include "text.hpp"

#include <cstdlib>

#include "../net/line.hpp"
#include "../words.hpp"

namespace vital::memcached {

using check::Cause;
using check::Result;
using check::Verdict;
using net::Framing;

namespace {

constexpr size_t longest_value = 4096;
constexpr int most_lines = 500;

bool begins(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

std::optional<size_t> size_in(std::string_view digits) {
  size_t value = 0;
  if (digits.empty() || digits.size() > 9) return {};
  for (const char c : digits) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<size_t>(c - '0');
  }
  return value;
}

// "VALUE key flags length", and the length.
std::optional<size_t> value_length(std::string_view line) {
  net::take_word(line);
  net::take_word(line);
  net::take_word(line);
  return size_in(net::take_word(line));
}

std::optional<double> number(const Stats& stats, const std::string& name) {
  const auto found = stats.find(name);
  if (found == stats.end()) return {};
  char* end = nullptr;
  const double value = std::strtod(found->second.c_str(), &end);
  if (end == found->second.c_str() || *end != '\0') return {};
  return value;
}

}  // namespace

Framing answer(std::string_view bytes) {
  static constexpr std::string_view words[] = {"STORED", "NOT_STORED", "EXISTS",   "DELETED",      "NOT_FOUND",
                                               "END",    "ERROR",      "VERSION ", "CLIENT_ERROR", "SERVER_ERROR",
                                               "VALUE ", "STAT ",      "OK"};
  size_t at = 0;
  for (int lines = 0; lines < most_lines; ++lines) {
    const std::string_view rest = bytes.substr(at);
    bool could_be = false;
    for (const std::string_view word : words) could_be = could_be || begins(rest, word) || begins(word, rest);
    if (!could_be) return Framing::broken("what it says is no memcached");
    const Framing found = net::line(rest);
    if (found.status != Framing::Status::whole) return found;
    const std::string_view one = net::without_end(rest.substr(0, found.length));
    at += found.length;
    if (begins(one, "STAT ")) continue;
    if (!begins(one, "VALUE ")) return Framing::whole(at);
    const auto length = value_length(one);
    if (!length || *length > longest_value) return Framing::broken("it announces a value of absurd length");
    if (bytes.size() < at + *length + 2) return {};
    if (bytes.substr(at + *length, 2) != "\r\n") return Framing::broken("its value does not end where it should");
    at += *length + 2;
  }
  return Framing::broken("its answer never ends");
}

std::optional<std::string> value_of(std::string_view bytes) {
  const Framing found = net::line(bytes);
  if (found.status != Framing::Status::whole || !begins(bytes, "VALUE ")) return {};
  const auto length = value_length(net::without_end(bytes.substr(0, found.length)));
  if (!length || bytes.size() < found.length + *length) return {};
  return std::string(bytes.substr(found.length, *length));
}

Stats stats_of(std::string_view bytes) {
  Stats out;
  while (begins(bytes, "STAT ")) {
    const Framing found = net::line(bytes);
    if (found.status != Framing::Status::whole) break;
    std::string_view one = net::without_end(bytes.substr(0, found.length));
    bytes.remove_prefix(found.length);
    net::take_word(one);
    const std::string name(net::take_word(one));
    out[name] = one;
  }
  return out;
}

Result refusal(std::string_view bytes, const std::string& doing) {
  const std::string said = check::tidy(bytes, 160);
  const std::string words = doing + " was answered with " + net::quoted(said, 160);
  if (said.find("authentication") != std::string::npos || said.find("unauthenticated") != std::string::npos) {
    return check::unknown(Cause::auth, "it wants a user and a password, or rejects ours: " + words);
  }
  if (said.find("Too many open connections") != std::string::npos) {
    return check::warn(Cause::protocol, "it is alive, but all its connections are taken: " + words);
  }
  if (begins(bytes, "SERVER_ERROR out of memory")) return check::fail(Cause::content, "its memory is full: " + words);
  if (begins(bytes, "SERVER_ERROR") || begins(bytes, "NOT_STORED") || begins(bytes, "NOT_FOUND") ||
      begins(bytes, "END")) {
    return check::fail(Cause::content, words);
  }
  return check::fail(Cause::protocol, words);
}

Sample sample_of(const Stats& stats) {
  return {number(stats, "evictions").value_or(0), number(stats, "uptime").value_or(0)};
}

Result judge(const Stats& stats, const Demands& demands, const std::optional<Sample>& before,
             const std::string& target) {
  const auto uptime = number(stats, "uptime");
  if (!uptime) return check::fail(Cause::protocol, "its statistics tell no uptime");
  Result result = check::pass(target + " took a value and gave it back");
  const auto worsen = [&](Verdict verdict, const std::string& words) {
    if (static_cast<uint32_t>(verdict) <= static_cast<uint32_t>(result.verdict)) return;
    result.verdict = verdict;
    result.cause = Cause::content;
    result.text = words;
  };
  const double evictions = number(stats, "evictions").value_or(0);
  result.measure("evictions", evictions);
  if (before && *uptime > before->uptime && evictions >= before->evictions) {
    const double rate = (evictions - before->evictions) / (*uptime - before->uptime);
    result.measure("evictions_per_second", rate, "",
                   demands.warn_evictions >= 0 ? demands.warn_evictions : check::no_threshold);
    if (demands.warn_evictions >= 0 && rate > demands.warn_evictions) {
      worsen(Verdict::warn,
             "it evicts " + std::to_string(static_cast<long long>(rate)) + " values a second to make room");
    }
  }
  const auto used = number(stats, "curr_connections");
  const auto most = number(stats, "max_connections");
  if (used && most && *most > 0) {
    const double left = std::max(0.0, *most - *used);
    const auto found = demands.connections.judge(left, *most, "warn_free_connections", "fail_free_connections");
    worsen(found.verdict,
           std::to_string(static_cast<long long>(left)) + " of its connections are left, " + found.words);
    result.measure("connections_free", left, "", demands.connections.warn_at(*most),
                   demands.connections.fail_at(*most));
  }
  if (used) result.measure("connections", *used);
  if (const auto bytes = number(stats, "bytes")) result.measure("memory_used", *bytes, "B");
  if (const auto items = number(stats, "curr_items")) result.measure("items", *items);
  const auto version = stats.find("version");
  if (version != stats.end()) result.fact("version", version->second);
  return result;
}

}  // namespace vital::memcached
