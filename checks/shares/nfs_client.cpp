#include "nfs_client.hpp"

#include <fcntl.h>
#include <nfsc/libnfs.h>

// These need the one above, which is why they stand apart.
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include <cerrno>

namespace vital::check::nfs {
namespace {

constexpr int portmapper_port = 111, portmapper_program = 100000, portmapper_version = 2;
constexpr std::size_t most_at_once = 64 * 1024;

void end(Call& call, int status, const void* error) {
  call.is_done = true;
  call.status = status;
  if (status < 0 && error != nullptr) call.error = tidy(static_cast<const char*>(error), 200);
}

// ---- callbacks: what a call brought, into its Call. None throws; libnfs is C.

void done(int status, nfs_context*, void* data, void* call) { end(*static_cast<Call*>(call), status, data); }

void opened(int status, nfs_context*, void* data, void* call) {
  end(*static_cast<Call*>(call), status, data);
  if (status >= 0) static_cast<Call*>(call)->handle = data;
}

void have_read(int status, nfs_context*, void* data, void* call) {
  end(*static_cast<Call*>(call), status, data);
  if (status > 0) static_cast<Call*>(call)->bytes.assign(static_cast<const char*>(data), static_cast<size_t>(status));
}

void measured(int status, nfs_context*, void* data, void* raw) {
  Call& call = *static_cast<Call*>(raw);
  end(call, status, data);
  if (status < 0) return;
  const auto* fs = static_cast<const nfs_statvfs_64*>(data);
  const unsigned long long block = fs->f_frsize != 0 ? fs->f_frsize : fs->f_bsize;
  call.free = fs->f_bavail * block;
  call.size = (fs->f_blocks - fs->f_bfree) * block + call.free;
}

void answered(rpc_context*, int status, void* data, void* call) {
  end(*static_cast<Call*>(call), status == RPC_STATUS_SUCCESS ? 0 : -EIO, status == RPC_STATUS_ERROR ? data : nullptr);
}

void found_port(rpc_context* rpc, int status, void* data, void* call) {
  answered(rpc, status, data, call);
  if (status == RPC_STATUS_SUCCESS) static_cast<Call*>(call)->port = *static_cast<const uint32_t*>(data);
}

// The same name from one worker, so that a server keeps one record of it; a new verifier each time, so that what an
// earlier probe may have left open is dropped.
void introduce(nfs_context* context) {
  char host[128] = "";
  gethostname(host, sizeof host - 1);
  const std::string name = "vitald " + std::string(host) + " " + std::to_string(getpid());
  nfs4_set_client_name(context, name.c_str());
  const Duration now = monotonic_now();
  char verifier[8];
  std::memcpy(verifier, &now, sizeof verifier);
  nfs4_set_verifier(context, verifier);
}

}  // namespace

Result failure(int error, const std::string& doing, const std::string& words) {
  const std::string text = doing + ": " + words;
  switch (error) {
    case EACCES:
    case EPERM:
      return fail(Cause::auth, text);
    case EROFS:
      return fail(Cause::role, text);
    case ENOMEM:
    case EINVAL:
      return unknown(Cause::agent, text);
    case ETIMEDOUT:
      return fail(Cause::timeout, text);
    case EPROTO:
    case EFAULT:
    case ECONNRESET:
    case ENOTCONN:
      return fail(Cause::protocol, text);
    default:
      return fail(Cause::content, text);
  }
}

void Client::DestroyRpc::operator()(rpc_context* rpc) const { rpc_destroy_context(rpc); }

Client::Client(const Export& what, const Address& address, Duration until)
    : what_(what),
      address_(address),
      until_(until),
      port_(what.port),
      mount_port_(what.mount_port),
      context_(nfs_init_context()) {
  if (context_ == nullptr) throw Stop(unknown(Cause::agent, "libnfs has no memory"));
}

Client::~Client() { nfs_destroy_context(context_); }

void Client::late(const std::string& doing) const { throw Stop(fail(Cause::timeout, doing + ": no answer in time")); }

// libnfs says why in words alone: the kernel is asked once more.
void Client::connect_failed(long long port, const std::string& doing, const std::string& words) const {
  if (monotonic_now() >= until_) late(doing);
  Address there = address_;
  const auto number = htons(static_cast<uint16_t>(port));
  if (there.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&there.storage)->sin6_port = number;
  } else {
    reinterpret_cast<sockaddr_in*>(&there.storage)->sin_port = number;
  }
  ::close(
      connect_to(reinterpret_cast<const sockaddr*>(&there.storage), there.length, until_, with_port(what_.host, port)));
  throw Stop(fail(Cause::protocol, doing + ": " + (words.empty() ? "broken off" : words)));
}

// Waits until call_ is done. Throws Stop if it is late or the connection breaks.
void Client::run(rpc_context* rpc, int queued, const std::string& doing) {
  if (queued != 0) throw Stop(unknown(Cause::agent, doing + ": " + tidy(rpc_get_error(rpc), 200)));
  while (!call_.is_done) {
    // libnfs may open its connection anew in between: never wait for one descriptor for long.
    const Duration soon = std::min(until_, monotonic_now() + std::chrono::milliseconds(100));
    pollfd p{rpc_get_fd(rpc), static_cast<short>(rpc_which_events(rpc)), 0};
    const bool is_ready = wait_for(p.fd, p.events, soon);
    if (!is_ready && monotonic_now() >= until_) late(doing);
    const timespec at_once{0, 0};
    if (is_ready) ppoll(&p, 1, &at_once, nullptr);
    if (rpc_service(rpc, p.revents) < 0 && !call_.is_done) {
      end(call_, -ECONNRESET, rpc_get_error(rpc));
    }
  }
}

