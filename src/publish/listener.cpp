// Binding; see listener.hpp.
#include "publish/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace vital {
namespace {

constexpr int backlog = 4096;  // the kernel cuts it to net.core.somaxconn

std::string_view title(ListenerKind kind) {
  switch (kind) {
    case ListenerKind::health:
      return "listen.health";
    case ListenerKind::haproxy:
      return "listen.haproxy";
    case ListenerKind::grpc:
      return "listen.grpc";
    case ListenerKind::admin:
      return "listen.admin";
  }
  return "listen";
}

std::string why(int error) { return std::error_code(error, std::generic_category()).message(); }

[[noreturn]] void refuse(ListenerKind kind, const std::string& where, const std::string& reason) {
  throw FrontError(fmt::format("{}: cannot listen on {}: {}", title(kind), where, reason));
}

std::string hint(int error) {
  if (error == EADDRINUSE) return "; another program has it (ss -ltnp shows which)";
  if (error == EADDRNOTAVAIL) return "; this machine has no such address";
  if (error == EACCES) return "; ports below 1024 need CAP_NET_BIND_SERVICE";
  return "";
}

void set_option(int fd, int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); }

sockaddr_un unix_address(ListenerKind kind, const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof out.sun_path) {
    refuse(kind, path, fmt::format("the path must have 1 to {} bytes", sizeof out.sun_path - 1));
  }
  std::copy(path.begin(), path.end(), std::begin(out.sun_path));
  return out;
}

template <typename Address>
const sockaddr* raw(const Address& address) {
  return static_cast<const sockaddr*>(static_cast<const void*>(&address));
}

// Removes a socket file nobody answers on any more.
void clear_stale(ListenerKind kind, const std::string& path, const sockaddr_un& address) {
  struct stat there {};
  if (::lstat(path.c_str(), &there) != 0) return;
  if (!S_ISSOCK(there.st_mode)) refuse(kind, path, "a file that is no socket is in the way");
  const UniqueFd knock(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const bool is_answered = ::connect(knock.get(), raw(address), sizeof address) == 0 || errno == EAGAIN;
  if (is_answered) refuse(kind, path, "another agent answers there");
  if (errno != ECONNREFUSED) refuse(kind, path, why(errno));
  ::unlink(path.c_str());
}

// A group that does not exist here leaves the socket with the agent's own; who reads the configuration warns of it.
gid_t find_group(const std::string& group) {
  const ::group* found = group.empty() ? nullptr : ::getgrnam(group.c_str());
  return found == nullptr ? static_cast<gid_t>(-1) : found->gr_gid;
}

}  // namespace

ListeningSocket::ListeningSocket(ListenerKind kind, std::string asked, UniqueFd fd)
    : kind_(kind), asked_(std::move(asked)), fd_(std::move(fd)) {}

std::shared_ptr<ListeningSocket> ListeningSocket::tcp(ListenerKind kind, const std::string& address,
                                                      const std::vector<std::string>& all,
                                                      const std::vector<std::shared_ptr<ListeningSocket>>& leaving) {
  SocketAddress where;
  try {
    where = SocketAddress::parse(address);
  } catch (const std::invalid_argument& e) {
    throw FrontError(fmt::format("{}: {}", title(kind), e.what()));
  }
  UniqueFd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) refuse(kind, address, why(errno));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (where.storage.ss_family == AF_INET6) {
    const std::string same_port = "0.0.0.0:" + std::to_string(where.port());
    const bool has_v4 = where.port() != 0 && std::find(all.begin(), all.end(), same_port) != all.end();
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, has_v4 ? 1 : 0);
  }
  // A reload from 127.0.0.1 to 0.0.0.0 overlaps with ourselves: sharing the port for this moment leaves no gap in
  // which nobody listens. It is not kept, or a second agent could share it unnoticed.
  for (const auto& old : leaving) set_option(old->fd(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (!leaving.empty()) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  const bool is_bound = ::bind(fd.get(), where.raw(), where.length) == 0 && ::listen(fd.get(), backlog) == 0;
  const int error = errno;
  for (const auto& old : leaving) set_option(old->fd(), SOL_SOCKET, SO_REUSEPORT, 0);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 0);
  if (!is_bound) refuse(kind, address, why(error) + hint(error));
  return std::shared_ptr<ListeningSocket>(new ListeningSocket(kind, address, std::move(fd)));
}

