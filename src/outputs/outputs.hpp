// Outputs: everybody who is told, instead of asking. It gives each output the word of the newest snapshot, looks after
// all of them by their reconcilers, and says which one fails. None can hold up another, the loop or the endpoint.
// [loop]
//
//   Outputs outputs(loop, {...}, {...});
//   outputs.adopt(config->outputs);
//   outputs.show(snapshot);                  // whenever there is a new one
//   outputs.leave(2s, [] { ... });           // the last words before the agent ends
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine.hpp"
#include "loop/loop.hpp"
#include "outputs/port.hpp"
#include "outputs/reconciler.hpp"
#include "outputs/spec.hpp"
#include "outputs/word.hpp"

namespace vital {

// One output as people see it.
struct OutputView {
  std::string name;
  std::string type;
  std::string service;  // empty = the node
  OutputState state = OutputState::pending;
  WallTime since{};        // of the state
  std::string told;        // what is wanted now: "pass"; empty before the first word
  std::string error;       // of the last look, one line
  WallTime last_change{};  // when something else was told last, or it was set right
  OutputCounters counters;
  std::size_t queued = 0;
  std::size_t dropped = 0;
  std::optional<std::size_t> users;
  bool is_confirmed = false;  // the other side holds what is wanted
};

using MakePort = std::function<std::unique_ptr<Port>(Loop&, const OutputSpec&)>;

struct OutputHooks {
  std::function<void(Note::Level, std::string event, std::vector<std::pair<std::string, std::string>>)> note;
  std::function<void()> changed;  // a view is another now
};

class Outputs {
 public:
  Outputs(Loop& loop, MakePort make_port, OutputHooks hooks);
  ~Outputs();
  Outputs(const Outputs&) = delete;
  Outputs& operator=(const Outputs&) = delete;

  // Outputs whose entry did not change go on as they are. What a removed one told stands.
  void adopt(const std::vector<OutputSpec>& specs);
  void show(std::shared_ptr<const Snapshot> snapshot);

  // No snapshot counts any more; each output is told what its on_stop says. `left` comes once, when all have been, or
  // after `patience`. Call it once.
  void leave(Duration patience, std::function<void()> left);

  std::vector<OutputView> views() const;
  // A thread is stuck in a file system: leave by _Exit.
  bool has_strays() const;

 private:
  struct Item;
  void turn();
  void start(Item& item, Instant now);
  void ended(Item& item, const Synced& synced);
  void note_state(Item& item);
  bool is_left() const;

  Loop& loop_;
  MakePort make_port_;
  OutputHooks hooks_;
  std::vector<std::unique_ptr<Item>> items_;
  std::shared_ptr<const Snapshot> snapshot_;
  Timer timer_;
  std::function<void()> left_;  // set while leaving
  std::optional<Instant> patience_;
  bool is_leaving_ = false;
};

// Prometheus text: families vitald_output_*. Pure.
std::string output_metrics(const std::vector<OutputView>& views);

// The ports of every kind, as the agent uses them.
struct PortOptions {
  std::string helper;     // path of vitald-deliver
  std::string state_dir;  // where queues are kept
};
MakePort real_ports(const PortOptions& options);

}  // namespace vital
