// The agent's life: starting, turning, being seen, stopping; see agent.hpp.
#include "agent/agent.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "agent/journal_pages.hpp"
#include "agent/listening.hpp"
#include "base/duration.hpp"
#include "base/text.hpp"
#include "loop/notify.hpp"
#include "publish/consumers.hpp"

namespace vital {

using namespace std::chrono_literals;

namespace {

constexpr Duration beat_every = 250ms;
constexpr Duration wakes_apart = 1ms;  // so much later a probe may start, or a deadline be seen
constexpr Duration show_at_least_every = 5s;
constexpr Duration save_at_most_every = 1s;  // but overlays are saved at once
constexpr Duration save_at_least_every = 1min;
constexpr Duration keep_every = 1h;
constexpr Duration noteworthy_lag = 1s;
constexpr Duration patience_with_workers = 2s;
constexpr Duration patience_with_disk = 2s;
constexpr std::size_t most_failovers_shown = 200;
constexpr Duration patience_with_store = 1500ms;
constexpr Duration look_at_store_every = 50ms;
constexpr Duration patience_with_outputs = 3s;
constexpr Duration look_who_left_every = 200ms;

WorkerFacts worker_facts(const PoolStats& s) {
  WorkerFacts out;
  out.idle = s.idle;
  out.busy = s.busy;
  out.starting = s.starting;
  out.unkillable = s.unkillable;
  out.unkillable_processes = s.unkillable_processes;
  out.kill_method = s.kill_method;
  out.started = s.started;
  out.killed = s.killed;
  out.crashed = s.crashed;
  return out;
}

}  // namespace

Agent::Agent(Loop& loop, LoadOptions load, const Loaded& loaded)
    : loop_(loop),
      load_(std::move(load)),
      config_(loaded.config),
      specs_(config_->specs),
      mail_(std::make_shared<Mailbox>(loop)),
      memory_(mail_, [this](const Event& event, Instant at) { log_.write(event, at); }),
      inherited_(take_inherited_sockets()),
      loader_(mail_),
      certificates_(mail_, [this](const CertificateWatch::News& news) { certificates_changed(news); }) {
  log_.configure(config_->log, config_->plan->node);
  memory_.open(*config_, Loop::both());
  const AdminPort admin{&loop_, [this](AdminRequest request, AdminReply reply) { handle(request, std::move(reply)); }};
  const FrontOptions front = front_options(*config_, inherited_);
  served_.adopt(front);
  front_ = std::make_unique<Front>(front, board_, admin);
  const auto page = [this](const char* path, void (Memory::*of)(const GetRequest&, const GetReply&) const) {
    front_->add_get(path,
                    [this, of](const GetRequest& request, const GetReply& reply) { (memory_.*of)(request, reply); });
  };
  page("/api/v1/events", &Memory::events);
  page("/api/v1/results", &Memory::results);
  page("/api/v1/history", &Memory::history);
  page("/api/v1/journal", &Memory::pages);
  add_failover_pages();
  front_->add_get("/api/v1/availability", [this](const GetRequest&, const GetReply& reply) {
    const auto view = board_.view.take();
    if (!view) return reply(journal_pages::refuse(503, "the agent is starting, nothing is known yet"));
    memory_.availability(view->snapshot, reply);
  });
  memory_.listen([this](const JournalEvent& event) { front_->tell(stream_event(event)); });
  front_->set_stream_source([this](std::int64_t after, std::size_t limit, const StreamReply& reply) {
    memory_.events_after(after, limit, reply);
  });
  front_->on_consumer([this, mail = mail_](const char* event, const SeenConsumer& c) {
    Fields fields{{"kind", std::string(c.kind)}, {"address", c.address}, {"path", c.path}};
    if (c.interval > Duration{}) fields.emplace_back("interval", friendly_duration(c.interval));
    if (event == std::string_view("consumer_believes")) {
      if (!c.belief.server.empty()) fields.emplace_back("server", c.belief.server);
      fields.emplace_back("from", c.believed_before);
      fields.emplace_back("to", c.belief.state);
    }
    mail->post([this, event = std::string(event), fields] { say(Note::Level::info, event, fields); });
  });
  facts_.version = VITALD_VERSION;
  facts_.started = facts_.config_loaded = Loop::both().wall;
  for (const Problem& warning : loaded.warnings) {
    say(Note::Level::warning, "config_warning", {{"text", warning.format()}});
  }
}

Agent::~Agent() {
  mail_->close();
  memory_.listen({});
  front_.reset();  // its thread reads what is destroyed after it
}

Ports Agent::ports() {
  Ports p;
  p.start_probe = [this](ProbeId id, std::shared_ptr<const CheckSpec> spec, std::uint32_t attempt, Instant deadline) {
    try {
      pool_->start(id, std::move(spec), attempt, deadline);
    } catch (const std::exception& e) {
      ProbeResult failed;
      failed.text = one_line(std::string("the probe could not be started: ") + e.what());
      mail_->post([this, id, failed] { performer_->apply(Loop::both(), ProbeDone{id, failed}); });
    }
  };
  p.abandon_probe = [this](ProbeId id) { pool_->abandon(id); };
  p.retire = [this](const std::shared_ptr<const CheckSpec>& spec) { pool_->retire(spec); };
  p.publish = [this](const std::shared_ptr<const Snapshot>& snapshot) {
    outputs_->show(snapshot);
    show_soon();
  };
  p.note = [this](Now now, const Note& note) {
    memory_.say(now, {now.wall, note.level, note.event, note.fields});
    is_save_due_ = true;  // the core speaks when something changed
  };
  p.ended = [this](Now now, std::string_view check, const ProbeEnded& ended) {
    const ProbeResult& r = ended.result;
    board_.tally.add(check, r.verdict, r.cause, r.duration);
    own_trouble_.add(r.evidence);
    memory_.ended(now, check, ended);
    say_all(now, failovers_->ended(now, ended.check, r));
    if (control_) look_at_topologies(now);
  };
  p.timed = [this](const Step& step) {
    board_.valid_until.store(step.valid_until);
    wake_by(step.wake_at);
  };
  return p;
}

int Agent::run() {
  try {
    start();
    loop_.run();
  } catch (const std::exception& e) {
    say(Note::Level::error, "agent_failed", {{"error", e.what()}});
    code_ = 1;
  }
  memory_.listen({});
  front_.reset();
  pool_.reset();
  if (store_ && performer_ && code_ == 0) save_state({});
  const bool is_saved = !store_ || store_->finish(patience_with_disk);
  has_strays_ = !certificates_.stop() || !is_saved || loader_.is_busy() || (outputs_ && outputs_->has_strays()) ||
                (spool_folder_ && spool_folder_->is_busy());
  outputs_.reset();
  control_.reset();
  say(Note::Level::info, "stopped", {{"exit", std::to_string(code_)}});
  has_strays_ = !memory_.finish(patience_with_disk) || has_strays_;
  return code_;
}

void Agent::start() {
  say(Note::Level::info, "starting",
      {{"version", facts_.version},
       {"config", config_->file},
       {"fingerprint", fmt::format("{:016x}", config_->plan->fingerprint)},
       {"checks", std::to_string(config_->plan->checks.size())},
       {"services", std::to_string(config_->plan->services.size())}});
  signals_.emplace(loop_, std::initializer_list<int>{SIGTERM, SIGINT, SIGHUP}, [this](int n) { caught(n); });
  wake_timer_.emplace(loop_, [this] { wake(); });
  beat_timer_.emplace(loop_, [this] { beat(); });
  PoolOptions options;
  options.worker = load_.worker;
  options.max_blocking = config_->workers_max;
  options.memory_mib = config_->workers_memory_mib;
  options.processes = config_->workers_processes;
  options.seccomp = config_->workers_seccomp;
  options.proves_ends = true;
  Pool::Handlers handlers;
  handlers.done = [this](ProbeId id, ProbeResult result) {
    look_at_host(Loop::now());
    performer_->apply(Loop::both(), ProbeDone{id, std::move(result)});
  };
  handlers.delayed = [this](ProbeId id, Duration lost) { performer_->apply(Loop::both(), ProbeDelayed{id, lost}); };
  handlers.note = [this](const Note& note) { say(note.level, note.event, note.fields); };
  handlers.queued = [this](ProbeId id) { performer_->apply(Loop::both(), ProbeQueued{id}); };
  handlers.taken = [this](ProbeId id) { performer_->apply(Loop::both(), ProbeTaken{id}); };
  pool_ = std::make_unique<Pool>(loop_, options, std::move(handlers));
  store_ = std::make_unique<StateStore>(config_->state_dir);
  outputs_ = std::make_unique<Outputs>(loop_, real_ports(port_options()), output_hooks());
  outputs_->adopt(config_->outputs);
  const auto saved = load_state();
  performer_ = std::make_unique<Performer>(config_->plan, specs_, ports(), Loop::both(), saved);
  keep_state(saved ? JournalState::Kind::warm_start : JournalState::Kind::cold_start);
  failovers_->adopt(Loop::both(), config_->topologies, *config_->plan);
  if (failovers_->is_any()) {
    memory_.newest(primary_records(), most_failovers_shown, [this, mail = mail_](std::vector<JournalEvent> records) {
      mail->post([this, records = std::move(records)] {
        failovers_->remember(records);
        has_read_records_ = true;
      });
    });
  }
  adopt_failover(Loop::both(), saved ? saved->failover : std::vector<std::string>());
  host_.slept();
  performer_->apply(Loop::both(), Tick{});
  save_state({});  // also shows at once whether state_dir can be written
  watch_spool();
  show();
  front_->start();
  say_listening({});
  certificates_.follow(config_, inherited_);
  beat_at_ = Loop::now() + beat_every;
  beat_timer_->arm_at(beat_at_);
  if (const auto interval = notify::watchdog_interval()) {
    // From this loop and no other place: what it vouches for is that this loop turns.
    watchdog_timer_.emplace(loop_, [this, half = *interval / 2] {
      notify::alive();
      watchdog_timer_->arm_in(half);
    });
    watchdog_timer_->arm_in(Duration{});
  }
  notify::ready(status_);
}

// What comes due close together is one wake-up. A wake-up that is close already stays: results that keep coming must
// not push it away.
void Agent::wake_by(Instant due) {
  const Instant soonest = Loop::now() + wakes_apart;
  if (is_wake_armed_ && due <= woken_at_ && woken_at_ <= soonest) return;
  woken_at_ = std::max(due, soonest);
  is_wake_armed_ = true;
  wake_timer_->arm_at(woken_at_);
}

void Agent::wake() {
  is_wake_armed_ = false;
  const Now now = Loop::both();
  lag_.add(now.mono, now.mono - woken_at_);
  look_at_host(now.mono);
  performer_->apply(now, Tick{});
}

// Before a verdict is made: what the host took from us by now.
void Agent::look_at_host(Instant now) {
  const Pressure seen = host_.pressure(now);
  if (seen == pressure_) return;
  pressure_ = seen;
  own_trouble_.see(seen);
  performer_->apply(Loop::both(), seen);
}

// Four times a second, so that a loop that is late between two wakes is seen too.
void Agent::beat() {
  const Now now = Loop::both();
  const Duration late = now.mono - beat_at_;
  lag_.add(now.mono, late);
  if (late > noteworthy_lag) say(Note::Level::warning, "loop_late", {{"by", friendly_duration(late)}});
  if (const Duration slept = host_.slept(); slept > Duration{}) performer_->apply(now, Slept{slept});
  say_all(now, failovers_->tick(now));
  if (control_) {
    if (has_read_records_) remember_primaries();
    look_at_topologies(now);
    control_->tick(now, *performer_->snapshot());
  }
  say_all(now, served_.look(now));
  give_up_waiting(now.mono);
  const Duration unsaved_for = now.mono - saved_at_;
  if (unsaved_for > save_at_least_every || (is_save_due_ && unsaved_for > save_at_most_every)) save_state({});
  if (now.mono - kept_at_ > keep_every) keep_state(JournalState::Kind::passing);
  if (now.mono - shown_at_ > show_at_least_every) show();
  beat_at_ = Loop::now() + beat_every;
  beat_timer_->arm_at(beat_at_);
}

// Many results in one turn of the loop are rendered once.
void Agent::show_soon() {
  if (is_show_due_) return;
  is_show_due_ = true;
  mail_->post([this] { show(); });
}

void Agent::show() {
  is_show_due_ = false;
  shown_at_ = Loop::now();
  if (is_leaving_quietly()) return;
  auto snapshot = performer_->snapshot();
  facts_.loop_lag = lag_.at(shown_at_);
  facts_.outputs = output_facts();
  facts_.journal = memory_.facts();
  facts_.certificates = served_.list();
  facts_.workers = worker_facts(pool_->stats());
  facts_.metrics = worker_metrics() + own_trouble_.metrics() + spool_metrics() + output_metrics(outputs_->views()) +
                   memory_.metrics() + failovers_->metrics() + failover_board_->metrics() + served_.metrics();
  const std::string status = status_text(*snapshot);
  board_.view.put(make_view(std::move(snapshot), facts_));
  if (status != status_) {
    status_ = status;
    notify::status(status_);
  }
}

std::string Agent::status_text(const Snapshot& snapshot) const {
  const ServiceView& node = snapshot.node;
  std::string out(node.overlay == OverlayKind::none ? name(node.answer) : name(node.overlay));
  out += ": " + (node.reason.empty() ? std::to_string(snapshot.checks.size()) + " checks, " +
                                           std::to_string(snapshot.services.size()) + " services"
                                     : node.reason);
  if (!facts_.is_config_current) out += "; the last reload was refused: " + facts_.config_problem;
  return one_line(out, 256);
}

std::string Agent::worker_metrics() const {
  const PoolStats s = pool_->stats();
  std::string out;
  const auto family = [&](const char* name, const char* type, const char* help) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
  };
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    family(name, "counter", help);
    out += std::string(name) + " " + std::to_string(value) + "\n";
  };
  family("vitald_workers", "gauge", "Worker processes by what they are doing.");
  const auto state = [&](const char* name, unsigned n) {
    out += std::string("vitald_workers{state=\"") + name + "\"} " + std::to_string(n) + "\n";
  };
  state("idle", s.idle);
  state("busy", s.busy);
  state("starting", s.starting);
  state("unkillable", s.unkillable);
  family("vitald_worker_kill_method", "gauge", "1 for the way in which the end of a worker's processes is proven.");
  for (const std::string_view method : {"cgroup", "subreaper", "group"}) {
    out += "vitald_worker_kill_method{method=\"" + std::string(method) + "\"} " +
           (s.kill_method == method ? "1" : "0") + "\n";
  }
  family("vitald_processes_unkillable", "gauge", "Processes dead workers left behind that SIGKILL does not end.");
  out += "vitald_processes_unkillable " + std::to_string(s.unkillable_processes) + "\n";
  counter("vitald_workers_started_total", "Worker processes started.", s.started);
  counter("vitald_workers_killed_total", "Worker processes killed, most of them at a deadline.", s.killed);
  counter("vitald_workers_crashed_total", "Worker processes that ended by themselves.", s.crashed);
  counter("vitald_probes_refused_total", "Probes that found no worker and a full queue.", s.queued_full);
  counter("vitald_worker_late_results_total", "Results of probes that were given up by then.", s.late_results);
  counter("vitald_worker_bad_frames_total", "Messages of workers that made no sense.", s.bad_frames);
  counter("vitald_log_lines_dropped_total", "Lines of the log that were too many, or that nobody took.",
          log_.dropped());
  return out;
}

