// A session with a directory by a deadline: connect (ldap://, ldaps://, ldapi://), TLS, bind, search, modify, unbind.
// libldap does LDAP; the TCP connection is our own, because then its failure has an errno and each phase a time. TLS is
// the trap: libldap 2.5 waits for the handshake without any deadline, and spins if it is given
// LDAP_OPT_NETWORK_TIMEOUT, so it gets none and the fuse ends the wait. [worker]
#pragma once

#include <ldap.h>

#include <memory>
#include <string>
#include <vector>

#include "blocking.hpp"

namespace vital::check::ldap {

struct Unbind {
  void operator()(LDAP* ld) const { ldap_unbind_ext(ld, nullptr, nullptr); }
};
using Handle = std::unique_ptr<LDAP, Unbind>;

struct FreeMessage {
  void operator()(LDAPMessage* m) const { ldap_msgfree(m); }
};
using Message = std::unique_ptr<LDAPMessage, FreeMessage>;

struct Search {
  std::string base, filter, attribute, equals;
  int scope = LDAP_SCOPE_SUBTREE;
  std::vector<std::string> attributes;
  long long min_entries = 1;
};

// A server, and how to log in to it.
struct Place {
  std::string uri;
  std::string scheme, host, target;  // read from uri
  long long port = 0;
  int family = AF_UNSPEC;
  bool uses_start_tls = false, is_external = false, verifies = true;
  std::string bind_dn, password;
  std::string ca, certificate, key, server_name;

  // Fills what comes from the URI. Throws Invalid that names `option`.
  void read_uri(const char* option);
  bool is_tls() const { return scheme == "ldaps" || uses_start_tls; }
  std::string as() const { return is_external ? "EXTERNAL" : bind_dn.empty() ? "anonymous" : bind_dn; }
};

// What is known of a connection, however the probe ends.
struct Seen {
  std::string address;           // the one that was tried last
  std::string tls;               // "TLS1.3"; empty without
  Phase doing = Phase::resolve;  // where it is, or where it stopped
};

// One session with one server. Throws Stop with the verdict.
class Session {
 public:
  // Connects, does TLS, binds; the phases go to `watch`. All must outlive the session.
  static std::unique_ptr<Session> open(const Place& place, const Fuse& fuse, Stopwatch& watch, Seen& seen);

  // The entries found, at most `limit` of them.
  std::vector<Message> search(const Search& s, int limit) const;
  // Whether one of the entries has this value, and the first other value seen.
  bool has_value(const std::vector<Message>& entries, const Search& s, std::string& other) const;
  std::vector<std::string> values(const Message& entry, const char* attribute) const;
  // Replaces an attribute's values by this one.
  void replace(const std::string& dn, const std::string& attribute, const std::string& value) const;

 private:
  Session(Handle handle, const std::string& target, const Fuse& fuse, const Stopwatch& watch)
      : handle_(std::move(handle)), target_(target), fuse_(fuse), watch_(watch) {}

  void start_tls() const;
  void shake_hands() const;
  std::string tls() const;
  void bind(const std::string& dn, const std::string& password, const char* mechanism, const std::string& as) const;

  [[noreturn]] void late(const std::string& what) const;
  timeval time_left() const;
  Message wait(int id, const std::string& doing) const;
  int code_in(Message message) const;
  void need(int code, const std::string& doing) const;
  int own_error() const;
  std::string diagnostic() const;

  const Handle handle_;
  const std::string& target_;
  const Fuse& fuse_;
  const Stopwatch& watch_;
};

}  // namespace vital::check::ldap
