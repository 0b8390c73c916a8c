// sd_listen_fds; see inherited.hpp.
#include "loop/inherited.hpp"

#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace vital {

std::vector<InheritedSocket> take_inherited_sockets() {
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  std::vector<InheritedSocket> out;
  for (int i = 0; i < count; ++i) {
    out.push_back({SD_LISTEN_FDS_START + i, names != nullptr && names[i] != nullptr ? names[i] : ""});
  }
  if (names != nullptr) {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(names);
  }
  return out;
}

}  // namespace vital