void Agent::say(Note::Level level, std::string event, Fields fields) {
  const Now now = Loop::both();
  memory_.say(now, {now.wall, level, std::move(event), std::move(fields)});
}

void Agent::say_all(Now now, const std::vector<Note>& notes) {
  for (const Note& n : notes) memory_.say(now, {now.wall, n.level, n.event, n.fields});
}

std::vector<std::string> Agent::listening() const {
  std::vector<std::string> out;
  for (const std::string& a : front_->health_addresses()) out.push_back("health " + a);
  for (const std::string& a : front_->haproxy_addresses()) out.push_back("haproxy " + a);
  for (const std::string& a : front_->grpc_addresses()) out.push_back("grpc " + a);
  out.push_back("admin " + config_->admin.socket);
  return out;
}

void Agent::say_listening(const std::vector<std::string>& already) {
  for (const std::string& entry : listening()) {
    if (std::find(already.begin(), already.end(), entry) != already.end()) continue;
    const auto space = entry.find(' ');
    say(Note::Level::info, "listening", {{"listener", entry.substr(0, space)}, {"address", entry.substr(space + 1)}});
  }
}

// ---- stopping ------------------------------------------------------------------------------------------------------

void Agent::caught(int signal) {
  if (signal == SIGHUP) {
    reload("SIGHUP", {});
    return;
  }
  const std::string who = signal == SIGINT ? "SIGINT" : "SIGTERM";
  if (is_stopping_) {
    say(Note::Level::warning, "stopping_at_once", {{"signal", who}});
    loop_.stop();
    return;
  }
  stop(who);
}

