// The disk check: space and inodes left on the filesystem that holds a path, whether it has become read-only, and if
// wanted whether a file can really be written. It blocks, and on a dead NFS mount for ever: that is why it runs in a
// worker that can be killed, and why such a mount is a timeout and nothing worse. [worker]
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "amount.hpp"
#include "descriptor.hpp"
#include "disk_mount.hpp"
#include "file_errors.hpp"

namespace vital::check {
namespace {

class Disk final : public Blocking {
 public:
  explicit Disk(const Options& o)
      : path_(o.text("path")),
        space_(Floors::options(o, "warn_free", "fail_free", true, "10%")),
        inodes_(Floors::options(o, "warn_free_inodes", "fail_free_inodes", false, "5%")),
        may_be_read_only_(o.boolean("read_only")),
        must_be_mount_point_(o.boolean("mount_point")),
        writes_(o.boolean("write")) {
    if (path_.empty() || path_.front() != '/')
      throw Invalid("path", "\"" + path_ + "\" is not an absolute path; write /var, for example");
    if (may_be_read_only_ && writes_)
      throw Invalid("write", "cannot be wanted where read_only is allowed; leave one of them out");
  }

  Result probe(const Attempt&) override {
    Stopwatch watch;
    Result result = look();
    if (writes_ && result.verdict != Verdict::fail && result.verdict != Verdict::unknown) {
      const Duration before = watch.elapsed();
      Result written = write_a_little();
      const double seconds = std::chrono::duration<double>(watch.elapsed() - before).count();
      if (written.verdict != Verdict::pass) {
        result.verdict = written.verdict;
        result.cause = written.cause;
        result.text = written.text;
      }
      result.measure("write", seconds, "s");
    }
    watch.lap(Phase::exchange);
    return watch.into(result);
  }

 private:
  Result look() const {
    struct statx about {};
    if (statx(AT_FDCWD, path_.c_str(), 0, STATX_BASIC_STATS | STATX_MNT_ID, &about) != 0)
      return file_failure(path_, errno);
    struct statvfs fs {};
    if (statvfs(path_.c_str(), &fs) != 0) return file_failure(path_, errno);
    if (must_be_mount_point_ && (about.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
      return fail(Cause::content, path_ + ": nothing is mounted there");
    }
    const std::optional<Mount> mount = (about.stx_mask & STATX_MNT_ID) != 0 ? mount_of(about.stx_mnt_id) : std::nullopt;
    // A sandbox such as systemd's ProtectSystem makes mounts read-only for us alone; the filesystem's own flag counts.
    const bool is_read_only = mount ? mount->is_filesystem_read_only : (fs.f_flag & ST_RDONLY) != 0;

    const double block = static_cast<double>(fs.f_frsize);
    const double free = static_cast<double>(fs.f_bavail) * block;  // what is left for everybody but root
    const double size = static_cast<double>(fs.f_blocks - fs.f_bfree) * block + free;
    const auto inodes = static_cast<double>(fs.f_files), free_inodes = static_cast<double>(fs.f_favail);

    Result result;
    result.verdict = Verdict::pass;
    result.cause = Cause::none;
    std::string text = path_ + ": " + bytes_in_words(free) + " free of " + bytes_in_words(size) + " (" +
                       percent_in_words(free, size) + ")";
    if (size <= 0) text = path_ + ": a filesystem without a size";
    const auto take = [&](const Floors::Finding& finding, const std::string& lead) {
      if (finding.verdict == Verdict::pass) return;
      result.verdict = std::max(result.verdict, finding.verdict);
      result.cause = Cause::content;
      text += lead + finding.words;
    };
    if (size > 0) take(space_.judge(free, size, "warn_free", "fail_free"), ", ");
    if (inodes > 0) {
      take(inodes_.judge(free_inodes, inodes, "warn_free_inodes", "fail_free_inodes"),
           "; " + percent_in_words(free_inodes, inodes) + " of the inodes free, ");
    }
    if (is_read_only && !may_be_read_only_) {
      result.verdict = Verdict::fail;
      result.cause = Cause::role;
      text = path_ + ": the filesystem is read-only; " + text.substr(path_.size() + 2);
    }
    result.text = text;
    result.fact("read_only", is_read_only ? "on" : "off");
    if (mount) result.fact("filesystem", mount->type).fact("mounted_on", mount->point);
    if (size > 0) {
      result.measure("free", free, "B", space_.warn_at(size), space_.fail_at(size))
          .measure("free_percent", free * 100 / size, "%");
    }
    if (inodes > 0) result.measure("free_inodes", free_inodes, "", inodes_.warn_at(inodes), inodes_.fail_at(inodes));
    return result;
  }

  static std::optional<Mount> mount_of(unsigned long long id) {
    std::ifstream file("/proc/self/mountinfo");
    return find_mount(std::string(std::istreambuf_iterator<char>(file), {}), id);
  }

  // A file without a name if the filesystem can, else one that is removed at once: a killed worker leaves nothing
  // behind.
  Result write_a_little() const {
    int raw = open(path_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (raw < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
      const std::string name = path_ + "/.vitald-" + std::to_string(getpid());
      raw = open(name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
      if (raw >= 0 && unlink(name.c_str()) != 0) {
        const int error = errno;
        close(raw);
        return file_failure(name + ": cannot be removed", error);
      }
    }
    if (raw < 0) return file_failure(path_ + ": no file can be made", errno);
    const Fd fd(raw);
    constexpr char block[4096] = "vitald was here";
    errno = ENOSPC;  // what a short write without an error means
    if (write(fd.get(), block, sizeof block) != static_cast<ssize_t>(sizeof block))
      return file_failure(path_ + ": 4 KiB cannot be written", errno);
    if (fdatasync(fd.get()) != 0) return file_failure(path_ + ": what was written does not reach the disk", errno);
    return pass("");
  }

  std::string path_;
  Floors space_, inodes_;
  bool may_be_read_only_, must_be_mount_point_, writes_;
};

constexpr OptionRow options[] = {
    {"path", Type::string, "/", "a path on the filesystem to watch", "/var/lib/mysql"},
    {"warn_free", Type::size_or_percent, "10%", "less space than this left, for other users than root, is a warning",
     "5GiB"},
    {"fail_free", Type::size_or_percent, "2%", "less than this is a failure", "500MiB"},
    {"warn_free_inodes", Type::size_or_percent, "5%", "fewer inodes than this left is a warning"},
    {"fail_free_inodes", Type::size_or_percent, "1%", "fewer than this is a failure"},
    {"read_only", Type::boolean, "false", "true: the filesystem may be read-only; otherwise that is a failure"},
    {"mount_point", Type::boolean, "false", "true: something must be mounted at exactly this path"},
    {"write", Type::boolean, "false",
     "true: write 4 KiB to a nameless file there, wait until they are on disk, and time it"},
};

}  // namespace
}  // namespace vital::check

using vital::check::Disk;
using vital::check::options;
VITAL_BLOCKING_MODULE(Disk, "disk", "1.0", "space, inodes and read-only state of a filesystem of this host", options)
