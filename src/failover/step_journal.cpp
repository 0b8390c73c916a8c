// See step_journal.hpp.
#include "failover/step_journal.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "loop/mailbox.hpp"

namespace vital {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t most_waiting = 64;
constexpr std::size_t most_bytes = 1024 * 1024;  // then only what is under way is kept

constexpr std::array verbs{failover::Verb::perform, failover::Verb::verify, failover::Verb::compensate};
constexpr std::array outcomes{failover::Outcome::done,    failover::Outcome::failed,     failover::Outcome::vetoed,
                              failover::Outcome::timeout, failover::Outcome::unverified, failover::Outcome::too_late};

template <typename All>
auto named(const All& all, std::string_view text) {
  const auto at = std::ranges::find_if(all, [&](const auto v) { return failover::name(v) == text; });
  return at == all.end() ? std::optional<std::decay_t<decltype(*at)>>() : *at;
}

std::string words(int error) { return std::generic_category().message(error); }

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::string print(const StepEntry& e) {
  Json json = {{"what", e.is_end ? "end" : "begin"},
               {"recovery", e.recovery},
               {"topology", e.topology},
               {"from", e.from},
               {"to", e.to},
               {"action", e.action},
               {"step", e.step},
               {"attempt", e.attempt},
               {"verb", failover::name(e.verb)},
               {"token", e.token},
               {"at", e.at}};
  if (e.is_end) {
    json["outcome"] = failover::name(e.outcome);
    json["text"] = one_line(e.text, 400);
  }
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return fmt::format("{:016x} {}\n", stable_hash(text), text);
}

std::optional<StepEntry> parse_step(std::string_view line) {
  if (line.size() < 18 || line[16] != ' ') return {};
  const std::string_view text = line.substr(17);
  if (fmt::format("{:016x}", stable_hash(text)) != line.substr(0, 16)) return {};
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return {};
  try {
    StepEntry out;
    out.is_end = json.at("what") == "end";
    out.recovery = json.at("recovery").get<std::string>();
    out.topology = json.at("topology").get<std::string>();
    out.from = json.at("from").get<std::string>();
    out.to = json.at("to").get<std::string>();
    out.action = json.at("action").get<std::string>();
    out.step = json.at("step").get<std::uint32_t>();
    out.attempt = json.at("attempt").get<std::uint32_t>();
    out.token = json.at("token").get<std::int64_t>();
    out.at = json.at("at").get<std::string>();
    const auto verb = named(verbs, json.at("verb").get<std::string>());
    if (!verb) return {};
    out.verb = *verb;
    if (out.is_end) {
      const auto outcome = named(outcomes, json.at("outcome").get<std::string>());
      if (!outcome) return {};
      out.outcome = *outcome;
      out.text = json.at("text").get<std::string>();
    }
    return out;
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

std::vector<StepEntry> interrupted_in(std::string_view text, std::size_t* bad) {
  std::vector<StepEntry> open;
  *bad = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const auto entry = end == std::string_view::npos ? std::nullopt : parse_step(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!entry) {
      ++*bad;
    } else if (!entry->is_end) {
      open.push_back(*entry);
    } else {
      std::erase_if(open, [&](const StepEntry& o) {
        return o.recovery == entry->recovery && o.step == entry->step && o.attempt == entry->attempt &&
               o.verb == entry->verb;
      });
    }
  }
  return open;
}

// Lives until both the journal and its thread are done with it.
struct StepJournal::Shared {
  Shared(Loop& loop, std::string where) : mail(loop), path(std::move(where)) {}

  Mailbox mail;
  const std::string path;
  std::mutex m;
  std::condition_variable changed;
  std::deque<std::pair<StepEntry, Written>> waiting;  // guarded by m
  bool is_stopping = false;                           // guarded by m
  UniqueFd file;                                      // of the thread
  std::size_t size = 0;
  std::vector<StepEntry> open;

  std::string load() {
    UniqueFd old(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    std::string text;
    if (!old && errno != ENOENT) return fmt::format("{}: {}", path, words(errno));
    std::array<char, 65536> part{};
    while (old && text.size() <= 4 * most_bytes) {
      const ssize_t n = ::read(old.get(), part.data(), part.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fmt::format("{}: {}", path, words(errno));
      if (n == 0) break;
      text.append(part.data(), static_cast<std::size_t>(n));
    }
    std::size_t bad = 0;
    open = interrupted_in(text, &bad);
    return rewrite();
  }

  // Only what is under way, in a new file that replaces the old one.
  std::string rewrite() {
    const std::string beside = path + ".new";
    std::string text;
    for (const StepEntry& e : open) text += print(e);
    UniqueFd fresh(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fresh || !write_all(fresh.get(), text) || ::fsync(fresh.get()) != 0 ||
        ::rename(beside.c_str(), path.c_str()) != 0) {
      return fmt::format("{}: {}", path, words(errno));
    }
    const UniqueFd folder(::open(path.substr(0, path.rfind('/') + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
    file = std::move(fresh);
    size = text.size();
    return {};
  }

  std::string append(const StepEntry& entry) {
    if (!file) {
      if (const std::string trouble = rewrite(); !trouble.empty()) return trouble;
    }
    const std::string line = print(entry);
    if (!write_all(file.get(), line) || ::fdatasync(file.get()) != 0) {
      const int error = errno;
      file.reset();  // what stands there now is unknown: the next one writes it anew
      return fmt::format("{}: {}", path, words(error));
    }
    size += line.size();
    if (entry.is_end) {
      std::erase_if(open, [&](const StepEntry& o) {
        return o.recovery == entry.recovery && o.step == entry.step && o.attempt == entry.attempt &&
               o.verb == entry.verb;
      });
    } else {
      open.push_back(entry);
    }
    if (size > most_bytes) return rewrite();
    return {};
  }

  void run(const std::shared_ptr<Shared>& self, const Loaded& loaded) {
    const std::string trouble = path.empty() ? std::string() : load();
    mail.post([self, loaded, found = open, trouble] { loaded(found, trouble); });
    std::unique_lock lock(m);
    while (true) {
      changed.wait(lock, [this] { return !waiting.empty() || is_stopping; });
      if (waiting.empty()) return;
      const auto [entry, written] = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      const std::string why = path.empty() ? std::string() : append(entry);
      mail.post([self, tell = written, why] { tell(why); });
      lock.lock();
    }
  }
};

StepJournal::StepJournal(Loop& loop, std::string path, Loaded loaded)
    : shared_(std::make_shared<Shared>(loop, std::move(path))) {
  std::thread([shared = shared_, loaded = std::move(loaded)] { shared->run(shared, loaded); }).detach();
}

StepJournal::~StepJournal() {
  shared_->mail.close();
  const std::lock_guard lock(shared_->m);
  shared_->is_stopping = true;
  shared_->changed.notify_all();
}

void StepJournal::write(const StepEntry& entry, Written written) {
  const std::lock_guard lock(shared_->m);
  if (shared_->waiting.size() == most_waiting) {
    shared_->mail.post([written = std::move(written)] { written("too many steps wait for the disk"); });
    return;
  }
  shared_->waiting.emplace_back(entry, std::move(written));
  shared_->changed.notify_all();
}

}  // namespace vital
