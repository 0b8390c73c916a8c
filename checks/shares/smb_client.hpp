// A session with an SMB server through libsmbclient: negotiate, log in, connect to the share, files. The library waits
// by itself, by timeouts that are not ours; the fuse ends its waits. Nothing of this machine's configuration of Samba
// is read, nothing of it is written, and nothing is printed. [worker]
#pragma once

#include <string>

#include "../blocking.hpp"
#include "share.hpp"

struct _SMBCCTX;

namespace vital::check::smb {

struct Place {
  std::string host, share, user, password, domain;
  std::string least_dialect = "SMB3_00";  // in libsmbclient's words
  long long port = 445;
  bool must_encrypt = false;
  std::string target() const { return "//" + with_port(host, port) + "/" + share; }
};

// What libsmbclient says of a login and in no other way.
struct Heard {
  bool is_logged_in = false, is_encrypted = false;
};

class Client final : public shares::Share {
 public:
  // Both must outlive it. Throws Stop.
  Client(const Place& place, const Address& address, const Fuse& fuse);
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Connects, logs in, connects to the share.
  void log_in();

  shares::Space space() override;
  std::string read(const std::string& file) override;
  void write(const std::string& file, const std::string& text) override;

 private:
  std::string url(const std::string& file) const;
  [[noreturn]] void login_failed(int error) const;
  [[noreturn]] void stop(const std::string& doing, int error) const;

  const Place& place_;
  const Address& address_;
  const Fuse& fuse_;
  Heard heard_;
  _SMBCCTX* context_;
};

}  // namespace vital::check::smb
