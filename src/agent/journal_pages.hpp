// What /api/v1/events, /results, /history and /journal say: a query as the front decoded it becomes a JournalQuery,
// rows become JSON. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "publish/front.hpp"
#include "store/journal_rows.hpp"

namespace vital::journal_pages {

// since and until (RFC 3339, or a duration back from `now`), check, event (several with commas between), after (an id),
// limit (1 to 100,000): those of them that are `known` here. Else `problem` says in one line what to write.
std::optional<JournalQuery> parse(const QueryList& query, const std::vector<std::string>& known, WallTime now,
                                  std::string* problem);

// {"error": why}
GetAnswer refuse(int status, std::string_view why);

// What the journal found (nothing if it cannot be read; one more than the limit if there is more) and what the ring
// still knows, each once, in order, up to the limit.
std::vector<JournalEvent> joined(const JournalQuery& query, std::optional<std::vector<JournalEvent>> found,
                                 const std::vector<JournalEvent>& ring, bool* has_more);

// What the journal found (nothing if it cannot be read) and what the ring still knows, joined: {"events": [...],
// "last_id": N, "has_more": false, "source": "journal"}. Whoever asks again with after=last_id misses nothing and gets
// nothing twice. `newest` is the id of the newest event there is.
std::string events(const JournalQuery& query, std::optional<std::vector<JournalEvent>> found,
                   const std::vector<JournalEvent>& ring, std::int64_t newest);

// One event as it stands in all of these.
std::string event(const JournalEvent& e);

// {"results": [...], "last_id": N, "has_more": false}; `found` holds one more than the limit if there is more.
std::string results(const JournalQuery& query, std::vector<JournalResult> found);

// {"check": NAME, "hours": [...]}
std::string hours(const std::string& check, const std::vector<JournalHour>& found);

// Rows of every kind as arrays, compact, in the order of ids: {"rows": [["r", id, ...], ...], "last_id", "has_more"}.
std::string page(const JournalPage& page);

}  // namespace vital::journal_pages
