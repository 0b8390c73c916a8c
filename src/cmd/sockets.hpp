// Which TCP ports of this host are listened on, and by whom: /proc/net/tcp and tcp6, and the descriptors of those
// processes we may look into. One thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "publish/address.hpp"

namespace vital::cmd {

struct ListeningSocket {
  HostAddress address;
  bool is_any = false;  // 0.0.0.0 or ::
  std::uint16_t port = 0;
  std::uint64_t inode = 0;
  pid_t pid = 0;        // 0 = of a process we may not look into
  std::string program;  // its name as in /proc/PID/comm

  std::string text() const;  // "127.0.0.1:80", "*:80"
};

// One of the kernel's tables; lines that make no sense are left out. Pure.
std::vector<ListeningSocket> parse_listening(std::string_view table);

// Both tables, with who holds each socket.
std::vector<ListeningSocket> listening_sockets();

}  // namespace vital::cmd
