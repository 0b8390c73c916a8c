// How replication and Galera are judged: by name, NULL never as 0, a donor only where it may.
#include "mysql_replication.hpp"

#include <catch2/catch.hpp>

#include "given.hpp"
#include "outcome.hpp"

using namespace vital;
using namespace vital::check;
using namespace vital::check::mysql;

namespace {

Row mariadb(const std::string& io, const std::string& sql, std::optional<std::string> behind) {
  Row row = {{"Connection_name", ""},    {"Master_Host", "db1"},       {"Slave_IO_Running", io},
             {"Slave_SQL_Running", sql}, {"Last_IO_Error", ""},        {"Last_SQL_Error", ""},
             {"Gtid_IO_Pos", "0-1-270"}, {"Gtid_Slave_Pos", "0-1-268"}};
  if (behind) row["Seconds_Behind_Master"] = *behind;
  return row;
}

Result judged(const std::vector<Row>& rows, bool is_wanted = true, const Given::Values& values = {}) {
  const Given given(values);
  std::vector<Source> sources;
  for (const Row& row : rows) sources.push_back(Source::of(row));
  Findings found;
  Result seen = pass("db is fine");
  judge(sources, is_wanted, ReplicationLimits::options(given.options()), found, seen);
  return found.into(seen, "db");
}

double measured(const Result& r, const std::string& name) {
  for (const Measure& m : r.measures) {
    if (m.name == name) return m.value;
  }
  return -1;
}

Row node(const std::string& name = "", const std::string& value = "") {
  Row row = {{"wsrep_on", "ON"},
             {"wsrep_ready", "ON"},
             {"wsrep_connected", "ON"},
             {"wsrep_cluster_status", "Primary"},
             {"wsrep_local_state", "4"},
             {"wsrep_local_state_comment", "Synced"},
             {"wsrep_reject_queries", "NONE"},
             {"wsrep_desync", "OFF"},
             {"wsrep_cluster_size", "3"},
             {"wsrep_local_recv_queue", "0"}};
  if (!name.empty()) row[name] = value;
  return row;
}

std::string galera(const Row& row, Given::Values values = {}) {
  if (values.empty() || values.front().first != "galera_donor")
    values.insert(values.begin(), {"galera_donor", {"false"}});
  const Given given(values);
  Findings found;
  Result seen = pass("db is fine");
  judge_galera(row, GaleraLimits::options(given.options()), found, seen);
  return outcome(found.into(seen, "db"));
}

std::string serving(const Row& row) {
  Findings found;
  judge_serving(row, found);
  return outcome(found.into(pass("db is fine"), "db"));
}

}  // namespace

TEST_CASE("both threads must run") {
  CHECK(outcome(judged({mariadb("Yes", "Yes", "0")})) == "pass/none");
  CHECK(outcome(judged({mariadb("No", "Yes", {})})) == "fail/content");
  CHECK(outcome(judged({mariadb("Connecting", "Yes", {})})) == "fail/content");
  CHECK(outcome(judged({mariadb("Yes", "No", {})})) == "fail/content");
  CHECK(outcome(judged({Row{}})) == "fail/content");
}

TEST_CASE("a replica says whether it is linked to its source, and how it stands apart from that") {
  const auto told = [](const Row& row, const Given::Values& values = {}) {
    const Result r = judged({row}, true, values);
    return fact_of(r, "link") + "/" + fact_of(r, "apart_from_link");
  };
  CHECK(told(mariadb("Yes", "Yes", "0")) == "up/");
  CHECK(told(mariadb("Connecting", "Yes", {})) == "down/pass");
  CHECK(told(mariadb("Connecting", "Yes", {}), {{"fail_lag", {"1000000000"}}}) == "down/pass");
  CHECK(told(mariadb("Connecting", "No", {})) == "down/fail");
  CHECK(fact_of(judged({mariadb("Connecting", "Yes", {})}), "position") == "0-1-270");
  Row plain = mariadb("Yes", "Yes", "0");
  plain.erase("Gtid_IO_Pos");
  plain["Master_Log_File"] = "binlog.000003";
  plain["Read_Master_Log_Pos"] = "1234";
  CHECK(fact_of(judged({plain}), "position") == "binlog.000003:1234");
}

TEST_CASE("a lag of NULL is unknown, never 0") {
  CHECK(outcome(judged({mariadb("Yes", "Yes", {})})) == "pass/none");
  const Result r = judged({mariadb("Yes", "Yes", {})}, true, {{"warn_lag", {"1000000000"}}});
  CHECK(outcome(r) == "unknown/content");
  CHECK(measured(r, "lag") == -1);
  CHECK(outcome(judged({mariadb("Yes", "Yes", "NULL")}, true, {{"warn_lag", {"1000000000"}}})) == "unknown/content");
}

