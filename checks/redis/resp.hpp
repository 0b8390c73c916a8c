// RESP2, the protocol of Redis, Valkey and Sentinel: commands to bytes, bytes to replies. Pure; bounded in depth, in
// elements and in length whatever a peer announces.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../net/framing.hpp"

namespace vital::redis {

struct Reply {
  enum class Kind { text, error, number, null, list };
  Kind kind = Kind::null;
  std::string text;  // of a simple or bulk string, an error without its minus sign, a number as it came
  std::vector<Reply> list;

  bool is_error() const { return kind == Kind::error; }
  bool is(std::string_view expected) const { return kind == Kind::text && text == expected; }
  // The first word of an error: "NOAUTH".
  std::string_view code() const { return std::string_view(text).substr(0, text.find(' ')); }
};

// command("SET", "key", "value"): a command as a server wants it.
std::string command_of(const std::string_view* words, size_t count);
template <typename... Words>
std::string command(const Words&... words) {
  const std::string_view all[] = {words...};
  return command_of(all, sizeof...(words));
}

// Whether a whole reply has come, for Dialogue::receive().
net::Framing frame(std::string_view bytes);

// One whole reply, as frame() measured it; empty for anything else.
std::optional<Reply> parse(std::string_view bytes);

}  // namespace vital::redis
