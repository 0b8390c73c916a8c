// The agent check; see haproxy_agent.hpp.
#include "publish/haproxy_agent.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "publish/outcome.hpp"

namespace vital {
namespace {

constexpr std::size_t longest_line = 256;

}  // namespace

HaproxyReply haproxy_reply(const View* view, std::string_view asked, Now now, Instant valid_until) {
  std::string_view service = trim(asked);
  if (service.starts_with("group=")) service.remove_prefix(6);
  if (view == nullptr) return {render_answer(starting_outcome()).haproxy, true};
  const Answer* answer = &view->node;
  if (!service.empty()) {
    const auto found = view->by_name.find(std::string(service));
    if (found == view->by_name.end()) {
      return {fmt::format("unknown-service # vitald has no service {}\n", one_line(service, 64)), false};
    }
    answer = &view->services.at(found->second);
  }
  if (now.mono > valid_until) return {render_answer(stalled_outcome("vitald", now.mono - valid_until)).haproxy, true};
  return {answer->haproxy, true};
}

HaproxyAgentPeer::HaproxyAgentPeer(Hall& hall, const Board& board, int fd, std::unique_ptr<Stream> stream)
    : Peer(hall, fd, std::move(stream), Awaited::line), board_(board) {}

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
  const HaproxyReply reply =
      haproxy_reply(board_.view.take().get(), asked_, Loop::both(), board_.valid_until.load(std::memory_order_acquire));
  FrontStats::add(stats.agent_checks);
  if (!reply.is_known) FrontStats::add(stats.agent_unknown_services);
  finish();
  send(reply.line);
}

}  // namespace vital
