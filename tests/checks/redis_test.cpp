// The Redis protocol and what its words mean.
#include <catch2/catch.hpp>

#include "outcome.hpp"
#include "redis/resp.hpp"
#include "redis/verdict.hpp"

using namespace vital::redis;
using vital::check::Cause;
using vital::check::fact_of;
using vital::check::Result;
using vital::check::Verdict;
using Status = vital::net::Framing::Status;

TEST_CASE("a command is an array of strings, whatever is in them") {
  CHECK(command("PING") == "*1\r\n$4\r\nPING\r\n");
  CHECK(command("SET", std::string("k"), "a\r\nb") == "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n");
}

TEST_CASE("a reply is whole, begun, or none at all") {
  struct Case {
    std::string bytes;
    Status status;
    size_t length;
  };
  const Case table[] = {
      {"", Status::more, 0},
      {"+", Status::more, 0},
      {"+OK\r", Status::more, 0},
      {"+OK\r\n", Status::whole, 5},
      {"+OK\r\n+more", Status::whole, 5},
      {"-ERR no\r\n", Status::whole, 9},
      {":42\r\n", Status::whole, 5},
      {"$-1\r\n", Status::whole, 5},
      {"$0\r\n\r\n", Status::whole, 6},
      {"$2\r\nab", Status::more, 0},
      {"$2\r\nab\r\n", Status::whole, 8},
      {"$2\r\nabc\r\n", Status::broken, 0},
      {"*-1\r\n", Status::whole, 5},
      {"*0\r\n", Status::whole, 4},
      {"*2\r\n+a\r\n", Status::more, 0},
      {"*2\r\n+a\r\n$1\r\nb\r\n", Status::whole, 15},
      {"HTTP/1.1 400\r\n", Status::broken, 0},
      {"$x\r\n", Status::broken, 0},
      {"$\r\n", Status::broken, 0},
      {"$-2\r\n", Status::broken, 0},
      {"$99999999999999999999\r\n", Status::broken, 0},
      {"$65537\r\n", Status::broken, 0},
      {"*1025\r\n", Status::broken, 0},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n+a\r\n", Status::broken, 0},
      {"+" + std::string(5000, 'x'), Status::broken, 0},
  };
  for (const Case& c : table) {
    CAPTURE(c.bytes.substr(0, 60));
    const auto found = frame(c.bytes);
    CHECK(found.status == c.status);
    CHECK(found.length == c.length);
  }
}

TEST_CASE("what is in a reply") {
  const auto list = parse("*4\r\n+a\r\n$1\r\nb\r\n:7\r\n$-1\r\n");
  REQUIRE(list);
  REQUIRE(list->list.size() == 4);
  CHECK(list->list[0].is("a"));
  CHECK(list->list[1].is("b"));
  CHECK((list->list[2].kind == Reply::Kind::number && list->list[2].text == "7"));
  CHECK(list->list[3].kind == Reply::Kind::null);
  CHECK(parse("-NOAUTH Authentication required.\r\n")->code() == "NOAUTH");
  CHECK_FALSE(parse("+a\r\n+b\r\n"));
  CHECK_FALSE(parse("+a"));
}

TEST_CASE("an error is named at once, and what is our own trouble is never the server's") {
  struct Case {
    const char* error;
    Verdict verdict;
    Cause cause;
  };
  const Case table[] = {
      {"NOAUTH Authentication required.", Verdict::unknown, Cause::auth},
      {"WRONGPASS invalid username-password pair or user is disabled.", Verdict::unknown, Cause::auth},
      {"NOPERM this user has no permissions to run the 'set' command", Verdict::unknown, Cause::auth},
      {"DENIED Redis is running in protected mode", Verdict::unknown, Cause::auth},
      {"ERR invalid password", Verdict::unknown, Cause::auth},
      {"ERR AUTH <password> called without any password configured for the default user", Verdict::unknown,
       Cause::auth},
      {"LOADING Redis is loading the dataset in memory", Verdict::fail, Cause::protocol},
      {"MASTERDOWN Link with MASTER is down", Verdict::fail, Cause::content},
      {"READONLY You can't write against a read only replica.", Verdict::fail, Cause::role},
      {"MISCONF Redis is configured to save RDB snapshots", Verdict::fail, Cause::content},
      {"OOM command not allowed when used memory > 'maxmemory'.", Verdict::fail, Cause::content},
      {"CLUSTERDOWN Hash slot not served", Verdict::fail, Cause::content},
      {"ERR max number of clients reached", Verdict::warn, Cause::protocol},
      {"ERR unknown command 'PING'", Verdict::fail, Cause::protocol},
      {"ERR something", Verdict::fail, Cause::content},
  };
  for (const Case& c : table) {
    CAPTURE(c.error);
    Reply reply;
    reply.kind = Reply::Kind::error;
    reply.text = c.error;
    const Result result = error_meaning(reply, "PING");
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == c.cause);
    CHECK(result.text.find(reply.code()) != std::string::npos);
  }
}

