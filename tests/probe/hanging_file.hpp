// A file that hangs whoever opens it in the kernel, beyond the reach of SIGKILL, as a file on a dead NFS server does: a
// FUSE file system that takes the OPEN and never answers. It lives in a mount namespace of this process. Needs root and
// /dev/fuse.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "base/unique_fd.hpp"

namespace vital::test {

class HangingFile {
 public:
  // Null where it cannot be done.
  static std::unique_ptr<HangingFile> make() {
    auto out = std::unique_ptr<HangingFile>(new HangingFile);
    std::string directory = "/tmp/vitald-hang-XXXXXX";
    out->device_.reset(open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!out->device_ || unshare(CLONE_NEWNS) != 0 || mkdtemp(directory.data()) == nullptr) return nullptr;
    out->directory_ = directory;
    const std::string options =
        "fd=" + std::to_string(out->device_.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("hang", directory.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
      return nullptr;
    }
    out->server_ = std::thread([raw = out.get()] { raw->serve(); });
    return out;
  }
  ~HangingFile() {
    release();
    if (!directory_.empty()) rmdir(directory_.c_str());
  }
  HangingFile(const HangingFile&) = delete;
  HangingFile& operator=(const HangingFile&) = delete;

  std::string path() const { return directory_ + "/hang"; }
  bool is_open_asked() const { return opens_asked_ > 0; }
  unsigned opens_asked() const { return opens_asked_; }

  // Whoever hangs gets an error and is free: the kernel aborts all requests when the file system is gone.
  void release() {
    if (!server_.joinable()) return;
    umount2(directory_.c_str(), MNT_FORCE | MNT_DETACH);
    server_.join();
    device_.reset();
  }

 private:
  HangingFile() = default;

  void serve() {
    std::array<char, 128 * 1024> buffer;
    while (true) {
      const ssize_t n = read(device_.get(), buffer.data(), buffer.size());
      if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN)) continue;
      if (n <= 0) return;  // unmounted
      fuse_in_header head{};
      std::memcpy(&head, buffer.data(), sizeof head);
      answer(head);
    }
  }

  void answer(const fuse_in_header& head) {
    fuse_attr attributes{};
    attributes.ino = head.nodeid;
    attributes.mode = head.nodeid == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644;
    attributes.nlink = 1;
    switch (head.opcode) {
      case FUSE_INIT: {
        fuse_init_out out{};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = FUSE_KERNEL_MINOR_VERSION;
        out.max_write = 4096;
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_GETATTR: {
        fuse_attr_out out{};
        out.attr = attributes;
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_LOOKUP: {
        fuse_entry_out out{};
        out.nodeid = 2;
        out.attr = attributes;
        out.attr.ino = 2;
        out.attr.mode = S_IFREG | 0644;
        return reply(head, 0, &out, sizeof out);
      }
      case FUSE_OPEN:
        ++opens_asked_;
        return;  // never
      case FUSE_INTERRUPT:
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
        return;
      default:
        return reply(head, -ENOSYS, nullptr, 0);
    }
  }

  void reply(const fuse_in_header& to, int error, const void* body, std::size_t size) {
    std::array<char, 512> out{};
    fuse_out_header head{};
    head.len = static_cast<std::uint32_t>(sizeof head + size);
    head.error = error;
    head.unique = to.unique;
    std::memcpy(out.data(), &head, sizeof head);
    if (size > 0) std::memcpy(out.data() + sizeof head, body, size);
    [[maybe_unused]] const ssize_t n = write(device_.get(), out.data(), head.len);
  }

  UniqueFd device_;
  std::string directory_;
  std::thread server_;
  std::atomic<unsigned> opens_asked_{0};
};

}  // namespace vital::test
