// Sockets that were opened for us before we started (systemd's socket activation, LISTEN_FDS): a restart that goes on
// with them refuses no connection, since the kernel queues those that come meanwhile. One thread, at the start.
#pragma once

#include <string>
#include <vector>

namespace vital {

struct InheritedSocket {
  int fd = -1;       // open for as long as the process lives
  std::string name;  // FileDescriptorName= of the unit
};

// What this process was given; a second call, and a child, see none.
std::vector<InheritedSocket> take_inherited_sockets();

}  // namespace vital
