// Two histories beside each other; see replay.hpp.
#include <algorithm>
#include <utility>

#include "core/replay.hpp"

namespace vital {

namespace {

using Subject = std::pair<bool, std::string>;                // is_service, name
using Line = std::vector<std::pair<WallTime, std::string>>;  // what was said from when on

std::map<Subject, Line> lines_of(const std::vector<ReplayChange>& changes) {
  std::map<Subject, Line> out;
  for (const ReplayChange& c : changes) {
    Line& line = out[{c.is_service, c.name}];
    const std::string& said = c.is_service ? c.answer : c.to;
    if (!line.empty() && line.back().first == c.at) {
      line.back().second = said;
    } else if (line.empty() || line.back().second != said) {
      line.emplace_back(c.at, said);
    }
  }
  return out;
}

const std::string& at(const Line& line, WallTime when) {
  static const std::string nothing;
  const auto after =
      std::upper_bound(line.begin(), line.end(), when, [](WallTime t, const auto& entry) { return t < entry.first; });
  return after == line.begin() ? nothing : std::prev(after)->second;
}

void add_up(const Line& line, WallTime from, WallTime to, unsigned* falls, Duration* down) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i].second != "fail") continue;
    const WallTime begin = std::max(line[i].first, from);
    const WallTime end = std::min(i + 1 < line.size() ? line[i + 1].first : to, to);
    if (end > begin) *down += end - begin;
    // What was down from the beginning did not fall here, and what was pending was never up.
    if (i > 0 && line[i - 1].second != "pending" && line[i].first > from && line[i].first <= to) ++*falls;
  }
}

}  // namespace

ReplayComparison compare(const std::vector<ReplayChange>& recorded, const std::vector<ReplayChange>& replayed,
                         WallTime from, WallTime to, Duration tolerance) {
  ReplayComparison out;
  const auto was = lines_of(recorded);
  const auto would = lines_of(replayed);
  for (const auto& [subject, said] : was) {
    const auto found = would.find(subject);
    if (found == would.end()) continue;
    const Line& instead = found->second;
    ReplaySummary sum{subject.second, subject.first, 0, 0, {}, {}};
    add_up(said, from, to, &sum.falls, &sum.down);
    add_up(instead, from, to, &sum.would_fall, &sum.would_be_down);
    out.subjects.push_back(std::move(sum));

    std::vector<WallTime> moments{from};
    for (const Line* line : {&said, &instead}) {
      for (const auto& [when, what] : *line) {
        if (when > from && when < to) moments.push_back(when);
      }
    }
    std::sort(moments.begin(), moments.end());
    std::vector<ReplayDifference> found_here;
    for (std::size_t i = 0; i < moments.size(); ++i) {
      const WallTime end = i + 1 < moments.size() ? moments[i + 1] : to;
      const std::string &a = at(said, moments[i]), &b = at(instead, moments[i]);
      if (a == b || a.empty() || b.empty() || end <= moments[i]) continue;
      if (!found_here.empty() && found_here.back().to == moments[i] && found_here.back().said == a &&
          found_here.back().would_say == b) {
        found_here.back().to = end;
      } else {
        found_here.push_back({subject.second, subject.first, moments[i], end, a, b});
      }
    }
    for (ReplayDifference& d : found_here) {
      if (d.to - d.from >= tolerance) out.differences.push_back(std::move(d));
    }
  }
  std::stable_sort(out.differences.begin(), out.differences.end(),
                   [](const ReplayDifference& a, const ReplayDifference& b) { return a.from < b.from; });
  return out;
}

}  // namespace vital
