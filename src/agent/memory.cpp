// See memory.hpp.
#include "agent/memory.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/availability_page.hpp"
#include "agent/journal_pages.hpp"
#include "base/text.hpp"
#include "core/evidence.hpp"
#include "loop/loop.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration patience_with_first_look = 1s;
constexpr auto clock_jump = 500ms;  // of the wall clock against the monotonic one; less is slewing
constexpr std::size_t most_rows_a_page = 20000;

JournalBounds bounds_of(const JournalConfig& config) {
  JournalBounds out;
  out.max_bytes = config.max_bytes;
  out.max_age = config.max_age;
  return out;
}

std::chrono::milliseconds offset_of(Now now) {
  return now.wall.time_since_epoch() -
         std::chrono::duration_cast<std::chrono::milliseconds>(now.mono.time_since_epoch());
}

GetAnswer json(std::string body) { return {200, "application/json", std::move(body)}; }
GetAnswer not_now() {
  return journal_pages::refuse(503, "the journal cannot be read now: see journal in /api/v1/status");
}

}  // namespace

Memory::Memory(std::shared_ptr<Mailbox> mail, std::function<void(const Event&, Instant)> log)
    : mail_(std::move(mail)), log_(std::move(log)) {}

std::shared_ptr<Journal> Memory::journal() const {
  const std::lock_guard lock(m_);
  return journal_;
}

void Memory::make_journal(const std::string& path) {
  std::shared_ptr<Journal> made;
  if (config_.is_enabled) {
    JournalOptions options;
    options.path = path;
    options.bounds = bounds_of(config_);
    made = std::make_shared<Journal>(std::move(options), [this, mail = mail_](const std::string& line) {
      mail->post([this, line] {
        const Now now = Loop::both();
        const bool is_well = line == journal_is_well;
        say(now, {now.wall,
                  is_well ? Note::Level::info : Note::Level::warning,
                  is_well ? "journal_well" : "journal_trouble",
                  {{"reason", line}}});
      });
    });
  }
  const std::lock_guard lock(m_);
  journal_.swap(made);  // the old one writes what it has and ends by itself
}

void Memory::open(const Config& config, Now now) {
  const std::string path = config.state_dir + "/journal.db";
  const bool is_first = next_id_ == 0;
  const bool is_other = is_first || path != path_ || config.journal.is_enabled != config_.is_enabled;
  config_ = config.journal;
  path_ = path;
  if (is_other) {
    make_journal(path);
  } else if (const auto open = journal()) {
    open->set_bounds(bounds_of(config_));
  }
  if (!is_first) return;
  const auto open = journal();
  const auto last = open ? open->last_id(patience_with_first_look) : std::nullopt;
  // The clock in microseconds is far beyond any id counted from 1, so what the journal will hold stays in order.
  next_id_ =
      last ? *last + 1 : std::chrono::duration_cast<std::chrono::microseconds>(now.wall.time_since_epoch()).count();
  clock_offset_ = offset_of(now);
}

// Replays follow the time by the wall clock: they must know when it was set.
void Memory::follow_clock(Now now) {
  const auto offset = offset_of(now);
  const auto by = clock_offset_ ? offset - *clock_offset_ : 0ms;
  clock_offset_ = offset;
  if (by > -clock_jump && by < clock_jump) return;
  put(now, {now.wall, Note::Level::warning, "clock_changed", {{"by_ms", std::to_string(by.count())}}});
}

void Memory::put(Now now, const Event& event) {
  log_(event, now.mono);
  JournalEvent kept{next_id_++, event.at, std::string(name(event.level)), event.event, event.fields};
  for (auto& [key, value] : kept.fields) value = one_line(value);
  if (heard_) heard_(kept);
  ring_->add(kept);
  if (const auto open = journal()) open->add(std::move(kept));
}

void Memory::say(Now now, const Event& event) {
  follow_clock(now);
  put(now, event);
}

