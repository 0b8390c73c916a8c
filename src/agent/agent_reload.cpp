// The agent's reload: a new config is read beside the loop and adopted whole or refused whole; see agent.hpp. Nothing
// is touched before all of it is known to work.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "agent/agent.hpp"
#include "base/text.hpp"
#include "loop/notify.hpp"

namespace vital {
namespace {

constexpr std::size_t problems_logged = 20;
constexpr std::size_t changes_logged = 50;

AdminAnswer answer(int status, const nlohmann::ordered_json& body) {
  return {status, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

std::string plural(std::size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace

void Agent::reload(const std::string& asked_by, AdminReply reply) {
  if (is_stopping_) {
    if (reply) reload_replies_.push_back(std::move(reply));
    turn_reloads_away();
    return;
  }
  if (loader_.is_busy()) {
    // The file may have changed since it was read: once more, after this one.
    is_reload_again_ = true;
    if (reply) next_reload_replies_.push_back(std::move(reply));
    return;
  }
  if (reply) reload_replies_.push_back(std::move(reply));
  say(Note::Level::info, "reloading", {{"config", load_.file}, {"asked_by", asked_by}});
  notify::reloading();
  try {
    log_.configure(config_->log, config_->plan->node);  // a log that was rotated is opened anew, whatever comes
  } catch (const std::system_error& e) {
    say(Note::Level::warning, "log_not_reopened", {{"error", e.what()}});
  }
  loader_.load(load_, inherited_, [this](const Prepared& prepared) { reloaded(prepared); });
}

void Agent::reloaded(const Prepared& prepared) {
  const Loaded& loaded = prepared.loaded;
  for (const Problem& warning : loaded.warnings) {
    say(Note::Level::warning, "config_warning", {{"text", warning.format()}});
  }
  // Systemd has been told STOPPING and must not hear READY after it.
  if (is_stopping_) return turn_reloads_away();
  if (!loaded.config) {
    std::vector<std::string> lines;
    for (const Problem& p : loaded.problems) lines.push_back(p.format());
    if (lines.empty()) lines.push_back(load_.file + ": could not be loaded");
    refuse_reload(lines);
  } else {
    adopt(prepared);
  }
  notify::ready(status_);  // ends what reloading() began
  if (!is_reload_again_) return;
  is_reload_again_ = false;
  reload_replies_ = std::exchange(next_reload_replies_, {});
  reload("a request during the last one", {});
}

void Agent::turn_reloads_away() {
  is_reload_again_ = false;
  for (auto* waiting : {&reload_replies_, &next_reload_replies_}) {
    for (const AdminReply& reply : std::exchange(*waiting, {})) reply(admin::refuse(503, "vitald is stopping"));
  }
}

void Agent::refuse_reload(const std::vector<std::string>& problems) {
  facts_.is_config_current = false;
  facts_.config_problem = one_line(problems.front(), 512);
  ++facts_.refused_reloads;
  for (std::size_t i = 0; i < std::min(problems.size(), problems_logged); ++i) {
    say(Note::Level::error, "config_problem", {{"text", problems[i]}});
  }
  say(Note::Level::error, "config_refused",
      {{"config", load_.file}, {"problems", std::to_string(problems.size())}, {"first", problems.front()}});
  show();
  for (const AdminReply& reply : std::exchange(reload_replies_, {})) {
    reply(answer(422, {{"error", "the config was refused (" + plural(problems.size(), "problem") +
                                     "), the one before it stays in use"},
                       {"problems", problems}}));
  }
}

// The difference, an option a line, so that the journal can tell later since when a timeout is what it is.
void Agent::say_changed(const ConfigDiff& changes) {
  for (std::size_t i = 0; i < std::min(changes.options.size(), changes_logged); ++i) {
    const auto& [path, from, to] = changes.options[i];
    say(Note::Level::info, "config_changed", {{"path", path}, {"from", from}, {"to", to}});
  }
  if (changes.options.size() > changes_logged) {
    say(Note::Level::info, "config_changed",
        {{"path", "checks"}, {"more", std::to_string(changes.options.size() - changes_logged)}});
  }
}

void Agent::adopt(const Prepared& prepared) {
  std::shared_ptr<const Config> config = prepared.loaded.config;
  const auto already = listening();
  // What can fail comes first, and is taken back if what follows fails.
  try {
    log_.configure(config->log, config->plan->node);
  } catch (const std::system_error& e) {
    return refuse_reload({e.what()});
  }
  try {
    front_->reconfigure(prepared.front);
  } catch (const FrontError& e) {
    try {
      log_.configure(config_->log, config_->plan->node);
    } catch (const std::system_error& log_error) {
      say(Note::Level::warning, "log_not_reopened", {{"error", log_error.what()}});
    }
    return refuse_reload({e.what()});
  }

  served_.adopt(prepared.front);
  const ConfigDiff changes = diff(*config_, *config);
  Specs specs = keep_specs(specs_, config->specs);
  const std::string old_state_dir = config_->state_dir;
  config_ = std::move(config);
  certificates_.follow(config_, inherited_);
  specs_ = std::move(specs);
  facts_.is_config_current = true;
  facts_.config_problem.clear();
  facts_.config_loaded = Loop::both().wall;
  ++facts_.reloads;
  pool_->set_max_blocking(config_->workers_max);
  pool_->set_limits(config_->workers_memory_mib, config_->workers_processes, config_->workers_seccomp);
  performer_->adopt(Loop::both(), config_->plan, specs_);
  failovers_->adopt(Loop::both(), config_->topologies, *config_->plan);
  adopt_failover(Loop::both());
  outputs_->adopt(config_->outputs);
  std::vector<std::string> names;
  for (const CheckPlan& check : config_->plan->checks) names.push_back(check.name);
  board_.tally.keep_only(names);
  memory_.open(*config_, Loop::both());
  if (config_->state_dir != old_state_dir) {
    store_ = std::make_unique<StateStore>(config_->state_dir);
    save_state({});
  }
  watch_spool();
  say_listening(already);
  say(Note::Level::info, "config_adopted",
      {{"config", config_->file},
       {"fingerprint", fmt::format("{:016x}", config_->plan->fingerprint)},
       {"changes", changes.summary()}});
  say_changed(changes);
  keep_state(JournalState::Kind::passing);
  show();
  for (const AdminReply& reply : std::exchange(reload_replies_, {})) {
    reply(answer(200, {{"summary", changes.summary()},
                       {"added", changes.added},
                       {"removed", changes.removed},
                       {"changed", changes.changed},
                       {"kept", changes.kept},
                       {"services_added", changes.services_added},
                       {"services_removed", changes.services_removed},
                       {"services_changed", changes.services_changed},
                       {"settings", changes.settings}}));
  }
}

// The same addresses, the same connections, another certificate.
void Agent::certificates_changed(const CertificateWatch::News& news) {
  if (is_stopping_ || news.config != config_) return;
  try {
    if (!news.trouble.empty()) throw FrontError(news.trouble);
    front_->reconfigure(news.options);
    served_.adopt(news.options);
    show_soon();
    say(Note::Level::info, "certificates_adopted", {{"config", config_->file}});
  } catch (const FrontError& e) {
    say(Note::Level::error, "certificates_refused",
        {{"reason", e.what()}, {"effect", "the certificates before these stay in use"}});
  }
}

}  // namespace vital
