// The mount check: a filesystem is mounted where this host's applications expect it, it is the one they expect, and it
// answers: its space, a file's content, a file written through to its server. A mount whose server is gone blocks
// whoever touches it, for ever: that is why the table of mounts is read first, which never blocks, and why all of it
// runs in a worker that can be killed, or be written off if the kernel does not let it go. [worker]
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "../blocking.hpp"
#include "../disk_mount.hpp"
#include "../file_errors.hpp"
#include "share.hpp"

namespace vital::check::shares {
namespace {

class Fd {
 public:
  Fd(const std::string& path, int flags, const std::string& doing) : fd_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) throw Stop(file_failure(doing, errno));
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  // Closes it now: a network filesystem may say only then that it could not write.
  int finish() { return close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

class MountedShare final : public Share {
 public:
  explicit MountedShare(std::string path) : path_(std::move(path)) {}

  Space space() override {
    struct statvfs fs {};
    if (statvfs(path_.c_str(), &fs) != 0) throw Stop(file_failure("its space", errno));
    const double block = static_cast<double>(fs.f_frsize), free = static_cast<double>(fs.f_bavail) * block;
    return {free, static_cast<double>(fs.f_blocks - fs.f_bfree) * block + free};
  }

  std::string read(const std::string& file) override {
    const std::string path = path_ + "/" + file, doing = "read " + file;
    const Fd fd(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, doing);
    std::string content(most_bytes + 1, '\0');
    std::size_t have = 0;
    while (have < content.size()) {
      const ssize_t n = ::read(fd.get(), content.data() + have, content.size() - have);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw Stop(file_failure(doing, errno));
      if (n == 0) break;
      have += static_cast<std::size_t>(n);
    }
    content.resize(have);
    return content;
  }

  void write(const std::string& file, const std::string& text) override {
    const std::string path = path_ + "/" + file, doing = "write " + file;
    Fd fd(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, doing);
    errno = ENOSPC;  // what a short write without an error means
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw Stop(file_failure(doing, errno));
    if (fsync(fd.get()) != 0) throw Stop(file_failure(doing + ": it does not reach the disk", errno));
    if (fd.finish() != 0) throw Stop(file_failure(doing + ": it does not reach the disk", errno));
  }

 private:
  const std::string path_;
};

class MountCheck final : public Blocking {
 public:
  explicit MountCheck(const Options& o)
      : path_(o.text("path")),
        types_(o.list("filesystem")),
        source_(o.text_or("source", "")),
        may_be_read_only_(o.boolean("read_only")),
        wanted_(o) {
    if (path_.empty() || path_.front() != '/')
      throw Invalid("path", shown(path_) + " is not an absolute path; write /srv/app, for example");
    while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
    if (may_be_read_only_ && o.has("write_file"))
      throw Invalid("write_file", "cannot be wanted where read_only is allowed; leave one of them out");
  }

  Result probe(const Attempt&) override {
    Stopwatch watch;
    Result result = stoppable([&] { return look(); });
    if (const std::optional<Mount> mount = find()) result.fact("filesystem", mount->type).fact("source", mount->source);
    watch.lap(Phase::exchange);
    return watch.into(result);
  }

 private:
  std::optional<Mount> find() const {
    std::ifstream file("/proc/self/mountinfo");
    return find_mount_at(std::string(std::istreambuf_iterator<char>(file), {}), path_);
  }

  Result look() const {
    const std::optional<Mount> mount = find();
    if (!mount) return fail(Cause::content, "nothing is mounted at " + path_);
    const std::string what = mount->type + " from " + tidy(mount->source, 100);
    if (!types_.empty() && std::find(types_.begin(), types_.end(), mount->type) == types_.end())
      return fail(Cause::content, what + " is mounted at " + path_ + ", expected a filesystem " + names());
    if (!source_.empty() && mount->source != source_)
      return fail(Cause::content, what + " is mounted at " + path_ + ", expected " + source_);
    // A sandbox such as systemd's makes mounts read-only for us alone; the filesystem's own flag counts.
    if (mount->is_filesystem_read_only && !may_be_read_only_)
      return fail(Cause::role, what + " at " + path_ + " is read-only");
    MountedShare share(path_);
    return wanted_.look(share, pass(what + " is mounted at " + path_), path_);
  }

  std::string names() const {
    std::string out;
    for (const std::string& type : types_) out += (out.empty() ? "" : " or ") + type;
    return out;
  }

  std::string path_;
  std::vector<std::string> types_;
  std::string source_;
  bool may_be_read_only_;
  Wanted wanted_;
};

constexpr OptionRow own[] = {
    {"path", Type::string, nullptr, "where it must be mounted, as /proc/self/mountinfo shows it", "/srv/app",
     VITAL_OPTION_REQUIRED},
    {"filesystem", Type::list, nullptr, "which types of filesystem it may be; default any", "[nfs, nfs4]"},
    {"source", Type::string, nullptr, "what must be mounted; default anything", "nfs1.example.jp:/srv/app"},
    {"read_only", Type::boolean, "false", "true: it may be read-only; otherwise that is a failure"},
};
constexpr auto options = with_files(own);

}  // namespace
}  // namespace vital::check::shares

using vital::check::shares::MountCheck;
using vital::check::shares::options;
VITAL_BLOCKING_MODULE(MountCheck, "mount", "1.0", "a filesystem is mounted, is the expected one, and answers",
                      options.rows)
