// Listening sockets: TCP addresses and the admin's unix socket, bound with every error said in one line. Made on the
// control thread, watched on the front's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "publish/address.hpp"
#include "publish/front.hpp"

namespace vital {

enum class ListenerKind : unsigned char { health, haproxy, grpc, admin };

// What holds for the connections of a door. The front's thread may change it under those that are open: a reload that
// shows less must not wait for them to end.
struct DoorPolicy {
  ShowDetails details = ShowDetails::loopback;
  std::vector<Network> proxies;
  std::shared_ptr<const TlsContext> tls;
  std::string token;
};

class ListeningSocket {
 public:
  // `all` is every address of the config: "[::]:80" takes IPv4 too unless "0.0.0.0:80" is listed beside it. A socket
  // of ours in `leaving` may hold an overlapping address: it is about to be closed. Both throw FrontError.
  static std::shared_ptr<ListeningSocket> tcp(ListenerKind kind, const std::string& address,
                                              const std::vector<std::string>& all,
                                              const std::vector<std::shared_ptr<ListeningSocket>>& leaving);
  // A socket file left behind is removed, one that is answered on is an error.
  static std::shared_ptr<ListeningSocket> local(ListenerKind kind, const AdminSocket& file);
  // A copy of a socket that was handed to us; its file, if it has one, is not ours to remove or to give away.
  static std::shared_ptr<ListeningSocket> inherited(ListenerKind kind, std::string asked, const InheritedSocket& from);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  // Mode and group of a socket's file, as at first and after a reload. Throws FrontError.
  void dress(const AdminSocket& file) const;

  int fd() const { return fd_.get(); }
  ListenerKind kind() const { return kind_; }
  const std::string& asked() const { return asked_; }  // as in the config
  std::string bound() const;                           // with the real port, or the path
  bool is_inherited() const { return is_inherited_; }
  bool is_local() const { return is_local_; }  // a unix socket

 private:
  ListeningSocket(ListenerKind kind, std::string asked, UniqueFd fd);
  ListenerKind kind_;
  std::string asked_;
  UniqueFd fd_;
  bool is_local_ = false;
  bool is_inherited_ = false;
  // Of the socket file, to remove it only while it is ours.
  unsigned long long device_ = 0, inode_ = 0;
};

// Where a socket handed to us is bound: "0.0.0.0:9180", or a path.
std::string bound_address(int fd);
// Whether a socket bound to `bound` takes what is meant for `asked`: the same, or every address of that port.
bool covers(const std::string& bound, const std::string& asked);

}  // namespace vital
