"""The postgres check's replication, headroom and write probe, against a real streaming pair."""
import time

import pytest

from judging import HUNG, judge, leaves_nothing, refused, repeat, secret
from servers import Postgres, wait_until

pytestmark = pytest.mark.timeout(120)

PASSWORD = "s3cret-monitor"


@pytest.fixture(scope="module")
def pair():
    with Postgres(settings={"wal_receiver_status_interval": "1s"}) as primary:
        primary.sql(f"CREATE ROLE monitor LOGIN PASSWORD '{PASSWORD}'; GRANT pg_monitor TO monitor;"
                    "ALTER ROLE monitor SET default_transaction_read_only = on;"
                    "CREATE SCHEMA vitald; CREATE TABLE vitald.canary (node text PRIMARY KEY, written timestamptz NOT NULL);"
                    "GRANT USAGE ON SCHEMA vitald TO monitor; GRANT SELECT, INSERT, UPDATE ON vitald.canary TO monitor;"
                    "CREATE TABLE vitald.other (LIKE vitald.canary INCLUDING ALL); CREATE TABLE t (i int)")
        with Postgres(standby_of=primary) as standby:
            wait_until(lambda: streaming(primary) == "1", what="the standby streams")
            yield primary, standby


def streaming(primary):
    return primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")


def login(server, **more):
    return {"host": server.host, "port": server.port, "user": "monitor", "database": server.app_database,
            "password_file": secret(PASSWORD), **more}


def as_application(server, **more):
    return login(server, user=server.app_user, password_file=secret(server.app_password), **more)


def is_caught_up(primary, standby):
    return standby.sql("SELECT pg_last_wal_replay_lsn()") == primary.sql("SELECT pg_current_wal_lsn()")


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_pair_says_how_its_replication_stands(pair):
    primary, standby = pair
    probe = judge("postgres", login(primary, role="primary", replication=True, fail_standbys=1), "pass", "none")
    assert probe.facts["timeline"] == "1"
    assert probe.measures["standbys"] == 1 and probe.measures["slots_inactive"] == 0
    probe = judge("postgres", login(standby, role="standby", warn_lag="10s", fail_lag="1m", fail_lag_bytes="64MiB"), "pass",
                  "none")
    assert probe.facts["wal_receiver"] == "streaming" and probe.facts["replay"] == "running"
    assert probe.facts["timeline"] == "1" and "sender" in probe.facts
    assert probe.measures["lag"] < 1 and "lag_bytes" in probe.measures and probe.measures["receiver_silent"] < 60
    judge("postgres", login(standby, fail_standbys=1), "pass", "none")  # it is the primary's to have standbys


def test_an_idle_primary_makes_no_lag(pair):
    primary, standby = pair
    primary.sql("INSERT INTO t VALUES (1)")
    wait_until(lambda: is_caught_up(primary, standby))
    time.sleep(1.2)  # the last commit is older than this now, and that is all that has happened
    probe = judge("postgres", login(standby, fail_lag="1s"), "pass", "none")
    assert probe.measures["lag"] == 0
    age = standby.sql("SELECT extract(epoch FROM now() - pg_last_xact_replay_timestamp()) > 1")
    assert age == "t", "what the naive query would have called the lag"


def test_without_pg_monitor_the_lag_is_known_all_the_same(pair):
    primary, standby = pair
    probe = judge("postgres", as_application(standby, warn_lag="10s"), "pass", "none")
    assert probe.facts["wal_receiver"] == "running"
    judge("postgres", as_application(primary, replication=True), "pass", "none")
    judge("postgres", as_application(primary, fail_standbys=1), "unknown", "auth", says="pg_monitor")


def test_writes_are_committed_even_by_a_monitor_that_is_read_only_by_default(pair):
    primary, standby = pair
    probe = judge("postgres", login(primary, write_table="vitald.canary"), "pass", "none")
    assert probe.measures["write"] < 5
    assert primary.sql("SELECT count(*) FROM vitald.canary WHERE written > now() - interval '1 minute'") == "1"
    probe = judge("postgres", login(standby, write_table="vitald.canary"), "pass", "none")
    assert "write" not in probe.measures, "a standby is not asked to write"


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_standby_that_falls_behind(pair):
    primary, standby = pair
    standby.sql("SELECT pg_wal_replay_pause()")
    try:
        primary.sql("INSERT INTO t SELECT generate_series(1, 20000)")
        wait_until(lambda: standby.sql("SELECT pg_last_wal_receive_lsn()") == primary.sql("SELECT pg_current_wal_lsn()"))
        time.sleep(1.2)
        probe = judge("postgres", login(standby, replication=True), "warn", "content", says="replay is paused")
        assert probe.facts["replay"] == "paused"
        probe = judge("postgres", login(standby, warn_lag="100ms", fail_lag="1s"), "fail", "content", says="above fail_lag 1s")
        assert probe.measures["lag"] > 1
        probe = judge("postgres", login(standby, fail_lag_bytes="256KiB"), "fail", "content", says="wait to be replayed")
        assert probe.measures["lag_bytes"] > 256 * 1024
    finally:
        standby.sql("SELECT pg_wal_replay_resume()")
    wait_until(lambda: is_caught_up(primary, standby))
    judge("postgres", login(standby, warn_lag="1s"), "pass", "none")


