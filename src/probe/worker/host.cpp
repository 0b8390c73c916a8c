// Instances, probes and results inside a worker; see host.hpp.
#include "probe/worker/host.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "probe/worker/result.hpp"

namespace vital::worker {
namespace {

using namespace std::chrono_literals;

constexpr Duration tick = 100ms;
constexpr Duration noticeable = 1ms;  // shorter delays are not worth remembering
constexpr unsigned lines_a_second = 10;
constexpr std::size_t max_waiting_lines = 64;

// A module that forks and lets the child run on would leave two of us on one socket.
bool is_forked_child = false;
void leave_if_forked() {
  if (is_forked_child) _exit(0);
}

}  // namespace

Host::Host(Loop& loop, Mark& mark, Outlets outlets)
    : loop_(loop),
      mark_(mark),
      outlets_(std::move(outlets)),
      thread_(pthread_self()),
      tick_(loop,
            [this] {
              lagged(Loop::now() - tick_due_);
              is_ticking_ = !running_.empty();
              if (is_ticking_) tick_.arm_at(tick_due_ = Loop::now() + tick);
            }),
      self_(std::make_shared<Host*>(this)) {
  pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
}

Host::~Host() {
  *self_ = nullptr;
  while (!instances_.empty()) remove(instances_.begin()->first);
}

const ModuleFile* Host::load(const std::string& path, std::uint32_t instance, std::string* why) {
  auto found = modules_.find(path);
  if (found == modules_.end()) {
    const Marked marked(mark_, Stage::loading, instance);
    auto module = ModuleFile::load(path, why);
    if (module == nullptr) return nullptr;
    found = modules_.emplace(path, std::move(module)).first;
  }
  return found->second.get();
}

void Host::add(std::uint32_t instance, InstanceSpec spec) {
  remove(instance);
  instances_.emplace(instance, std::make_unique<Instance>(*this, instance, std::move(spec)));
}

std::optional<Refusal> Host::create(std::uint32_t number) {
  const auto found = instances_.find(number);
  if (found == instances_.end()) return Refusal{Cause::agent, "", "this worker was not told about the check"};
  Instance& instance = *found->second;
  if (instance.is_created()) return {};
  std::string why;
  const ModuleFile* module = load(instance.spec().path, number, &why);
  if (module == nullptr) return Refusal{Cause::agent, "", why};
  Refusal refusal;
  if (instance.create(*module, refusal)) return {};
  return refusal;
}

void Host::remove(std::uint32_t number) {
  const auto found = instances_.find(number);
  if (found == instances_.end()) return;
  Instance& instance = *found->second;
  std::vector<std::uint64_t> mine;
  for (const auto& [id, slot] : by_id_) {
    if (slot->instance == &instance) mine.push_back(id);
  }
  for (const std::uint64_t id : mine) cancel(id);
  instances_.erase(found);
}

void Host::probe(std::uint32_t number, std::uint64_t id, std::uint32_t attempt, Instant deadline) {
  const Instant taken = Loop::now();
  const auto refuse = [&](Cause cause, std::string text) {
    ProbeResult result = our_trouble(std::move(text));
    result.cause = cause;
    result.duration = Loop::now() - taken;
    outlets_.report({id, std::move(result), taken, {}});
  };
  if (by_id_.contains(id)) return refuse(Cause::agent, "this probe runs already");
  if (const auto refusal = create(number)) {
    return refuse(refusal->cause, refusal->option.empty() || refusal->cause != Cause::config
                                      ? refusal->text
                                      : one_line(refusal->option + ": " + refusal->text));
  }
  if (Loop::now() >= deadline) return refuse(Cause::agent, "the probe's time was over before its worker could begin");
  Instance& instance = *instances_.at(number);
  const bool is_async = instance.module().is_async();
  Slot& slot = take_slot();
  slot.probe = {sizeof(vital_probe), attempt, id, static_cast<std::uint64_t>(deadline.time_since_epoch().count())};
  slot.instance = &instance;
  slot.worst_lag = {};
  slot.waited_before = is_async ? Duration{} : run_delay_.total();
  slot.taken = Loop::now();
  running_.emplace(&slot.probe, &slot);
  by_id_.emplace(id, &slot);
  if (is_async && !is_ticking_) tick_.arm_at(tick_due_ = slot.taken + tick);
  is_ticking_ = is_ticking_ || is_async;

  const std::string thrown =
      call(instance, Stage::probing, [&] { instance.module().table().probe(instance.handle(), &slot.probe); });
  leave_if_forked();
  if (!by_id_.contains(id)) return;  // finished in there
  if (!thrown.empty()) {
    misuse(instance, thrown);
    report(slot, our_trouble(thrown));
  } else if (!is_async) {
    misuse(instance, "probe() returned without a result");
    report(slot, our_trouble("the module returned without a result"));
  }
}

bool Host::cancel(std::uint64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  Slot& slot = *found->second;
  Instance& instance = *slot.instance;
  // Out of the books first: a finish() from inside cancel() is one too many.
  running_.erase(&slot.probe);
  by_id_.erase(found);
  if (instance.module().table().cancel != nullptr && instance.module().is_async()) {
    const std::string thrown =
        call(instance, Stage::cancelling, [&] { instance.module().table().cancel(instance.handle(), &slot.probe); });
    if (!thrown.empty()) misuse(instance, thrown);
  }
  free_slot(slot);
  return true;
}

void Host::lagged(Duration lag) {
  if (lag < noticeable) return;
  for (const auto& [id, slot] : by_id_) slot->worst_lag = std::max(slot->worst_lag, lag);
}

Host::Slot& Host::take_slot() {
  if (free_.size() <= spare_slots) return slots_.emplace_back();
  Slot& slot = *free_.front();
  free_.pop_front();
  return slot;
}

void Host::free_slot(Slot& slot) {
  slot.instance = nullptr;
  free_.push_back(&slot);
}

void Host::finish(Instance& instance, const vital_probe* probe, const vital_result* foreign) {
  leave_if_forked();
  if (pthread_equal(pthread_self(), thread_) == 0) return misuse(instance, "called finish() from another thread");
  // The pointer is only compared, never followed: it may be anything.
  const auto found = running_.find(probe);
  if (found == running_.end() || found->second->instance != &instance) {
    return misuse(instance, "called finish() twice, late, or for a probe that is not its own");
  }
  std::string complaint;
  ProbeResult result = read_result(foreign, complaint);
  if (!complaint.empty()) misuse(instance, complaint);
  report(*found->second, std::move(result));
}

void Host::report(Slot& slot, ProbeResult result) {
  const Instant now = Loop::now();
  result.duration = now - slot.taken;
  if (!slot.instance->module().is_async()) slot.worst_lag = run_delay_.total() - slot.waited_before;
  ProbeReport out{slot.probe.id, std::move(result), slot.taken, slot.worst_lag};
  running_.erase(&slot.probe);
  by_id_.erase(slot.probe.id);
  free_slot(slot);
  outlets_.report(std::move(out));
}

void Host::returned(const Instance& instance, Stage stage, Duration took) {
  // A blocking probe is meant to take its time.
  const bool is_expected = stage == Stage::probing && !instance.module().is_async();
  if (took >= noticeable && !is_expected) lagged(took);
}

void Host::threw_in_callback(Instance& instance, const std::string& what) {
  misuse(instance, what);
  Slot* only = nullptr;
  for (const auto& [id, slot] : by_id_) {
    if (slot->instance != &instance) continue;
    if (only != nullptr) return;  // which of them it was, nobody can tell: their deadlines will end them
    only = slot;
  }
  if (only == nullptr) return;
  const std::uint64_t id = only->probe.id;
  const Instant taken = only->taken;
  const Duration lag = only->worst_lag;
  cancel(id);
  ProbeResult result = our_trouble(what);
  result.duration = Loop::now() - taken;
  outlets_.report({id, std::move(result), taken, lag});
}

void Host::misuse(const Instance& instance, std::string_view what) {
  misused_.fetch_add(1, std::memory_order_relaxed);
  log(instance, VITAL_LOG_WARNING, what);
}

bool Host::may_log(std::string* note) {
  const Instant now = Loop::now();
  if (now - second_began_ >= 1s) {
    if (suppressed_ > 0) *note = fmt::format("{} more lines were left out", suppressed_);
    second_began_ = now;
    lines_this_second_ = 0;
    suppressed_ = 0;
  }
  if (lines_this_second_ < lines_a_second) {
    ++lines_this_second_;
    return true;
  }
  ++suppressed_;
  return false;
}

void Host::log(const Instance& instance, std::uint32_t level, std::string_view text) {
  const bool is_ours = pthread_equal(pthread_self(), thread_) != 0;
  std::string note;
  {
    const std::lock_guard lock(m_);
    if (!may_log(&note) || lines_.size() >= max_waiting_lines) return;
    level = std::min<std::uint32_t>(level, VITAL_LOG_ERROR);
    if (!note.empty()) lines_.push_back({VITAL_LOG_WARNING, instance.check(), note});
    lines_.push_back({level, instance.check(), one_line(text.substr(0, 4096))});
  }
  if (is_ours) return send_waiting_lines();
  loop_.post([self = self_] {
    if (*self != nullptr) (*self)->send_waiting_lines();
  });
}

void Host::send_waiting_lines() {
  std::vector<Line> lines;
  {
    const std::lock_guard lock(m_);
    lines.swap(lines_);
  }
  for (const Line& line : lines) outlets_.line(line.level, line.check, line.text);
}

}  // namespace vital::worker