void Memory::file(Now now, const Event& event) {
  follow_clock(now);
  if (const auto open = journal()) {
    open->add(JournalEvent{next_id_++, event.at, std::string(name(event.level)), event.event, event.fields});
  }
}

void Memory::ended(Now now, std::string_view check, const ProbeEnded& e) {
  follow_clock(now);
  const auto open = journal();
  if (!open) return;
  JournalResult row;
  row.id = next_id_++;
  row.at = now.wall;
  row.check = check;
  row.verdict = e.result.verdict;
  row.cause = e.result.cause;
  row.duration = e.result.duration;
  if (row.verdict != Verdict::pass) row.text = one_line(e.result.text, 300);
  row.found_ago = e.found_ago;
  row.lost = evidence::lost(e.result.evidence);
  row.attempt = e.attempt;
  row.is_outcome = e.is_outcome;
  row.is_discounted = e.is_discounted;
  open->add(std::move(row));
}

void Memory::keep(Now now, JournalState::Kind kind, SavedState state) {
  follow_clock(now);
  if (const auto open = journal()) {
    open->add(JournalState{next_id_++, now.wall, kind, {}, std::make_shared<const SavedState>(std::move(state))});
  }
}

// ---- pages ----------------------------------------------------------------------------------------------------------

void Memory::events(const GetRequest& request, const GetReply& reply) const {
  std::string problem;
  auto query = journal_pages::parse(request.query, {"since", "until", "check", "event", "after", "limit"},
                                    Loop::both().wall, &problem);
  if (!query) return reply(journal_pages::refuse(400, problem));
  const auto answer = [query = *query, ring = ring_, reply](std::optional<std::vector<JournalEvent>> found) {
    reply(json(journal_pages::events(query, std::move(found), ring->find(query), ring->last_id())));
  };
  const auto open = journal();
  if (!open) return answer({});
  ++query->limit;  // one more than asked for shows whether there is more
  open->events(*query, answer);
}

StreamEvent stream_event(const JournalEvent& event) {
  StreamEvent out{event.id, event.event, {}, journal_pages::event(event)};
  for (const auto& [key, value] : event.fields) {
    if (key == "check") out.check = value;
  }
  return out;
}

void Memory::events_after(std::int64_t after, std::size_t limit, const StreamReply& reply) const {
  JournalQuery query;
  query.after_id = after;
  query.is_forward = true;
  query.limit = limit;
  const auto answer = [query, ring = ring_, reply](std::optional<std::vector<JournalEvent>> found) {
    bool has_more = false;
    std::vector<StreamEvent> out;
    for (const JournalEvent& e : journal_pages::joined(query, std::move(found), ring->find(query), &has_more)) {
      out.push_back(stream_event(e));
    }
    reply(std::move(out), has_more);
  };
  const auto open = journal();
  if (!open) return answer({});
  ++query.limit;
  open->events(query, answer);
}

void Memory::newest(const std::vector<std::string>& events, std::size_t limit,
                    std::function<void(std::vector<JournalEvent>)> answer) const {
  JournalQuery query;
  query.events = events;
  query.limit = limit;
  const auto found = [query, ring = ring_, answer = std::move(answer)](std::optional<std::vector<JournalEvent>> rows) {
    bool has_more = false;
    answer(journal_pages::joined(query, std::move(rows), ring->find(query), &has_more));
  };
  if (const auto open = journal()) {
    open->events(query, found);
  } else {
    found({});
  }
}

void Memory::results(const GetRequest& request, const GetReply& reply) const {
  std::string problem;
  auto query =
      journal_pages::parse(request.query, {"since", "until", "check", "after", "limit"}, Loop::both().wall, &problem);
  if (!query) return reply(journal_pages::refuse(400, problem));
  const auto open = journal();
  if (!open) return reply(not_now());
  query->limit = std::min(query->limit, most_rows_a_page);
  JournalQuery wider = *query;
  ++wider.limit;
  open->results(wider, [query = *query, reply](std::optional<std::vector<JournalResult>> found) {
    reply(found ? json(journal_pages::results(query, std::move(*found))) : not_now());
  });
}

