// The words that the checks of servers share: a verdict with its cause, outside text made safe for one line, a
// connection that failed. Pure. [any]
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <vitald/check.hpp>

#include "net/text.hpp"
#include "net/trouble.hpp"

namespace vital::check {

using net::in_words;

// What an error code proves.
struct Meaning {
  Verdict verdict;
  Cause cause;
};

// Outside text on one line: control characters become spaces, runs of spaces one; cut at `limit` bytes.
inline std::string tidy(std::string_view text, std::size_t limit = 300) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) return out + "...";
    const bool is_space = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    if (!is_space) out += c;
    if (is_space && !out.empty() && out.back() != ' ') out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// A value as the server gave it, in quotes, short.
inline std::string shown(std::string_view value) { return "\"" + tidy(value, 60) + "\""; }

// "db.example:5432", "[::1]:5432".
inline std::string with_port(const std::string& host, long long port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

// What a failed connect() says about the other side, or only about us. `target` may be the path of a Unix socket.
inline Result connect_failure(int error, const std::string& target) {
  const std::string doing = "connect to " + target + ": ";
  if (error == ENOENT) return fail(Cause::refused, doing + "there is no such socket, so nobody listens");
  const net::Trouble trouble = net::connect_trouble(error);
  return make_result(trouble.verdict, trouble.cause, doing + trouble.text);
}

}  // namespace vital::check
