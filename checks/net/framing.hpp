// Where a message ends in a stream of bytes, as the protocols tell it. Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace vital::net {

// What a framer makes of the bytes that have come: not a whole message yet, one of `length` bytes at their beginning,
// or nothing of the protocol at all, and then `why` says in words what is wrong.
struct Framing {
  enum class Status { more, whole, broken };
  Status status = Status::more;
  size_t length = 0;
  const char* why = "";
  static Framing whole(size_t length) { return {Status::whole, length, ""}; }
  static Framing broken(const char* why) { return {Status::broken, 0, why}; }
};

using Framer = Framing (*)(std::string_view);

}  // namespace vital::net
