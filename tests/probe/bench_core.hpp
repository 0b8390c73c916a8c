// A stand-in for the core around a real Pool with real workers: it gives each probe a deadline, takes its verdict then
// in every case, abandons what is late, and remembers what came when. One thread.
#pragma once

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "loop/loop.hpp"
#include "probe/pool.hpp"

namespace vital::test {

using namespace std::chrono_literals;

inline std::string module_path(const std::string& type) { return std::string(TEST_MODULES) + "/" + type + ".so"; }

inline std::shared_ptr<const CheckSpec> make_spec(const std::string& check, const std::string& type, Lane lane,
                                                  std::vector<std::pair<std::string, std::string>> values = {},
                                                  bool is_builtin = true) {
  auto out = std::make_shared<CheckSpec>();
  out->check = check;
  out->module.type = type;
  out->module.path = module_path(type);
  out->module.lane = lane;
  out->module.is_builtin = is_builtin;
  for (auto& [name, value] : values) out->values.push_back({name, {value}});
  return out;
}

inline std::shared_ptr<const CheckSpec> blocking(const std::string& how, const std::string& check = "bad") {
  return make_spec(check, "misbehaves", Lane::blocking, {{"how", how}, {"time", "20000000"}});
}
inline std::shared_ptr<const CheckSpec> async(const std::string& how, const std::string& check = "bad",
                                              const std::string& after = "1000000",
                                              const std::string& busy = "3600000000000") {
  return make_spec(check, "async_misbehaves", Lane::async, {{"how", how}, {"after", after}, {"busy", busy}});
}
inline std::shared_ptr<const CheckSpec> hanging(const std::string& check) {
  return make_spec(check, "misbehaves", Lane::blocking, {{"how", "sleep"}, {"time", "3600000000000"}});
}
inline std::shared_ptr<const CheckSpec> answers(const std::string& check = "good") {
  return make_spec(check, "answers", Lane::blocking, {{"want", "42"}});
}

// Living processes that have us as their parent. With adopt_orphans() that includes what a dead worker left behind;
// adopted zombies are reaped here, a worker (the leader of its group) is left to the pool.
inline std::vector<std::string> children() {
  std::ifstream file("/proc/self/task/" + std::to_string(getpid()) + "/children");
  std::vector<std::string> out;
  for (pid_t pid = 0; file >> pid;) {
    if (getpgid(pid) == pid || waitpid(pid, nullptr, WNOHANG) != pid) out.push_back(std::to_string(pid));
  }
  return out;
}
inline void adopt_orphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

struct Outcome {
  ProbeResult result;
  Duration took{};
  bool is_from_core = false;  // the deadline passed without a result
  unsigned times = 0;         // how often the pool answered, late answers included
};

// A benchmark of probes that do not pass measures something else.
[[noreturn]] inline void refuse(const ProbeResult& r) {
  std::fprintf(stderr, "a probe did not pass: %s/%s: %s\n", std::string(name(r.verdict)).c_str(),
               std::string(name(r.cause)).c_str(), r.text.c_str());
  std::exit(1);
}

class BenchCore {
 public:
  explicit BenchCore(PoolOptions options = {})
      : pool_(std::make_unique<Pool>(loop_, with_worker(std::move(options)),
                                     Pool::Handlers{[this](ProbeId id, ProbeResult r) { take(id, std::move(r)); },
                                                    [this](Note n) { notes.push_back(std::move(n)); },
                                                    [this](ProbeId id) { queued.push_back(id.value); },
                                                    [this](ProbeId id) { taken.push_back(id.value); }})) {}
  // Dead workers are reaped on the loop, so it turns until they are.
  ~BenchCore() {
    pool_.reset();
    turn_until([] { return children().empty(); }, 1s);
  }
  BenchCore(const BenchCore&) = delete;
  BenchCore& operator=(const BenchCore&) = delete;

  std::uint64_t start(const std::shared_ptr<const CheckSpec>& spec, Duration timeout) {
    const std::uint64_t id = ++last_;
    Running& r = running_[id];
    r.began = Loop::now();
    r.timer = std::make_unique<Timer>(loop_, [this, id] { pass_deadline(id); });
    r.timer->arm_at(r.began + timeout);
    is_starting_ = true;
    pool_->start(ProbeId(id), spec, 0, r.began + timeout);
    is_starting_ = false;
    return id;
  }
  // Runs the loop until this probe has its outcome.
  const Outcome& wait(std::uint64_t id) {
    while (!outcomes.contains(id)) turn(1s);
    return outcomes.at(id);
  }
  const Outcome& run(const std::shared_ptr<const CheckSpec>& spec, Duration timeout) {
    return wait(start(spec, timeout));
  }
  void turn(Duration limit) { loop_.run_for(limit); }
  template <typename Condition>
  bool turn_until(Condition condition, Duration limit) {
    const Instant until = Loop::now() + limit;
    while (!condition() && Loop::now() < until) loop_.run_for(5ms);
    return condition();
  }
  // Everything is over and no process is left.
  void shut_down() {
    bool is_over = false;
    pool_->shut_down(500ms, [&] { is_over = true; });
    turn_until([&] { return is_over; }, 5s);
  }
  void drop_pool() { pool_.reset(); }

  bool has_note(const std::string& event) const {
    for (const Note& n : notes) {
      if (n.event == event) return true;
    }
    return false;
  }

  Pool& pool() { return *pool_; }
  Loop& loop() { return loop_; }

  std::map<std::uint64_t, Outcome> outcomes;
  std::vector<Note> notes;
  std::vector<std::uint64_t> queued;
  std::vector<std::uint64_t> taken;
  bool answered_from_within_start = false;

 private:
  struct Running {
    Instant began;
    std::unique_ptr<Timer> timer;
  };

  static PoolOptions with_worker(PoolOptions options) {
    options.worker = TEST_WORKER;
    return options;
  }
  void take(ProbeId id, ProbeResult result) {
    if (is_starting_) answered_from_within_start = true;
    Outcome& outcome = outcomes[id.value];
    ++outcome.times;
    const auto at = running_.find(id.value);
    if (at == running_.end()) return;
    outcome.result = std::move(result);
    outcome.took = Loop::now() - at->second.began;
    running_.erase(at);
    loop_.stop();
  }
  void pass_deadline(std::uint64_t id) {
    const auto at = running_.find(id);
    if (at == running_.end()) return;
    Outcome& outcome = outcomes[id];
    outcome.result.verdict = Verdict::fail;
    outcome.result.cause = Cause::timeout;
    outcome.result.text = "no answer";
    outcome.took = Loop::now() - at->second.began;
    outcome.is_from_core = true;
    running_.erase(at);
    pool_->abandon(ProbeId(id));
    loop_.stop();
  }

  Loop loop_;
  std::unique_ptr<Pool> pool_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Running> running_;
  bool is_starting_ = false;
};

inline std::string word(const Outcome& outcome) {
  return std::string(name(outcome.result.verdict)) + "/" + std::string(name(outcome.result.cause));
}

inline std::size_t descriptors() {
  namespace fs = std::filesystem;
  return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{}));
}

}  // namespace vital::test