def test_a_dead_receiver_is_no_lag_of_zero(pair):
    primary, standby = pair
    origin = standby.sql("SHOW primary_conninfo")
    standby.sql("ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'")
    standby.sql("SELECT pg_reload_conf()")
    try:
        wait_until(lambda: standby.sql("SELECT count(*) FROM pg_stat_wal_receiver") == "0")
        probe = judge("postgres", login(standby, warn_lag="10s"), "fail", "content", says="no WAL receiver")
        assert "lag" not in probe.measures and probe.facts["wal_receiver"] == "none"
        assert probe.facts["timeline"] == "1", "its newest WAL file says where it stands"
        # Without pg_monitor nobody may look there, and that is no failure of its own.
        probe = judge("postgres", as_application(standby, replication=True), "fail", "content", says="no WAL receiver")
        assert "timeline" not in probe.facts
        judge("postgres", login(standby, replication=True, wal_receiver=False), "pass", "none")
        judge("postgres", login(standby, role="standby"), "pass", "none")  # who does not ask is not told
        wait_until(lambda: streaming(primary) == "0")
        judge("postgres", login(primary, warn_standbys=1), "warn", "content", says="no standby is streaming")
        judge("postgres", login(primary, fail_standbys=1), "fail", "content", says="below fail_standbys 1")
    finally:
        standby.sql("ALTER SYSTEM SET primary_conninfo = '%s'" % origin.replace("'", "''"))
        standby.sql("SELECT pg_reload_conf()")
    wait_until(lambda: streaming(primary) == "1", timeout=30)


def test_a_slot_that_nobody_uses(pair):
    primary, _ = pair
    primary.sql("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        primary.sql("INSERT INTO t SELECT generate_series(1, 20000)")
        probe = judge("postgres", login(primary, warn_slot_wal="256KiB"), "warn", "content", says="a replication slot")
        assert probe.measures["slots_inactive"] == 1 and probe.measures["slot_wal"] > 256 * 1024
    finally:
        primary.sql("SELECT pg_drop_replication_slot('forgotten')")


def test_the_connections_run_out(pair):
    primary, _ = pair
    probe = judge("postgres", login(primary, warn_free_connections="90%"), "warn", "content", says="connections are left, below")
    assert probe.measures["connections_free"] <= 17  # of 20, 3 are the superuser's
    judge("postgres", login(primary, warn_free_connections="19", fail_free_connections="18"), "fail", "content")
    judge("postgres", login(primary, warn_free_connections="5"), "pass", "none")


def test_a_commit_that_waits_for_a_standby_that_is_gone_is_ended_with_the_probe(pair):
    primary, _ = pair
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    primary.sql("SELECT pg_reload_conf()")
    try:
        judge("postgres", login(primary, role="primary"), "pass", "none")  # reads go on as if nothing were
        for _ in range(3):
            judge("postgres", login(primary, role="primary", write_table="vitald.canary"), "fail", "timeout",
                  says="not committed within", timeout="1s")
        assert primary.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'monitor'") == "0", "no backend stays behind"
    finally:
        primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        primary.sql("SELECT pg_reload_conf()")
    judge("postgres", login(primary, write_table="vitald.canary"), "pass", "none")


def test_a_row_that_is_locked_is_a_write_that_does_not_come_through(pair):
    primary, _ = pair
    judge("postgres", login(primary, write_table="vitald.canary"), "pass", "none")
    primary.sql("CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END';"
                "CREATE TRIGGER slow BEFORE INSERT ON vitald.canary FOR EACH ROW EXECUTE FUNCTION slow()")
    try:
        judge("postgres", login(primary, write_table="vitald.canary"), "fail", "timeout", says="57014", timeout="1s")
    finally:
        primary.sql("DROP TRIGGER slow ON vitald.canary")


@pytest.mark.parametrize("table, verdict, cause, says", [
    ("vitald.gone", "fail", "content", "42P01"),
    ("vitald.other", "unknown", "auth", "42501"),
])
def test_a_write_that_is_refused(pair, table, verdict, cause, says):
    judge("postgres", login(pair[0], write_table=table), verdict, cause, says=says)


# ---- hung -----------------------------------------------------------------------------------------------------------

def test_a_hung_standby_is_a_timeout(pair):
    _, standby = pair
    standby.hang()
    try:
        judge("postgres", login(standby, warn_lag="10s", **{"tls.mode": "off"}), "fail", "timeout", timeout=HUNG)
    finally:
        standby.resume()
    judge("postgres", login(standby, replication=True), "pass", "none")


# ---- a thousand probes ----------------------------------------------------------------------------------------------

def test_hundreds_of_probes_leave_nothing(pair):
    primary, standby = pair
    primary.sql("INSERT INTO t VALUES (1)")
    marks = primary.log_mark(), standby.log_mark()
    leaves_nothing(repeat("postgres", login(primary, write_table="vitald.canary", replication=True, **{"tls.mode": "off"}), 150),
                   "pass/none", 150)
    leaves_nothing(repeat("postgres", login(standby, warn_lag="1m", **{"tls.mode": "off"}), 150), "pass/none", 150)
    for server, mark in zip(pair, marks):
        assert [line for line in server.log_since(mark).splitlines() if "checkpoint" not in line and "restartpoint" not in line
                and "recovery restart point" not in line and "DETAIL:  Last completed" not in line] == []


@pytest.mark.parametrize("options, says", [
    ({"wal_receiver": False, "warn_lag": "1s"}, "wal_receiver"),
    ({"warn_lag": "2s", "fail_lag": "1s"}, "warn_lag"),
    ({"warn_free_connections": "5%", "fail_free_connections": "10%"}, "warn_free_connections"),
    ({"write_table": "a; DROP TABLE b"}, "write_table"),
    ({"write_table": "vitald..canary"}, "write_table"),
    ({"write_table": ""}, "write_table"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("postgres", {"user": "a", **options}, says)
