// What a failed system call on the way to a peer says about the peer, and what only about us. Pure.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <vitald/check.hpp>

namespace vital::net {

struct Trouble {
  check::Verdict verdict = check::Verdict::unknown;
  check::Cause cause = check::Cause::agent;
  std::string text;
};

inline Trouble fault(check::Cause cause, std::string text) { return {check::Verdict::fail, cause, std::move(text)}; }
inline Trouble ours(std::string text) { return {check::Verdict::unknown, check::Cause::agent, std::move(text)}; }

// Of connect(), or of SO_ERROR after it.
inline Trouble connect_trouble(int error) {
  switch (error) {
    case ECONNREFUSED:
      return fault(check::Cause::refused, "connection refused");
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return fault(check::Cause::unreachable, "no route to the host");
    case ENETUNREACH:
    case ENETDOWN:
      return fault(check::Cause::unreachable, "the network is unreachable");
    case ETIMEDOUT:
      return fault(check::Cause::timeout, "the connection was not answered");
    case ECONNRESET:
    case ECONNABORTED:
      return fault(check::Cause::protocol, "the connection was reset while it was made");
    case EADDRNOTAVAIL:
      return ours("no local address or port is left to connect from");
    case EPERM:
    case EACCES:
      return ours("this host's own firewall forbids the connection");
    default:
      return ours(std::string("cannot connect: ") + std::strerror(error));
  }
}

// Of a read or write on a connection that stood.
inline Trouble exchange_trouble(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return fault(check::Cause::protocol, "the peer reset the connection");
    case ETIMEDOUT:
      return fault(check::Cause::timeout, "the peer stopped answering");
    case EHOSTUNREACH:
    case ENETUNREACH:
      return fault(check::Cause::unreachable, "the route to the peer was lost");
    default:
      return ours(std::string("cannot read or write: ") + std::strerror(error));
  }
}

// Of a lookup that gave no address.
inline Trouble lookup_trouble(uint32_t status, const std::string& text) {
  if (status == VITAL_RESOLVE_NOT_FOUND) return fault(check::Cause::dns, text);
  return ours(text);
}

// How long before its deadline a probe speaks up by itself, so that its own account of what was missing arrives before
// the agent's plain "timeout".
inline check::Duration margin(check::Duration remaining) {
  const check::Duration most = std::chrono::milliseconds(50);
  return remaining / 20 < most ? remaining / 20 : most;
}

}  // namespace vital::net
