// A session with an NFS server in user space, by a deadline: the portmapper where it is needed, the NULL call, the
// mount, and files. libnfs encodes and decodes; the waiting is ours, since its own loop knows whole seconds only. No
// kernel mount is involved, so nothing here can get stuck in the kernel. [worker]
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "../blocking.hpp"
#include "share.hpp"

struct nfs_context;
struct nfsfh;
struct rpc_context;

namespace vital::check::nfs {

struct Export {
  std::string host, path;  // "nfs1.example.jp", "/srv/app"
  int version = 4;
  long long port = 0, mount_port = 0;  // 0: 2049 with version 4, asked of the portmapper with version 3
  int uid = 0, gid = 0;                // who we say we are
  std::string target() const { return host + ":" + path; }
};

// What the callbacks of libnfs report into.
struct Call {
  bool is_done = false;
  int status = 0;     // 0 or more, or -errno
  std::string error;  // libnfs's words
  std::string bytes;  // of a read
  void* handle = nullptr;
  unsigned long long free = 0, size = 0;  // of a statvfs
  unsigned port = 0;                      // of the portmapper
};

class Client final : public shares::Share {
 public:
  // Gives up at `until`. The address is one of the host's.
  Client(const Export& what, const Address& address, Duration until);
  ~Client() override;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Finds the ports and makes the NULL call: the server's NFS service answers.
  void call_null();
  // MOUNT with version 3; with version 4 the session and the way to the export.
  void mount();
  // A polite end, where the protocol has one; never throws.
  void unmount() noexcept;

  shares::Space space() override;
  std::string read(const std::string& file) override;
  void write(const std::string& file, const std::string& text) override;

 private:
  struct DestroyRpc {
    void operator()(rpc_context* rpc) const;
  };
  using Rpc = std::unique_ptr<rpc_context, DestroyRpc>;

  Rpc connect(long long port, int program, int version, const std::string& doing);
  unsigned ask_portmapper(int program, const char* name);
  void run(rpc_context* rpc, int queued, const std::string& doing);
  Call& run(int queued, const std::string& doing);
  nfsfh* open(const std::string& file, int flags, const std::string& doing);
  void close(nfsfh* handle, const std::string& doing);
  [[noreturn]] void late(const std::string& doing) const;
  [[noreturn]] void connect_failed(long long port, const std::string& doing, const std::string& words) const;

  const Export& what_;
  const Address& address_;
  const Duration until_;
  long long port_, mount_port_;
  Call call_;  // outlives the context, which reports what it abandons
  nfs_context* context_;
  bool is_mounted_ = false;
};

// What a failed operation on the export says. `error` is an errno. Pure.
Result failure(int error, const std::string& doing, const std::string& words);

}  // namespace vital::check::nfs
