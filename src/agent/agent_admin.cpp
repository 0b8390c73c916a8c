// The agent's write requests: overlays and their file, probes on demand, reports, reload; see agent.hpp. Understanding
// a request is admin_api's; this file does what it says.
#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/agent.hpp"
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
  const std::string peer = admin::user_name(request.uid);
  admin::Wish wish = admin::parse(request, performer_->plan(), now.wall, peer);
  std::visit(Overloaded{[&](AdminAnswer& refused) { reply(std::move(refused)); },
                        [&](const admin::Lay& lay) {
                          performer_->apply(now, SetOverlay{lay.overlay});
                          keep_overlays(std::move(reply), lay.overlay);
                        },
                        [&](const admin::Lift& lift) {
                          const auto before = performer_->snapshot()->overlays.size();
                          performer_->apply(now, ClearOverlay{lift.service});
                          if (performer_->snapshot()->overlays.size() == before) {
                            reply({200, text_of({{"cleared", false}})});
                          } else {
                            say(Note::Level::info, "overlay_lifted_by", {{"service", lift.service}, {"by", peer}});
                            keep_overlays(std::move(reply), {});
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
                          reply({200, text_of({{"recorded", true},
                                               {"check", performer_->plan().at(record.check).name},
                                               {"verdict", name(record.result.verdict)},
                                               {"cause", name(record.result.cause)}})});
                        },
                        [&](const admin::Reload&) { reload(peer, std::move(reply)); }},
             wish);
}

// Hands the overlays as they are now to the store. Who asked for the change is answered when it is on disk, or told
// that it is not.
void Agent::keep_overlays(AdminReply reply, std::optional<Overlay> laid) {
  const std::vector<Overlay> overlays = performer_->snapshot()->overlays;
  saved_ = print_overlays(overlays);
  if (reply) {
    auto tell = [reply = std::move(reply), laid = std::move(laid)](const std::string& trouble) {
      if (laid) {
        reply({200, admin::overlay_text(*laid, trouble.empty(), trouble)});
      } else {
        reply({200, text_of({{"cleared", true}})});
      }
    };
    saving_.push_back({++saving_round_, Loop::now() + patience_with_the_disk, std::move(tell)});
  }
  store_->save(overlays, [this, mail = mail_, round = saving_round_](const std::string& trouble) {
    mail->post([this, trouble, round] { overlays_saved(round, trouble); });
  });
}

void Agent::overlays_saved(std::uint64_t round, const std::string& trouble) {
  while (!saving_.empty() && saving_.front().round <= round) {
    saving_.front().tell(trouble);
    saving_.pop_front();
  }
  if (!trouble.empty() && !is_unsaved_) {
    say(Note::Level::warning, "state_not_saved", {{"reason", trouble}, {"effect", "overlays are lost at a restart"}});
  }
  is_unsaved_ = !trouble.empty();
}

void Agent::restore_overlays() {
  std::string problem;
  const std::vector<Overlay> overlays = store_->load(&problem);
  if (!problem.empty()) say(Note::Level::warning, "state_ignored", {{"reason", problem}});
  const Now now = Loop::both();
  for (const Overlay& o : overlays) {
    if (o.until && *o.until <= now.wall) continue;
    if (!o.service.empty() && !config_->plan->find_service(o.service)) {
      say(Note::Level::warning, "overlay_dropped",
          {{"service", o.service}, {"reason", "there is no such service now"}});
      continue;
    }
    performer_->apply(now, SetOverlay{o});
  }
  // Also shows at once whether state_dir can be written.
  keep_overlays({}, {});
}

void Agent::give_up_waiting(Instant now) {
  while (!saving_.empty() && saving_.front().patience <= now) {
    saving_.front().tell("the disk has not answered yet");
    saving_.pop_front();
  }
}

}  // namespace vital
