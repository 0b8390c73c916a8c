// The journal's thread and its queue; see journal.hpp. The thread sleeps until there is work, lets a little more
// gather, and writes it in one transaction. If the disk refuses it first makes room, then drops and counts, and tries
// anew later.
#include "store/journal.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <variant>

#include "store/tables.hpp"

namespace vital {
namespace {

using namespace std::chrono_literals;
using Row = std::variant<JournalEvent, JournalResult>;

constexpr Duration gather = 200ms;      // let rows gather this long before a transaction
constexpr Duration reopen_after = 10s;  // after the disk refused
constexpr Duration prune_every = 60s;
constexpr std::size_t piece = 500;       // rows of one transaction
constexpr std::size_t query_bound = 64;  // questions waiting
constexpr std::size_t limit_bound = 100000;

}  // namespace

struct Journal::Impl {
  Impl(JournalOptions o, std::function<void(const std::string&)> t) : options(std::move(o)), trouble(std::move(t)) {
    worker = std::thread([this] { run(); });
  }

  // Constant after construction.
  const JournalOptions options;
  const std::function<void(const std::string&)> trouble;

  // Guarded by m.
  mutable std::mutex m;
  std::condition_variable changed;
  std::deque<Row> rows;
  std::deque<std::function<void(Tables*)>> questions;
  JournalStats stats;
  bool is_stopping = false;

  // Only the journal's thread.
  std::unique_ptr<Tables> tables;
  std::chrono::steady_clock::time_point retry_at{};
  std::chrono::steady_clock::time_point prune_at{};

  std::thread worker;

  void say(bool is_healthy, const std::string& line) {
    bool is_news = false;
    {
      const std::lock_guard lock(m);
      is_news = stats.is_healthy != is_healthy;
      stats.is_healthy = is_healthy;
      stats.last_error = is_healthy ? "" : line;
    }
    if (is_news && trouble) trouble(is_healthy ? "the journal can be written again" : line);
  }

  // A file we cannot read is somebody's evidence: keep it under another name and start a new one.
  void move_aside(const std::string& why) {
    for (int n = 1; n <= 9; ++n) {
      const std::string aside = options.path + ".unreadable-" + std::to_string(n);
      if (FILE* taken = std::fopen(aside.c_str(), "r")) {
        std::fclose(taken);
        continue;
      }
      for (const char* suffix : {"", "-wal", "-shm"}) {
        std::rename((options.path + suffix).c_str(), (aside + suffix).c_str());
      }
      if (trouble) trouble("journal: " + why + "; moved aside to " + aside + " and started a new one");
      return;
    }
  }

  void open() {
    if (tables || std::chrono::steady_clock::now() < retry_at) return;
    retry_at = std::chrono::steady_clock::now() + reopen_after;
    for (int attempt = 0; attempt < 2; ++attempt) {
      try {
        tables = std::make_unique<Tables>(options.path);
        say(true, "");
        return;
      } catch (const sql::StoreError& e) {
        const bool is_foreign = e.code == SQLITE_NOTADB || e.code == SQLITE_CORRUPT;
        if (!is_foreign || attempt > 0) return say(false, std::string("journal: ") + e.what());
        move_aside(e.what());
      }
    }
  }

  // In pieces: on a small disk a piece may fit where the whole does not.
  void write(const std::deque<Row>& batch) {
    for (std::size_t from = 0; from < batch.size(); from += piece)
      write(batch, from, std::min(from + piece, batch.size()));
  }

  void write(const std::deque<Row>& batch, std::size_t from, std::size_t to) {
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
        break;
      }
    }
    const std::lock_guard lock(m);
    stats.dropped_disk += to - from;
  }

  void put(const std::deque<Row>& batch, std::size_t from, std::size_t to) {
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
    try {
      const auto wall = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      std::uint64_t removed =
          tables->prune_before(wall - std::chrono::duration_cast<std::chrono::milliseconds>(options.max_age));
      std::uint64_t bytes = tables->used_bytes();
      // In slices, so that a journal grown far too large cannot keep the thread for minutes.
      for (int slice = 0; bytes > options.max_bytes && slice < 400; ++slice) {
        const std::uint64_t gone = tables->prune_oldest(500);
        removed += gone;
        bytes = tables->used_bytes();
        if (gone == 0) break;
      }
      if (removed > 0) tables->shrink();
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
      if (!is_stopping && questions.empty() && !rows.empty()) {
        changed.wait_for(lock, gather, [&] { return is_stopping || !questions.empty(); });
      }
      std::deque<Row> batch;
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
      if (is_last && rows.empty()) return;
    }
  }

  void push(Row row) {
    {
      const std::lock_guard lock(m);
      if (rows.size() >= options.queue_bound) {
        ++stats.dropped_queue;
        return;
      }
      rows.push_back(std::move(row));
    }
    changed.notify_one();
  }

  void ask(std::function<void(Tables*)> question) {
    {
      const std::lock_guard lock(m);
      if (questions.size() < query_bound) {
        questions.push_back(std::move(question));
        question = nullptr;
      }
    }
    if (question) return question(nullptr);
    changed.notify_one();
  }
};

Journal::Journal(JournalOptions options, std::function<void(const std::string&)> trouble)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(trouble))) {}

Journal::~Journal() {
  {
    const std::lock_guard lock(impl_->m);
    impl_->is_stopping = true;
  }
  impl_->changed.notify_one();
  impl_->worker.join();
}

void Journal::add(JournalEvent event) { impl_->push(std::move(event)); }
void Journal::add(JournalResult result) { impl_->push(std::move(result)); }

void Journal::events(JournalQuery query, std::function<void(std::vector<JournalEvent>)> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask([query = std::move(query), answer = std::move(answer)](Tables* tables) {
    std::vector<JournalEvent> found;
    try {
      if (tables != nullptr) found = tables->select_events(query);
    } catch (const sql::StoreError&) {
      found.clear();
    }
    answer(std::move(found));
  });
}

void Journal::results(JournalQuery query, std::function<void(std::vector<JournalResult>)> answer) {
  query.limit = std::min(query.limit, limit_bound);
  impl_->ask([query = std::move(query), answer = std::move(answer)](Tables* tables) {
    std::vector<JournalResult> found;
    try {
      if (tables != nullptr) found = tables->select_results(query);
    } catch (const sql::StoreError&) {
      found.clear();
    }
    answer(std::move(found));
  });
}

JournalStats Journal::stats() const {
  const std::lock_guard lock(impl_->m);
  return impl_->stats;
}

}  // namespace vital