void Memory::history(const GetRequest& request, const GetReply& reply) const {
  std::string problem;
  auto query = journal_pages::parse(request.query, {"since", "until", "check", "limit"}, Loop::both().wall, &problem);
  if (query && query->check.empty()) {
    problem = "of which check? write check=NAME";
    query.reset();
  }
  if (!query) return reply(journal_pages::refuse(400, problem));
  const auto open = journal();
  if (!open) return reply(not_now());
  query->limit = std::min(query->limit, most_rows_a_page);
  open->hours(*query, [check = query->check, reply](const std::optional<std::vector<JournalHour>>& found) {
    reply(found ? json(journal_pages::hours(check, *found)) : not_now());
  });
}

void Memory::pages(const GetRequest& request, const GetReply& reply) const {
  std::string problem;
  const auto query = journal_pages::parse(request.query, {"since", "after", "limit"}, Loop::both().wall, &problem);
  if (!query) return reply(journal_pages::refuse(400, problem));
  const auto open = journal();
  if (!open) return reply(not_now());
  open->page({query->after_id, query->since, std::min(query->limit, most_rows_a_page)},
             [reply](const std::optional<JournalPage>& found) {
               reply(found ? json(journal_pages::page(*found)) : not_now());
             });
}

void Memory::availability(const std::shared_ptr<const Snapshot>& shown, const GetReply& reply) const {
  const auto open = journal();
  if (!open) return reply(not_now());
  const WallTime now = Loop::both().wall;
  open->timeline(now - std::chrono::hours(24 * 30), [shown, now, reply](const std::optional<JournalTimeline>& found) {
    reply(found ? json(availability_document(*found, *shown, now)) : not_now());
  });
}

// ---- about itself ---------------------------------------------------------------------------------------------------

JournalFacts Memory::facts() const {
  JournalFacts out;
  out.is_enabled = config_.is_enabled;
  out.path = path_;
  out.max_bytes = config_.max_bytes;
  const auto open = journal();
  if (!open) return out;
  const JournalStats stats = open->stats();
  out.is_healthy = stats.is_healthy;
  out.problem = stats.last_error;
  out.written = stats.written;
  out.dropped_queue = stats.dropped_queue;
  out.dropped_disk = stats.dropped_disk;
  out.pruned = stats.pruned;
  out.bytes = stats.bytes;
  out.queued = stats.queued;
  return out;
}

std::string Memory::metrics() const {
  const JournalFacts f = facts();
  if (!f.is_enabled) return {};
  std::string out;
  const auto family = [&](const std::string& name, const char* type, const char* help) {
    out += "# HELP vitald_journal_" + name + " " + help + "\n# TYPE vitald_journal_" + name + " " + type + "\n";
  };
  const auto sample = [&](const std::string& name, std::uint64_t value) {
    out += "vitald_journal_" + name + " " + std::to_string(value) + "\n";
  };
  family("healthy", "gauge", "0 while the journal cannot be written.");
  sample("healthy", f.is_healthy ? 1 : 0);
  family("bytes", "gauge", "Bytes of the journal in use, looked at once a minute.");
  sample("bytes", f.bytes);
  family("queued_rows", "gauge", "Rows that wait for the disk.");
  sample("queued_rows", f.queued);
  family("rows_written_total", "counter", "Events and results written.");
  sample("rows_written_total", f.written);
  family("rows_dropped_total", "counter", "Events and results lost: the queue was full, or the disk refused.");
  sample("rows_dropped_total{why=\"queue\"}", f.dropped_queue);
  sample("rows_dropped_total{why=\"disk\"}", f.dropped_disk);
  family("rows_pruned_total", "counter", "Rows given up for their age or for the size of the journal.");
  sample("rows_pruned_total", f.pruned);
  return out;
}

bool Memory::finish(Duration patience) {
  const auto open = journal();
  return !open || open->finish(patience);
}

}  // namespace vital
