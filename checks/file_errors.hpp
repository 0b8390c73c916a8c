// What a system call on a file says about the filesystem below it. Most errors are its own; that we may not look, or
// have no descriptors left, is ours. [any]
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <vitald/check.hpp>

namespace vital::check {

// `doing` says what was tried: "its space", "reading /srv/app/canary".
inline Result file_failure(const std::string& doing, int error) {
  const std::string text = doing + ": " + std::strerror(error);
  switch (error) {
    case EACCES:
    case EPERM:
      return unknown(Cause::config, text + "; the agent's user needs access");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return unknown(Cause::agent, text);
    case ESTALE:
      return fail(Cause::unreachable, text + "; what was mounted is gone: unmount it and mount it anew");
    case ENOTCONN:
    case EHOSTDOWN:
    case EHOSTUNREACH:
      return fail(Cause::unreachable, text);
    case ETIMEDOUT:
      return fail(Cause::timeout, text);
    case EROFS:
      return fail(Cause::role, text);
    default:
      return fail(Cause::content, text);
  }
}

}  // namespace vital::check
