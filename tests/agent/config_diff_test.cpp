#include "agent/config_diff.hpp"

#include <catch2/catch.hpp>

#include "agent/host_watch.hpp"
#include "agent/lag.hpp"

using namespace vital;
using namespace std::chrono_literals;

namespace {

Rule leaf(std::uint32_t check) {
  Rule r;
  r.kind = Rule::Kind::check;
  r.target = check;
  return r;
}

// Checks by name and fingerprint, one service of all of them.
Config config(const std::vector<std::pair<std::string, std::uint64_t>>& checks) {
  Config c;
  auto plan = std::make_shared<Plan>();
  ServicePlan service;
  service.name = "web";
  for (const auto& [name, fingerprint] : checks) {
    CheckPlan check;
    check.name = name;
    check.fingerprint = fingerprint;
    service.rule.members.push_back(leaf(static_cast<std::uint32_t>(plan->checks.size())));
    plan->checks.push_back(check);
    auto spec = std::make_shared<CheckSpec>();
    spec->check = name;
    spec->values = {{"port", {std::to_string(fingerprint)}}};
    c.specs.push_back(spec);
  }
  plan->services.push_back(service);
  c.plan = plan;
  return c;
}

}  // namespace

TEST_CASE("a reload says what it adds, removes, changes and keeps") {
  const ConfigDiff d = diff(config({{"a", 1}, {"b", 1}, {"c", 1}}), config({{"c", 2}, {"a", 1}, {"d", 1}}));
  CHECK(d.added == std::vector<std::string>{"d"});
  CHECK(d.removed == std::vector<std::string>{"b"});
  CHECK(d.changed == std::vector<std::string>{"c"});
  CHECK(d.kept == std::vector<std::string>{"a"});
  CHECK(d.services_changed == std::vector<std::string>{"web"});
  CHECK(d.summary() ==
        "1 check added (d), 1 check removed (b), 1 check changed (c), 1 service changed (web), 1 check kept");
}

TEST_CASE("a service is unchanged when only the numbers of its checks moved") {
  Config before = config({{"a", 1}, {"b", 1}});
  Config after = config({{"a", 1}, {"b", 1}});
  auto plan = std::make_shared<Plan>(*after.plan);
  std::swap(plan->checks[0], plan->checks[1]);
  plan->services[0].rule.members = {leaf(1), leaf(0)};
  after.plan = plan;
  CHECK(diff(before, after).is_empty());
  CHECK(diff(before, after).summary() == "nothing changed, 2 checks kept");
  auto other = std::make_shared<Plan>(*plan);
  other->services[0].startup_timeout = 5s;
  after.plan = other;
  CHECK(diff(before, after).services_changed == std::vector<std::string>{"web"});
}

TEST_CASE("settings beside checks and services are named by their path") {
  const Config before = config({{"a", 1}});
  Config after = before;
  after.health.push_back({});
  after.health.back().addresses = {"127.0.0.1:9180"};
  after.haproxy = HaproxyListener{{"127.0.0.1:9181"}};
  after.workers_max = 3;
  after.log.format = LogConfig::Format::json;
  CHECK(diff(before, after).settings == std::vector<std::string>{"listen.health", "listen.haproxy", "log", "workers"});
}

TEST_CASE("a spec that says the same stays the same object, one that does not is new") {
  const Specs in_use = config({{"a", 1}, {"b", 1}}).specs;
  const Specs next = keep_specs(in_use, config({{"new", 1}, {"b", 1}, {"a", 2}}).specs);
  CHECK(next[1] == in_use[1]);
  CHECK(next[2] != in_use[0]);
  CHECK(next[2]->values == std::vector<std::pair<std::string, std::vector<std::string>>>{{"port", {"2"}}});
}

TEST_CASE("the worst lag is remembered for a minute") {
  WorstOfLastMinute lag;
  const Instant t(1000s);
  CHECK(lag.at(t) == 0s);
  lag.add(t, 300ms);
  lag.add(t + 1s, 20ms);
  CHECK(lag.at(t + 30s) == 300ms);
  CHECK(lag.at(t + 54s) == 300ms);
  CHECK(lag.at(t + 65s) == 0s);
  lag.add(t + 120s, 5ms);
  CHECK(lag.at(t + 120s) == 5ms);
}

TEST_CASE("the CPU pressure is read from the kernel's text and nothing else") {
  CHECK(parse_cpu_pressure("some avg10=12.34 avg60=1.00 avg300=0.00 total=5\nfull avg10=0.00") == 12.34);
  CHECK_FALSE(parse_cpu_pressure(""));
  CHECK_FALSE(parse_cpu_pressure("some avg10=x"));
  CHECK_FALSE(parse_cpu_pressure("some avg10=900.0"));
}

TEST_CASE("how long a quota held us back is read from both kinds of cpu.stat") {
  CHECK(parse_throttled("usage_usec 5\nnr_throttled 2\nthrottled_usec 1500\n") == 1500us);
  CHECK(parse_throttled("nr_periods 1\nnr_throttled 1\nthrottled_time 2500000\n") == 2500us);
  CHECK_FALSE(parse_throttled("usage_usec 5\n"));
  CHECK_FALSE(parse_throttled("throttled_usec x\n"));
  CHECK_FALSE(parse_throttled("throttled_usec -1\n"));
  CHECK_FALSE(parse_throttled(""));
}

TEST_CASE("our control group and those above it are found in v1, v2 and a container") {
  using Places = std::vector<std::string>;
  CHECK(cpu_stat_places("0::/system.slice/vitald.service\n",
                        "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n") ==
        Places{"/sys/fs/cgroup/system.slice/vitald.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"});
  CHECK(cpu_stat_places("4:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n",
                        "1 2 0:3 / /cg/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
                        "1 2 0:3 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n"
                        "1 2 0:3 / /cg/unified rw - cgroup2 cgroup2 rw\n") ==
        Places{"/cg/cpu/a", "/cg/cpu", "/cg/unified/c", "/cg/unified"});
  CHECK(cpu_stat_places("0::/docker/abc\n", "1 2 0:3 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n") ==
        Places{"/sys/fs/cgroup"});
  CHECK(cpu_stat_places("nonsense\n:\n", "also - nonsense\n - \n").empty());
  CHECK(cpu_stat_places("", "").empty());
}

TEST_CASE("the host's pressure is read and never goes backwards") {
  HostWatch host;
  const Instant now(1000s);
  const Pressure first = host.pressure(now), later = host.pressure(now + 10s);
  CHECK(first.cpu >= 0);
  CHECK(later.throttled >= first.throttled);
}

TEST_CASE("a host that is awake has not slept") {
  HostWatch host;
  CHECK(host.slept() == 0s);
  CHECK(host.slept() == 0s);
}
