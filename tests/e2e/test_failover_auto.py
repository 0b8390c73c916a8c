"""Failovers that the agents make themselves: a PostgreSQL pair with a synchronous standby, etcd, three agents, and a client that
writes rows. What was acknowledged is there afterwards, and never two servers take writes.

The long run tries each way to lose a primary several times."""
import json
import os
import signal
import subprocess
import threading
import time

import pytest

from agent import Agent, wait_for
from etcd_cluster import EtcdCluster
from servers import Postgres, temporary_directory, wait_until
from test_cli_json import holds

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the servers run as a user of their own, and that needs root")

IS_LONG = "VITALD_LONG" in os.environ

# Stops a server with all its processes, frozen ones too; a zombie is as good as gone.
STOP = """#!/bin/sh
pid=$(head -n 1 "$2" 2>/dev/null) || exit 0
case "$1" in
stop) for p in $(cat /proc/$pid/task/$pid/children 2>/dev/null) $pid; do kill -9 $p 2>/dev/null; done; exit 0 ;;
gone) [ ! -e /proc/$pid ] || grep -q '^State:.Z' /proc/$pid/status ;;
esac
"""
# Whether clients are led to a server that runs and is no standby.
LED = """#!/bin/sh
case "$(cat "$1")" in one) data=$2 ;; *) data=$3 ;; esac
[ ! -e "$data/standby.signal" ] && [ -e "/proc/$(head -n 1 "$data/postmaster.pid" 2>/dev/null || echo none)" ] || { echo "no primary there"; exit 2; }
"""
MOVE = """#!/bin/sh
case "$1" in
go) echo "$3" > "$2" ;;
there) [ "$(cat "$2")" = "$3" ] ;;
esac
"""


