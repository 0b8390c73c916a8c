// mysql.promote: a replica of MariaDB or MySQL becomes the primary: what it has received is applied first, then it
// stops and forgets its source and takes writes. Believed only when it does take one.
#include "mysql_session.hpp"

namespace {

using namespace vital::action;
using sqldb::Row;
using sqldb::Session;

constexpr OptionRow options[] = {VITAL_MYSQL_ROWS, VITAL_STEP_ROWS};

// Whether all that was received has been applied.
bool is_applied(const Row& r) {
  const std::string read_file = sqldb::first_of(r, {"Master_Log_File", "Source_Log_File"});
  const std::string done_file = sqldb::first_of(r, {"Relay_Master_Log_File", "Relay_Source_Log_File"});
  const std::string read_at = sqldb::first_of(r, {"Read_Master_Log_Pos", "Read_Source_Log_Pos"});
  const std::string done_at = sqldb::first_of(r, {"Exec_Master_Log_Pos", "Exec_Source_Log_Pos"});
  return read_file == done_file && read_at == done_at;
}
bool is_applying(const Row& r) { return sqldb::first_of(r, {"Slave_SQL_Running", "Replica_SQL_Running"}) == "Yes"; }

class Promote final : public Action {
 public:
  explicit Promote(const Options& o) : place_(o) {}

  Result check(const Step&, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
      const auto sources = db.sources();  // needs the right that stopping it needs, or a near one
      if (sources.empty()) return warn(Cause::role, place_.target() + " replicates from nobody");
      for (const Row& r : sources) {
        if (!is_applying(r)) return fail(Cause::role, place_.target() + " does not apply what it receives");
      }
      if (place_.table.empty()) return warn(Cause::config, place_.target() + ": without write_table no write is tried");
      return pass(place_.target() + " is a replica that applies what it receives");
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse& fuse) {
      auto sources = db.sources();
      if (sources.empty() && !db.is_read_only()) return pass(place_.target() + " is a primary already");
      for (const Row& r : sources) {
        if (!is_applied(r) && !is_applying(r)) veto(place_.target() + " has received what it does not apply");
      }
      while (!std::all_of(sources.begin(), sources.end(), is_applied)) {
        if (monotonic_now() + std::chrono::seconds(1) > fuse.at()) veto(place_.target() + " is not done applying");
        const timespec pause{0, 100'000'000};
        nanosleep(&pause, nullptr);
        sources = db.sources();
      }
      const bool is_mariadb = db.is_mariadb();
      step.begin_effect();
      if (!sources.empty()) {
        db.run(is_mariadb ? "STOP ALL SLAVES" : "STOP REPLICA");
        for (const Row& r : sources) {
          const std::string name = sqldb::first_of(r, {"Connection_name"});
          db.run(is_mariadb ? "RESET SLAVE '" + name + "' ALL" : "RESET REPLICA ALL");
          if (!is_mariadb) break;
        }
      }
      if (!is_mariadb) db.run("SET GLOBAL super_read_only = 0");
      db.run("SET GLOBAL read_only = 0");
      return pass(place_.target() + " was promoted");
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return poll_until(attempt.deadline() - std::chrono::milliseconds(300), std::chrono::milliseconds(200), [&] {
      return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
        if (db.is_read_only()) return fail(Cause::role, place_.target() + " is read-only");
        if (!db.sources().empty()) return fail(Cause::role, place_.target() + " still has a source");
        if (place_.table.empty()) return pass(place_.target() + " is not read-only and has no source");
        db.write();
        return pass(place_.target() + " is a primary and took a write");
      });
    });
  }

 private:
  Session::Place place_;
};

}  // namespace

VITAL_ACTION(Promote, "mysql.promote", "1.0", "promotes a replica of MariaDB or MySQL", options)
