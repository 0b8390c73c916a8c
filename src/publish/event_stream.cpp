// See event_stream.hpp.
#include "publish/event_stream.hpp"

#include <algorithm>
#include <utility>

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_events = 1000;
constexpr std::size_t most_bytes = 4U << 20U;
constexpr std::size_t batch_bytes = 64U << 10U;  // one reader's share of a turn
constexpr std::size_t readers_a_turn = 16;       // requests pass between turns
constexpr std::size_t page = 200;                // events asked from the source at once
constexpr Duration heartbeat = 15s;

bool is_state(const std::string& event) {
  return event == "check_state" || event == "service_state" || event == "ejection_withheld";
}

}  // namespace

bool StreamFilter::takes(const StreamEvent& event) const {
  if (!check.empty() && check != event.check) return false;
  return events.empty() || std::find(events.begin(), events.end(), event.event) != events.end();
}

std::string stream_frame(const StreamEvent& event) {
  return "id: " + std::to_string(event.id) + "\nevent: " + (is_state(event.event) ? "state" : "event") +
         "\ndata: " + event.json + "\n\n";
}

// What tell() and the readers share. Guarded by m, all of it.
struct EventStream::Backlog {
  struct Kept {
    StreamEvent event;  // its json moved into the frame
    std::string frame;
  };
  std::mutex m;
  EventStream* owner = nullptr;  // null once it is gone
  std::deque<Kept> kept;
  std::size_t bytes = 0;
  std::int64_t floor = 0;   // everything up to here is not kept any more, or never was
  std::int64_t newest = 0;  // ever told
  bool is_pump_due = false;

  std::deque<Kept>::const_iterator after(std::int64_t id) const {
    return std::upper_bound(kept.begin(), kept.end(), id,
                            [](std::int64_t wanted, const Kept& k) { return wanted < k.event.id; });
  }
};

EventStream::EventStream(Loop& loop, FrontStats& stats, Wire wire)
    : loop_(loop), stats_(stats), wire_(std::move(wire)), backlog_(std::make_shared<Backlog>()), heart_(loop, [this] {
        beat();
      }) {
  backlog_->owner = this;
}

EventStream::~EventStream() {
  const std::lock_guard lock(backlog_->m);
  backlog_->owner = nullptr;
}

void EventStream::tell(StreamEvent event) {
  Backlog& b = *backlog_;
  const std::lock_guard lock(b.m);
  if (event.id <= b.newest) return;  // ids only grow
  if (b.newest == 0) b.floor = event.id - 1;
  b.newest = event.id;
  Backlog::Kept kept{std::move(event), {}};
  kept.frame = stream_frame(kept.event);
  kept.event.json.clear();
  b.bytes += kept.frame.size();
  b.kept.push_back(std::move(kept));
  while (b.kept.size() > most_events || b.bytes > most_bytes) {
    b.floor = b.kept.front().event.id;
    b.bytes -= b.kept.front().frame.size();
    b.kept.pop_front();
  }
  if (std::exchange(b.is_pump_due, true)) return;
  loop_.post([backlog = backlog_] {
    EventStream* owner = nullptr;
    {
      const std::lock_guard held(backlog->m);
      backlog->is_pump_due = false;
      owner = backlog->owner;
    }
    if (owner != nullptr) owner->pump();  // both live and die on this thread
  });
}

void EventStream::add(std::uint64_t id, StreamFilter filter, std::optional<std::int64_t> after) {
  if (readers_.empty()) heart_.arm_in(heartbeat);
  Reader reader;
  reader.filter = std::move(filter);
  {
    const std::lock_guard lock(backlog_->m);
    reader.cursor = !after ? backlog_->newest : *after > backlog_->newest ? backlog_->floor : *after;
  }
  Reader& added = readers_.insert_or_assign(id, std::move(reader)).first->second;
  count_readers();
  serve(id, added);
}

void EventStream::remove(std::uint64_t id) {
  readers_.erase(id);
  count_readers();
}

void EventStream::count_readers() { stats_.stream_readers.store(readers_.size(), std::memory_order_relaxed); }

void EventStream::taken(std::uint64_t id) {
  if (const auto found = readers_.find(id); found != readers_.end()) serve(id, found->second);
}

// Some readers a turn, in the order of their ids, until all have what there is.
void EventStream::pump() {
  std::size_t served = 0;
  auto it = readers_.lower_bound(next_served_);
  for (; it != readers_.end() && served < readers_a_turn; ++served) {
    const auto now = it++;
    serve(now->first, now->second);
  }
  next_served_ = it == readers_.end() ? 0 : it->first;
  if (next_served_ == 0) return;
  loop_.post([backlog = backlog_] {
    if (backlog->owner != nullptr) backlog->owner->pump();
  });
}

void EventStream::serve(std::uint64_t id, Reader& reader) {
  if (reader.is_catching_up || !wire_.is_free(id)) return;
  std::string batch;
  {
    const std::lock_guard lock(backlog_->m);
    const Backlog& b = *backlog_;
    if (reader.cursor >= b.floor) {
      for (auto it = b.after(reader.cursor); it != b.kept.end() && batch.size() < batch_bytes; ++it) {
        reader.cursor = it->event.id;
        if (!reader.filter.takes(it->event)) continue;
        batch += it->frame;
        FrontStats::add(stats_.stream_events);
      }
    }
  }
  if (batch.empty()) {
    std::unique_lock lock(backlog_->m);
    if (reader.cursor >= backlog_->floor) return;
    lock.unlock();
    return catch_up(id, reader);
  }
  const bool may_be_more = batch.size() >= batch_bytes;
  wire_.send(id, batch);
  // If the socket took it all there will be no word of that.
  if (may_be_more && wire_.is_free(id)) {
    loop_.post([backlog = backlog_, id] {
      if (backlog->owner != nullptr) backlog->owner->taken(id);
    });
  }
}

void EventStream::catch_up(std::uint64_t id, Reader& reader) {
  reader.is_catching_up = true;
  if (!source_) return caught_up(id, {}, false);
  source_(reader.cursor, page, [backlog = backlog_, id](std::vector<StreamEvent> events, bool has_more) {
    const std::lock_guard lock(backlog->m);
    if (backlog->owner == nullptr) return;
    backlog->owner->loop_.post([backlog, id, events = std::move(events), has_more] {
      if (backlog->owner != nullptr) backlog->owner->caught_up(id, events, has_more);
    });
  });
}

void EventStream::caught_up(std::uint64_t id, const std::vector<StreamEvent>& events, bool has_more) {
  const auto found = readers_.find(id);
  if (found == readers_.end()) return;
  Reader& reader = found->second;
  std::string batch;
  for (const StreamEvent& event : events) {
    if (event.id <= reader.cursor) continue;
    reader.cursor = event.id;
    if (!reader.filter.takes(event)) continue;
    batch += stream_frame(event);
    FrontStats::add(stats_.stream_events);
  }
  if (!has_more) {
    // The source has nothing between here and what is kept: what was dropped there is lost for everybody.
    const std::lock_guard lock(backlog_->m);
    reader.cursor = std::max(reader.cursor, backlog_->floor);
  }
  reader.is_catching_up = false;
  if (!batch.empty()) wire_.send(id, batch);
  if (readers_.contains(id) && wire_.is_free(id)) serve(id, reader);
}

// A comment now and then shows both ends that the other is there.
void EventStream::beat() {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, reader] : readers_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (wire_.is_free(id)) wire_.send(id, ": \n\n");
  }
  if (!readers_.empty()) heart_.arm_in(heartbeat);
}

}  // namespace vital
