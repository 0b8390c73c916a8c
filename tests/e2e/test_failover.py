"""Failovers are noticed, whoever makes them, and become records: a real PostgreSQL pair of which the primary is killed, frozen,
demoted by promoting the other, while a client writes. What the record says is compared with what the client saw."""
import datetime
import json
import os
import subprocess
import threading
import time

import pytest

from agent import Agent, wait_for
from servers import Postgres, temporary_directory, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a name of our own needs a mount namespace, and that needs root")

ONE, TWO = "127.0.0.1", "127.0.0.2"
PREFIX = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')
INTERVAL = 0.4


class Pair:
    """A primary, a streaming standby, the name clients use, and an agent that watches all three."""

    def __init__(self):
        self.hosts = temporary_directory("hosts") / "hosts"
        self.point_at(ONE)
        self.one = Postgres().start()
        self.one.sql("CREATE TABLE rows (n int PRIMARY KEY); GRANT SELECT, INSERT ON rows TO app")
        self.two = Postgres(standby_of=self.one, settings={"port": self.one.port, "listen_addresses": TWO})
        self.two.host, self.two.port = TWO, self.one.port
        self.two.start()
        wait_until(lambda: self.one.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1")
        login = {"type": "postgres", "port": self.one.port, "user": "app", "database": "app", "password_file": "db.password"}
        self.agent = Agent({
            "profile": "strict",
            "defaults": {"interval": f"{INTERVAL * 1000:.0f}ms", "timeout": "300ms", "edge_interval": f"{INTERVAL * 1000:.0f}ms"},
            "checks": {"pg1": {**login, "host": ONE, "role": "any", "replication": True},
                       "pg2": {**login, "host": TWO, "role": "any", "replication": True},
                       "db": {**login, "host": "db.example", "role": "primary"}},
            "services": {"web": ["db"]},
            "failover": {"topologies": {"main": {"members": {"one": "pg1", "two": "pg2"}, "endpoint": "db"}}}},
            start=False, argv_prefix=(*PREFIX, self.hosts))
        (self.agent.folder / "db.password").write_text(self.one.app_password)
        self.agent.start()
        self.wait_status("steady")

    def point_at(self, address):
        self.hosts.write_text(f"127.0.0.1 localhost\n{address} db.example\n")  # the same inode, which is what is mounted

    def seen(self):
        return self.agent.admin("/api/v1/failovers").json()

    def topology(self):
        return self.seen()["topologies"][0]

    def member(self, name):
        return next(m for m in self.topology()["members"] if m["name"] == name)

    def wait_status(self, status, timeout=20):
        return wait_for(lambda: self.topology()["status"] == status, timeout, f"the pair is {status}")

    def wait_record(self, end, timeout=30):
        return wait_for(lambda: next((f for f in self.seen()["failovers"] if f["end"] == end), None), timeout, f"a record of {end}")

    def close(self):
        self.agent.stop()
        for server in (self.two, self.one):
            server.stop(patience=0.5)


class Writer:
    """A client that inserts rows by the address the name points at, as fast as the server answers."""

    def __init__(self, pair):
        self.pair, self.gaps, self.acknowledged = pair, [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number, good_at, is_lost = 0, time.time(), False
        while not self.stopping.is_set():
            server = self.pair.one if ONE in self.pair.hosts.read_text().split("\n")[1] else self.pair.two
            number += 1
            done = subprocess.run(["psql", "-qAtX", "-h", server.host, "-p", str(server.port), "-U", "app", "-d", "app", "-c",
                                   f"INSERT INTO rows VALUES ({number})"], capture_output=True, timeout=20, check=False,
                                  env={**os.environ, "PGPASSWORD": server.app_password, "PGCONNECT_TIMEOUT": "2"})
            now = time.time()
            if done.returncode == 0:
                self.acknowledged.append(number)
                if is_lost:
                    self.gaps.append((good_at, now))
                good_at, is_lost = now, False
            else:
                is_lost = True
            time.sleep(0.03)

    def stop(self):
        self.stopping.set()
        self.thread.join(25)


@pytest.fixture
def pair():
    made = Pair()
    try:
        yield made
    finally:
        made.close()


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_killed_primary_and_a_promoted_standby_become_a_record_that_agrees_with_the_client(pair):
    assert pair.topology()["primary"] == "one"
    assert wait_for(lambda: pair.member("two")["is_promotable"]) and pair.member("two")["role"] == "standby"
    writer = Writer(pair)
    wait_for(lambda: len(writer.acknowledged) > 5)
    killed = time.time()
    pair.one.kill()
    wait_for(lambda: pair.agent.events("primary_lost"), 20, "the loss is told")
    assert pair.wait_status("no_primary")
    assert pair.topology()["open"]["from"] == "one"
    pair.two.promote()
    wait_for(lambda: pair.agent.events("failover_seen"), 20, "the new primary is told")
    pair.point_at(TWO)
    record = pair.wait_record("moved")
    wait_for(lambda: writer.gaps, 20, "the client writes again")
    writer.stop()
    assert (record["from"], record["to"], record["topology"]) == ("one", "two", "main")
    assert any(word in record["why"] for word in ("refused", "closed", "terminat", "EOF", "broke", "reset")), record["why"]
    # The agent looks every 0.4 s and needs a moment for each look; the client's gap lies within what the record allows.
    lost, back = writer.gaps[0]
    slack = 2 * INTERVAL + 1.5
    assert abs(moment(record["first_bad"]) - killed) < slack, (record, killed)
    assert moment(record["last_good"]) <= killed + 0.5
    assert abs(record["down_ms"] / 1000 - (back - lost)) < 2 * slack, (record["down_ms"], back - lost)
    assert record["leaderless_ms"] + record["follow_ms"] == record["down_ms"]
    print(f"the client could not write for {back - lost:.2f} s, the record says {record['down_ms'] / 1000:.2f} s")
    # Every acknowledged row of before is on the new primary: the standby had received all.
    assert int(pair.two.sql("SELECT count(*) FROM rows")) >= len(writer.acknowledged) - 1

    story = pair.agent.ctl("failover", "explain", record["id"])
    assert story.returncode == 0 and "one handed over to two" in story.stdout and "clients could write again" in story.stdout
    assert "to detect" in story.stdout and "the configuration promises" in story.stdout and "to fence" not in story.stdout
    history = pair.agent.ctl("failover", "history").stdout
    assert record["id"] in history and "two" in history
    status = pair.agent.ctl("failover", "status").stdout
    assert "main" in status and "primary two" in status and "down" in status
    metrics = pair.agent.admin("/metrics").text
    assert 'vitald_failovers_total{topology="main",end="moved"} 1' in metrics
    assert 'vitald_topology_primary{topology="main",member="two"} 1' in metrics
    assert 'vitald_failover_last_phase_seconds{topology="main",phase="detect"}' in metrics
    lint = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=30, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")

    # A restart forgets neither the record nor who was primary.
    pair.agent.end()
    pair.agent.start()
    pair.wait_status("steady")
    assert [f["id"] for f in pair.seen()["failovers"]] == [record["id"]]
    assert pair.topology()["primary"] == "two"
    assert not pair.agent.events("failover_seen"), "the second primary is no news after a restart"


def test_a_frozen_primary_is_lost_and_comes_back(pair):
    pair.one.hang()
    try:
        wait_for(lambda: pair.agent.events("primary_lost"), 20)
        assert pair.wait_status("no_primary")
        assert pair.member("one")["is_down"]
    finally:
        pair.one.resume()
    record = pair.wait_record("returned")
    assert record["from"] == "one" and record["to"] is None and record["down_ms"] > 0
    assert pair.topology()["primary"] == "one" and pair.wait_status("steady")
    assert "came back" in pair.agent.ctl("failover", "history").stdout


def test_two_primaries_are_told_at_once(pair):
    pair.two.promote()  # nobody stopped the first one
    told = wait_for(lambda: pair.agent.events("two_primaries"), 20)
    assert told[0]["members"] == "one, two" and told[0]["level"] == "error"
    assert pair.topology()["status"] == "two_primaries"
    pair.point_at(TWO)
    pair.one.stop()
    record = pair.wait_record("moved")
    assert (record["from"], record["to"]) == ("one", "two") and record["two_primaries_ms"] > 0
    assert "compare what was written to one" in pair.agent.ctl("failover", "explain", record["id"]).stdout


def test_what_happened_while_the_agent_was_away_is_noticed(pair):
    pair.one.hang()
    wait_for(lambda: pair.agent.events("primary_lost"), 20)
    pair.one.resume()
    pair.wait_record("returned")  # so that the journal knows who was primary
    pair.agent.end()
    pair.one.stop()
    pair.two.promote()
    pair.point_at(TWO)
    pair.agent.start()
    record = pair.wait_record("moved")
    assert (record["from"], record["to"]) == ("one", "two")


def test_an_agent_without_topologies_says_so():
    with Agent({"checks": {"memory": {"type": "memory"}}}) as agent:
        assert agent.admin("/api/v1/failovers").json() == {"topologies": [], "policies": [], "mode": "observe", "failovers": []}
        said = agent.ctl("failover", "status")
        assert said.returncode == 0 and "no topology is watched" in said.stdout
        refused = agent.ctl("failover", "approve", "x", "--to", "two")
        assert refused.returncode == 2 and "no topology has a mode above observe" in refused.stderr
        unknown = agent.ctl("failover", "explain", "main-1")
        assert unknown.returncode == 2 or "no topology" in unknown.stdout
        assert json.loads(agent.ctl("failover", "history", "--json").stdout)["failovers"] == []
