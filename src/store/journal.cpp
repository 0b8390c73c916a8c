// The journal's thread and its queue; see journal.hpp. The thread sleeps until there is work, lets a little more
// gather, and writes it in one transaction. If the disk refuses it first makes room, then drops and counts, and tries
// anew later. It may outlive the Journal: a disk that hangs holds it and nobody else.
#include "store/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/unique_fd.hpp"
#include "store/tables.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;

// Rows gather before a transaction. What happened is on the disk soon; results, which come by the thousand, wait
// longer, since each page of the index is written once for all of a transaction. Who asks waits for neither.
constexpr Duration gather_events = 200ms;
constexpr Duration gather_results = 1s;
constexpr Duration reopen_after = 10s;  // after the disk refused
constexpr Duration prune_every = 60s;
constexpr Duration prune_time = 1s;      // of one go at it; the rest waits for the next
constexpr std::size_t piece = 500;       // rows of one transaction
constexpr std::size_t query_bound = 64;  // questions waiting
constexpr std::size_t limit_bound = 100000;

// On a fresh machine the folder is missing, too; what else is wrong with it shows when the file is opened. What checks
// said is for nobody but the agent's user and group: SQLite gives its other files the mode this one has.
void make_file(const std::string& path) {
  mkdir(path.substr(0, path.rfind('/')).c_str(), 0750);
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
}

}  // namespace

struct Journal::Impl {
  Impl(JournalOptions o, std::function<void(const std::string&)> t)
      : path(std::move(o.path)), queue_bound(o.queue_bound), trouble(std::move(t)), bounds(o.bounds) {}

  // Constant after construction.
  const std::string path;
  const std::size_t queue_bound;
  const std::function<void(const std::string&)> trouble;

  // Guarded by m.
  mutable std::mutex m;
  std::condition_variable changed;
  JournalBounds bounds;
  std::deque<JournalRow> rows;
  bool has_event = false;  // among the rows: something else than results
  std::deque<std::function<void(Tables*)>> questions;
  JournalStats stats;
  bool is_stopping = false;
  bool is_ended = false;

  // Only the journal's thread.
  std::unique_ptr<Tables> tables;
  std::chrono::steady_clock::time_point retry_at{};
  std::chrono::steady_clock::time_point prune_at{};

  void say(bool is_healthy, const std::string& line) {
    bool is_news = false;
    {
      const std::lock_guard lock(m);
      is_news = stats.is_healthy != is_healthy;
      stats.is_healthy = is_healthy;
      stats.last_error = is_healthy ? "" : line;
    }
    if (is_news && trouble) trouble(is_healthy ? std::string(journal_is_well) : line);
  }

  // A file we cannot read is somebody's evidence: keep it under another name and start a new one.
  void move_aside(const std::string& why) {
    for (int n = 1; n <= 9; ++n) {
      const std::string aside = path + ".unreadable-" + std::to_string(n);
      if (FILE* taken = std::fopen(aside.c_str(), "r")) {
        std::fclose(taken);
        continue;
      }
      for (const char* suffix : {"", "-wal", "-shm"}) {
        std::rename((path + suffix).c_str(), (aside + suffix).c_str());
      }
      if (trouble) trouble("journal: " + why + "; moved aside to " + aside + " and started a new one");
      return;
    }
  }

  static bool is_foreign(const sql::StoreError& e) { return e.code == SQLITE_NOTADB || e.code == SQLITE_CORRUPT; }

  void open() {
    if (tables || std::chrono::steady_clock::now() < retry_at) return;
    retry_at = std::chrono::steady_clock::now() + reopen_after;
    for (int attempt = 0; attempt < 2; ++attempt) {
      try {
        make_file(path);
        tables = std::make_unique<Tables>(path);
        return;
      } catch (const sql::StoreError& e) {
        if (!is_foreign(e) || attempt > 0) return say(false, std::string("journal: ") + e.what());
        move_aside(e.what());
      }
    }
  }

  // In pieces: on a small disk a piece may fit where the whole does not.
  void write(const std::deque<JournalRow>& batch) {
    for (std::size_t from = 0; from < batch.size(); from += piece)
      write(batch, from, std::min(from + piece, batch.size()));
  }

