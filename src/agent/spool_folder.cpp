// Looking at the spool, on a thread of its own; see spool_folder.hpp.
#include "agent/spool_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "agent/admin_api.hpp"
#include "base/text.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration gather = 20ms;  // what comes together is one look
constexpr Duration look_anyhow_every = 5s;
constexpr std::size_t most_entries = 4096;  // read of a folder, files of no interest included
constexpr std::uint32_t changes = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string because(int error) { return std::strerror(error); }  // NOLINT(concurrency-mt-unsafe): glibc's is safe

WallTime wall_of(const timespec& t) {
  return WallTime(std::chrono::milliseconds(t.tv_sec * 1000LL + t.tv_nsec / 1'000'000));
}

void read_file(int folder, SpoolFile& file) {
  // Neither links nor pipes: whoever may write here shall not make us read elsewhere or wait.
  const UniqueFd fd(openat(folder, file.name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat s {};
  if (!fd || fstat(fd.get(), &s) != 0) {
    file.problem = errno == ELOOP ? "is a link: put a file here" : "cannot be read: " + because(errno);
    file.stamp = stable_hash(file.problem);
    return;
  }
  file.changed = wall_of(s.st_mtim);
  file.user = admin::user_name(s.st_uid);
  if (!S_ISREG(s.st_mode)) {
    file.problem = "is no file: write a file here";
  } else if (static_cast<std::size_t>(s.st_size) > SpoolFolder::largest_file) {
    file.problem = "is larger than 4096 bytes: a reason and an end are enough";
  } else {
    std::array<char, SpoolFolder::largest_file> text{};
    const ssize_t n = read(fd.get(), text.data(), text.size());
    if (n < 0) {
      file.problem = "cannot be read: " + because(errno);
    } else {
      file.text.assign(text.data(), static_cast<std::size_t>(n));
    }
  }
  file.stamp = stable_hash(file.text, stable_hash(file.problem));
  for (const std::uint64_t part : {static_cast<std::uint64_t>(s.st_ino), static_cast<std::uint64_t>(s.st_mtim.tv_sec),
                                   static_cast<std::uint64_t>(s.st_mtim.tv_nsec)}) {
    file.stamp = stable_hash(std::to_string(part) + " ", file.stamp);
  }
}

}  // namespace

// Lives until both the loop's side and the thread are done with it.
struct SpoolFolder::Shared {
  explicit Shared(std::shared_ptr<Mailbox> to)
      : mail(std::move(to)), inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

  std::shared_ptr<Mailbox> mail;
  const UniqueFd inotify;        // not valid where there are too many already: then only the clock tells
  SpoolFolder* owner = nullptr;  // loop only; null when it is gone
  std::mutex m;
  std::condition_variable changed;
  bool is_wanted = false, is_looking = false, is_ending = false;  // guarded by m
};

SpoolListing SpoolFolder::list(const std::string& folder, int inotify) {
  SpoolListing out;
  out.folder = folder;
  const auto fail = [&](const std::string& what) {
    out.problem = one_line("spool " + folder + " " + what, 512);
    return out;
  };
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return fail("cannot be made: " + because(errno));
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat s {};
  if (!fd || fstat(fd.get(), &s) != 0) return fail("cannot be read: " + because(errno));
  if ((s.st_mode & S_IWOTH) != 0) return fail("can be written by everybody: chmod o-w " + folder);
  // Before looking, so that nothing is missed in between; saying it again changes nothing.
  if (inotify >= 0) inotify_add_watch(inotify, folder.c_str(), changes);

  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(dup(fd.get())), &closedir);
  if (!entries) return fail("cannot be read: " + because(errno));
  std::size_t read = 0;
  errno = 0;
  for (const dirent* e = readdir(entries.get()); e != nullptr; e = readdir(entries.get())) {  // NOLINT
    SpoolFile file;
    file.name = e->d_name;
    if (++read > most_entries) return fail("holds more than 4096 files: tidy it up");
    if (!file.is_hidden()) out.files.push_back(std::move(file));
    errno = 0;
  }
  if (errno != 0) return fail("cannot be read: " + because(errno));
  if (out.files.size() > most_files) return fail("holds more than 128 files: remove what is over");
  std::sort(out.files.begin(), out.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (SpoolFile& file : out.files) read_file(fd.get(), file);
  // What went away between listing and reading was not there.
  std::erase_if(out.files, [&](const SpoolFile& f) {
    return faccessat(fd.get(), f.name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  });
  return out;
}

SpoolFolder::SpoolFolder(Loop& loop, std::shared_ptr<Mailbox> mail, std::string folder,
                         std::function<void(SpoolListing)> seen)
    : folder_(std::move(folder)),
      seen_(std::move(seen)),
      shared_(std::make_shared<Shared>(std::move(mail))),
      soon_(loop, [this] { look(); }),
      regular_(loop, [this] { look(); }) {
  shared_->owner = this;
  if (shared_->inotify) watch_.emplace(loop, shared_->inotify.get(), [this] { heard(); });
  // Signals are the loop's: a new thread starts with those of its maker, so they are blocked for a moment here.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([shared = shared_, path = folder_] {
    std::unique_lock lock(shared->m);
    while (true) {
      shared->changed.wait(lock, [&] { return shared->is_wanted || shared->is_ending; });
      if (shared->is_ending) return;
      shared->is_wanted = false;
      shared->is_looking = true;
      lock.unlock();
      auto found = std::make_shared<SpoolListing>(list(path, shared->inotify.get()));
      shared->mail->post([shared, found] {
        if (shared->owner != nullptr) shared->owner->looked(std::move(*found));
      });
      lock.lock();
      shared->is_looking = false;
    }
  }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  look();
}

SpoolFolder::~SpoolFolder() {
  shared_->owner = nullptr;
  watch_.reset();
  const std::lock_guard lock(shared_->m);
  shared_->is_ending = true;
  shared_->changed.notify_all();
}

void SpoolFolder::look() {
  regular_.arm_in(look_anyhow_every);
  const std::lock_guard lock(shared_->m);
  shared_->is_wanted = true;
  shared_->changed.notify_all();
}

bool SpoolFolder::is_busy() const {
  const std::lock_guard lock(shared_->m);
  return shared_->is_looking;
}

// What was told does not matter: all of it is looked at anew.
void SpoolFolder::heard() {
  std::array<char, 16384> events{};
  if (read(shared_->inotify.get(), events.data(), events.size()) <= 0) return;
  soon_.arm_in(gather);
}

void SpoolFolder::looked(SpoolListing listing) { seen_(std::move(listing)); }

}  // namespace vital
