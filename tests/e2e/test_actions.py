"""The kinds of failover action on real servers: each does what it says, does it once, refuses what it must not touch, notices when
the effect did not happen, and comes back when the server hangs."""
import pathlib

import pytest

from acting import Kind, outcome
from servers import HAProxy, MariaDB, Postgres, temporary_directory, wait_until


def secret(text):
    path = temporary_directory("secret") / "password"
    path.write_text(text)
    return str(path)


# ---- PostgreSQL -------------------------------------------------------------------------------------------------------

@pytest.fixture
def pg_pair():
    with Postgres() as one:
        one.sql("CREATE TABLE canary (node text PRIMARY KEY, written timestamptz); CREATE USER failover PASSWORD 'canary-promoter'; GRANT EXECUTE ON FUNCTION pg_promote TO failover;"
                "GRANT EXECUTE ON FUNCTION pg_control_system TO failover; CREATE USER guest PASSWORD 'canary-guest'; GRANT ALL ON canary TO failover")
        with Postgres(standby_of=one) as two:
            wait_until(lambda: one.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1")
            yield one, two


def promote_of(server, user="failover", password="canary-promoter", **more):
    return Kind("postgres.promote", host=server.host, port=server.port, user=user, password_file=secret(password),
                database="app", **more)


def test_a_standby_is_promoted_once_and_believed_when_it_takes_a_write(pg_pair):
    one, two = pg_pair
    promote = promote_of(two, system_identifier=one.sql("SELECT system_identifier FROM pg_control_system()"))
    assert promote.check().verdict == "pass"
    before = promote.verify(timeout="1s")
    assert before.verdict == "fail" and "still a standby" in before.text
    done = promote.perform(timeout="20s")
    assert done.verdict == "pass" and "was promoted" in done.text
    assert promote.verify().verdict == "pass"
    assert two.sql("SELECT pg_is_in_recovery()") == "f"
    again = promote.perform()
    assert again.verdict == "pass" and "already" in again.text
    assert promote.check().verdict == "warn"
    # It is a primary, and yet nobody can write: believed by no one.
    writing = promote_of(two, write_table="canary")
    assert writing.verify().verdict == "pass" and two.sql("SELECT count(*) FROM canary") == "1"
    two.set_read_only()
    unwritable = writing.verify(timeout="1s")
    assert unwritable.verdict == "fail" and "read-only" in unwritable.text


def test_a_standby_that_must_not_be_promoted_is_left_alone(pg_pair):
    one, two = pg_pair
    other = promote_of(two, system_identifier="7000000000000000000").perform()
    assert outcome(other) == "vetoed" and "not of 7000000000000000000" in other.text
    guest = promote_of(two, "guest", "canary-guest")
    assert guest.check().cause == "auth" and "GRANT EXECUTE" in guest.check().text
    assert outcome(guest.perform()) == "vetoed"
    two.sql("SELECT pg_wal_replay_pause()")
    assert "replay is paused" in promote_of(two).check().text
    assert outcome(promote_of(two).perform()) == "vetoed"
    wrong = promote_of(two, password="canary-wrong").perform()
    assert wrong.verdict != "pass" and "canary" not in wrong.output
    dry = promote_of(two).perform(**{"step.dry_run": True})
    assert "dry run" in dry.text
    late = promote_of(two).perform(**{"step.not_after": 1})
    assert outcome(late) in ("too_late", "vetoed")
    assert two.sql("SELECT pg_is_in_recovery()") == "t"


def test_a_standby_that_hangs_costs_the_time_of_the_step_and_no_more(pg_pair):
    _, two = pg_pair
    two.hang()
    try:
        hung = promote_of(two).perform(timeout="1s")
        assert hung.verdict != "pass" and hung.seconds < 5
    finally:
        two.resume()


# ---- MariaDB -----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def maria_pair():
    with MariaDB(settings=MariaDB.LOGS) as one:
        one.sql("CREATE TABLE app.canary (node varchar(255) PRIMARY KEY, written datetime);"
                "CREATE USER failover@'%' IDENTIFIED BY 'canary-maria';"
                "GRANT SUPER, READ_ONLY ADMIN, REPLICATION SLAVE ADMIN, SLAVE MONITOR, RELOAD, PROCESS, CONNECTION ADMIN ON *.* TO failover@'%';"
                "GRANT ALL ON app.* TO failover@'%'")
        with MariaDB(replica_of=one) as two:
            wait_until(lambda: "failover" in two.sql("SELECT user FROM mysql.user"))
            yield one, two


def mysql(kind, server, user="failover", password="canary-maria", **more):
    return Kind(f"mysql.{kind}", host=server.host, port=server.port, user=user, password_file=secret(password), **more)


def test_a_replica_is_promoted_and_its_primary_demoted(maria_pair):
    one, two = maria_pair
    promote, demote = mysql("promote", two, write_table="app.canary"), mysql("demote", one)
    assert promote.check().verdict == "pass", promote.check().text
    assert demote.check().verdict == "pass", demote.check().text
    assert mysql("demote", one, one.app_user, one.app_password).check().cause == "auth"
    assert promote.verify(timeout="1s").verdict == "fail"
    assert demote.verify(timeout="1s").verdict == "fail"
    two.sql("STOP SLAVE SQL_THREAD")
    one.sql("CREATE TABLE app.more (n int)")
    wait_until(lambda: two.sql("SHOW SLAVE STATUS").split("\t")[6] != two.sql("SHOW SLAVE STATUS").split("\t")[21])
    stuck = promote.perform(timeout="3s")
    assert outcome(stuck) == "vetoed" and "does not apply" in stuck.text
    two.sql("START SLAVE SQL_THREAD")
    assert demote.perform().verdict == "pass"
    assert demote.verify().verdict == "pass"
    assert one.sql("SELECT @@read_only") == "1"
    done = promote.perform()
    assert done.verdict == "pass", done.text
    assert promote.verify().verdict == "pass"
    assert promote.perform().verdict == "pass"
    assert two.sql("SELECT count(*) FROM app.canary") == "1"
    assert two.sql("SHOW TABLES FROM app LIKE 'more'") == "more"
    assert demote.compensate().verdict == "pass" and one.sql("SELECT @@read_only") == "0"


def test_a_mariadb_that_hangs_costs_the_time_of_the_step_and_no_more(maria_pair):
    one, _ = maria_pair
    one.hang()
    try:
        hung = mysql("demote", one).perform(timeout="1s")
        assert hung.verdict != "pass" and hung.seconds < 5
    finally:
        one.resume()


# ---- HAProxy -----------------------------------------------------------------------------------------------------------

def test_haproxys_servers_are_set_and_read_back():
    with HAProxy(["one 127.0.0.1:1", "two 127.0.0.1:1 disabled"]) as haproxy:
        move = Kind("haproxy.set", sockets=[str(haproxy.socket)], servers={"app/one": "maint", "app/two": "ready"},
                    undo={"app/one": "ready", "app/two": "maint"})
        assert move.check().verdict == "pass", move.check().text
        assert move.verify(timeout="1s").verdict == "fail"
        assert move.perform().verdict == "pass"
        assert move.verify().verdict == "pass"
        assert move.perform().text == "they are so already"
        # Somebody else sets it back: found by reading back.
        haproxy.runtime("set server app/one state ready")
        assert "app/one is ready and not maint" in move.verify(timeout="1s").text
        assert move.compensate().verdict == "pass"
        assert "app/two is maint and not ready" in move.verify(timeout="1s").text or "app/one" in move.verify(timeout="1s").text
        lost = Kind("haproxy.set", sockets=[str(haproxy.socket)], servers={"app/nobody": "maint"})
        assert outcome(lost.perform()) == "vetoed" and "knows no server app/nobody" in lost.check().text
        haproxy.hang()
        hung = move.perform(timeout="1s")
        haproxy.resume()
        assert hung.verdict != "pass" and hung.seconds < 5
    gone = move.perform(timeout="1s")
    assert gone.verdict != "pass" and gone.cause == "refused"


# ---- keepalived's file ---------------------------------------------------------------------------------------------------

def test_a_track_file_is_replaced_and_read_back(tmp_path):
    path = tmp_path / "db"
    track = Kind("keepalived.track", path=str(path), value=1, undo=0)
    assert track.check().verdict == "warn"
    assert track.perform().verdict == "pass" and path.read_text() == "1\n"
    assert track.verify().verdict == "pass"
    path.write_text("0\n")
    assert "holds \"0\" and not 1" in track.verify().text
    assert track.compensate().verdict == "pass" and path.read_text() == "0\n"
    assert outcome(track.perform(**{"step.not_after": 1})) == "too_late" and path.read_text() == "0\n"
    assert Kind("keepalived.track", path="/proc/no/db", value=1).perform().verdict == "fail"
    assert [p.name for p in pathlib.Path(tmp_path).iterdir()] == ["db"]


# ---- waiting -------------------------------------------------------------------------------------------------------------

def test_waiting_takes_its_time_and_not_more_than_the_step_has():
    wait = Kind("wait", **{"for": "300ms"})
    done = wait.perform()
    assert done.verdict == "pass" and done.seconds >= 0.3
    assert outcome(Kind("wait", **{"for": "30s"}).perform(timeout="1s")) == "vetoed"
