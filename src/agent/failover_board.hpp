// FailoverBoard: what FailoverControl shows the world of its policies.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/failover/plan.hpp"
#include "store/journal_rows.hpp"

namespace vital {

// What the world may read of policies; outlives the control. [any]
class FailoverBoard {
 public:
  void put(std::string document, std::string metrics, std::vector<failover::FailoverPolicyPlan> plans);
  std::string document() const;   // a JSON array, one object a topology
  std::string metrics() const;    // Prometheus text
  std::string_view mode() const;  // the strongest of all
  // The ledger for people: {"decisions": [...]}, made again without the word of a node if one is named.
  std::string decisions(const std::vector<JournalEvent>& lines, const std::string& without) const;

 private:
  mutable std::mutex m_;
  std::string document_ = "[]";                      // guarded by m_
  std::string metrics_;                              // guarded by m_
  std::vector<failover::FailoverPolicyPlan> plans_;  // guarded by m_
};

}  // namespace vital
