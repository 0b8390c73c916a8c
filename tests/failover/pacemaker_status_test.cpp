// What crm_mon's XML says, and what may be asked of such a cluster: a table of states beside what each action makes of
// it.
#include "failover/actions/pacemaker_status.hpp"

#include <catch2/catch.hpp>

using namespace vital::action::pacemaker;

namespace {

struct Given {
  std::string dc = R"(<current_dc present="true" name="n1" with_quorum="true"/>)";
  std::string maintenance = "false", fencing = "true";
  std::string first = R"(online="true" standby="false" unclean="false")";
  std::string second = R"(online="true" standby="false" unclean="false")";
  std::string app_role = "Started", app_node = "n1", app_more = R"(managed="true" failed="false")";
  std::string promoted = "n1", unpromoted = "n2";
  std::string bans;

  std::string xml() const {
    const auto at = [](const std::string& node) {
      return node.empty() ? std::string() : R"(<node name=")" + node + R"(" id="1"/>)";
    };
    return R"(<?xml version="1.0"?><!-- seen --><pacemaker-result api-version="2.25"><summary>)" + dc +
           R"(<cluster_options stonith-enabled=")" + fencing + R"(" maintenance-mode=")" + maintenance +
           R"("/></summary><nodes><node name="n1" )" + first + R"(/><node name="n2" )" + second +
           R"(/></nodes><resources><group id="app"><resource id="web" role=")" + app_role + "\" " + app_more + ">" +
           at(app_node) +
           R"(</resource></group><clone id="db-clone" multi_state="true"><resource id="db:0" role="Master" managed="true">)" +
           at(promoted) + R"(</resource><resource id="db:1" role="Slave" managed="true">)" + at(unpromoted) +
           R"(</resource></clone></resources><bans>)" + bans +
           R"(</bans><status code="0" message="OK"/></pacemaker-result>)";
  }
  Status status() const {
    std::string why;
    const auto read = read_status(xml(), why);
    INFO(why);
    REQUIRE(read);
    return *read;
  }
};

std::string ban(const std::string& resource, const std::string& node, bool is_of_promoted = false,
                const std::string& weight = "-1000000") {
  return R"(<ban id="x" resource=")" + resource + R"(" node=")" + node + R"(" weight=")" + weight +
         R"(" promoted-only=")" + (is_of_promoted ? "true" : "false") + R"("/>)";
}

const Asked standby{Wish::standby, "n1", "", false}, move_app{Wish::move, "n2", "app", false},
    ban_app{Wish::ban, "n1", "app", false}, move_db{Wish::move, "n2", "db-clone", true},
    ban_db{Wish::ban, "n1", "db-clone", true};

std::string why_not(const Given& given, const Asked& asked) { return obstacle(given.status(), asked); }
bool holds(const Given& given, const Asked& asked) { return judge(given.status(), asked).holds; }

}  // namespace

TEST_CASE("what crm_mon says is read, the words of Pacemaker 2.0 too") {
  const Status seen = Given{}.status();
  CHECK(seen.has_quorum);
  CHECK(seen.has_fencing);
  CHECK(seen.dc == "n1");
  REQUIRE(seen.nodes.size() == 2);
  CHECK(seen.nodes[1].name == "n2");
  REQUIRE(seen.instances.size() == 3);
  CHECK(seen.instances[0].names == std::vector<std::string>{"app", "web"});
  CHECK(seen.instances[1].names == std::vector<std::string>{"db-clone", "db:0", "db"});
  CHECK(seen.instances[1].role == "Promoted");
  CHECK(seen.instances[2].role == "Unpromoted");
  CHECK(seen.promotable == std::vector<std::string>{"db-clone"});
}

TEST_CASE("an answer that is cut off at any place is no answer") {
  const std::string whole = Given{}.xml();
  std::string why;
  for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(read_status(whole.substr(0, n), why));
  CHECK_FALSE(read_status("<pacemaker-result></pacemaker-result>", why));
  CHECK_FALSE(read_status("<a><b></a></b><pacemaker-result/>", why));
}

TEST_CASE("trouble, states and constraints are found in what the tools say") {
  CHECK(
      trouble_in(R"(<pacemaker-result><status code="102" message="Not &quot;connected&quot;"/></pacemaker-result>)") ==
      "Not \"connected\"");
  CHECK(trouble_in(Given{}.xml()).empty());
  CHECK(controller_state_in(R"(<crmd node_name="n1" state="S_IDLE" result="ok"/>)") == "S_IDLE");
  CHECK(controller_state_in("").empty());
  CHECK(constraints_in(
            R"(<constraints><rsc_location id="a"/><rsc_location id='b'><rule/></rsc_location></constraints>)") ==
        std::vector<std::string>{"a", "b"});
}

TEST_CASE("nothing speaks against a healthy cluster") {
  for (const Asked& asked : {standby, move_app, ban_app, move_db, ban_db}) CHECK(why_not({}, asked).empty());
}

