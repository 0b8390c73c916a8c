// StateStore: what a restart must not forget (overlays, states, counters), kept in one file of state_dir. A thread of
// its own writes it, so that a disk that hangs holds up nobody; only the newest state waits. The file is believed only
// if it is whole and ours (store/saved_text.hpp).
//
//   StateStore store("/var/lib/vitald");
//   store.save(engine.save(now), [](const std::string& trouble) { ... });
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "core/saved.hpp"

namespace vital {

class StateStore {
 public:
  explicit StateStore(std::string state_dir);
  // What is still to be written is left to its thread; see finish().
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // What the last save left; empty if there was none. `problem` says in one line why a file was ignored. [control]
  std::optional<SavedState> load(std::string* problem) const;

  // Replaces the file, safe against a crash at any moment. `done` gets an empty text, or why it could not be written,
  // on the store's thread; a save that was overtaken by a newer one is done when that one is. [any]
  void save(SavedState state, std::function<void(const std::string& trouble)> done);

  // Before the process ends: waits until everything is written, but not longer than `patience`. False if its thread is
  // still at it. [control]
  bool finish(Duration patience);

 private:
  struct Shared;
  std::string path_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vital
