// The overlays' file; see overlay_store.hpp. Its first line is "vitald-overlays 1 <checksum of the rest>", the rest is
// JSON.
#include "agent/overlay_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace vital {
namespace {

constexpr std::string_view magic = "vitald-overlays 1 ";
constexpr std::size_t largest_file = 1024 * 1024;

std::string checksum(std::string_view text) {
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(stable_hash(text)));
  return out;
}

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

std::optional<OverlayKind> kind_of(const std::string& text) {
  if (text == name(OverlayKind::drain)) return OverlayKind::drain;
  if (text == name(OverlayKind::maintenance)) return OverlayKind::maintenance;
  return {};
}

}  // namespace

std::string print_overlays(const std::vector<Overlay>& overlays) {
  nlohmann::json list = nlohmann::json::array();
  for (const Overlay& o : overlays) {
    list.push_back({{"kind", name(o.kind)},
                    {"service", o.service},
                    {"reason", o.reason},
                    {"owner", o.owner},
                    {"since", format_wall(o.since)},
                    {"until", o.until ? nlohmann::json(format_wall(*o.until)) : nlohmann::json(nullptr)}});
  }
  const std::string body = list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return std::string(magic) + checksum(body) + "\n" + body;
}

std::vector<Overlay> parse_overlays(std::string_view text, std::string* problem) {
  problem->clear();
  const auto end = text.find('\n');
  if (!text.starts_with(magic) || end == std::string_view::npos) {
    *problem = "not a file of overlays this version knows";
    return {};
  }
  const std::string_view body = text.substr(end + 1);
  if (text.substr(magic.size(), end - magic.size()) != checksum(body)) {
    *problem = "torn: its checksum does not fit";
    return {};
  }
  std::vector<Overlay> out;
  try {
    for (const auto& entry : nlohmann::json::parse(body)) {
      Overlay o;
      const auto kind = kind_of(entry.at("kind").get<std::string>());
      const auto since = parse_wall(entry.at("since").get<std::string>());
      if (!kind || !since) throw std::invalid_argument("kind or since");
      o.kind = *kind;
      o.since = *since;
      o.service = entry.at("service").get<std::string>();
      o.reason = entry.at("reason").get<std::string>();
      o.owner = entry.at("owner").get<std::string>();
      if (!entry.at("until").is_null()) {
        o.until = parse_wall(entry.at("until").get<std::string>());
        if (!o.until) throw std::invalid_argument("until");
      }
      out.push_back(std::move(o));
    }
  } catch (const std::exception&) {
    *problem = "its entries make no sense";
    return {};
  }
  return out;
}

// Lives until both the store and its thread are done with it.
struct OverlayStore::Shared {
  std::mutex m;
  std::condition_variable changed;
  // All guarded by m.
  std::optional<std::string> pending;
  std::vector<std::function<void(const std::string&)>> waiting;
  bool is_stopping = false;
  bool is_ended = false;

  void run(const std::string& path) {
    std::unique_lock lock(m);
    while (true) {
      changed.wait(lock, [this] { return pending || is_stopping; });
      if (!pending) break;
      const std::string text = std::move(*pending);
      pending.reset();
      const auto told = std::exchange(waiting, {});
      lock.unlock();
      const std::string problem = replace_file(path, text);
      for (const auto& done : told) done(problem);
      lock.lock();
    }
    is_ended = true;
    changed.notify_all();
  }
};

OverlayStore::OverlayStore(std::string state_dir)
    : path_(std::move(state_dir) + "/overlays"), shared_(std::make_shared<Shared>()) {
  std::thread([shared = shared_, path = path_] { shared->run(path); }).detach();
}

OverlayStore::~OverlayStore() {
  const std::lock_guard lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
}

void OverlayStore::finish(Duration patience) {
  std::unique_lock lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
  shared_->changed.wait_for(lock, patience, [this] { return shared_->is_ended; });
}

std::vector<Overlay> OverlayStore::load(std::string* problem) const {
  problem->clear();
  std::ifstream file(path_, std::ios::binary);
  if (!file) {
    if (errno != ENOENT) *problem = trouble("cannot read " + path_, errno);
    return {};
  }
  std::string text(largest_file, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  auto overlays = parse_overlays(text, problem);
  if (!problem->empty()) *problem = path_ + " is ignored: " + *problem;
  return overlays;
}

void OverlayStore::save(std::vector<Overlay> overlays, std::function<void(const std::string&)> done) {
  std::string text = print_overlays(overlays);
  const std::lock_guard lock(shared_->m);
  shared_->pending = std::move(text);
  if (done) shared_->waiting.push_back(std::move(done));
  shared_->changed.notify_all();
}

}  // namespace vital
