// GET /api/v1/availability: from what the journal holds of the last thirty days, and what is shown now, to the share of
// time each check and service was up. Pure.
#pragma once

#include <string>

#include "core/snapshot.hpp"
#include "store/journal_rows.hpp"

namespace vital {

// {"checks": [{"name", "windows": {"1h": {"availability", "up_ms", "down_ms", "planned_ms", "unknown_ms"}, "1d", "7d",
// "30d"}}], "services": [...]}. For checks planned is a drain or maintenance of the node, for services their own too.
std::string availability_document(const JournalTimeline& timeline, const Snapshot& shown, WallTime now);

}  // namespace vital