  void write(const std::deque<JournalRow>& batch, std::size_t from, std::size_t to) {
    open();
    for (int attempt = 0; tables && attempt < 2; ++attempt) {
      try {
        put(batch, from, to);
        return say(true, "");
      } catch (const sql::StoreError& e) {
        tables->roll_back();
        if (e.code == SQLITE_FULL && attempt == 0 && make_room()) continue;
        say(false, std::string("journal: ") + e.what() + "; rows are dropped and counted until it can be written");
        if (e.code != SQLITE_FULL) tables.reset();
        if (is_foreign(e)) retry_at = {};  // opening it again moves it aside
        break;
      }
    }
    const std::lock_guard lock(m);
    stats.dropped_disk += to - from;
  }

  void put(const std::deque<JournalRow>& batch, std::size_t from, std::size_t to) {
    tables->begin();
    for (std::size_t i = from; i < to; ++i) {
      std::visit([&](const auto& row) { tables->insert(row); }, batch[i]);
    }
    tables->commit();
    const std::lock_guard lock(m);
    stats.written += to - from;
  }

  bool make_room() {
    try {
      tables->shrink();  // the log itself may be what fills the disk
      const std::uint64_t removed = tables->prune_oldest(piece);
      tables->shrink();
      const std::lock_guard lock(m);
      stats.pruned += removed;
      return removed > 0;
    } catch (const sql::StoreError&) {
      tables->roll_back();
      return false;
    }
  }

  void prune() {
    const auto now = std::chrono::steady_clock::now();
    if (!tables || now < prune_at) return;
    prune_at = now + prune_every;
    JournalBounds within;
    {
      const std::lock_guard lock(m);
      within = bounds;
    }
    try {
      const auto wall = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      const auto before = [&](Duration age) {
        return wall - std::chrono::duration_cast<std::chrono::milliseconds>(age);
      };
      // In slices, so that a journal grown far too large cannot keep the thread for minutes.
      const auto is_time_left = [&] { return std::chrono::steady_clock::now() - now < prune_time; };
      std::uint64_t removed = 0;
      do {
        const std::uint64_t gone =
            tables->prune_before(before(std::min(within.results_age, within.max_age)), before(within.max_age));
        removed += gone;
        if (gone == 0) break;
      } while (is_time_left());
      std::uint64_t bytes = tables->used_bytes();
      while (bytes > within.max_bytes) {
        const std::uint64_t gone = tables->prune_oldest(piece);
        removed += gone;
        bytes = tables->used_bytes();
        if (gone == 0 || !is_time_left()) break;
      }
      if (removed > 0) tables->shrink();
      if (!is_time_left()) prune_at = std::chrono::steady_clock::now() + 1s;
      const std::lock_guard lock(m);
      stats.pruned += removed;
      stats.bytes = bytes;
    } catch (const sql::StoreError& e) {
      tables->roll_back();
      say(false, std::string("journal: pruning: ") + e.what());
    }
  }

  void run() {
    std::unique_lock lock(m);
    while (true) {
      changed.wait_for(lock, 30s, [&] { return is_stopping || !rows.empty() || !questions.empty(); });
      if (!rows.empty()) {
        const auto is_full = [&] { return is_stopping || !questions.empty() || rows.size() >= queue_bound / 4; };
        changed.wait_for(lock, gather_results, [&] { return has_event || is_full(); });
        changed.wait_for(lock, gather_events, is_full);
      }
      has_event = false;
      std::deque<JournalRow> batch;
      batch.swap(rows);
      std::deque<std::function<void(Tables*)>> asked;
      asked.swap(questions);
      const bool is_last = is_stopping;
      lock.unlock();
      if (!batch.empty()) write(batch);
      if (!asked.empty()) open();
      for (const auto& question : asked) question(tables.get());
      prune();
      lock.lock();
      if (is_last && rows.empty() && questions.empty()) break;
    }
    lock.unlock();
    tables.reset();
    lock.lock();
    is_ended = true;
    changed.notify_all();
  }

