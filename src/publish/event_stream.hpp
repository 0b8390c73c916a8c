// EventStream: the newest events, kept as finished frames of a server-sent stream, and who reads them. Each reader has
// a cursor and is sent what comes after it whenever its socket takes more: so no reader needs a buffer of its own
// beyond one batch, and one that reads too slowly falls behind instead of filling memory. Who is behind what is kept
// here, or comes back with an id from before, catches up from the source (the journal) and goes on without a gap.
//
//   stream.tell({17, "check_state", "db", json});              // [any]
//   stream.add(reader_id, filter, after);                      // the rest on the front's thread
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "loop/loop.hpp"
#include "publish/front.hpp"
#include "publish/stats.hpp"

namespace vital {

// What a reader wants; empty = all.
struct StreamFilter {
  std::string check;
  std::vector<std::string> events;
  bool takes(const StreamEvent& event) const;
};

// One event as it goes over the wire: "id: 17\nevent: state\ndata: {...}\n\n". State changes of checks and services are
// named `state`, everything else `event`. Pure.
std::string stream_frame(const StreamEvent& event);

class EventStream {
 public:
  // How readers are reached; on the front's thread.
  struct Wire {
    std::function<bool(std::uint64_t reader)> is_free;  // all it was sent has left; false if it is gone, too
    std::function<void(std::uint64_t reader, std::string_view bytes)> send;
  };
  EventStream(Loop& loop, FrontStats& stats, Wire wire);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  void set_source(StreamSource source) { source_ = std::move(source); }  // [control], before the loop runs

  void tell(StreamEvent event);  // [any]

  // From the next event on, or from the one after `after`. An id that nobody can have been given yet is one of another
  // journal: then everything kept here is sent.
  void add(std::uint64_t reader, StreamFilter filter, std::optional<std::int64_t> after);
  void remove(std::uint64_t reader);
  // Its socket has taken all there was.
  void taken(std::uint64_t reader);
  std::size_t size() const { return readers_.size(); }

 private:
  struct Backlog;
  struct Reader {
    StreamFilter filter;
    std::int64_t cursor = 0;  // the newest it was sent, or that does not concern it
    bool is_catching_up = false;
  };
  void pump();
  void serve(std::uint64_t id, Reader& reader);
  void catch_up(std::uint64_t id, Reader& reader);
  void caught_up(std::uint64_t id, const std::vector<StreamEvent>& events, bool has_more);
  void beat();

  void count_readers();

  Loop& loop_;
  FrontStats& stats_;
  Wire wire_;
  StreamSource source_;
  std::shared_ptr<Backlog> backlog_;  // sources may answer when this is gone
  std::map<std::uint64_t, Reader> readers_;
  std::uint64_t next_served_ = 0;  // the pump's place among the readers
  Timer heart_;
};

}  // namespace vital
