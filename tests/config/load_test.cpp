// From text to plan: defaults, profiles, clamping, secrets, variables, includes, services, fingerprints.
#include <catch2/catch.hpp>
#include <chrono>
#include <set>

#include "room.hpp"

namespace vital::config {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

const CheckPlan& check(const Loaded& l, std::string_view name) {
  REQUIRE(l.config != nullptr);
  const auto id = l.config->plan->find_check(name);
  REQUIRE(id.has_value());
  return l.config->plan->at(*id);
}

const ServicePlan& service(const Loaded& l, std::string_view name) {
  REQUIRE(l.config != nullptr);
  const auto id = l.config->plan->find_service(name);
  REQUIRE(id.has_value());
  return l.config->plan->at(*id);
}

std::vector<std::string> value(const Loaded& l, std::size_t spec, std::string_view option) {
  REQUIRE(l.config != nullptr);
  for (const auto& [name, items] : l.config->specs.at(spec)->values) {
    if (name == option) return items;
  }
  return {"(absent)"};
}

TEST_CASE("the lenient profile is the default, and fits itself") {
  const Room room;
  const Loaded l = room.load("checks: {a: {type: disk}}");
  const CheckPlan& c = check(l, "a");
  CHECK(c.interval == 10s);
  CHECK(c.timeout == 5s);
  CHECK(c.retries == 2);
  CHECK(c.retry_delay == 1s);
  CHECK(c.edge_interval == 5s);
  CHECK(c.rise == 2);
  CHECK(c.fall == 3);
  CHECK_FALSE(c.fall_window.has_value());
  CHECK_FALSE(c.warn_after.has_value());
  CHECK(c.max_age == 35s);
  CHECK(c.flap.half_life == 100s);
  CHECK(c.is_critical);
  CHECK(c.scope == Scope::local);
  CHECK(c.mode == Mode::active);
  CHECK(l.config->profile == "lenient");
}

TEST_CASE("each profile says what the contract says") {
  struct Case {
    const char* name;
    Duration interval, timeout;
    unsigned retries;
    Duration edge;
    unsigned rise, fall;
  };
  const Case c = GENERATE(Case{"lenient", 10s, 5s, 2, 5s, 2, 3}, Case{"standard", 5s, 2s, 1, 2s, 2, 3},
                          Case{"strict", 2s, 1s, 0, 1s, 2, 2});
  const Room room;
  const Loaded l = room.load(std::string("profile: ") + c.name + "\nchecks: {a: {type: disk}}");
  const CheckPlan& p = check(l, "a");
  CHECK(p.interval == c.interval);
  CHECK(p.timeout == c.timeout);
  CHECK(p.retries == c.retries);
  CHECK(p.edge_interval == c.edge);
  CHECK(p.rise == c.rise);
  CHECK(p.fall == c.fall);
}

TEST_CASE("what a profile says is made to fit a shorter interval") {
  const Room room;
  const CheckPlan c = check(room.load("checks: {a: {type: disk, interval: 2s}}"), "a");
  CHECK(c.timeout == 2s);
  CHECK(c.edge_interval == 2s);
  CHECK(c.retry_delay == 500ms);
  CHECK(c.max_age == 8s);
}

TEST_CASE("a check says more than the defaults, and these more than the profile") {
  const Room room;
  const Loaded l = room.load(R"(
profile: strict
defaults: {interval: 4s, rise: 5, labels: {a: "1", b: "2"}, scope: shared, fall: {bad: 2, of: 4}}
checks:
  one: {type: disk, rise: 7, labels: {b: "3"}, fall: 9}
  two: {type: disk, scope: local}
)");
  const CheckPlan& one = check(l, "one");
  CHECK(one.interval == 4s);
  CHECK(one.timeout == 1s);
  CHECK(one.rise == 7);
  CHECK(one.fall == 9);
  CHECK_FALSE(one.fall_window.has_value());
  CHECK(one.labels == std::map<std::string, std::string>{{"a", "1"}, {"b", "3"}});
  CHECK(one.scope == Scope::shared);
  const CheckPlan& two = check(l, "two");
  CHECK(two.rise == 5);
  CHECK(two.scope == Scope::local);
  REQUIRE(two.fall_window.has_value());
  CHECK(*two.fall_window == std::pair(2U, 4U));
  CHECK(two.fall == 2);
}

TEST_CASE("values reach the module normalised, and defaults are filled in") {
  const Room room;
  const Loaded l = room.load(R"(
checks:
  web:
    type: http
    url: http://127.0.0.1/
    headers: {B: "2", A: "1"}
    max_body: 1MiB
    follow_redirects: true
    expect: {status: 200, body: {contains: ok}}
  lag: {type: db, user: u, password_file: p, max_lag: 1500ms, port: "0080"}
  disk: {type: disk, warn_free: 1GB, fail_free: "7.5%"}
  run: {type: plugin, command: [a, "b c", ""]}
)");
  CHECK(l.config == nullptr);  // the secret is not there yet
  room.write("p", "s3cret\n");
  const Loaded good = room.load_file((room.folder / "vitald.yaml").string());
  CHECK(value(good, 0, "headers") == Lines{"B", "2", "A", "1"});
  CHECK(value(good, 0, "max_body") == Lines{"1048576"});
  CHECK(value(good, 0, "follow_redirects") == Lines{"true"});
  CHECK(value(good, 0, "expect.status") == Lines{"200"});
  CHECK(value(good, 0, "expect.body.contains") == Lines{"ok"});
  CHECK(value(good, 0, "method") == Lines{"GET"});
  CHECK(value(good, 0, "tls.mode") == Lines{"verify"});
  CHECK(value(good, 0, "tls.ca") == Lines{"(absent)"});
  CHECK(value(good, 1, "max_lag") == Lines{"1500000000"});
  CHECK(value(good, 1, "port") == Lines{"80"});
  CHECK(value(good, 1, "ratio") == Lines{"0.5"});
  CHECK(value(good, 1, "password") == Lines{"s3cret"});
  CHECK(good.config->specs[1]->secrets == Lines{"password"});
  CHECK(value(good, 2, "warn_free") == Lines{"1000000000"});
  CHECK(value(good, 2, "fail_free") == Lines{"7.5%"});
  CHECK(value(good, 3, "command") == Lines{"a", "b c", ""});
}

TEST_CASE("a list option takes a single value, and its default may be a list") {
  const Room room;
  const Loaded l = room.load("checks: {a: {type: plugin, command: /bin/true}, b: {type: http, url: 'http://x/'}}");
  CHECK(value(l, 0, "command") == Lines{"/bin/true"});
  CHECK(value(l, 1, "expect.status") == Lines{"200-299"});
}

TEST_CASE("a relative authority file is found beside the config") {
  const Room room;
  const Loaded l = room.load("checks: {a: {type: http, url: 'https://x/', tls: {ca: ca.pem}}}");
  CHECK(value(l, 0, "tls.ca") == Lines{(room.folder / "ca.pem").string()});
}

// ---- secrets

const char* const one_secret = "checks: {a: {type: db, user: u, password_file: db.password}}";

TEST_CASE("one newline at the end of a secret is cut, and nothing else") {
  const Room room;
  struct Case {
    const char* written;
    const char* read;
  };
  const Case c =
      GENERATE(Case{"x", "x"}, Case{"x\n", "x"}, Case{"x\r\n", "x"}, Case{"x\n\n", "x\n"}, Case{" x \n", " x "});
  room.write("db.password", c.written);
  CHECK(value(room.load(one_secret), 0, "password") == Lines{c.read});
}

TEST_CASE("a secret that cannot be used is a problem that names the file") {
  const Room room;
  const std::string at = "1:48: checks.a.password_file: db.password ";
  CHECK(room.problems(one_secret) ==
        Lines{at + "is not there; a relative path is looked up in $CREDENTIALS_DIRECTORY, then beside the config"});
  room.write("db.password", "");
  CHECK(room.problems(one_secret) == Lines{at + "is empty; write the secret into it"});
  room.write("db.password", "\n");
  CHECK(room.problems(one_secret) == Lines{at + "is empty; write the secret into it"});
  room.write("db.password", std::string(64 * 1024 + 1, 'x'));
  CHECK(room.problems(one_secret) == Lines{at + "has more than 64 KiB"});
  room.write("db.password", std::string("a\0b", 3));
  CHECK(room.problems(one_secret) == Lines{at + "holds a NUL byte; a secret is text"});
  room.write("db.password", std::string(64 * 1024, 'x'));
  CHECK(room.problems(one_secret).empty());
  if (geteuid() == 0) return;  // root reads everything
  room.write("db.password", "x", 0200);
  CHECK(room.problems(one_secret) == Lines{at + "cannot be read: Permission denied"});
}

TEST_CASE("a secret that everybody can read is a warning") {
  const Room room;
  room.write("db.password", "x", 0644);
  CHECK(room.problems(one_secret).empty());
  CHECK(room.warnings(one_secret) ==
        Lines{"1:48: checks.a.password_file: db.password can be read by everybody; chmod o-r it"});
  room.write("db.password", "x", 0640);
  CHECK(room.warnings(one_secret).empty());
}

TEST_CASE("a relative secret is looked for in the credentials directory first") {
  Room room;
  room.environment["CREDENTIALS_DIRECTORY"] = (room.folder / "credentials").string();
  room.write("db.password", "beside");
  CHECK(value(room.load(one_secret), 0, "password") == Lines{"beside"});
  room.write("credentials/db.password", "credential");
  CHECK(value(room.load(one_secret), 0, "password") == Lines{"credential"});
}

TEST_CASE("a secret of an included file is looked for beside that file") {
  const Room room;
  room.write("conf.d/db.yaml", one_secret);
  room.write("conf.d/db.password", "there");
  CHECK(value(room.load("include: [conf.d/db.yaml]"), 0, "password") == Lines{"there"});
}

TEST_CASE("asked not to, the loader only looks that secrets are there") {
  Room room;
  room.read_secrets = false;
  CHECK(room.problems(one_secret).size() == 1);
  room.write("db.password", "x", 0000);
  CHECK(room.problems(one_secret).empty());
}

TEST_CASE("no secret is among the settings that are shown") {
  const Room room;
  room.write("db.password", "s3cret");
  const Loaded l = room.load(one_secret);
  REQUIRE(l.config != nullptr);
  bool is_mentioned = false;
  for (const Setting& s : l.config->settings.at(0)) {
    CHECK(s.value.find("s3cret") == std::string::npos);
    CHECK(s.from.find("s3cret") == std::string::npos);
    is_mentioned = is_mentioned || (s.name == "password" && s.value == "(secret)");
  }
  CHECK(is_mentioned);
}

TEST_CASE("what a module says of a secret is told at the file's name") {
  const Room room;
  room.write("db.password", "refuse-me");
  CHECK(room.problems(one_secret) == Lines{"1:48: checks.a.password_file: is too simple"});
}

// ---- variables

TEST_CASE("variables are expanded in values") {
  Room room;
  room.environment["HOST"] = "10.0.0.7";
  room.environment["EMPTY"] = "";
  const Loaded l = room.load(R"(
node: {name: "${HOSTNAME}-x"}
checks:
  a: {type: http, url: "http://${HOST}:${PORT:-80}/${EMPTY}${EMPTY:-e}"}
  b: {type: http, url: "http://x/$HOME/$${HOST}/$$/}"}
  c: {type: disk, interval: "${INTERVAL:-7s}"}
)");
  CHECK(l.config->plan->node == "web1-x");
  CHECK(value(l, 0, "url") == Lines{"http://10.0.0.7:80/e"});
  CHECK(value(l, 1, "url") == Lines{"http://x/$HOME/${HOST}/$$/}"});
  CHECK(check(l, "c").interval == 7s);
}

TEST_CASE("HOSTNAME is there even if the environment has none") {
  Room room;
  room.environment.clear();
  const Loaded l = room.load("node: {name: '${HOSTNAME}'}\nchecks: {a: {type: disk}}");
  REQUIRE(l.config != nullptr);
  CHECK_FALSE(l.config->plan->node.empty());
  CHECK(room.load("checks: {a: {type: disk}}").config->plan->node == l.config->plan->node);
}

TEST_CASE("what came from the environment is shown as written, and what a key calls private not at all") {
  Room room;
  room.environment["TOKEN"] = "s3cret";
  const Loaded l = room.load(
      "checks: {a: {type: http, url: 'http://x/?t=${TOKEN}', headers: {Authorization: 'Bearer ${TOKEN}',"
      " X-API-Key: s3cret, Accept: text/plain}}}");
  REQUIRE(l.config != nullptr);
  for (const Setting& s : l.config->settings.at(0)) {
    CHECK(s.value.find("s3cret") == std::string::npos);
    if (s.name == "headers") {
      CHECK(s.value == "{Authorization: Bearer ${TOKEN}, X-API-Key: (secret), Accept: text/plain}");
    }
  }
}

// ---- includes and files

TEST_CASE("included maps merge, in the order of their names") {
  const Room room;
  room.write("conf.d/20.yaml", "checks: {c: {type: disk}}\nservices: {s: [a, b, c]}");
  room.write("conf.d/10.yaml", "checks: {b: {type: disk}}\nnode: {zone: z}");
  room.write("conf.d/.hidden.yaml", "nonsense: [");
  const Loaded l = room.load("include: conf.d/*.yaml\nnode: {name: n}\nchecks: {a: {type: disk}}");
  REQUIRE(l.config != nullptr);
  Lines names;
  for (const CheckPlan& c : l.config->plan->checks) names.push_back(c.name);
  CHECK(names == Lines{"a", "b", "c"});
  CHECK(l.config->plan->node == "n");
  CHECK(l.config->plan->zone == "z");
  CHECK(l.config->files.size() == 3);
}

TEST_CASE("a folder with pattern characters in its name is meant literally") {
  const Room room;
  room.write("[1]/conf.d/a.yaml", "checks: {a: {type: disk}}");
  const std::string main = room.write("[1]/vitald.yaml", "include: conf.d/*.yaml");
  CHECK(room.load_file(main).config != nullptr);
}

TEST_CASE("includes that go too deep or are too many are refused") {
  const Room room;
  for (int i = 1; i < 20; ++i)
    room.write("d" + std::to_string(i) + ".yaml", "include: d" + std::to_string(i + 1) + ".yaml");
  room.write("d20.yaml", "checks: {a: {type: disk}}");
  const Lines deep = room.problems("include: d1.yaml");
  REQUIRE_FALSE(deep.empty());
  CHECK(deep.back() == "d8.yaml:1:10: include: d9.yaml is one too many: at most 256 files, 8 levels deep");
  for (int i = 0; i < 300; ++i) room.write("many/" + std::to_string(1000 + i) + ".yaml", "");
  CHECK(room.problems("include: many/*.yaml\nchecks: {a: {type: disk}}").size() == 45);
}

TEST_CASE("a config that is no regular file or too large is refused") {
  const Room room;
  CHECK(room.told(room.load_file((room.folder / "none.yaml").string()).problems) ==
        Lines{"none.yaml: is not there; --config names another file"});
  CHECK(room.load_file(room.folder.string()).problems.at(0).text.starts_with("is a directory"));
  CHECK(room.load_file("/dev/null").problems.at(0).text.starts_with("is not a regular file"));
  CHECK(room.problems(std::string(1024 * 1024 + 1, '#')).size() == 1);
  CHECK(room.load("checks: {a: {type: disk}}\n" + std::string(1024 * 1024 - 26, '#')).config != nullptr);
}

TEST_CASE("a mistake in a value is said where the value stands, in whichever file") {
  const Room room;
  room.write("conf.d/a.yaml", "# comment\nchecks:\n  b:\n    type: disk\n    interval: 5\n");
  CHECK(room.problems("include: [conf.d/a.yaml]\nchecks: {a: {type: disk}}") ==
        Lines{"conf.d/a.yaml:5:15: checks.b.interval: '5' has no unit; write 5s, or another of us, ms, s, m, h, d"});
}

// ---- modules

TEST_CASE("modules are asked about every check whose options are good") {
  const Room room;
  room.load(
      "checks: {a: {type: disk}, b: {type: http}, c: {type: disk, interval: 5}, d: {type: disk, enabled: false}}");
  CHECK(room.memory->validated == Lines{"a", "c", "d"});
}

TEST_CASE("module_path reaches the registry, and what it says of it is told there") {
  const Room room;
  room.memory->complaints = {"/opt/x is writable by everybody: chmod o-w it"};
  CHECK(room.problems("checks: {a: {type: disk}}\nmodule_path: [/opt/x]") ==
        Lines{"2:14: module_path: /opt/x is writable by everybody: chmod o-w it"});
  CHECK(room.memory->module_path == Lines{"/opt/x"});
}

// ---- services

TEST_CASE("without services there is one of all checks") {
  const Room room;
  const Loaded l = room.load("checks: {a: {type: disk}, b: {type: disk}, c: {type: disk, enabled: false}}");
  const ServicePlan& s = service(l, "default");
  CHECK(s.rule.kind == Rule::Kind::all);
  CHECK(s.rule.members.size() == 2);
  CHECK(s.startup_timeout == 60s);
  CHECK(l.config->disabled == Lines{"c"});
  CHECK(l.config->specs.size() == 2);
}

TEST_CASE("services come after the services they name") {
  const Room room;
  const Loaded l = room.load(R"(
checks: {a: {type: disk}, b: {type: disk}}
services:
  top: [middle, a]
  middle: {any: [leaf, b]}
  leaf: [a]
)");
  REQUIRE(l.config != nullptr);
  Lines names;
  for (const ServicePlan& s : l.config->plan->services) names.push_back(s.name);
  CHECK(names == Lines{"leaf", "middle", "top"});
  const ServicePlan& middle = service(l, "middle");
  CHECK(middle.rule.members[0].kind == Rule::Kind::service);
  CHECK(middle.rule.members[0].target == 0);
  CHECK(service(l, "top").rule.members[0].target == 1);
}

TEST_CASE("rules nest, and keep their numbers") {
  const Room room;
  const Loaded l = room.load(R"(
checks: {a: {type: disk}, b: {type: disk}, c: {type: disk}}
services:
  s: [a, {quorum: 2, of: [a, b, {any: [c, [a, b]]}]}]
  w: {weighted: {a: 3, b: 1}, pass: 3, warn: 2}
)");
  const Rule& quorum = service(l, "s").rule.members[1];
  CHECK(quorum.kind == Rule::Kind::quorum);
  CHECK(quorum.need == 2);
  CHECK(quorum.members[2].kind == Rule::Kind::any);
  CHECK(quorum.members[2].members[1].kind == Rule::Kind::all);
  const Rule& weighted = service(l, "w").rule;
  CHECK(weighted.weights == std::vector<unsigned>{3, 1});
  CHECK(weighted.need == 3);
  CHECK(weighted.need_warn == 2);
}

TEST_CASE("a disabled check does not count in a rule") {
  const Room room;
  const Loaded l = room.load(R"(
checks: {a: {type: disk}, off: {type: disk, enabled: false}}
services: {s: [a, off], t: {weighted: {a: 1, off: 5}, pass: 1}}
)");
  CHECK(service(l, "s").rule.members.size() == 1);
  CHECK(service(l, "t").rule.weights == std::vector<unsigned>{1});
}

TEST_CASE("dependencies are ids, and a disabled one is left out") {
  const Room room;
  const Loaded l = room.load(R"(
checks:
  a: {type: disk, depends_on: [b, off]}
  off: {type: disk, enabled: false, depends_on: [b]}
  b: {type: disk}
)");
  CHECK(check(l, "a").depends_on == std::vector<CheckId>{CheckId(1)});
  CHECK(check(l, "b").depends_on.empty());
}

// ---- fingerprints

std::uint64_t print_of(const Room& room, const std::string& options) {
  const Loaded l = room.load("checks: {a: {type: db, user: u, password_file: p, " + options + "}}");
  REQUIRE(l.config != nullptr);
  return l.config->plan->checks[0].fingerprint;
}

TEST_CASE("a check's fingerprint changes with everything that decides its verdict, and with nothing else") {
  const Room room;
  room.write("p", "one");
  const std::uint64_t before = print_of(room, "");
  CHECK(print_of(room, "labels: {x: y}, description: z, critical: false, scope: shared, mode: shadow") == before);
  CHECK(print_of(room, "host: 127.0.0.1") == before);  // its default
  std::set<std::uint64_t> seen{before};
  for (const char* change : {"host: 127.0.0.2", "timeout: 4s", "interval: 11s", "retries: 0", "rise: 9", "fall: 9",
                             "fall: {bad: 3, of: 4}", "warn_after: 1s", "max_age: 1m", "expect: \"\"", "port: 1",
                             "retry_delay: 1ms", "edge_interval: 1s", "flap: {suppress: 5}"}) {
    INFO(change);
    CHECK(seen.insert(print_of(room, change)).second);
  }
  room.write("p", "two");
  CHECK(seen.insert(print_of(room, "")).second);
}

TEST_CASE("the plan's fingerprint changes with the whole config") {
  const Room room;
  const auto print = [&](const std::string& text) {
    const Loaded l = room.load(text);
    REQUIRE(l.config != nullptr);
    return l.config->plan->fingerprint;
  };
  const std::uint64_t before = print("checks: {a: {type: disk}}");
  CHECK(print("# comment\nchecks:\n  a:\n    type: disk\n") == before);
  CHECK(print("checks: {a: {type: disk, description: x}}") != before);
  CHECK(print("checks: {a: {type: disk}}\nlog: {format: json}") != before);
}

// ---- the rest

TEST_CASE("listeners, log and directories reach the config") {
  const Room room;
  const Loaded l = room.load(R"(
listen:
  health: {address: ["127.0.0.1:0", "[::1]:9180"], details: authorized}
  haproxy: {address: 0.0.0.0:9181}
  admin: {socket: /tmp/a.sock, mode: 0600, group: staff}
log: {format: json, file: /tmp/log}
state_dir: /tmp/state
workers: {max: 3}
shutdown: {drain: 5s}
checks: {a: {type: disk}}
)");
  REQUIRE(l.config != nullptr);
  CHECK(l.config->health.front().addresses == Lines{"127.0.0.1:0", "[::1]:9180"});
  CHECK(l.config->health.front().details == Details::authorized);
  REQUIRE(l.config->haproxy.has_value());
  CHECK(l.config->haproxy->addresses == Lines{"0.0.0.0:9181"});
  CHECK(l.config->admin.socket == "/tmp/a.sock");
  CHECK(l.config->admin.mode == 0600);
  CHECK(l.config->admin.group == "staff");
  CHECK(l.config->log.format == LogConfig::Format::json);
  CHECK(l.config->log.file == "/tmp/log");
  CHECK(l.config->state_dir == "/tmp/state");
  CHECK(l.config->workers_max == 3);
  CHECK(l.config->plan->shutdown_drain == 5s);
  const Loaded several = room.load(R"(
listen:
  health:
    - {address: "127.0.0.1:0", details: never, proxy_protocol: [10.0.0.0/8]}
    - {address: [/run/x.sock, "[::1]:0"], mode: "0666", group: staff}
  haproxy: {address: "127.0.0.1:0", farewell: ready}
checks: {a: {type: disk}}
)");
  REQUIRE(several.config != nullptr);
  REQUIRE(several.config->health.size() == 2);
  CHECK(several.config->health[0].details == Details::never);
  CHECK(several.config->health[1].addresses == Lines{"/run/x.sock", "[::1]:0"});
  CHECK(several.config->health[1].details == Details::loopback);
  CHECK(several.config->health[1].mode == 0666);
  CHECK(several.config->haproxy->farewell == Farewell::ready);
  const Loaded bare = room.load("checks: {a: {type: disk}}");
  CHECK(bare.config->health.front().addresses == Lines{"127.0.0.1:9180"});
  CHECK_FALSE(bare.config->haproxy.has_value());
  CHECK(bare.config->admin.mode == 0660);
  CHECK(bare.config->workers_max == 8);
}

TEST_CASE("a heartbeat is reported, not probed: silence counts, each report counts, probing is not spoken of") {
  const Room room;
  const Loaded l = room.load(
      "defaults: {timeout: 1s, retries: 1, interval: 20s}\n"
      "checks:\n"
      "  cron: {type: heartbeat, max_age: 26h}\n"
      "  agent: {type: heartbeat, interval: 1m}\n"
      "  fast: {type: heartbeat, max_age: 5s}\n"
      "  disk: {type: disk}\n");
  const CheckPlan& cron = check(l, "cron");
  CHECK(cron.is_passive);
  CHECK(cron.max_age == 26h);
  CHECK(cron.rise == 1);
  CHECK(cron.fall == 1);
  CHECK(cron.retries == 0);
  CHECK(check(l, "agent").max_age == 3min);
  CHECK(check(l, "fast").max_age == 5s);
  CHECK_FALSE(check(l, "disk").is_passive);
  for (const Setting& s : l.config->settings[0]) {
    INFO(s.name);
    CHECK(s.name != "timeout");
    CHECK(s.name != "retries");
    CHECK_FALSE((s.name == "fall" && s.from != "default"));
  }
}

TEST_CASE("certificates are looked into by who knows TLS, and what is found stands at the key it is about") {
  Room room;
  room.write("c.pem", "c");
  room.write("k.pem", "k");
  room.write("token", "0123456789abcdef\n");
  room.inspect_tls = [](const TlsFiles& files) {
    CHECK(files.certificate.ends_with("/c.pem"));
    CHECK_FALSE(files.is_client_required);
    return std::vector<TlsRemark>{{"key", "does not fit", false}, {"certificate", "is old", true}};
  };
  const std::string health =
      "listen: {health: {address: '0.0.0.0:1', details: authorized, token_file: token, tls: {certificate: c.pem, key: "
      "k.pem, client_ca: c.pem, client: optional}}}\nchecks: {a: {type: disk}}";
  const Loaded refused = room.load(health);
  REQUIRE(refused.problems.size() == 1);
  CHECK(refused.problems[0].path == "listen.health.tls.key");
  CHECK(refused.problems[0].text == "does not fit");
  REQUIRE(refused.warnings.size() == 1);
  CHECK(refused.warnings[0].path == "listen.health.tls.certificate");
  room.inspect_tls = {};
  const Loaded good = room.load(health);
  REQUIRE(good.config != nullptr);
  CHECK(good.config->health.front().token == "0123456789abcdef");
}

TEST_CASE("there may be thousands of checks, and a thousand problems end with how many more there are") {
  const Room room;
  std::string good = "checks:\n", bad = "checks:\n";
  for (int i = 0; i < 3000; ++i) {
    good += "  c" + std::to_string(i) + ": {type: disk}\n";
    bad += "  c" + std::to_string(i) + ": {type: disk, interval: 5}\n";
  }
  const Loaded l = room.load(good);
  REQUIRE(l.config != nullptr);
  CHECK(l.config->plan->checks.size() == 3000);
  const Lines lines = room.problems(bad);
  REQUIRE(lines.size() == 1001);
  CHECK(lines.back() == " and 2000 more; correct these first");
}

}  // namespace
}  // namespace vital::config
