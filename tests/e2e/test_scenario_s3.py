"""Scenario S3: the database fails over, and the name moves to the new primary. The check resolves the name anew for each
probe and follows without a restart, and the journal shows how long writes were impossible. docs/scenarios/
database-failover.md is this system."""
import datetime
import os
import time

import pytest

from agent import Agent, wait_for
from servers import Postgres, temporary_directory, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a name of our own needs a mount namespace, and that needs root")

OLD, NEW = "127.0.0.1", "127.0.0.2"
# In a namespace of its own the agent sees our hosts file.
PREFIX = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"')


@pytest.fixture
def system():
    hosts = temporary_directory("hosts") / "hosts"

    def point_at(address):
        hosts.write_text(f"127.0.0.1 localhost\n{address} db.example\n")  # the same inode, which is what is mounted

    point_at(OLD)
    with Postgres() as primary:
        primary.sql("CREATE SCHEMA vitald; CREATE TABLE vitald.canary (node text PRIMARY KEY, written timestamptz NOT NULL);"
                    "GRANT USAGE ON SCHEMA vitald TO app; GRANT SELECT, INSERT, UPDATE ON vitald.canary TO app")
        with Postgres(standby_of=primary, settings={"port": primary.port, "listen_addresses": NEW}) as standby:
            standby.host, standby.port = NEW, primary.port
            wait_until(lambda: primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1")
            db = {"type": "postgres", "host": "db.example", "port": primary.port, "user": "app", "database": "app",
                  "password_file": "db.password", "role": "primary", "write_table": "vitald.canary"}
            agent = Agent({"profile": "strict",
                           "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms"},
                           "checks": {"db": db},
                           "services": {"web": {"all": ["db"]}}}, start=False, argv_prefix=(*PREFIX, hosts))
            (agent.folder / "db.password").write_text(primary.app_password)
            try:
                agent.start()
                agent.wait_ready()
                yield primary, standby, agent, point_at
            finally:
                agent.stop()


def when(event):
    return datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()


def test_the_check_follows_the_name_and_the_journal_shows_how_long_writes_were_impossible(system):
    primary, standby, agent, point_at = system
    wait_for(lambda: agent.check("db")["state"] == "pass")
    assert agent.check("db")["facts"]["address"] == OLD

    lost = time.time()
    primary.kill()
    wait_for(lambda: agent.check("db")["state"] == "fail", 10)
    assert agent.health("/health/web").status == 503
    standby.promote()
    time.sleep(0.6)  # promoted, but the name still points at the old one: nothing can be written yet
    assert agent.check("db")["state"] == "fail"
    point_at(NEW)
    moved = time.time()
    wait_for(lambda: agent.check("db")["state"] == "pass", 10, "it follows the name")
    assert agent.health("/health/web").status == 200
    seen = agent.check("db")
    assert seen["facts"]["address"] == NEW and seen["facts"]["role"] == "primary"
    assert agent.pid and len(agent.events("stopped")) == 0

    events = [e for e in agent.admin("/api/v1/events?event=check_state&check=db").json()["events"] if when(e) >= lost]
    assert [(e["fields"]["from"], e["fields"]["to"]) for e in events] == [("pass", "fail"), ("fail", "pass")], events
    impossible = when(events[1]) - when(events[0])
    # The outage as the journal has it, against what was done: late by no more than two probes at either end.
    assert abs(impossible - (moved - lost)) < 3.0, (impossible, moved - lost)
    assert impossible > 0.6
    told = agent.ctl("events", "--check", "db").stdout
    assert "pass" in told and "fail" in told
    print(f"writes were impossible for {moved - lost:.1f} s, the journal says {impossible:.1f} s")


def test_an_old_primary_that_comes_back_beside_the_new_one_is_not_followed(system):
    primary, standby, agent, point_at = system
    wait_for(lambda: agent.check("db")["state"] == "pass")
    standby.promote()
    point_at(NEW)
    wait_for(lambda: agent.check("db")["facts"].get("address") == NEW)
    wait_for(lambda: agent.check("db")["state"] == "pass")
    # The name is wrongly moved back, to a server that has become read-only.
    primary.set_read_only()
    point_at(OLD)
    wait_for(lambda: agent.check("db")["state"] == "fail", 10)
    assert agent.check("db")["cause"] == "role"
