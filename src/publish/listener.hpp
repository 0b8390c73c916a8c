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

enum class ListenerKind : unsigned char { health, haproxy, admin };

class ListeningSocket {
 public:
  // `all` is every address of the config: "[::]:80" takes IPv4 too unless "0.0.0.0:80" is listed beside it. A socket
  // of ours in `leaving` may hold an overlapping address: it is about to be closed. Both throw FrontError.
  static std::shared_ptr<ListeningSocket> tcp(ListenerKind kind, const std::string& address,
                                              const std::vector<std::string>& all,
                                              const std::vector<std::shared_ptr<ListeningSocket>>& leaving);
  // A socket file left behind is removed, one that is answered on is an error.
  static std::shared_ptr<ListeningSocket> local(const AdminSocket& admin);
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  // Mode and group of the admin's socket file, as at first and after a reload. Throws FrontError.
  void dress(const AdminSocket& admin) const;

  int fd() const { return fd_.get(); }
  ListenerKind kind() const { return kind_; }
  const std::string& asked() const { return asked_; }  // as in the config
  std::string bound() const;                           // with the real port

 private:
  ListeningSocket(ListenerKind kind, std::string asked, UniqueFd fd);
  ListenerKind kind_;
  std::string asked_;
  UniqueFd fd_;
  // Of the socket file, to remove it only while it is ours.
  unsigned long long device_ = 0, inode_ = 0;
};

}  // namespace vital