Call& Client::run(int queued, const std::string& doing) {
  if (queued != 0) throw Stop(unknown(Cause::agent, doing + ": " + tidy(nfs_get_error(context_), 200)));
  run(nfs_get_rpc_context(context_), 0, doing);
  if (call_.status < 0) {
    throw Stop(failure(-call_.status, doing, call_.error.empty() ? std::strerror(-call_.status) : call_.error));
  }
  return call_;
}

Client::Rpc Client::connect(long long port, int program, int version, const std::string& doing) {
  Rpc rpc(rpc_init_context());
  if (rpc == nullptr) throw Stop(unknown(Cause::agent, "libnfs has no memory"));
  call_ = Call();
  run(rpc.get(),
      rpc_connect_port_async(rpc.get(), address_.numeric.c_str(), static_cast<int>(port), program, version, answered,
                             &call_),
      doing);
  if (call_.status < 0) connect_failed(port, doing, call_.error);
  return rpc;
}

unsigned Client::ask_portmapper(int program, const char* name) {
  const std::string doing = "asking the portmapper of " + what_.host + " for " + name;
  const Rpc rpc = connect(portmapper_port, portmapper_program, portmapper_version, doing);
  call_ = Call();
  run(rpc.get(), rpc_pmap2_getport_async(rpc.get(), program, 3, IPPROTO_TCP, found_port, &call_), doing);
  if (call_.status < 0) throw Stop(fail(Cause::protocol, doing + ": " + call_.error));
  if (call_.port == 0) throw Stop(fail(Cause::refused, doing + ": it knows of none over TCP"));
  return call_.port;
}

void Client::call_null() {
  if (port_ == 0) port_ = what_.version == 4 ? 2049 : ask_portmapper(NFS_PROGRAM, "NFS 3");
  const std::string where = with_port(what_.host, port_);
  connect(port_, NFS_PROGRAM, what_.version, "NULL call of NFS " + std::to_string(what_.version) + " on " + where);
}

void Client::mount() {
  if (mount_port_ == 0 && what_.version == 3) mount_port_ = ask_portmapper(MOUNT_PROGRAM, "its mount service");
  const std::string settings = "nfs://x/?autoreconnect=0&auto-traverse-mounts=0&dircache=0&readahead=0&version=" +
                               std::to_string(what_.version) + "&nfsport=" + std::to_string(port_) +
                               "&mountport=" + std::to_string(mount_port_);
  nfs_destroy_url(nfs_parse_url_incomplete(context_, settings.c_str()));
  nfs_set_uid(context_, what_.uid);
  nfs_set_gid(context_, what_.gid);
  introduce(context_);
  call_ = Call();
  run(nfs_mount_async(context_, address_.numeric.c_str(), what_.path.c_str(), done, &call_), "mount " + what_.target());
  is_mounted_ = true;
}

void Client::unmount() noexcept {
  if (!is_mounted_ || what_.version != 3) return;
  try {
    call_ = Call();
    run(nfs_umount_async(context_, done, &call_), "unmount " + what_.target());
  } catch (const Stop&) {
    return;  // the verdict is there already
  }
}

shares::Space Client::space() {
  call_ = Call();
  const Call& call = run(nfs_statvfs64_async(context_, "/", measured, &call_), "its space");
  return {static_cast<double>(call.free), static_cast<double>(call.size)};
}

nfsfh* Client::open(const std::string& file, int flags, const std::string& doing) {
  // With version 4 libnfs makes files, but does not open one that is there, if it is told to make it.
  const int first = (flags & O_CREAT) != 0 ? flags & ~O_CREAT : flags;
  const std::string path = "/" + file;
  call_ = Call();
  try {
    return static_cast<nfsfh*>(run(nfs_open2_async(context_, path.c_str(), first, 0644, opened, &call_), doing).handle);
  } catch (const Stop&) {
    if (first == flags || call_.status != -ENOENT) throw;
  }
  call_ = Call();
  return static_cast<nfsfh*>(run(nfs_open2_async(context_, path.c_str(), flags, 0644, opened, &call_), doing).handle);
}

void Client::close(nfsfh* handle, const std::string& doing) {
  call_ = Call();
  run(nfs_close_async(context_, handle, done, &call_), doing);
}

std::string Client::read(const std::string& file) {
  const std::string doing = "read " + file;
  nfsfh* handle = open(file, O_RDONLY, doing);
  std::string content;
  while (content.size() <= shares::most_bytes) {
    call_ = Call();
    const Call& call = run(nfs_pread_async(context_, handle, content.size(), most_at_once, have_read, &call_), doing);
    if (call.status == 0) break;
    content += call.bytes;
  }
  close(handle, doing);
  return content;
}

void Client::write(const std::string& file, const std::string& text) {
  const std::string doing = "write " + file;
  nfsfh* handle = open(file, O_WRONLY | O_CREAT | O_TRUNC, doing);
  call_ = Call();
  const Call& call = run(nfs_pwrite_async(context_, handle, 0, text.size(), text.c_str(), done, &call_), doing);
  if (call.status != static_cast<int>(text.size()))
    throw Stop(fail(Cause::content, doing + ": not all of it was taken"));
  call_ = Call();
  run(nfs_fsync_async(context_, handle, done, &call_), doing);
  close(handle, doing);
}

}  // namespace vital::check::nfs
