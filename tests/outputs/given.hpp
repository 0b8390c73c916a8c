// Snapshots and ports for the tests of outputs: a node with two services whose answers are said, and a target that
// remembers what it was told and can be made to fail.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "outputs/outputs.hpp"

namespace vital::given {

using namespace std::chrono_literals;

inline Instant at(Duration since_start) { return Instant{} + std::chrono::hours(1) + since_start; }

struct Answers {
  Verdict web = Verdict::pass;
  Verdict ldap = Verdict::pass;
  State web_state = State::pass;
  OverlayKind overlay = OverlayKind::none;
  bool is_stopping = false;
  Duration drain{};
};

inline std::shared_ptr<const Snapshot> snapshot(const Answers& a, std::uint64_t seq = 1) {
  auto plan = std::make_shared<Plan>();
  plan->node = "n1";
  plan->shutdown_drain = a.drain;
  plan->services = {ServicePlan{.name = "web"}, ServicePlan{.name = "ldap"}};
  Snapshot out;
  out.seq = seq;
  out.services.resize(2);
  out.services[0].answer = a.web;
  out.services[0].state = a.web_state;
  out.services[0].reason = a.web == Verdict::pass ? "" : "db: fail/timeout: no answer";
  out.services[1].answer = a.ldap;
  out.services[1].state = State::pass;
  for (ServiceView& s : out.services) s.overlay = a.overlay;
  out.node = out.services[0];
  out.is_stopping = a.is_stopping;
  out.plan = std::move(plan);
  return std::make_shared<const Snapshot>(std::move(out));
}

inline OutputSpec keepalived(const std::string& path, const std::string& service = "") {
  OutputSpec out;
  out.name = "vip";
  out.service = service;
  out.interval = 50ms;
  out.timeout = 40ms;
  out.target = KeepalivedOutput{path, {"1", "1", "0", "0", "0"}};
  return out;
}

// What a fake target holds, shared with the test.
struct Target {
  std::string holds = "nothing";
  bool is_refusing = false;
  bool is_silent = false;  // never answers, not even when cancelled
  unsigned syncs = 0;
  unsigned cancels = 0;
  Port::Done waiting;  // of a silent target
};

class FakePort final : public Port {
 public:
  FakePort(Loop& loop, std::shared_ptr<Target> target) : loop_(loop), target_(std::move(target)) {}
  ~FakePort() override { *is_alive_ = false; }
  void sync(const Wanted& wanted, Done done) override {
    ++target_->syncs;
    if (target_->is_silent) {
      target_->waiting = std::move(done);
      return;
    }
    const std::string word = wanted.is_withdrawn ? "nothing" : std::string(name(wanted.word.told));
    Synced synced{Synced::How::kept, "", target_->holds, {}};
    if (target_->is_refusing) {
      synced = {Synced::How::failed, "refused", "", {}};
    } else if (target_->holds != word) {
      synced.how = Synced::How::written;
      target_->holds = word;
    }
    loop_.post([done = std::move(done), synced, alive = is_alive_] {
      if (*alive) done(synced);
    });
  }
  void cancel() override { ++target_->cancels; }

 private:
  Loop& loop_;
  std::shared_ptr<Target> target_;
  std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

// Outputs on fakes, and what they said.
struct Room {
  Loop loop;
  std::deque<std::shared_ptr<Target>> targets;  // in the order the outputs were made
  std::vector<std::string> said;
  Outputs outputs{
      loop,
      [this](Loop& l, const OutputSpec&) {
        targets.push_back(std::make_shared<Target>());
        return std::make_unique<FakePort>(l, targets.back());
      },
      {[this](Note::Level, const std::string& event, const std::vector<std::pair<std::string, std::string>>& fields) {
         said.push_back(event + " " + fields.front().second + " " + fields.back().second);
       },
       [] {}}};

  // Runs the loop until `claim` is true; false if that takes longer than ten seconds.
  template <typename Claim>
  bool until(const Claim& claim) {
    const Instant end = Loop::now() + 10s;
    while (!claim()) {
      if (Loop::now() > end) return false;
      loop.run_for(2ms);
    }
    return true;
  }
};

}  // namespace vital::given
