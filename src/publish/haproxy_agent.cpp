// The agent check; see haproxy_agent.hpp.
#include "publish/haproxy_agent.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "publish/outcome.hpp"

namespace vital {
namespace {

constexpr std::size_t longest_line = 256;

// An operator's own word stands, whatever the agent does.
bool is_held(const Snapshot& snapshot, std::string_view service) {
  return std::any_of(snapshot.overlays.begin(), snapshot.overlays.end(),
                     [&](const Overlay& o) { return o.service.empty() || o.service == service; });
}

// The last thing HAProxy hears of us; complete, as every line, since nobody takes it back before we are here again.
std::string farewell_line(HaproxyFarewell farewell, const ServiceView& state) {
  const bool is_up = state.state == State::pass || state.state == State::warn;
  switch (farewell) {
    case HaproxyFarewell::ready:
      return is_up ? fmt::format("up ready {}%\n", std::min(state.weight == 0 ? 100U : state.weight, 100U))
                   : fmt::format("down ready # {}\n",
                                 one_line(state.reason.empty() ? "vitald is stopping" : state.reason, 200));
    case HaproxyFarewell::down:
      return "down ready # vitald is stopping\n";
    case HaproxyFarewell::maint:
      return fmt::format("{} maint # vitald is stopping\n", is_up ? "up" : "down");
    case HaproxyFarewell::drain:
      break;
  }
  return fmt::format("{} drain # vitald is stopping\n", is_up ? "up" : "down");
}

}  // namespace

HaproxyReply haproxy_reply(const View* view, std::string_view asked, Now now, Instant valid_until,
                           HaproxyFarewell farewell) {
  std::string_view service = trim(asked);
  if (service.starts_with("group=")) service.remove_prefix(6);
  if (view == nullptr) return {render_answer(starting_outcome()).haproxy, true};
  const Answer* answer = &view->node;
  const ServiceView* state = &view->snapshot->node;
  if (!service.empty()) {
    const auto found = view->by_name.find(std::string(service));
    if (found == view->by_name.end()) {
      return {fmt::format("unknown-service # vitald has no service {}\n", one_line(service, 64)), false};
    }
    answer = &view->services.at(found->second);
    state = &view->snapshot->services.at(found->second);
  }
  if (now.mono > valid_until) return {render_answer(stalled_outcome("vitald", now.mono - valid_until)).haproxy, true};
  if (view->snapshot->is_stopping && farewell != HaproxyFarewell::drain && !is_held(*view->snapshot, service)) {
    return {farewell_line(farewell, *state), true};
  }
  return {answer->haproxy, true};
}

HaproxyAgentPeer::HaproxyAgentPeer(Hall& hall, const Board& board, int fd, std::unique_ptr<Stream> stream,
                                   HaproxyFarewell farewell)
    : Peer(hall, fd, std::move(stream), Awaited::line), board_(board), farewell_(farewell) {}

void HaproxyAgentPeer::remember_in(Consumers& consumers, const HostAddress& from) {
  consumers_ = &consumers;
  from_ = from;
}

std::size_t HaproxyAgentPeer::take(std::string_view bytes) {
  const std::size_t end = bytes.find_first_of("\r\n");
  asked_ += bytes.substr(0, end);
  if (end != std::string_view::npos || asked_.size() > longest_line) answer();
  return bytes.size();
}

// Nothing was said, or a line without its end: what has come is what was meant.
void HaproxyAgentPeer::ended() { answer(); }
void HaproxyAgentPeer::late(Awaited /*kind*/) { answer(); }

void HaproxyAgentPeer::answer() {
  if (is_finishing()) return;
  FrontStats& stats = hall().stats();
  const Now now = Loop::both();
  const HaproxyReply reply = haproxy_reply(board_.view.take().get(), asked_, now,
                                           board_.valid_until.load(std::memory_order_acquire), farewell_);
  FrontStats::add(stats.agent_checks);
  if (!reply.is_known) FrontStats::add(stats.agent_unknown_services);
  if (consumers_ != nullptr && reply.is_known) {
    const std::string path = "agent-check" + (trim(asked_).empty() ? "" : ":" + one_line(trim(asked_), 64));
    const Consumers::Slot slot = consumers_->see({from_, "haproxy", path, {}, {}}, Consumers::none, now);
    consumers_->answered(slot, 0, reply.line);
  }
  finish();
  send(reply.line);
}

}  // namespace vital
