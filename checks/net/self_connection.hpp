// A connection that met itself. [any]
#pragma once

#include <sys/socket.h>

#include <cstring>

namespace vital::net {

// A connection to a free port of the ephemeral range may be given that very port, and then meets itself.
inline bool is_self_connected(int fd) {
  sockaddr_storage us{};
  sockaddr_storage them{};
  socklen_t us_size = sizeof us;
  socklen_t them_size = sizeof them;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&us), &us_size) != 0) return false;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&them), &them_size) != 0) return false;
  return us.ss_family != AF_UNIX && us_size == them_size && std::memcmp(&us, &them, us_size) == 0;
}

}  // namespace vital::net
