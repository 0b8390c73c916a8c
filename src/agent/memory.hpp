// Memory: what happened, kept where it will be asked for: every event and result goes into the journal on disk, the
// latest events into a ring as well, which is all that is left when the disk is gone. One sequence of ids orders
// everything, over restarts too.
//
//   Memory memory(mail, [&](const Event& e, Instant mono) { log.write(e, mono); });
//   memory.open(config, Loop::both());
//   memory.say(now, event);                 // logged and kept
//   memory.ended(now, "db", probe_ended);
//   front.add_get("/api/v1/events", [&](const GetRequest& q, const GetReply& reply) { memory.events(q, reply); });
//
// Writing is the loop's; the pages may be asked for on any thread and answer on the journal's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "agent/event_ring.hpp"
#include "agent/log_line.hpp"
#include "config/config.hpp"
#include "core/engine.hpp"
#include "loop/mailbox.hpp"
#include "publish/front.hpp"
#include "store/journal.hpp"

namespace vital {

// As readers of /api/v1/stream get it. Pure.
StreamEvent stream_event(const JournalEvent& event);

class Memory {
 public:
  Memory(std::shared_ptr<Mailbox> mail, std::function<void(const Event&, Instant)> log);

  // Opens what the config says, or adopts what it says differently. The first time it waits a moment for the disk, to
  // learn where the ids go on; without an answer they go on from the clock. [loop]
  void open(const Config& config, Now now);

  void say(Now now, const Event& event);  // [loop]
  // In the journal only, whole: neither logged nor streamed. [loop]
  void file(Now now, const Event& event);
  void ended(Now now, std::string_view check, const ProbeEnded& ended);  // [loop]
  void keep(Now now, JournalState::Kind kind, SavedState state);         // for replays to begin from [loop]
  // Who is told of each event, at once; empty for nobody. [loop]
  void listen(std::function<void(const JournalEvent&)> heard) { heard_ = std::move(heard); }

  // Pages of the API. [any]
  void events(const GetRequest& request, const GetReply& reply) const;
  void results(const GetRequest& request, const GetReply& reply) const;
  void history(const GetRequest& request, const GetReply& reply) const;
  void pages(const GetRequest& request, const GetReply& reply) const;
  void availability(const std::shared_ptr<const Snapshot>& shown, const GetReply& reply) const;

  // The newest `limit` events of these names, oldest first: from the journal, or from the ring when it cannot be read.
  // On the journal's thread. [any]
  void newest(const std::vector<std::string>& events, std::size_t limit,
              std::function<void(std::vector<JournalEvent>)> answer) const;

  // For readers of the stream that come back: the oldest `limit` events after that id. [any]
  void events_after(std::int64_t after, std::size_t limit, const StreamReply& reply) const;

  JournalFacts facts() const;   // [any]
  std::string metrics() const;  // Prometheus text [any]
  std::int64_t last_id() const { return ring_->last_id(); }

  // Before the process ends; false if the disk still holds the journal's thread. [control]
  bool finish(Duration patience);

 private:
  std::shared_ptr<Journal> journal() const;
  void make_journal(const std::string& state_dir);
  void follow_clock(Now now);
  void put(Now now, const Event& event);

  const std::shared_ptr<Mailbox> mail_;
  const std::function<void(const Event&, Instant)> log_;
  const std::shared_ptr<EventRing> ring_ = std::make_shared<EventRing>();  // callbacks of the journal hold it too
  std::function<void(const JournalEvent&)> heard_;

  // Loop only.
  std::string path_;
  JournalConfig config_;
  std::int64_t next_id_ = 0;                               // 0 = not opened yet
  std::optional<std::chrono::milliseconds> clock_offset_;  // wall minus monotonic

  mutable std::mutex m_;
  std::shared_ptr<Journal> journal_;  // guarded by m_; null when off
};

}  // namespace vital
