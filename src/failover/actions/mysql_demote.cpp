// mysql.demote: a server of MariaDB or MySQL takes no writes any more. A fence for a primary that can still be reached:
// users with SUPER (MariaDB: READ ONLY ADMIN) are not bound by it there.
#include "mysql_session.hpp"

namespace {

using namespace vital::action;
using sqldb::Row;
using sqldb::Session;

constexpr OptionRow options[] = {
    VITAL_MYSQL_ROWS,
    {"kill", Type::boolean, "true", "end the other sessions, so that none holds a transaction that wrote"},
    VITAL_STEP_ROWS};

class Demote final : public Action {
 public:
  explicit Demote(const Options& o) : place_(o), kills_(o.boolean("kill")) {}

  Result check(const Step&, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
      bool may = false;
      for (const Row& grant : db.ask("SHOW GRANTS")) {
        for (const auto& [column, text] : grant) {
          for (const char* right :
               {"ALL PRIVILEGES ON *.*", "SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "SYSTEM_VARIABLES_ADMIN"}) {
            may = may || text.find(right) != std::string::npos;
          }
        }
      }
      if (!may) return fail(Cause::auth, place_.user + " may not set read_only on " + place_.target());
      return pass(place_.user + " may set read_only on " + place_.target());
    });
  }

  Result perform(const Step& step, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
      const bool is_mariadb = db.is_mariadb();
      step.begin_effect();
      // It waits for transactions that write: those end first.
      if (kills_) {
        for (const Row& r :
             db.ask("SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND "
                    "NOT LIKE 'Binlog Dump%' AND COMMAND <> 'Daemon' AND USER NOT IN ('system user', "
                    "'event_scheduler')")) {
          try {
            db.run("KILL " + r.at("ID"));
          } catch (const Stop&) {  // it has gone by itself
          }
        }
      }
      db.run(is_mariadb ? "SET GLOBAL read_only = 1" : "SET GLOBAL super_read_only = 1");
      return pass(place_.target() + " was made read-only");
    });
  }

  Result verify(const Step&, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
      if (!db.is_read_only()) return fail(Cause::role, place_.target() + " is not read-only");
      if (place_.table.empty()) return pass(place_.target() + " is read-only");
      try {
        db.write();
      } catch (const Stop& stop) {
        if (stop.result.cause == Cause::role) return pass(place_.target() + " refuses writes");
        throw;
      }
      return warn(Cause::role, place_.target() + " is read-only, but not for " + place_.user);
    });
  }

  Result compensate(const Step& step, const Attempt& attempt) override {
    return sqldb::with_session(place_, attempt, [&](Session& db, const Fuse&) {
      const bool is_mariadb = db.is_mariadb();
      step.begin_effect();
      if (!is_mariadb) db.run("SET GLOBAL super_read_only = 0");
      db.run("SET GLOBAL read_only = 0");
      return pass(place_.target() + " takes writes again");
    });
  }

 private:
  Session::Place place_;
  bool kills_;
};

}  // namespace

VITAL_ACTION(Demote, "mysql.demote", "1.0", "makes a MariaDB or MySQL server read-only", options)