// Drain is shown for as long as the config says, then the outputs get their last word, the workers end, then the loop.
void Agent::stop(const std::string& why) {
  is_stopping_ = true;
  const Duration drain = config_->plan->shutdown_drain;
  notify::stopping(drain + patience_with_outputs + patience_with_workers + 5s);
  say(Note::Level::info, "stopping", {{"signal", why}, {"drain", format_duration(drain)}});
  if (control_) control_->leave(Loop::both());  // an agent that ends begins nothing
  performer_->apply(Loop::both(), Stop{});
  drained_since_ = Loop::now();
  drain_timer_.emplace(loop_, [this] { wait_until_left(); });
  drain_timer_->arm_in(Duration{});
}

// Until the drain is over, or, where the config says so, everybody has left.
void Agent::wait_until_left() {
  const Duration rest = config_->plan->shutdown_drain - (Loop::now() - drained_since_);
  const bool is_early = config_->leaves_when_left && left_ && left_->empty();
  if (rest <= Duration{} || is_early) return leave();
  front_->list_consumers([this, mail = mail_](std::vector<SeenConsumer> seen) {
    mail->post([this, seen = std::move(seen)] { left_ = who_is_left(seen); });
  });
  drain_timer_->arm_in(std::min(rest, look_who_left_every));
}

// A stop that takes no time is not announced: until the doors close, what was answered before is answered still.
bool Agent::is_leaving_quietly() const { return is_stopping_ && config_->plan->shutdown_drain == Duration{}; }

void Agent::leave() {
  if (config_->plan->shutdown_drain > Duration{}) {
    const std::vector<std::string> left = left_.value_or(std::vector<std::string>{});
    say(left.empty() ? Note::Level::info : Note::Level::warning, "drained",
        {{"after", friendly_duration(Loop::now() - drained_since_)}, {"not_left", one_line(join(left, "; "), 400)}});
  }
  const auto end = [this] {
    outputs_->leave(patience_with_outputs,
                    [this] { pool_->shut_down(patience_with_workers, [this] { loop_.stop(); }); });
  };
  if (!control_ || control_->has_left()) return end();
  // The store hears that leases are given back, so that others need not wait for their end.
  store_timer_.emplace(loop_, [this, end, until = Loop::now() + patience_with_store] {
    if (control_->has_left() || Loop::now() > until) return end();
    store_timer_->arm_in(look_at_store_every);
  });
  store_timer_->arm_in(Duration{});
}

}  // namespace vital
