// StepJournal: what is about to be done, on disk before it is done. After a crash or a power cut it shows which step
// was under way, so that it can be looked at (verified) instead of being done twice or forgotten. A small file of
// lines, each with a sum of its own; a last line that was cut off is dropped. The disk is touched by a thread of its
// own, which may outlive us. [loop]
//
//   StepJournal journal(loop, path, [&](std::vector<StepEntry> interrupted, std::string trouble) { ... });
//   journal.write(entry, [&](const std::string& trouble) { if (trouble.empty()) act(); });
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/seam.hpp"
#include "loop/loop.hpp"

namespace vital {

struct StepEntry {
  bool is_end = false;
  std::string recovery, topology, from, to, action;
  std::uint32_t step = 0, attempt = 0;
  failover::Verb verb = failover::Verb::perform;
  std::int64_t token = 0;
  failover::Outcome outcome = failover::Outcome::failed;  // of an end
  std::string text;                                       // of an end
  std::string at;                                         // RFC 3339, for people
  bool operator==(const StepEntry&) const = default;
};

// One line, with its newline. Pure.
std::string print(const StepEntry& entry);
// Empty if it is not exactly what print() made. Pure.
std::optional<StepEntry> parse_step(std::string_view line);
// The beginnings without an end, in order. *bad counts lines that are none. Pure.
std::vector<StepEntry> interrupted_in(std::string_view text, std::size_t* bad);

class StepJournal {
 public:
  // Told once, later: what was under way when the last writer ended, or why the file cannot be used.
  using Loaded = std::function<void(const std::vector<StepEntry>& interrupted, const std::string& trouble)>;
  using Written = std::function<void(const std::string& trouble)>;

  // An empty path keeps nothing: every write succeeds.
  StepJournal(Loop& loop, std::string path, Loaded loaded);
  ~StepJournal();
  StepJournal(const StepJournal&) = delete;
  StepJournal& operator=(const StepJournal&) = delete;

  // `written` comes once, later, when the line is on disk (fsync), or not at all. At most 64 may wait: then it is told
  // so.
  void write(const StepEntry& entry, Written written);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vital
