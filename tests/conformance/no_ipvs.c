// Loaded into keepalived by the conformance test: answers its questions to the kernel's load balancer (IPVS), which
// many kernels do not have, with "done". Its health checkers then run as they are, and their verdicts stand in its log.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/socket.h>

enum { ipvs_first = 64 + 1024 + 64, ipvs_last = ipvs_first + 127, ipvs_version = 0x010201 };

static int is_ipvs(int level, int name) { return level == 0 && name >= ipvs_first && name <= ipvs_last; }

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  if (is_ipvs(level, name)) return 0;
  int (*real)(int, int, int, const void*, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
  return real(fd, level, name, value, size);
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  if (is_ipvs(level, name)) {
    memset(value, 0, *size);
    if (*size >= sizeof(unsigned)) *(unsigned*)value = ipvs_version;
    return 0;
  }
  int (*real)(int, int, int, void*, socklen_t*) = dlsym(RTLD_NEXT, "getsockopt");
  return real(fd, level, name, value, size);
}
