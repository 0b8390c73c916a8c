// What commands that look back share: the config they try, the time they begin at, and the journal: of the agent that
// writes it, over its admin socket, or a file nobody writes. It is read page by page, so that weeks of results need no
// more memory than a page. One thread.
//
//   return with_record(args, [&](const Record& record) {
//     record.read([&](const JournalRow& row) { ... });
//     return exit_ok;
//   });
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cmd/cmd.hpp"
#include "config/config.hpp"
#include "store/journal_rows.hpp"

namespace vital::cmd {

constexpr Option since_option{0, "since", "WHEN", "a duration back (7d) or a time (2026-01-31T12:00:00Z)", "7d"};
constexpr Option journal_option{0, "journal", "FILE", "read this journal.db, and ask no agent"};
constexpr Option socket_option{0, "socket", "PATH", "the agent's admin socket, or $VITALD_SOCKET",
                               "/run/vitald/admin.sock"};

struct Record {
  std::shared_ptr<const Config> config;
  WallTime since{}, now{};
  // Every row from the state before `since` on, in order. Throws std::runtime_error with a line for the operator.
  std::function<void(const std::function<void(const JournalRow&)>&)> read;
};

// Reads --config, --since, --journal and --socket and goes to work; what is wrong is said in vitalctl's name, as these
// commands are called by it. Gives the exit code.
int with_record(const Arguments& args, const std::function<int(const Record&)>& work);

// The body of /api/v1/journal; throws std::runtime_error if it is none. Pure.
JournalPage parse_journal_page(const std::string& body);

}  // namespace vital::cmd
