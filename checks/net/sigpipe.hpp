// OpenSSL writes to sockets without MSG_NOSIGNAL, and libcurl is told not to touch signals: a peer that hangs up would
// end the process wherever nobody has said otherwise. The worker has; this is for whoever else loads a module.
#pragma once

#include <csignal>

namespace vital::net {

inline void survive_hangups() {
  struct sigaction now {};
  if (sigaction(SIGPIPE, nullptr, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) return;
  now.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &now, nullptr);
}

}  // namespace vital::net