TEST_CASE("INFO against what is demanded") {
  Demands master;
  master.role = Demands::Role::master;
  master.min_replicas = 1;
  Demands replica;
  replica.role = Demands::Role::replica;
  Demands saved;
  saved.max_save_age = std::chrono::hours(1);
  const std::string up = "role:slave\r\nmaster_link_status:up\r\n";
  const std::string down = "role:slave\r\nmaster_host:a\r\nmaster_port:1\r\nmaster_link_status:down\r\n";
  struct Case {
    std::string info;
    Demands demands;
    Verdict verdict;
    Cause cause;
    const char* says;
  };
  const Case table[] = {
      {"role:master\r\nconnected_slaves:1\r\n", master, Verdict::pass, Cause::none, "is a master"},
      {"role:master\r\nconnected_slaves:0\r\n", master, Verdict::warn, Cause::content, "expected at least 1"},
      {up, master, Verdict::fail, Cause::role, "it is a replica, expected a master"},
      {up, replica, Verdict::pass, Cause::none, "is a replica"},
      {down + "master_link_down_since_seconds:5\r\n", replica, Verdict::warn, Cause::content, "a:1 is down for 5.0 s"},
      {down + "master_link_down_since_seconds:61\r\n", replica, Verdict::fail, Cause::content, "is down for 61.0 s"},
      {down + "master_link_down_since_seconds:-1\r\nuptime_in_seconds:3\r\n", replica, Verdict::warn, Cause::content,
       ""},
      {down + "master_link_down_since_seconds:-1\r\nuptime_in_seconds:300\r\n", replica, Verdict::fail, Cause::content,
       ""},
      {"role:master\r\nloading:1\r\nloading_loaded_perc:7.5\r\n", {}, Verdict::fail, Cause::protocol, "7.5%"},
      {"role:master\r\nrdb_last_bgsave_status:err\r\n", {}, Verdict::warn, Cause::content, "last save failed"},
      {"role:master\r\naof_enabled:1\r\naof_last_write_status:err\r\n", {}, Verdict::warn, Cause::content, "AOF"},
      {"role:master\r\nrdb_last_save_time:1000\r\nrdb_changes_since_last_save:3\r\n", saved, Verdict::warn,
       Cause::content, "ago"},
      {"role:master\r\nrdb_last_save_time:1000\r\nrdb_changes_since_last_save:0\r\n", saved, Verdict::pass, Cause::none,
       ""},
      {"role:sentinel\r\n", {}, Verdict::pass, Cause::none, ""},
      {"", {}, Verdict::fail, Cause::protocol, "names no role"},
      {"role:\r\n:\r\nx", {}, Verdict::fail, Cause::protocol, "names no role"},
  };
  for (const Case& c : table) {
    CAPTURE(c.info);
    const Result result = judge(Info(c.info), c.demands, "here", 10000);
    CHECK(result.verdict == c.verdict);
    CHECK(result.cause == c.cause);
    CHECK(result.text.find(c.says) != std::string::npos);
  }
}

TEST_CASE("a replica says whether it is linked to its master, and how it stands apart from that") {
  const auto told = [](const std::string& info) {
    const Result result = judge(Info("role:slave\r\nslave_repl_offset:42\r\n" + info), {}, "here", 10000);
    CHECK(fact_of(result, "position") == "42");
    return fact_of(result, "link") + "/" + fact_of(result, "apart_from_link");
  };
  CHECK(told("master_link_status:up\r\n") == "up/");
  const std::string down = "master_link_status:down\r\nmaster_link_down_since_seconds:5\r\n";
  CHECK(told(down) == "down/pass");
  CHECK(told(down + "rdb_last_bgsave_status:err\r\n") == "down/warn");
  CHECK(told(down + "loading:1\r\nloading_loaded_perc:7.5\r\n") == "down/fail");
  CHECK(told(down + "master_sync_in_progress:1\r\n") == "down/fail");
}

TEST_CASE("a server and Sentinel disagree only if the run id says so") {
  const auto view = [](const char* id) { return SentinelView{id, "10.0.0.5:6379", "master"}; };
  const Info master("role:master\r\nrun_id:aa\r\n");
  const Info replica("role:slave\r\nrun_id:aa\r\n");
  CHECK(disagreement(master, view("aa"), "m").empty());
  CHECK(disagreement(replica, view("bb"), "m").empty());
  CHECK(disagreement(master, view(""), "m").empty());  // right after a failover
  CHECK(disagreement(master, view("bb"), "m").find("is 10.0.0.5:6379") != std::string::npos);
  CHECK(disagreement(replica, view("aa"), "m").find("takes it for the master") != std::string::npos);
  CHECK(sentinel_view(*parse("*6\r\n+ip\r\n+a\r\n+port\r\n+1\r\n+runid\r\n+x\r\n"))->address == "a:1");
  CHECK_FALSE(sentinel_view(*parse("-ERR No such master\r\n")));
}