TEST_CASE("each obstacle is named") {
  Given given;
  const Asked asked = GENERATE(standby, move_app, ban_app);
  SECTION("no quorum") {
    given.dc = R"(<current_dc present="true" name="n1" with_quorum="false"/>)";
    CHECK(why_not(given, asked).find("no quorum") != std::string::npos);
  }
  SECTION("nobody decides") {
    given.dc = R"(<current_dc present="false"/>)";
    CHECK(why_not(given, asked).find("no quorum") != std::string::npos);
  }
  SECTION("maintenance of the cluster") {
    given.maintenance = "true";
    CHECK(why_not(given, asked).find("maintenance mode") != std::string::npos);
  }
  SECTION("a node nobody knows") {
    Asked other = asked;
    other.node = "n9";
    CHECK(why_not(given, other).find("it knows n1, n2") != std::string::npos);
  }
  SECTION("the other node cannot take it") {
    given.second =
        GENERATE(R"(online="false")", R"(online="true" standby="true")", R"(online="true" maintenance="true")",
                 R"(online="true" pending="true")", R"(online="true" standby_onfail="true")");
    const bool is_move = asked.wish == Wish::move;
    CHECK(why_not(given, asked).find(is_move ? "n2 " : "no other node could take over") == 0);
  }
  SECTION("the other node is forbidden to have it") {
    given.bans = ban("app", "n2");
    CHECK(why_not(given, asked).empty() == (asked.wish == Wish::standby));
  }
  SECTION("a weaker dislike forbids nothing") {
    given.bans = ban("app", "n2", false, "-100");
    CHECK(why_not(given, asked).empty());
  }
  SECTION("it is not managed") {
    given.app_more = R"(managed="false")";
    CHECK(why_not(given, asked).empty() == (asked.wish == Wish::standby));
  }
}

TEST_CASE("a promotable clone is moved by its promoted role, and nothing else is") {
  Asked vague = move_db;
  vague.is_of_promoted = false;
  CHECK(why_not({}, vague).find("write promoted: true") != std::string::npos);
  Asked wrong = move_app;
  wrong.is_of_promoted = true;
  CHECK(why_not({}, wrong).find("not promotable") != std::string::npos);
  Given given;
  given.bans = ban("db-clone", "n2", true);
  CHECK_FALSE(why_not(given, move_db).empty());
}

TEST_CASE("a move holds once all of it runs there and nowhere else, and nothing is under way") {
  Given given;
  CHECK_FALSE(holds(given, move_app));
  given.app_node = "n2";
  CHECK(holds(given, move_app));
  given.app_more = R"(managed="true" pending="Stopping")";
  CHECK_FALSE(holds(given, move_app));
  given.app_more = R"(managed="true" pending="Monitoring")";
  CHECK(holds(given, move_app));
  given.app_more = R"(managed="true" failed="true")";
  CHECK_FALSE(holds(given, move_app));
  given.app_more = R"(managed="true")";
  given.app_node = R"(n1" id="1"/><node name="n2)";
  CHECK(judge(given.status(), move_app).text == "app is to run on n2, and is: web (Started, n2), web (Started, n1)");
  given.app_node = "";
  CHECK_FALSE(holds(given, move_app));
  CHECK_FALSE(holds(given, move_db));
  given.promoted = "n2";
  given.unpromoted = "n1";
  CHECK(holds(given, move_db));
}

TEST_CASE("a ban holds once it runs elsewhere, may not come back, and the node can be known") {
  Given given;
  CHECK_FALSE(holds(given, ban_app));
  given.app_node = "n2";
  CHECK_FALSE(holds(given, ban_app));
  given.bans = ban("app", "n1");
  CHECK(holds(given, ban_app));
  given.first = R"(online="false")";
  CHECK(holds(given, ban_app));
  given.fencing = "false";
  CHECK(judge(given.status(), ban_app).text ==
        "n1 is offline and this cluster has no fencing: what runs there is not known");
  given.fencing = "true";
  given.first = R"(online="false" unclean="true")";
  CHECK_FALSE(holds(given, ban_app));
  // The unpromoted instance may stay.
  given.first = R"(online="true")";
  given.promoted = "n2";
  given.unpromoted = "n1";
  given.bans = ban("db-clone", "n1", true);
  CHECK(holds(given, ban_db));
  given.promoted = "n1";
  CHECK_FALSE(holds(given, ban_db));
}

TEST_CASE("a standby holds once the node runs nothing at all") {
  Given given;
  given.first = R"(online="true" standby="true")";
  CHECK(judge(given.status(), standby).text == "n1 still runs web (Started, n1), db (Promoted, n1)");
  given.app_node = given.promoted = "n2";
  given.unpromoted = "";
  CHECK(holds(given, standby));
  given.first = R"(online="true" standby="false")";
  CHECK_FALSE(holds(given, standby));
}
