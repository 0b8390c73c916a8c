// A trial: one module put through its contract, with a line for each thing that is asked of it. It starts workers and
// waits for them: for a command, never on the agent's loop. [control]
//
//   for (const Line& line : run_trial({worker, "./spool.so", {"path=/var/mail"}}, {})) ...
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time.hpp"

namespace vital::trial {

enum class Outcome : std::uint8_t { pass, fail, skipped };

struct Line {
  std::string name;  // "leaks"
  Outcome outcome = Outcome::pass;
  std::string text;    // what was seen
  std::string advice;  // what to do; only of a fail
};

struct TrialOptions {
  std::string worker;              // path of vitald-worker
  std::string module;              // path of TYPE.so
  std::vector<std::string> words;  // KEY=VALUE, as for vitald-worker --probe
  unsigned rounds = 1000;
  Duration timeout = std::chrono::seconds(2);    // of a probe
  Duration patience = std::chrono::seconds(30);  // for all rounds together; fewer are made then
  bool with_valgrind = true;                     // if it is installed
};

// `told` gets each line as soon as it is known; may be empty. Throws std::system_error if no worker can be started.
std::vector<Line> run_trial(const TrialOptions& options, const std::function<void(const Line&)>& told);

}  // namespace vital::trial
