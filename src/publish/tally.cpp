// Counting probes; see tally.hpp.
#include "publish/tally.hpp"

#include <algorithm>

namespace vital {

void Tally::add(std::string_view check, Verdict verdict, Cause cause, Duration took) {
  const double t = seconds(took);
  const auto bucket = static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), t) - bounds.begin());
  const std::lock_guard lock(m_);
  auto found = rows_.find(check);
  if (found == rows_.end()) found = rows_.emplace(std::string(check), Row{}).first;
  Row& row = found->second;
  ++row.ends.at(static_cast<std::size_t>(verdict)).at(static_cast<std::size_t>(cause));
  ++row.buckets.at(bucket);
  row.seconds_sum += t;
  ++row.count;
}

void Tally::keep_only(const std::vector<std::string>& checks) {
  const std::lock_guard lock(m_);
  std::erase_if(
      rows_, [&](const auto& entry) { return std::find(checks.begin(), checks.end(), entry.first) == checks.end(); });
}

std::map<std::string, Tally::Row, std::less<>> Tally::copy() const {
  const std::lock_guard lock(m_);
  return rows_;
}

}  // namespace vital
