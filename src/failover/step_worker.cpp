// See step_worker.hpp.
#include "failover/step_worker.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "base/duration.hpp"
#include "base/text.hpp"
#include "loop/orphans.hpp"
#include "modules/wire.hpp"

namespace vital {
namespace {

using failover::Finding;
using failover::Outcome;
using namespace std::chrono_literals;

LaunchOptions launch_options(const std::string& worker) {
  LaunchOptions out;
  out.worker = worker;
  out.role = "blocking";
  return out;
}

Duration slept_in_all() {
  timespec monotonic{};
  timespec boot{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  return std::chrono::seconds(boot.tv_sec - monotonic.tv_sec) + Duration(boot.tv_nsec - monotonic.tv_nsec);
}

std::string fact_of(const ProbeResult& result, std::string_view fact) {
  for (const auto& [called, value] : result.facts) {
    if (called == fact) return value;
  }
  return {};
}

}  // namespace

std::string filled_in(std::string_view text, const std::map<std::string, std::string>& words) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    const std::size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) break;
    const auto word = words.find(std::string(text.substr(open + 1, close - open - 1)));
    out += text.substr(0, open);
    out += word == words.end() ? std::string(text.substr(open, close - open + 1)) : word->second;
    text.remove_prefix(close + 1);
  }
  return out.append(text);
}

wire::Values step_values(const StepJob& job, Duration slept) {
  std::map<std::string, std::string> words = job.parameters;
  words["from"] = job.from;
  words["to"] = job.to;
  words["topology"] = job.topology;
  wire::Values out;
  for (const auto& [name, items] : job.spec->values) {
    const bool is_secret = std::ranges::find(job.spec->secrets, name) != job.spec->secrets.end();
    std::vector<std::string> filled;
    for (const std::string& item : items) filled.push_back(is_secret ? item : filled_in(item, words));
    out.emplace_back(name, std::move(filled));
  }
  const auto add = [&](const char* name, std::string value) { out.push_back({name, {std::move(value)}}); };
  add("step.verb", job.verb);
  add("step.topology", job.topology);
  add("step.recovery", job.recovery);
  add("step.number", std::to_string(job.step));
  add("step.from", job.from);
  add("step.to", job.to);
  add("step.token", std::to_string(job.token));
  add("step.not_after", std::to_string(job.not_after.time_since_epoch().count()));
  add("step.slept", std::to_string(slept.count()));
  add("step.dry_run", job.is_dry_run ? "true" : "false");
  return out;
}

CheckSpec with_idle_step(const CheckSpec& spec) {
  StepJob job;
  job.spec = std::make_shared<const CheckSpec>(spec);
  job.topology = "main";
  job.from = "one";
  job.to = "two";
  CheckSpec out = spec;
  out.values = step_values(job, {});
  return out;
}

StepResult step_result(std::string_view verb, const std::optional<ProbeResult>& result, const std::string& why) {
  const bool may_have_acted = verb == "perform" || verb == "compensate";
  if (!result) {
    return {may_have_acted ? Outcome::timeout : Outcome::unverified, Finding::Level::bad,
            "the worker " + why + (may_have_acted ? ": whether it was done is not known" : "")};
  }
  StepResult out;
  out.text = result->text;
  const bool is_good = result->verdict == Verdict::pass;
  out.level = is_good                            ? Finding::Level::good
              : result->verdict == Verdict::warn ? Finding::Level::warning
                                                 : Finding::Level::bad;
  if (verb == "verify") {
    // A warning is not what was asked for.
    out.outcome = is_good ? Outcome::done : Outcome::unverified;
    return out;
  }
  const std::string said = fact_of(*result, "outcome");
  if (is_good || result->verdict == Verdict::warn) {
    out.outcome = Outcome::done;
  } else if (said == "vetoed") {
    out.outcome = Outcome::vetoed;
  } else if (said == "too_late") {
    out.outcome = Outcome::too_late;
  } else if (said == "timeout" || result->verdict == Verdict::unknown) {
    out.outcome = Outcome::timeout;  // it may have been done
  } else {
    out.outcome = Outcome::failed;
  }
  return out;
}

StepWorker::StepWorker(Loop& loop, const std::string& worker, const StepJob& job, Done done)
    : loop_(loop),
      verb_(job.verb),
      done_(std::move(done)),
      launched_(launch_worker(loop, launch_options(worker),
                              [this](int status) {
                                if (channel_) channel_->read_all();  // its last words may still be on the way
                                end(step_result(verb_, {}, describe_status(status)));
                              })),
      late_(loop, [this] {
        end({verb_ == "verify" ? Outcome::unverified : Outcome::timeout, Finding::Level::bad,
             "it did not end in time, and was killed"});
      }) {
  channel_.emplace(loop, std::move(launched_.socket),
                   wire::Channel::Handlers{[this](std::string_view payload) { take(payload); }, {}});
  late_.arm_at(job.deadline);
  const std::string name = job.spec->check;
  if (!channel_->send(
          wire::ToWorker(wire::Prepare{1, name, job.spec->module.path, step_values(job, slept_in_all())})) ||
      !channel_->send(wire::ToWorker(wire::Create{1}))) {
    late_.arm_at(Loop::now());
    return;
  }
  // A little before the end, so that its own words arrive from a busy machine, too.
  const Duration margin = std::min<Duration>(1s, std::max(job.deadline - Loop::now(), Duration{}) / 10);
  channel_->send(wire::ToWorker(wire::Run{1, 1, job.attempt, job.deadline - margin}));
  channel_->flush();
}

StepWorker::~StepWorker() {
  channel_.reset();
  if (launched_.child && launched_.child->is_running()) launched_.child->kill_group(SIGKILL);
  launched_.child.reset();
  orphans::sweep();
}

void StepWorker::take(std::string_view payload) {
  const auto message = wire::decode_to_agent(payload);
  if (!message) return end(step_result(verb_, {}, "sent something that makes no sense"));
  if (const auto* hello = std::get_if<wire::Hello>(&*message); hello != nullptr && hello->version != wire::version) {
    return end(step_result(verb_, {}, fmt::format("is vitald-worker {}, this is {}", hello->program, VITALD_VERSION)));
  }
  if (const auto* created = std::get_if<wire::Created>(&*message); created != nullptr && !created->is_ok) {
    return end({Outcome::failed, Finding::Level::bad, created->option + ": " + created->text});
  }
  if (const auto* result = std::get_if<wire::Result>(&*message)) end(step_result(verb_, result->result, {}));
}

void StepWorker::end(const StepResult& result) {
  const auto tell = std::exchange(done_, {});
  if (!tell) return;
  late_.disarm();
  // Not from within the channel or the child, which the one who is told will destroy.
  loop_.post([tell, result] { tell(result); });
}

}  // namespace vital
