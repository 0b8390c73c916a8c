// One worker, from the agent's side; see worker_process.hpp.
#include "probe/worker_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

namespace vital {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience_to_die = 1s;
// Loading a module from a cold disk, or setting it up, may hold the loop of an async worker that long.
constexpr Duration patience_to_load = 10s;
// Times the grace: for one that is starved, or goes from check to check and only does not come to our question.
constexpr int patience_if_busy = 5;

bool is_slow_by_nature(Stage stage) { return stage == Stage::loading || stage == Stage::creating; }

}  // namespace

WorkerProcess::WorkerProcess(Loop& loop, WorkerOwner& owner, const Options& options)
    : loop_(loop), owner_(owner), options_(options), timer_(loop, [this] { look(); }) {
  LaunchOptions launch;
  launch.worker = options_.program;
  launch.role = options_.lane == Lane::async ? "async" : "blocking";
  launch.memory_mib = options_.memory_mib;
  launch.processes = options_.processes;
  launch.seccomp = options_.seccomp;
  Launched launched = launch_worker(loop_, launch, [this](int status) { ended(status); });
  child_ = std::move(launched.child);
  mark_.emplace(std::move(launched.mark));
  if (!options_.control_group.empty()) {
    // Before it is told anything, so before it starts anything.
    control_group_ = ControlGroup::make(options_.control_group, std::to_string(child_->pid()));
    if (control_group_ && !control_group_->add(child_->pid())) control_group_.reset();
  }
  run_delay_.emplace(child_->pid());
  channel_.emplace(loop_, std::move(launched.socket),
                   wire::Channel::Handlers{[this](std::string_view payload) { take(payload); },
                                           [this](const std::string&) { cut_off(); }});
  idle_since = heard_at_ = Loop::now();
}

WorkerProcess::~WorkerProcess() = default;

bool WorkerProcess::run(std::uint64_t probe, const std::shared_ptr<const CheckSpec>& spec, std::uint32_t attempt,
                        Instant deadline) {
  auto known = instances_.find(spec.get());
  if (known == instances_.end()) {
    const std::uint32_t number = next_number_++;
    if (!channel_->send(wire::ToWorker(wire::Prepare{number, spec->check, spec->module.path, spec->values})))
      return false;
    known = instances_.emplace(spec.get(), Known{number, spec}).first;
    by_number_.emplace(number, spec.get());
    paths_.insert(spec->module.path);
  }
  last_check = spec->check;
  channel_->send(wire::ToWorker(wire::Run{probe, known->second.number, attempt, deadline}));
  return true;
}

void WorkerProcess::cancel(std::uint64_t probe) { channel_->send(wire::ToWorker(wire::Cancel{probe})); }

void WorkerProcess::forget(const std::shared_ptr<const CheckSpec>& spec) {
  const auto known = instances_.find(spec.get());
  if (known == instances_.end()) return;
  channel_->send(wire::ToWorker(wire::Forget{known->second.number}));
  by_number_.erase(known->second.number);
  instances_.erase(known);
}

std::shared_ptr<const CheckSpec> WorkerProcess::culprit() const {
  return mark_->stage() == Stage::idle ? nullptr : spec_of(mark_->instance());
}

std::shared_ptr<const CheckSpec> WorkerProcess::spec_of(std::uint32_t number) const {
  const auto at = by_number_.find(number);
  return at == by_number_.end() ? nullptr : instances_.at(at->second).spec;
}

void WorkerProcess::expect_life(bool is_expected) {
  if (options_.lane != Lane::async || is_life_expected_ == is_expected) return;
  is_life_expected_ = is_expected;
  asked_at_.reset();
  if (!is_expected || !is_usable()) return;
  heard_at_ = Loop::now();
  // Left armed when nothing is expected any more: arming it for each probe would cost more than an idle look.
  if (!is_watching_) timer_.arm_at(timer_due_ = heard_at_ + options_.grace / 4);
  is_watching_ = true;
}

Duration WorkerProcess::silence() const {
  return asked_at_ ? Loop::now() - std::max(*asked_at_, heard_at_) : Duration::zero();
}

void WorkerProcess::stop() {
  if (!is_usable()) return;
  state_ = State::stopping;
  channel_->send(wire::ToWorker(wire::Stop{}));
  channel_->flush();
  timer_.arm_at(timer_due_ = Loop::now() + options_.grace);
}

void WorkerProcess::kill(std::string why) {
  if (state_ == State::killed || state_ == State::unkillable || state_ == State::dead) return;
  state_ = State::killed;
  why_killed_ = std::move(why);
  if (control_group_) control_group_->kill();
  child_->kill_group(SIGKILL);  // if the kernel refuses, the timer finds out
  timer_.arm_at(timer_due_ = Loop::now() + patience_to_die);
}

