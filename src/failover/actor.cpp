// See actor.hpp.
#include "failover/actor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/duration.hpp"

namespace vital {
namespace {

using failover::Finding;
using failover::Outcome;
using failover::RunStep;
using failover::StepDone;
using failover::Verb;

constexpr std::size_t most_answered = 256;
constexpr std::size_t most_questions = 512;

std::string_view word(Verb verb) {
  switch (verb) {
    case Verb::verify:
      return "verify";
    case Verb::compensate:
      return "compensate";
    case Verb::perform:
      break;
  }
  return "perform";
}

}  // namespace

Actor::Actor(Loop& loop, ActorOptions options, Done done, Interrupted interrupted)
    : loop_(loop),
      options_(std::move(options)),
      done_(std::move(done)),
      journal_(loop, options_.journal,
               [this, tell = std::move(interrupted)](const std::vector<StepEntry>& steps, const std::string& trouble) {
                 tell(steps, trouble);
                 for (const StepEntry& e : steps) {
                   StepEntry end = e;
                   end.is_end = true;
                   end.outcome = Outcome::timeout;
                   end.text = "the agent ended while this was under way: whether it was done is not known";
                   journal_.write(end, [](const std::string&) {});
                   done_({e.recovery, e.step, e.attempt, e.verb, end.outcome, end.text});
                 }
               }) {}

Actor::~Actor() = default;

Actor::Key Actor::key_of(const RunStep& step) {
  return {step.recovery, {step.step, step.attempt, static_cast<std::uint32_t>(step.verb)}};
}

const ActionPlan* Actor::find(const std::string& action, const std::string& from, const std::string& to,
                              const std::string& topology) const {
  const auto at = plans_.find(filled_in(action, {{"from", from}, {"to", to}, {"topology", topology}}));
  return at == plans_.end() ? nullptr : &at->second;
}

StepEntry Actor::entry_of(const RunStep& step) const {
  StepEntry out;
  out.recovery = step.recovery;
  out.topology = step.topology;
  out.from = step.from;
  out.to = step.to;
  out.action = step.action;
  out.step = step.step;
  out.attempt = step.attempt;
  out.verb = step.verb;
  out.token = step.token;
  out.at = format_wall(Loop::both().wall);
  return out;
}

void Actor::run(const RunStep& step) {
  const Key key = key_of(step);
  if (running_.contains(key)) return;
  for (const auto& [known, done] : answered_) {
    if (known == key) return answer(step, done.outcome, done.text);
  }
  if (running_.size() == most_running) return answer(step, Outcome::failed, "too many steps are under way");
  running_.emplace(key, Running{step, nullptr});
  // Reading back leaves no trace that a crash would have to be told of.
  if (step.verb == Verb::verify) {
    loop_.post([this, key, alive = std::weak_ptr<int>(life_)] {
      if (!alive.expired()) begin(key);
    });
    return;
  }
  journal_.write(entry_of(step), [this, key](const std::string& trouble) {
    if (!running_.contains(key)) return;
    if (trouble.empty()) return begin(key);
    const RunStep refused = running_.at(key).step;
    running_.erase(key);
    answer(refused, Outcome::failed, "it was not begun, since it could not be written down: " + trouble);
  });
}

void Actor::begin(const Key& key) {
  const auto at = running_.find(key);
  if (at == running_.end()) return;
  const RunStep& step = at->second.step;
  const ActionPlan* plan = find(step.action, step.from, step.to, step.topology);
  if (plan == nullptr) return ended(key, Outcome::failed, "there is no action " + step.action);
  if (Loop::now() >= step.not_after && step.verb != Verb::verify) {
    return ended(key, Outcome::too_late, "the time in which it could begin was over");
  }
  StepJob job;
  job.spec = plan->spec;
  job.is_dry_run = plan->is_dry_run;
  job.verb = word(step.verb);
  job.topology = step.topology;
  job.recovery = step.recovery;
  job.from = step.from;
  job.to = step.to;
  job.parameters = step.parameters;
  job.token = step.token;
  job.step = step.step;
  job.attempt = step.attempt;
  job.not_after = step.not_after;
  job.deadline = step.deadline;
  try {
    at->second.worker = std::make_unique<StepWorker>(
        loop_, options_.worker, job, [this, key, alive = std::weak_ptr<int>(life_)](const StepResult& result) {
          if (!alive.expired()) ended(key, result.outcome, result.text);
        });
  } catch (const std::system_error& e) {
    ended(key, Outcome::failed, std::string("no worker could be started: ") + e.what());
  }
}

void Actor::ended(const Key& key, Outcome outcome, const std::string& text) {
  const auto at = running_.find(key);
  if (at == running_.end()) return;
  const RunStep step = at->second.step;
  running_.erase(at);
  answered_.emplace_back(key, StepDone{step.recovery, step.step, step.attempt, step.verb, outcome, text});
  if (answered_.size() > most_answered) answered_.pop_front();
  if (step.verb != Verb::verify) {
    StepEntry end = entry_of(step);
    end.is_end = true;
    end.outcome = outcome;
    end.text = text;
    journal_.write(end, [](const std::string&) {});
  }
  answer(step, outcome, text);
}

void Actor::answer(const RunStep& step, Outcome outcome, const std::string& text) {
  StepDone done{step.recovery, step.step, step.attempt, step.verb, outcome, text};
  loop_.post([this, done = std::move(done), alive = std::weak_ptr<int>(life_)] {
    if (!alive.expired()) done_(done);
  });
}

void Actor::stop(const failover::StopStep& stop) {
  for (auto at = running_.begin(); at != running_.end();) {
    const RunStep& step = at->second.step;
    if (step.recovery != stop.recovery || step.step != stop.step || step.attempt != stop.attempt) {
      ++at;
      continue;
    }
    StepEntry end = entry_of(step);
    end.is_end = true;
    end.outcome = Outcome::timeout;
    end.text = "it was stopped: whether it was done is not known";
    if (step.verb != Verb::verify) journal_.write(end, [](const std::string&) {});
    at = running_.erase(at);
  }
}

// ---- pre-flight: one after another, so that it is no load

struct Actor::Checking {
  std::vector<Question> questions;
  std::size_t at = 0;
  Duration patience{};
  Checked told;
  std::vector<Finding> findings;
  std::unique_ptr<StepWorker> worker;
};

void Actor::check(std::vector<Question> questions, Duration patience, Checked told) {
  auto checking = std::make_shared<Checking>();
  if (questions.size() > most_questions) questions.resize(most_questions);
  checking->questions = std::move(questions);
  checking->patience = patience;
  checking->told = std::move(told);
  checkings_.push_back(checking);
  next_check(checking);
}

void Actor::next_check(const std::shared_ptr<Checking>& checking) {
  // Weak: a worker that is asked must not keep the asking alive.
  const auto later = [this, asking = std::weak_ptr<Checking>(checking)](Finding finding) {
    loop_.post([this, asking, finding = std::move(finding)] {
      const auto still = asking.lock();
      if (!still) return;
      still->findings.push_back(finding);
      ++still->at;
      next_check(still);
    });
  };
  checking->worker.reset();
  if (checking->at == checking->questions.size()) {
    std::erase(checkings_, checking);
    return checking->told(std::move(checking->findings));
  }
  const Question& q = checking->questions[checking->at];
  Finding finding{Finding::Level::bad, q.topology, q.what, {}};
  const ActionPlan* plan = find(q.action, q.from, q.to, q.topology);
  if (plan == nullptr) {
    finding.text = "there is no action " + q.action;
    return later(finding);
  }
  StepJob job;
  job.spec = plan->spec;
  job.topology = q.topology;
  job.from = q.from;
  job.to = q.to;
  job.parameters = q.parameters;
  job.deadline = Loop::now() + checking->patience;
  try {
    checking->worker = std::make_unique<StepWorker>(
        loop_, options_.worker, job, [finding, later, is_dry = plan->is_dry_run](const StepResult& result) mutable {
          finding.level = result.level;
          finding.text = result.text;
          if (is_dry && result.level == Finding::Level::good) {
            finding.level = Finding::Level::warning;
            finding.text += "; it is a dry run: write enabled: true to let it act";
          }
          later(finding);
        });
  } catch (const std::system_error& e) {
    finding.text = std::string("no worker could be started: ") + e.what();
    later(finding);
  }
}

}  // namespace vital
