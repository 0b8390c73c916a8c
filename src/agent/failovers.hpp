// Failovers: the topologies of the config over time, and what the world may read of them. The loop feeds it every
// result; the page and the metrics are made there and read by the front's thread, which waits for nobody. What it
// notices are notes for the log and the journal; the records among them (`failover`, `primary_back`) are where
// histories come from.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover_watch.hpp"
#include "store/journal_rows.hpp"

namespace vital {

// The names of the notes that are whole records: another member is primary, the same one is again.
std::vector<std::string> failover_records();
// The same, and what says who was primary without one.
std::vector<std::string> primary_records();

// {"mode", "topologies": [...], "policies": [...], "failovers": [...]}: records newest first, as the journal gave them.
// Pure.
std::string failovers_document(const std::vector<JournalEvent>& records, std::string_view topologies,
                               std::string_view policies = "[]", std::string_view mode = "observe");

class Failovers {
 public:
  // Topologies of the same name go on from what they know. [loop]
  void adopt(Now now, const std::vector<TopologyPlan>& topologies, const Plan& plan);
  // Who was primary when a record was written last: the newest record of each topology. [loop]
  void remember(const std::vector<JournalEvent>& records);
  void remember_primary(const std::string& topology, const std::string& member);

  std::vector<Note> ended(Now now, CheckId check, const ProbeResult& result);  // [loop]
  std::vector<Note> tick(Now now);                                             // now and then [loop]

  // How far a recovery that this agent makes has come. [loop]
  void recovery(const std::string& topology, WallTime at, FailoverWatch::Step step);

  void each(const std::function<void(const FailoverWatch&)>& see) const;  // [loop]
  bool is_any() const { return !watches_.empty(); }                       // [loop]

  std::string topologies() const;  // a JSON array [any]
  std::string metrics() const;     // Prometheus text [any]

 private:
  struct Watched {
    FailoverWatch watch;
    std::vector<std::string> checks;  // names, beside the members
    std::string endpoint;
    Duration predicted{};  // at worst until the check of a member falls, by its config
    std::uint64_t moved = 0, returned = 0;
    double last_down = 0;                         // seconds
    std::map<std::string, double> last_phases{};  // of the last record: seconds of what is known
  };
  std::vector<Note> counted(Watched& of, std::vector<Note> notes);
  void show(Now now);

  std::map<std::string, Watched> watches_;  // loop only
  Instant shown_at_{};

  mutable std::mutex m_;
  std::string topologies_ = "[]";  // guarded by m_
  std::string metrics_;            // guarded by m_
};

}  // namespace vital