class Site:
    """one (primary) and two (its synchronous standby), where clients are sent, a store, and agents a, b and c."""

    def __init__(self, mode, agents=3):
        self.folder = temporary_directory("site")
        self.folder.chmod(0o755)
        for name, text in {"stop": STOP, "move": MOVE, "led": LED}.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)
        self.way = self.folder / "way"
        self.way.write_text("one")
        self.one = Postgres().start()
        self.one.sql("CREATE TABLE rows (n int PRIMARY KEY); GRANT SELECT, INSERT ON rows TO app;"
                     "CREATE USER failover PASSWORD 'canary-promoter'; GRANT EXECUTE ON FUNCTION pg_promote TO failover;"
                     "GRANT EXECUTE ON FUNCTION pg_control_system TO failover; GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO failover")
        self.two = Postgres(standby_of=self.one).start()
        wait_until(lambda: self.one.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1")
        self.one.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.one.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.one.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
        self.servers = {"one": self.one, "two": self.two}
        self.etcd = EtcdCluster(1)
        self.etcd.__enter__()
        self.agents = {name: self.agent(name, mode, witnesses=min(2, agents)) for name in "abc"[:agents]}
        for agent in self.agents.values():
            agent.start()
        for agent in self.agents.values():
            wait_for(lambda a=agent: self.failovers(a)["topologies"][0]["status"] == "steady", 40, "the pair is steady")
            if mode == "auto":
                wait_for(lambda a=agent: self.policy(a)["acts_as"] == "auto", 60, "the pre-flight is green")
            wait_for(lambda a=agent: not self.policy(a)["holds"] or self.policy(a)["store"] == "ok", 30, "the store answers")

    def agent(self, name, mode, witnesses):
        actions = {"move": {"type": "exec", "command": [str(self.folder / "move"), "go", str(self.way), "{to}"],
                            "verify": [str(self.folder / "move"), "there", str(self.way), "{to}"], "enabled": True}}
        for member, server in self.servers.items():
            pid = str(server.data / "postmaster.pid")
            actions[f"stop-{member}"] = {"type": "exec", "command": [str(self.folder / "stop"), "stop", pid],
                                         "verify": [str(self.folder / "stop"), "gone", pid], "enabled": True}
            actions[f"promote-{member}"] = {"type": "postgres.promote", "host": server.host, "port": server.port, "user": "failover",
                                            "password_file": "failover.password", "database": "app", "enabled": True}
        login = {"type": "postgres", "user": "app", "database": "app", "password_file": "db.password", "role": "any", "replication": True}
        agent = Agent({
            "node": {"name": name}, "profile": "strict", "defaults": {"interval": "1s", "timeout": "1s", "edge_interval": "1s"},
            "checks": {**{f"pg-{m}": {**login, "host": s.host, "port": s.port} for m, s in self.servers.items()},
                       "way": {"type": "exec", "command": [str(self.folder / "led"), str(self.way), str(self.one.data), str(self.two.data)]}},
            "cluster": {"type": "etcd", "endpoints": self.etcd.endpoints, "ttl": "6s", "margin": "2s", "timeout": "700ms", "interval": "300ms"},
            "failover": {"grace": "1s", "actions": actions, "topologies": {"main": {
                "mode": mode, "members": {"one": "pg-one", "two": "pg-two"}, "endpoint": "way", "reassert": True, "synchronous": True, "max_lag": "10s", "witnesses": witnesses,
                "hold_down": "1s", "overload_grace": "3s", "doubt": "2s", "evidence_max_age": "10s", "deadline": "60s",
                "fence": ["stop-{from}"], "promote": ["promote-{to}"], "move": ["move"]}}}}, start=False)
        (agent.folder / "db.password").write_text(self.one.app_password)
        (agent.folder / "failover.password").write_text("canary-promoter")
        for file in ("db.password", "failover.password"):
            (agent.folder / file).chmod(0o600)
        return agent

    def failovers(self, agent):
        return agent.admin("/api/v1/failovers").json()

    def policy(self, agent):
        return self.failovers(agent)["policies"][0]

    def states(self):
        return [self.policy(a)["state"] for a in self.agents.values()]

    def is_primary(self, name):
        return self.servers[name].sql("SELECT pg_is_in_recovery()") == "f"

    def close(self):
        for agent in self.agents.values():
            agent.stop()
        self.etcd.__exit__()
        for server in (self.two, self.one):
            server.stop(patience=0.5)


class Writer:
    """Writes 1, 2, 3 ... where clients are sent, and remembers what was acknowledged."""

    def __init__(self, site):
        self.site, self.acknowledged, self.stopping = site, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        n = 0
        while not self.stopping.is_set():
            n += 1
            server = self.site.servers.get(self.site.way.read_text().strip(), self.site.one)
            try:
                done = subprocess.run(
                    [server.bin / "psql", "-qAtX", "-h", server.host, "-p", str(server.port), "-U", "app", "-d", "app", "-c", f"INSERT INTO rows VALUES ({n})"],
                    capture_output=True, timeout=2, check=False, env={"PGPASSWORD": server.app_password, "PGCONNECT_TIMEOUT": "2", "PATH": "/usr/bin:/bin"})
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                self.acknowledged.append(n)
            else:
                time.sleep(0.1)

    def stop(self):
        self.stopping.set()
        self.thread.join(10)


@pytest.fixture
def site(request):
    made = Site(**request.param)
    try:
        yield made
    finally:
        made.close()


def kill(server):
    subprocess.run([server_stop(server), "stop", str(server.data / "postmaster.pid")], check=True)


def server_stop(server):
    script = server.directory / "kill"
    script.write_text(STOP)
    script.chmod(0o755)
    return script


def freeze(server):
    server.hang()


@pytest.mark.parametrize("site", [{"mode": "auto"}] * (5 if IS_LONG else 1), indirect=True)
@pytest.mark.parametrize("lose", [kill, freeze] if IS_LONG else [freeze])
def test_a_lost_primary_is_replaced_and_nothing_acknowledged_is_lost(site, lose):
    writer = Writer(site)
    wait_for(lambda: len(writer.acknowledged) > 5, 20, "rows are written")
    # Somebody sends clients elsewhere: whoever gets the lease sends them back, and nobody else does.
    site.way.write_text("two")
    wait_for(lambda: site.way.read_text().strip() == "one", 40, f"clients are led back; {site.states()}")
    wait_for(lambda: sum('vitald_failover_reasserted_total{topology="main"} 1' in a.health("/metrics").text for a in site.agents.values()) == 1, 20, "one did it")
    lose(site.one)
    before = len(writer.acknowledged)
    wait_for(lambda: site.way.read_text().strip() == "two", 60, f"clients are sent to two; {site.states()}")
    # The fence comes before the promotion: whatever is left of the old primary takes no writes.
    assert subprocess.run([site.folder / "stop", "gone", str(site.one.data / "postmaster.pid")], check=False).returncode == 0
    assert site.is_primary("two")
    # The row under way when the only synchronous standby is gone would wait for ever.
    wait_for(lambda: len(writer.acknowledged) > before + 3, 30, "rows are written again")
    writer.stop()
    rows = set(site.two.sql("SELECT n FROM rows").split())
    assert [n for n in writer.acknowledged if str(n) not in rows] == []
    wait_for(lambda: set(site.states()) == {"observing"}, 40, "all is over")
    done = [a for a in site.agents.values() if 'vitald_failover_recoveries_total{topology="main",end="done"} 1' in a.health("/metrics").text]
    assert len(done) == 1, "one agent did it, and one only"
    record = next(r for r in done[0].admin("/api/v1/failovers").json()["failovers"] if r["to"] == "two")
    assert record["detected"] <= record["decided"] < record["fenced"] < record["promoted"], record
    assert all(record[f"{phase}_ms"] >= 0 for phase in ("detect", "decide", "fence", "promote")), record
    assert site.policy(done[0])["last_primary"]["position"]
    decisions = done[0].admin("/api/v1/failover-decisions").json()["decisions"]
    recovery = next(d["recovery"] for d in decisions if d["to"] == "fencing")
    told = done[0].ctl("failover", "explain", recovery)
    assert "fencing to confirming" in told.stdout and "moving to verifying" in told.stdout, told
    waited = any("takes connections" in d["why"] for d in decisions)
    assert waited == (lose is freeze), "one that hangs has overload_grace, one that is gone has not"
    assert "facts" not in done[0].ctl("events", "--event", "failover_decision").stdout
    assert done[0].ctl("failover", "replay", recovery).returncode == 0
    assert done[0].ctl("failover", "replay", recovery, "--without", next(n for n in "abc" if site.agents[n] is not done[0])).returncode in (0, 1)
    done[0].end(signal.SIGTERM, 10)
    done[0].start()
    wait_for(lambda: any("too recent" in h for h in site.policy(done[0])["holds"]), 40, "a new life knows of the cool-down")


@pytest.mark.parametrize("site", [{"mode": "auto", "agents": 2}], indirect=True)
def test_nothing_is_done_while_it_is_paused(site):
    a = site.agents["a"]
    assert a.ctl("failover", "pause", "--reason", "upgrade").returncode == 0
    for agent in site.agents.values():
        wait_for(lambda x=agent: site.policy(x)["is_paused"], 20, "all agents know")
    refused = a.ctl("failover", "switchover", "main", "--to", "two", "--yes")
    assert refused.returncode != 0 and "an operator paused it" in refused.stderr, refused
    kill(site.one)
    wait_for(lambda: set(site.states()) == {"held"}, 40, "it is held")
    assert "paused" in a.ctl("failover", "status").stdout
    assert not site.is_primary("two")
    assert a.ctl("failover", "resume").returncode == 0
    wait_for(lambda: site.way.read_text().strip() == "two", 60, "and then done")


@pytest.mark.skipif(not IS_LONG, reason="an own pair of servers for one command: set VITALD_LONG")
@pytest.mark.parametrize("site", [{"mode": "assist", "agents": 2}], indirect=True)
def test_an_operator_moves_the_role_once_he_has_typed_the_name(site):
    a = site.agents["a"]
    wait_for(lambda: not [h for h in site.policy(a)["holds"] if "started a moment ago" in h], 20, "its grace is over")
    no_name = a.ctl("failover", "switchover", "main", "--to", "two")
    assert no_name.returncode != 0 and "--yes" in no_name.stderr
    there = a.ctl("failover", "switchover", "main", "--to", "one", "--yes")
    assert there.returncode != 0 and "is the primary already" in there.stderr
    begun = a.ctl("failover", "switchover", "main", "--to", "two", "--yes")
    assert begun.returncode == 0 and "goes from one to two" in begun.stdout, begun
    wait_for(lambda: site.way.read_text().strip() == "two", 60, f"it is done; {site.states()}")
    assert site.is_primary("two")
    assert subprocess.run([site.folder / "stop", "gone", str(site.one.data / "postmaster.pid")], check=False).returncode == 0


@pytest.mark.parametrize("site", [{"mode": "assist", "agents": 2}], indirect=True)
def test_in_mode_assist_a_human_says_whom(site):
    kill(site.one)
    wait_for(lambda: set(site.states()) == {"awaiting"}, 40, "it is asked")
    a = site.agents["a"]
    recovery = site.policy(a)["recovery"]
    for words in (["explain", recovery], ["replay", recovery], ["replay", recovery, "--without", "b"]):
        done = a.ctl("failover", *words, "--json")
        said = json.loads(done.stdout)
        holds(f"vitalctl failover {words[0]}", said)
        assert said["decisions"][-1]["to"] == "awaiting" and said["id"] == recovery
        assert done.returncode == (0 if said.get("is_same", True) else 1)
    checked = json.loads(a.ctl("failover", "check", "--json").stdout)
    holds("vitalctl failover check", checked)
    assert not checked["is_green"] and any(f["level"] == "bad" and f["what"] == "primary" for f in checked["findings"])
    wrong = a.ctl("failover", "approve", recovery, "--to", "one")
    assert wrong.returncode != 0 and "it would promote two, not one" in wrong.stderr
    assert a.ctl("failover", "approve", "main-of-nobody", "--to", "two").returncode != 0
    assert not site.is_primary("two")
    assert a.ctl("failover", "approve", recovery, "--to", "two").returncode == 0
    wait_for(lambda: site.way.read_text().strip() == "two", 60, f"it is done; {site.states()}")


@pytest.mark.parametrize("site", [{"mode": "advise", "agents": 1}], indirect=True)
def test_in_mode_advise_it_is_told_and_nothing_is_done(site):
    kill(site.one)
    a = site.agents["a"]
    wait_for(lambda: site.states() == ["advised"], 40, "it is told")
    assert a.events("failover_advised")[0]["to"] == "two"
    assert not site.is_primary("two") and site.way.read_text() == "one"