std::shared_ptr<ListeningSocket> ListeningSocket::local(ListenerKind kind, const AdminSocket& file) {
  const std::string& path = file.path;
  const sockaddr_un address = unix_address(kind, path);
  std::error_code ignored;  // bind says it better
  std::filesystem::create_directory(std::filesystem::path(path).parent_path(), ignored);
  clear_stale(kind, path, address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) refuse(kind, path, why(errno));
  // The file must never be open to others, not even before chmod: it takes its first mode from the descriptor.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), raw(address), sizeof address) != 0) {
    const int error = errno;
    refuse(kind, path, why(error) + (error == ENOENT ? "; its directory does not exist" : ""));
  }
  auto out = std::shared_ptr<ListeningSocket>(new ListeningSocket(kind, path, std::move(fd)));
  out->is_local_ = true;
  struct stat made {};
  if (::lstat(path.c_str(), &made) == 0) {
    out->device_ = made.st_dev;
    out->inode_ = made.st_ino;
  }
  out->dress(file);
  if (::listen(out->fd(), backlog) != 0) refuse(kind, path, why(errno));
  return out;
}

std::shared_ptr<ListeningSocket> ListeningSocket::inherited(ListenerKind kind, std::string asked,
                                                            const InheritedSocket& from) {
  UniqueFd fd(::fcntl(from.fd, F_DUPFD_CLOEXEC, 3));
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (!fd || ::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0 || is_listening == 0) {
    throw FrontError(
        fmt::format("{}: the socket named {} that was handed over does not listen", title(kind), from.name));
  }
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  const bool is_local = bound_address(fd.get()).starts_with('/');
  auto out = std::shared_ptr<ListeningSocket>(new ListeningSocket(kind, std::move(asked), std::move(fd)));
  out->is_local_ = is_local;
  out->is_inherited_ = true;
  return out;
}

void ListeningSocket::dress(const AdminSocket& file) const {
  if (is_inherited_) return;
  if (const gid_t group = find_group(file.group);
      group != static_cast<gid_t>(-1) && ::lchown(asked_.c_str(), static_cast<uid_t>(-1), group) != 0) {
    refuse(kind_, asked_, fmt::format("cannot give it to group {}: {}", file.group, why(errno)));
  }
  if (::chmod(asked_.c_str(), file.mode) != 0) refuse(kind_, asked_, why(errno));
}

ListeningSocket::~ListeningSocket() {
  if (!is_local_ || is_inherited_) return;
  struct stat there {};
  if (::lstat(asked_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) {
    ::unlink(asked_.c_str());
  }
}

std::string ListeningSocket::bound() const { return bound_address(fd_.get()); }

std::string bound_address(int fd) {
  SocketAddress address;
  address.length = sizeof address.storage;
  if (::getsockname(fd, address.raw(), &address.length) != 0) return {};
  if (address.storage.ss_family != AF_UNIX) return address.text();
  const auto* local = static_cast<const sockaddr_un*>(static_cast<const void*>(&address.storage));
  return std::string(std::begin(local->sun_path), ::strnlen(std::begin(local->sun_path), sizeof local->sun_path));
}

bool covers(const std::string& bound, const std::string& asked) {
  if (bound.starts_with('/') || asked.starts_with('/')) return bound == asked;
  try {
    const SocketAddress wanted = SocketAddress::parse(asked);
    const SocketAddress has = SocketAddress::parse(bound);
    if (has.text() == wanted.text()) return true;
    if (has.port() != wanted.port()) return false;
    const bool is_every_v4 = bound.starts_with("0.0.0.0:");
    const bool is_every = bound.starts_with("[::]:");  // IPv4 too, unless it was told otherwise
    return is_every || (is_every_v4 && wanted.storage.ss_family == AF_INET);
  } catch (const std::invalid_argument&) {
    return false;
  }
}

}  // namespace vital