TEST_CASE("the lag is judged by its limits, the furthest behind of several sources first") {
  const Given::Values limits = {{"warn_lag", {"10000000000"}}, {"fail_lag", {"60000000000"}}};
  CHECK(outcome(judged({mariadb("Yes", "Yes", "10")}, true, limits)) == "pass/none");
  CHECK(outcome(judged({mariadb("Yes", "Yes", "11")}, true, limits)) == "warn/content");
  const Result r = judged({mariadb("Yes", "Yes", "11"), mariadb("Yes", "Yes", "61")}, true, limits);
  CHECK(outcome(r) == "fail/content");
  CHECK(r.text.find("db: it is 61 s behind from db1, above fail_lag 1m") == 0);
  CHECK(measured(r, "lag") == 61);
  CHECK(measured(judged({mariadb("Yes", "Yes", "11"), mariadb("Yes", "Yes", {})}), "lag") == -1);
}

TEST_CASE("MySQL's words are understood as MariaDB's") {
  const Row row = {{"Channel_Name", "c1"},        {"Source_Host", "db1"},          {"Replica_IO_Running", "Yes"},
                   {"Replica_SQL_Running", "No"}, {"Last_SQL_Error", "Duplicate"}, {"Seconds_Behind_Source", "7"}};
  const Result r = judged({row});
  CHECK(r.text == "db: its SQL thread from db1 (c1) says No: Duplicate");
  CHECK(measured(r, "lag") == 7);
}

TEST_CASE("who follows nobody is only wrong where a replica is wanted") {
  CHECK(outcome(judged({}, true)) == "fail/content");
  CHECK(outcome(judged({}, false)) == "pass/none");
}

TEST_CASE("transactions that wait are counted over all domains") {
  CHECK(*waiting_transactions("0-1-270", "0-1-268") == 2);
  CHECK(*waiting_transactions("0-1-270,1-2-5", "0-9-270") == 5);
  CHECK(*waiting_transactions("0-1-270", "0-1-271") == 0);
  CHECK(*waiting_transactions("0-1-3", "") == 3);
  CHECK_FALSE(waiting_transactions("", "0-1-3"));
  CHECK_FALSE(waiting_transactions("garbage", "0-1-3"));
  CHECK_FALSE(waiting_transactions("0-1-3x", "0-1-3"));
  CHECK_FALSE(waiting_transactions("0-1-3", std::string(5000, '9')));
}

TEST_CASE("a Galera node serves if it is synced in a cluster with quorum") {
  CHECK(galera(node()) == "pass/none");
  CHECK(galera(node("wsrep_on", "OFF")) == "fail/role");
  CHECK(galera({}) == "fail/role");
  CHECK(galera(node("wsrep_ready", "OFF")) == "fail/role");
  CHECK(galera(node("wsrep_connected", "OFF")) == "fail/role");
  CHECK(galera(node("wsrep_cluster_status", "non-Primary")) == "fail/role");
  CHECK(galera(node("wsrep_local_state", "1")) == "fail/role");
  CHECK(galera(node("wsrep_local_state", "")) == "fail/role");
  CHECK(galera(node("wsrep_reject_queries", "ALL")) == "fail/role");
  CHECK(galera(node("pxc_maint_mode", "SHUTDOWN")) == "fail/role");
  CHECK(galera(node("pxc_maint_mode", "DISABLED")) == "pass/none");
  CHECK(galera(node("wsrep_desync", "ON")) == "warn/role");
}

TEST_CASE("a Galera node that serves nobody fails though nobody asked for Galera") {
  CHECK(is_galera(node()));
  CHECK_FALSE(is_galera({}));
  CHECK_FALSE(is_galera({{"wsrep_on", "OFF"}, {"wsrep_ready", "OFF"}}));
  CHECK(serving(node()) == "pass/none");
  CHECK(serving(node("wsrep_local_state", "2")) == "pass/none");
  CHECK(serving(node("wsrep_ready", "OFF")) == "fail/role");
  CHECK(serving(node("wsrep_reject_queries", "ALL")) == "fail/role");
}

TEST_CASE("a donor serves only where it may") {
  CHECK(galera(node("wsrep_local_state", "2")) == "fail/role");
  CHECK(galera(node("wsrep_local_state", "2"), {{"galera_donor", {"true"}}}) == "warn/role");
}

TEST_CASE("the cluster's size and the queue are judged by their limits") {
  CHECK(galera(node(), {{"galera_donor", {"false"}}, {"warn_cluster_size", {"3"}}}) == "pass/none");
  CHECK(galera(node(), {{"galera_donor", {"false"}}, {"warn_cluster_size", {"4"}}}) == "warn/content");
  CHECK(galera(node(), {{"galera_donor", {"false"}}, {"fail_cluster_size", {"4"}}}) == "fail/content");
  CHECK(galera(node("wsrep_local_recv_queue", "101"), {{"galera_donor", {"false"}}, {"warn_receive_queue", {"100"}}}) ==
        "warn/content");
}
