// Writing and reading the state file; see state_store.hpp.
#include "agent/state_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "base/whole_file.hpp"
#include "store/saved_text.hpp"

namespace vital {
namespace {

constexpr std::size_t largest_file = 16 * 1024 * 1024;

std::string trouble(const std::string& what, int error) { return what + ": " + std::generic_category().message(error); }

// Writes beside and renames, so that a reader finds the old file or the new one, whole. Empty if it worked.
std::string replace_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  const std::string folder_path = path.substr(0, path.rfind('/'));
  mkdir(folder_path.c_str(), 0750);  // where it is missing; what else is wrong with it shows below
  UniqueFd file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return trouble("cannot write " + beside, errno);
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t n = write(file.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return trouble("cannot write " + beside, errno);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  if (fsync(file.get()) != 0) return trouble("cannot write " + beside, errno);
  if (rename(beside.c_str(), path.c_str()) != 0) return trouble("cannot replace " + path, errno);
  const UniqueFd folder(open(folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) fsync(folder.get());
  return {};
}

}  // namespace

// Lives until both the store and its thread are done with it.
struct StateStore::Shared {
  std::mutex m;
  std::condition_variable changed;
  // All guarded by m.
  std::optional<SavedState> pending;
  std::vector<std::function<void(const std::string&)>> waiting;
  bool is_stopping = false;
  bool is_ended = false;

  void run(const std::string& path) {
    std::unique_lock lock(m);
    while (true) {
      changed.wait(lock, [this] { return pending || is_stopping; });
      if (!pending) break;
      const SavedState state = std::move(*pending);
      pending.reset();
      const auto told = std::exchange(waiting, {});
      lock.unlock();
      const std::string problem = replace_file(path, print_saved(state));
      for (const auto& done : told) done(problem);
      lock.lock();
    }
    is_ended = true;
    changed.notify_all();
  }
};

StateStore::StateStore(std::string state_dir)
    : path_(std::move(state_dir) + "/state"), shared_(std::make_shared<Shared>()) {
  std::thread([shared = shared_, path = path_] { shared->run(path); }).detach();
}

StateStore::~StateStore() {
  const std::lock_guard lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
}

bool StateStore::finish(Duration patience) {
  std::unique_lock lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
  return shared_->changed.wait_for(lock, patience, [this] { return shared_->is_ended; });
}

std::optional<SavedState> StateStore::load(std::string* problem) const {
  problem->clear();
  int error = 0;
  const auto text = whole_file(path_, largest_file, &error);
  if (!text) {
    if (error != ENOENT) *problem = trouble("cannot read " + path_, error);
    return {};
  }
  auto state = parse_saved(*text, problem);
  if (!state) *problem = path_ + " is ignored: " + *problem;
  return state;
}

void StateStore::save(SavedState state, std::function<void(const std::string&)> done) {
  const std::lock_guard lock(shared_->m);
  shared_->pending = std::move(state);
  if (done) shared_->waiting.push_back(std::move(done));
  shared_->changed.notify_all();
}

}  // namespace vital
