// From options to listening sockets; see doors.hpp.
#include "publish/doors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/text.hpp"
#include "publish/grpc_peer.hpp"

namespace vital {
namespace {

using Socket = std::shared_ptr<ListeningSocket>;

std::vector<Network> parse_networks(const std::vector<std::string>& texts) {
  std::vector<Network> out;
  for (const std::string& text : texts) {
    try {
      out.push_back(Network::parse(text));
    } catch (const std::invalid_argument& e) {
      throw FrontError(std::string("proxy_protocol: ") + e.what());
    }
  }
  return out;
}

std::shared_ptr<const DoorPolicy> policy_of(const Doorway& door) {
  return std::make_shared<const DoorPolicy>(
      DoorPolicy{door.details, parse_networks(door.proxy_protocol), door.tls, door.token});
}

std::string_view name_of(ListenerKind kind) {
  switch (kind) {
    case ListenerKind::health:
      return "health";
    case ListenerKind::haproxy:
      return "haproxy";
    case ListenerKind::grpc:
      return "grpc";
    case ListenerKind::admin:
      return "admin";
  }
  return "";
}

// One walk over the options.
class Opening {
 public:
  Opening(const FrontOptions& asked, const OpenDoors& have) : asked_(asked), have_(have) {
    for (const InheritedSocket& from : asked.inherited) inherited_.push_back({&from, bound_address(from.fd), false});
    for (const OpenDoor& door : have) {
      if (!is_wanted(*door.socket) && !door.socket->is_local() && !door.socket->is_inherited()) {
        leaving_.push_back(door.socket);
      }
    }
  }

  OpenDoors all() {
    const std::vector<Doorway> agents(asked_.haproxy.begin(), asked_.haproxy.end());
    std::vector<Doorway> admins;
    if (asked_.admin) {
      Doorway door(asked_.admin->path);
      door.mode = asked_.admin->mode;
      door.group = asked_.admin->group;
      admins.push_back(std::move(door));
    }
    open(ListenerKind::health, asked_.health);
    open(ListenerKind::haproxy, agents);
    if (!asked_.grpc.empty() && !has_grpc()) {
      throw FrontError("listen.grpc: this build has no gRPC: it was made without libnghttp2");
    }
    open(ListenerKind::grpc, asked_.grpc);
    open(ListenerKind::admin, admins);
    for (const Given& given : inherited_) {
      const std::string& name = given.from->name;
      if (name == "health" || name == "haproxy" || name == "admin" || (name == "grpc" && has_grpc())) continue;
      throw FrontError(fmt::format(
          "a socket named \"{}\" was handed over; FileDescriptorName= is one of health, haproxy, grpc and admin",
          one_line(name, 64)));
    }
    return std::move(out_);
  }

 private:
  struct Given {
    const InheritedSocket* from;
    std::string bound;
    bool is_used;
  };

  bool is_wanted(const ListeningSocket& l) const {
    const auto is_it = [&](const Doorway& d) { return d.address == l.asked(); };
    switch (l.kind()) {
      case ListenerKind::health:
        return std::any_of(asked_.health.begin(), asked_.health.end(), is_it);
      case ListenerKind::haproxy:
        return std::find(asked_.haproxy.begin(), asked_.haproxy.end(), l.asked()) != asked_.haproxy.end();
      case ListenerKind::grpc:
        return std::any_of(asked_.grpc.begin(), asked_.grpc.end(), is_it);
      case ListenerKind::admin:
        return asked_.admin && asked_.admin->path == l.asked();
    }
    return false;
  }

  bool is_taken(const Socket& socket) const {
    return std::any_of(out_.begin(), out_.end(), [&](const OpenDoor& d) { return d.socket == socket; });
  }

  Socket kept(ListenerKind kind, const std::string& address) const {
    for (const OpenDoor& door : have_) {
      const Socket& l = door.socket;
      if (l->kind() == kind && l->asked() == address && !is_taken(l)) return l;
    }
    return {};
  }

  void open(ListenerKind kind, const std::vector<Doorway>& doors) {
    std::vector<std::string> all;
    for (const Doorway& door : doors) all.push_back(door.address);
    for (const Doorway& door : doors) {
      const auto policy = policy_of(door);
      Given* given = given_for(kind, door.address);
      if (given != nullptr && given->is_used) continue;  // the same socket serves this address too
      Socket socket = kept(kind, door.address);
      if (given != nullptr) {
        given->is_used = true;
        if (!socket) socket = ListeningSocket::inherited(kind, door.address, *given->from);
      } else if (door.address.starts_with('/')) {
        const AdminSocket file{door.address, door.mode, door.group};
        if (socket) socket->dress(file);
        if (!socket) socket = ListeningSocket::local(kind, file);
      } else if (!socket) {
        socket = ListeningSocket::tcp(kind, door.address, all, leaving_);
      }
      out_.push_back({std::move(socket), policy});
    }
    // What was handed over for this and is bound elsewhere serves beside them.
    const auto policy = policy_of(doors.empty() ? Doorway{} : doors.front());
    for (Given& given : inherited_) {
      if (given.is_used || given.from->name != name_of(kind)) continue;
      given.is_used = true;
      const std::string asked = "inherited " + given.bound;
      Socket socket = kept(kind, asked);
      out_.push_back({socket ? socket : ListeningSocket::inherited(kind, asked, *given.from), policy});
    }
  }

  Given* given_for(ListenerKind kind, const std::string& address) {
    const auto found = std::find_if(inherited_.begin(), inherited_.end(), [&](const Given& g) {
      return g.from->name == name_of(kind) && covers(g.bound, address);
    });
    return found == inherited_.end() ? nullptr : &*found;
  }

  const FrontOptions& asked_;
  const OpenDoors& have_;
  std::vector<Given> inherited_;
  std::vector<Socket> leaving_;
  OpenDoors out_;
};

}  // namespace

OpenDoors open_doors(const FrontOptions& asked, const OpenDoors& have) { return Opening(asked, have).all(); }

}  // namespace vital