void WorkerProcess::take(std::string_view payload) {
  heard_at_ = Loop::now();
  auto message = wire::decode_to_agent(payload);
  if (!message) return broke("a message that makes no sense");
  if (state_ == State::killed || state_ == State::unkillable) return;  // too late for words
  if (auto* hello = std::get_if<wire::Hello>(&*message)) {
    if (hello->version != wire::version) {
      return broke(
          fmt::format("vitald-worker is of version {}, vitald of {}: restart vitald", hello->program, VITALD_VERSION));
    }
    if (state_ == State::starting) {
      state_ = State::up;
      was_up_ = true;
      owner_.worker_up(*this);
    }
  } else if (auto* result = std::get_if<wire::Result>(&*message)) {
    owner_.worker_result(*this, std::move(*result));
  } else if (auto* cancelled = std::get_if<wire::Cancelled>(&*message)) {
    owner_.worker_cancelled(*this, cancelled->probe);
  } else if (auto* pong = std::get_if<wire::Pong>(&*message)) {
    if (pong->number == pings_) asked_at_.reset();
  } else if (auto* line = std::get_if<wire::Line>(&*message)) {
    owner_.worker_line(*this, *line);
  } else {
    broke("an answer to a question nobody asked");
  }
}

// The socket is closed. Most often its process has just ended, and the loop tells that in a moment.
void WorkerProcess::cut_off() {
  if (!is_usable()) return;
  is_cut_off_ = true;
  timer_.arm_at(timer_due_ = Loop::now() + options_.grace);
}

void WorkerProcess::broke(const std::string& what) {
  kill(was_up_ ? "broke the connection of its worker" : what);
  owner_.worker_nonsense(*this, what);
}

void WorkerProcess::look() {
  const Instant now = Loop::now();
  if (state_ == State::stopping) return kill("it did not stop when asked");
  if (state_ == State::killed) {
    state_ = State::unkillable;
    return owner_.worker_unkillable(*this);
  }
  if (is_cut_off_) return broke("it closed its socket, or sent what is no frame");
  is_watching_ = false;
  if (!is_usable() || !is_life_expected_) return;
  // If we were late ourselves its answer is waiting, or it had no chance either.
  const bool were_we_late = now - timer_due_ > options_.grace / 4;
  channel_->read_all();
  if (!is_usable() || !is_life_expected_) return;
  const bool is_slow_now = is_slow_by_nature(mark_->stage()) || state_ == State::starting;
  if (!is_slow_now) {
    in_slow_stage_since_.reset();
  } else if (!in_slow_stage_since_) {
    in_slow_stage_since_ = now;
  }
  const bool may_take_long = in_slow_stage_since_ && now - *in_slow_stage_since_ < patience_to_load;
  const std::uint32_t last = mark_->last();
  if (std::exchange(seen_last_, last) != last) moved_at_ = now;
  if (were_we_late || !asked_at_) {
    asked_at_ = now;
    starved_when_asked_ = starved();
    channel_->send(wire::ToWorker(wire::Ping{++pings_}));
  } else if (const Duration silent = silence(); silent >= options_.grace && !may_take_long) {
    // Kept from running by others it is not stuck, and a new one would fare no better.
    const bool is_starved = starved() - starved_when_asked_ > silent / 2;
    const bool is_moving = now - moved_at_ < options_.grace;
    const bool may_go_on = (is_starved || is_moving) && silent < options_.grace * patience_if_busy;
    if (!may_go_on) return owner_.worker_silent(*this);
  }
  is_watching_ = true;
  timer_.arm_at(timer_due_ = now + options_.grace / 4);
}

void WorkerProcess::ended(int status) {
  // Its last words may still be on the way, and they come first.
  channel_->read_all();
  Ending ending;
  ending.is_ours = state_ != State::starting && state_ != State::up;
  ending.is_asked_for = state_ == State::stopping;
  ending.was_up = was_up_;
  ending.how = !why_killed_.empty() ? why_killed_ : describe_status(status);
  ending.stage = mark_->stage();
  ending.culprit = culprit();
  // Dead of itself, with no module's code running: most likely of what the last one did. (Signal 9 came from outside.)
  const bool was_shot = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (ending.culprit == nullptr && !ending.is_ours && !was_shot) ending.culprit = spec_of(mark_->last());
  state_ = State::dead;
  timer_.disarm();
  if (control_group_) control_group_->kill();  // what it left behind goes with it
  owner_.worker_ended(*this, ending);
}

}  // namespace vital
