// See probing.hpp.
#include "cmd/probing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "base/text.hpp"
#include "core/evidence.hpp"
#include "loop/loop.hpp"
#include "probe/pool.hpp"

namespace vital::cmd {
namespace {

constexpr unsigned at_once = 8;

class Prober {
 public:
  Prober(const std::string& command, const std::string& worker, const Config& config, std::vector<CheckId> checks,
         const std::function<void(CheckId, const ProbeResult&)>& done)
      : command_(command),
        config_(config),
        waiting_(std::move(checks)),
        done_(done),
        pool_(loop_, options(worker),
              {[this](ProbeId id, ProbeResult result) { ended(id.value, std::move(result)); },
               [this](const Note& note) { say(note); },
               {},
               {},
               {}}) {
    std::reverse(waiting_.begin(), waiting_.end());
  }

  void run() {
    loop_.post([this] { fill(); });
    loop_.run();
  }

 private:
  static PoolOptions options(const std::string& worker) {
    PoolOptions out;
    out.worker = worker;
    out.max_blocking = at_once;
    out.proves_ends = true;
    return out;
  }

  void say(const Note& note) const {
    std::string line = note.event;
    for (const auto& [key, value] : note.fields) line += " " + key + "=" + value;
    fmt::print(stderr, "{}: {}\n", command_, one_line(line));
  }

  void fill() {
    while (running_.size() < at_once && !waiting_.empty()) {
      const CheckId check = waiting_.back();
      waiting_.pop_back();
      const std::uint64_t id = ++last_;
      const CheckPlan& plan = config_.plan->at(check);
      const Instant deadline = Loop::now() + plan.timeout;
      auto late = std::make_unique<Timer>(loop_, [this, id, deadline, timeout = plan.timeout] {
        pool_.abandon(ProbeId(id));
        Evidence ours;
        ours.timer_overshoot = Loop::now() - deadline;
        ended(id, evidence::deadline_result(timeout, false, ours));
      });
      late->arm_at(deadline);
      running_.emplace(id, Running{check, std::move(late), false});
      pool_.start(ProbeId(id), config_.specs.at(check.value), 0, deadline);
    }
    if (running_.empty()) loop_.stop();
  }

  void ended(std::uint64_t id, ProbeResult result) {
    const auto found = running_.find(id);
    if (found == running_.end() || std::exchange(found->second.is_over, true)) return;
    const CheckId check = found->second.check;
    const CheckPlan& plan = config_.plan->at(check);
    done_(check, evidence::judge(plan, std::move(result), plan.timeout).result);
    // Not here: this may be the timer's own call.
    loop_.post([this, id] {
      running_.erase(id);
      fill();
    });
  }

  struct Running {
    CheckId check;
    std::unique_ptr<Timer> late;
    bool is_over = false;
  };

  Loop loop_;
  const std::string& command_;
  const Config& config_;
  std::vector<CheckId> waiting_;
  const std::function<void(CheckId, const ProbeResult&)>& done_;
  Pool pool_;
  std::map<std::uint64_t, Running> running_;
  std::uint64_t last_ = 0;
};

}  // namespace

void probe_each(const std::string& command, const std::string& worker, const Config& config,
                const std::vector<CheckId>& checks, const std::function<void(CheckId, const ProbeResult&)>& done) {
  Prober(command, worker, config, checks, done).run();
}

}  // namespace vital::cmd
