// What a module does while it lives: made and ended many times, probed, cancelled, torn down in the middle. Each
// function starts workers of its own, so that one death is one line. [control]
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "modules/option.hpp"
#include "trial/trial.hpp"

namespace vital::trial {

class Life {
 public:
  Life(const TrialOptions& options, std::shared_ptr<const CheckSpec> spec, std::function<void(Line)> tell)
      : options_(options), spec_(std::move(spec)), tell_(std::move(tell)) {}

  bool creates();  // many times; false: nothing else makes sense
  bool probes();   // one probe, and what it says; false: nothing else makes sense
  void keeps_deadlines();
  void is_cancelled();   // async: cancelled at any moment, ended with a probe under way
  void lasts();          // many rounds: memory, descriptors, threads, processes
  void hands_in_well();  // what workers complained of in all of the above; last

 private:
  bool is_async() const { return spec_->module.lane == Lane::async; }
  void remember(const class Subject& subject);
  void pass(std::string name, std::string text) const { tell_({std::move(name), Outcome::pass, std::move(text), {}}); }
  void fail(std::string name, std::string text, std::string advice) const {
    tell_({std::move(name), Outcome::fail, std::move(text), std::move(advice)});
  }

  const TrialOptions& options_;
  std::shared_ptr<const CheckSpec> spec_;
  std::function<void(Line)> tell_;
  std::vector<std::string> complaints_;
  std::size_t logged_ = 0;
};

}  // namespace vital::trial
