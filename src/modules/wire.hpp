// The wire between the agent and a worker: length-limited binary frames over a socketpair. Both sides are of one build
// (the worker says its version first), so there is no negotiation; but the agent trusts nothing a worker sends, since
// foreign code runs there: every length, count and enumerator is checked, every text cleaned. Encoding and decoding are
// pure. It lives in modules/ so that the registry and probe/ may both speak it.
//
//   std::string out;
//   wire::append(out, wire::Run{77, 1, 0, deadline});
//   wire::FrameReader in;
//   in.add(bytes);
//   while (auto payload = in.next()) if (auto message = wire::decode_to_agent(*payload)) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.hpp"
#include "core/result.hpp"
#include "modules/option.hpp"

namespace vital::wire {

inline constexpr std::uint32_t version = 1;
inline constexpr std::size_t max_frame = 256 * 1024;  // bytes of payload

using Values = std::vector<std::pair<std::string, std::vector<std::string>>>;

// ---- agent to worker -----------------------------------------------------------------------------------------------

struct Describe {  // answered by Described
  std::string path;
};
struct Prepare {  // what an instance is made of; it is made when first needed. Holds secrets.
  std::uint32_t instance = 0;
  std::string check;
  std::string path;
  Values values;
};
struct Create {  // make it now: answered by Created
  std::uint32_t instance = 0;
};
struct Forget {  // end an instance
  std::uint32_t instance = 0;
};
struct Run {  // answered by Result, unless cancelled
  std::uint64_t probe = 0;
  std::uint32_t instance = 0;
  std::uint32_t attempt = 0;
  Instant deadline{};
};
struct Cancel {  // answered by Cancelled, always
  std::uint64_t probe = 0;
};
struct Ping {  // answered by Pong
  std::uint64_t number = 0;
};
struct Stop {};  // end

using ToWorker = std::variant<Describe, Prepare, Create, Forget, Run, Cancel, Ping, Stop>;

// ---- worker to agent -----------------------------------------------------------------------------------------------

struct Hello {  // first
  std::uint32_t version = 0;
  std::string program;
};
struct Described {
  std::string problem;  // one line; empty = info is there
  ModuleInfo info;
};
struct Created {
  std::uint32_t instance = 0;
  bool is_ok = false;
  std::string option;
  std::string text;
};
struct Result {
  std::uint64_t probe = 0;
  ProbeResult result;
  Instant taken{};
  Duration worst_lag{};
  bool left_children = false;  // a blocking probe ended and left processes behind
};
struct Cancelled {
  std::uint64_t probe = 0;
};
struct Pong {
  std::uint64_t number = 0;
};
struct Line {  // for the agent's log
  std::uint32_t level = 0;
  std::string check;
  std::string text;
};

using ToAgent = std::variant<Hello, Described, Created, Result, Cancelled, Pong, Line>;

// ---- bytes ---------------------------------------------------------------------------------------------------------

// Appends one frame, length first. False, and nothing appended, if it would be longer than max_frame.
bool append(std::string& out, const ToWorker& message);
bool append(std::string& out, const ToAgent& message);

// One frame's payload to its message; empty if it is not exactly one well-formed message.
std::optional<ToWorker> decode_to_worker(std::string_view payload);
std::optional<ToAgent> decode_to_agent(std::string_view payload);

// Cuts a stream of bytes into payloads.
class FrameReader {
 public:
  void add(std::string_view bytes);
  // The next whole payload, valid until the next call of add(); empty if more bytes are needed or is_broken().
  std::optional<std::string_view> next();
  bool is_broken() const { return is_broken_; }  // a length beyond max_frame: nothing after it can be trusted

 private:
  std::string bytes_;
  std::size_t at_ = 0;
  bool is_broken_ = false;
};

}  // namespace vital::wire
