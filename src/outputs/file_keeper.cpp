// See file_keeper.hpp. A thread for each keeper and not one for all: the one that hangs must not hold up the others.
#include "outputs/file_keeper.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "base/whole_file.hpp"

namespace vital {
namespace {

constexpr std::size_t largest_file = 16 * 1024 * 1024;
constexpr mode_t file_mode = 0644;  // others read it; there is no secret in it

Synced trouble(const std::string& what, int error) {
  return {Synced::How::failed, what + ": " + std::generic_category().message(error), {}, {}};
}

// Empty if there is none, which is no error.
std::optional<std::string> read_back(const std::string& path, int* error) {
  auto text = whole_file(path, largest_file, error);
  if (*error == ENOENT) *error = 0;
  return text;
}

std::optional<Synced> write_beside(const std::string& beside, std::string_view text) {
  const UniqueFd file(
      open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, file_mode));
  if (!file) return trouble("cannot write " + beside, errno);
  fchmod(file.get(), file_mode);  // whatever the umask says: who reads it is another user
  while (!text.empty()) {
    const ssize_t n = write(file.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return trouble("cannot write " + beside, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  if (fsync(file.get()) != 0) return trouble("cannot write " + beside, errno);
  return {};
}

}  // namespace

Synced keep_file(const std::string& path, const FileJob& job) {
  int error = 0;
  const auto before = read_back(path, &error);
  if (job.is_only_read) {
    if (error != 0) return trouble("cannot read " + path, error);
    return {Synced::How::kept, {}, before.value_or(""), {}};
  }
  const std::string held = before ? one_line(*before, 60) : error == 0 ? "no file" : "";
  if (job.is_removed) {
    if (!before && error == 0) return {Synced::How::kept, {}, held, {}};
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return trouble("cannot remove " + path, errno);
    return {Synced::How::written, {}, held, {}};
  }
  const std::string wanted = job.text();
  if (before == wanted) return {Synced::How::kept, {}, held, {}};
  const std::string beside = path + ".vitald-new";
  if (auto failed = write_beside(beside, wanted)) {
    unlink(beside.c_str());
    return *failed;
  }
  if (rename(beside.c_str(), path.c_str()) != 0) {
    const int code = errno;
    unlink(beside.c_str());
    return trouble("cannot replace " + path, code);
  }
  return {Synced::How::written, {}, held, {}};
}

// Lives until both the keeper and its thread are done with it.
struct FileKeeper::Shared {
  Shared(Loop& loop, std::string where) : mail(loop), path(std::move(where)) {}

  Mailbox mail;
  const std::string path;
  std::mutex m;
  std::condition_variable changed;
  // All guarded by m.
  std::optional<FileJob> job;
  std::function<void(Synced)> done;
  bool is_busy = false;
  bool is_stopping = false;

  void run(const std::shared_ptr<Shared>& self) {
    std::unique_lock lock(m);
    while (true) {
      changed.wait(lock, [this] { return job || is_stopping; });
      if (is_stopping) return;
      const FileJob now = std::move(*job);
      job.reset();
      lock.unlock();
      Synced synced;
      try {
        synced = keep_file(path, now);
      } catch (const std::exception& e) {
        synced = {Synced::How::failed, one_line(e.what()), {}, {}};
      }
      lock.lock();
      is_busy = false;
      mail.post([self, synced = std::move(synced), tell = std::exchange(done, {})] { tell(synced); });
    }
  }
};

FileKeeper::FileKeeper(Loop& loop, std::string path) : shared_(std::make_shared<Shared>(loop, std::move(path))) {
  std::thread([shared = shared_] { shared->run(shared); }).detach();
}

FileKeeper::~FileKeeper() {
  shared_->mail.close();
  const std::lock_guard lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
}

void FileKeeper::sync(FileJob job, std::function<void(Synced)> done) {
  const std::lock_guard lock(shared_->m);
  shared_->job = std::move(job);
  shared_->done = std::move(done);
  shared_->is_busy = true;
  shared_->changed.notify_all();
}

bool FileKeeper::is_busy() const {
  const std::lock_guard lock(shared_->m);
  return shared_->is_busy;
}

}  // namespace vital
