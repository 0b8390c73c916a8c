// The agent's write requests: overlays and the state file, probes on demand, reports, reload; see agent.hpp.
// Understanding a request is admin_api's; this file does what it says.
#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/agent.hpp"
#include "base/duration.hpp"
#include "base/text.hpp"
#include "publish/documents.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration patience_with_a_probe = 50s;  // the front itself gives up at a minute
constexpr Duration patience_with_the_disk = 2s;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

std::string text_of(const nlohmann::ordered_json& body) {
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

void Agent::handle(const AdminRequest& request, AdminReply reply) {
  const Now now = Loop::both();
  const std::string peer = request.is_by_token ? "a token" : admin::user_name(request.uid);
  if (request.path.starts_with("/api/v1/failovers/")) return handle_failover(request, peer, reply);
  admin::Wish wish = admin::parse(request, performer_->plan(), now.wall, peer);
  std::visit(Overloaded{[&](AdminAnswer& refused) { reply(std::move(refused)); },
                        [&](const admin::Lay& lay) {
                          performer_->apply(now, SetOverlay{lay.overlay});
                          save_state([reply, laid = lay.overlay](const std::string& trouble) {
                            reply({200, admin::overlay_text(laid, trouble.empty(), trouble)});
                          });
                        },
                        [&](const admin::Lift& lift) {
                          const auto before = performer_->snapshot();
                          performer_->apply(now, ClearOverlay{lift.service});
                          if (performer_->snapshot()->overlays.size() == before->overlays.size()) {
                            reply(admin::nothing_lifted(lift, before->overlays));
                          } else {
                            say(Note::Level::info, "overlay_lifted_by", {{"service", lift.service}, {"by", peer}});
                            save_state([reply](const std::string&) { reply({200, text_of({{"cleared", true}})}); });
                          }
                        },
                        [&](const admin::Run& run) {
                          const std::string check = performer_->plan().at(run.check).name;
                          performer_->run(
                              now, run.check, now.mono + patience_with_a_probe,
                              [this, check, reply](const std::shared_ptr<const Snapshot>& seen) {
                                const auto id = seen ? seen->plan->find_check(check) : std::nullopt;
                                if (!id) {
                                  reply(admin::refuse(504, "no result of " + one_line(check, 128) + " came in time"));
                                  return;
                                }
                                reply({200, check_document(*make_view(seen, facts_), *id, Loop::both())});
                              });
                        },
                        [&](const admin::Record& record) {
                          performer_->apply(now, Report{record.check, record.result});
                          show();  // who reported and then looks must see it
                          reply({200, text_of({{"recorded", true},
                                               {"check", performer_->plan().at(record.check).name},
                                               {"verdict", name(record.result.verdict)},
                                               {"cause", name(record.result.cause)}})});
                        },
                        [&](const admin::Reload&) { reload(peer, std::move(reply)); }},
             wish);
}

// Hands the state as it is now to the store. Who laid or lifted an overlay is answered when that is on disk, or told
// that it is not.
void Agent::save_state(std::function<void(const std::string& trouble)> tell) {
  is_save_due_ = false;
  saved_at_ = Loop::now();
  if (tell) saving_.push_back({++saving_round_, saved_at_ + patience_with_the_disk, std::move(tell)});
  SavedState state = performer_->save(Loop::both());
  if (control_) state.failover = control_->save();
  store_->save(std::move(state), [this, mail = mail_, round = saving_round_](const std::string& trouble) {
    mail->post([this, trouble, round] { state_saved(round, trouble); });
  });
}

// For replays, which begin from it.
void Agent::keep_state(JournalState::Kind kind) {
  const Now now = Loop::both();
  kept_at_ = now.mono;
  memory_.keep(now, kind, performer_->save(now));
}

void Agent::state_saved(std::uint64_t round, const std::string& trouble) {
  while (!saving_.empty() && saving_.front().round <= round) {
    saving_.front().tell(trouble);
    saving_.pop_front();
  }
  if (!trouble.empty() && !is_unsaved_) {
    say(Note::Level::warning, "state_not_saved",
        {{"reason", trouble}, {"effect", "a restart will forget overlays and states"}});
  }
  is_unsaved_ = !trouble.empty();
}

std::optional<SavedState> Agent::load_state() {
  std::string problem;
  auto state = store_->load(&problem);
  if (!problem.empty()) say(Note::Level::warning, "state_ignored", {{"reason", problem}});
  if (state) {
    say(Note::Level::info, "state_restored",
        {{"saved", format_wall(state->saved_at)},
         {"checks", std::to_string(state->checks.size())},
         {"overlays", std::to_string(state->overlays.size())}});
  }
  return state;
}

void Agent::give_up_waiting(Instant now) {
  while (!saving_.empty() && saving_.front().patience <= now) {
    saving_.front().tell("the disk has not answered yet");
    saving_.pop_front();
  }
}

}  // namespace vital