  void push(JournalRow row) {
    bool is_news = false;  // for the thread: most results only join those that gather
    {
      const std::lock_guard lock(m);
      if (is_stopping || rows.size() >= queue_bound) {
        ++stats.dropped_queue;
        return;
      }
      const bool is_first_event = !has_event && !std::holds_alternative<JournalResult>(row);
      has_event = has_event || is_first_event;
      rows.push_back(std::move(row));
      is_news = is_first_event || rows.size() == 1 || rows.size() == queue_bound / 4;
    }
    if (is_news) changed.notify_all();
  }

  void ask(std::function<void(Tables*)> question) {
    {
      const std::lock_guard lock(m);
      if (!is_stopping && questions.size() < query_bound) {
        questions.push_back(std::move(question));
        question = nullptr;
      }
    }
    if (question) return question(nullptr);
    changed.notify_all();
  }

  // A question answered by one select.
  template <typename Answer, typename Select>
  void ask(JournalAnswer<Answer> answer, Select select) {
    ask([answer = std::move(answer), select = std::move(select)](Tables* open) {
      std::optional<Answer> found;
      try {
        if (open != nullptr) found = select(*open);
      } catch (const sql::StoreError&) {
        found.reset();
      }
      answer(std::move(found));
    });
  }

  void stop() {
    const std::lock_guard lock(m);
    is_stopping = true;
    changed.notify_all();
  }
};

Journal::Journal(JournalOptions options, std::function<void(const std::string&)> trouble)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(trouble))) {
  std::thread([impl = impl_] { impl->run(); }).detach();
}

Journal::~Journal() { impl_->stop(); }

bool Journal::finish(Duration patience) {
  impl_->stop();
  std::unique_lock lock(impl_->m);
  return impl_->changed.wait_for(lock, patience, [this] { return impl_->is_ended; });
}

void Journal::add(JournalEvent event) { impl_->push(std::move(event)); }
void Journal::add(JournalResult result) { impl_->push(std::move(result)); }
void Journal::add(JournalState state) { impl_->push(std::move(state)); }

void Journal::set_bounds(const JournalBounds& bounds) {
  const std::lock_guard lock(impl_->m);
  impl_->bounds = bounds;
}

void Journal::events(JournalQuery query, JournalAnswer<std::vector<JournalEvent>> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask(std::move(answer), [query = std::move(query)](Tables& open) { return open.select_events(query); });
}

void Journal::results(JournalQuery query, JournalAnswer<std::vector<JournalResult>> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask(std::move(answer), [query = std::move(query)](Tables& open) { return open.select_results(query); });
}

void Journal::hours(JournalQuery query, JournalAnswer<std::vector<JournalHour>> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask(std::move(answer), [query = std::move(query)](Tables& open) { return open.select_hours(query); });
}

void Journal::page(JournalPageQuery query, JournalAnswer<JournalPage> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask(std::move(answer), [query](Tables& open) { return open.select_page(query); });
}

void Journal::timeline(WallTime since, JournalAnswer<JournalTimeline> answer) {
  impl_->ask(std::move(answer), [since](Tables& open) { return open.select_timeline(since); });
}

std::optional<std::int64_t> Journal::last_id(Duration patience) {
  struct Waiting {
    std::mutex m;
    std::condition_variable changed;
    bool is_there = false;
    std::optional<std::int64_t> id;
  };
  const auto waiting = std::make_shared<Waiting>();
  impl_->ask(JournalAnswer<std::int64_t>([waiting](std::optional<std::int64_t> id) {
               const std::lock_guard lock(waiting->m);
               waiting->id = id;
               waiting->is_there = true;
               waiting->changed.notify_all();
             }),
             [](Tables& open) { return open.last_id(); });
  std::unique_lock lock(waiting->m);
  waiting->changed.wait_for(lock, patience, [&] { return waiting->is_there; });
  return waiting->id;
}

JournalStats Journal::stats() const {
  const std::lock_guard lock(impl_->m);
  JournalStats out = impl_->stats;
  out.queued = impl_->rows.size();
  return out;
}

JournalPage read_journal_page(const std::string& path, const JournalPageQuery& query) {
  try {
    return Tables(path, Tables::Access::read).select_page(query);
  } catch (const sql::StoreError& e) {
    throw std::runtime_error("journal " + path + ": " + e.what());
  }
}

}  // namespace vital
