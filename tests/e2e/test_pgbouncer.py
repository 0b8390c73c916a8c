"""The pgbouncer check against a real PgBouncer: working, out of connections behind a console that answers, paused, hung."""
import pytest

import hostile
from judging import BROKEN, HUNG, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, rounds, secret
from servers import PgBouncer, Postgres, wait_until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def pooled():
    with Postgres() as db, PgBouncer(db, pool_size=1) as bouncer:
        yield bouncer


def console(bouncer, **more):
    return {"host": bouncer.host, "port": bouncer.port, "user": bouncer.stats_user,
            "password_file": secret(bouncer.stats_password), **more}


def through(bouncer, **more):
    return {"host": bouncer.host, "port": bouncer.port, "user": bouncer.server.app_user,
            "database": bouncer.server.app_database, "password_file": secret(bouncer.server.app_password), **more}


def test_a_working_pool(pooled):
    judge("postgres", through(pooled), "pass", "none")
    probe = judge("pgbouncer", console(pooled, databases=["app"]), "pass", "none", says="is PgBouncer: 1 databases")
    assert probe.measures["clients_waiting"] == 0 and probe.measures["servers_idle"] == 1
    assert probe.facts["version"].endswith("/bouncer") and probe.facts["address"] == "127.0.0.1"
    assert phases(probe) == ["resolve", "connect", "tls", "auth", "exchange"]


def test_a_pool_without_a_free_connection_takes_logins_and_its_clients_wait(pooled):
    busy = [pooled.occupy(), pooled.occupy()]  # the second waits
    try:
        wait_until(lambda: "|1|" in "".join(r for r in pooled.console("SHOW POOLS").splitlines() if r.startswith("app|app|1|1")),
                   what="a client waits")
        wait_until(lambda: judge_quietly(pooled).measures["wait"] > 0.3, what="it has waited")
        judge("pgbouncer", console(pooled, warn_wait="100ms"), "warn", "latency", says="a client of app/app has waited")
        judge("pgbouncer", console(pooled, warn_wait="100ms", fail_wait="200ms"), "fail", "latency")
        probe = judge("pgbouncer", console(pooled, fail_waiting=0, warn_wait="1m", fail_wait="2m"), "fail", "content",
                      says="1 clients of app/app wait")
        assert probe.measures["clients_waiting"] == 1
        judge("postgres", through(pooled), "fail", "timeout", timeout=HUNG)  # what an application sees
    finally:
        for client in busy:
            client.terminate()
            client.wait(10)
    wait_until(lambda: judge_quietly(pooled).measures["clients_waiting"] == 0)


def judge_quietly(bouncer):
    return judge("pgbouncer", console(bouncer, warn_wait="1m", fail_wait="2m"), "pass", "none")


def test_a_database_that_is_paused_or_disabled_or_not_there(pooled):
    pooled.console("PAUSE app")
    try:
        judge("pgbouncer", console(pooled), "fail", "content", says='database "app" is paused')
        judge("pgbouncer", console(pooled, databases=["pgbouncer"]), "pass", "none")
    finally:
        pooled.console("RESUME app")
    pooled.console("DISABLE app")
    try:
        judge("pgbouncer", console(pooled), "fail", "content", says='database "app" is disabled')
        judge("postgres", through(pooled), "fail", "content")
    finally:
        pooled.console("ENABLE app")
    judge("pgbouncer", console(pooled, databases=["app", "shop"]), "fail", "content", says='no database "shop"')


def test_who_may_not_look(pooled):
    judge("pgbouncer", console(pooled, password_file=secret("not-the-password")), "unknown", "auth")
    judge("postgres", through(pooled, password_file=secret("not-the-password")), "unknown", "auth")
    judge("pgbouncer", through(pooled, database="pgbouncer"), "unknown", "auth")
    judge("pgbouncer", through(pooled, database="app"), "fail", "content")  # PostgreSQL knows no SHOW DATABASES


def test_hung_and_stopped(pooled):
    pooled.hang()
    try:
        judge("pgbouncer", console(pooled), "fail", "timeout", timeout=HUNG)
    finally:
        pooled.resume()
    judge("pgbouncer", console(pooled), "pass", "none")
    judge("pgbouncer", console(pooled, port=1), "fail", "refused")


@pytest.mark.parametrize("name", ["says nothing", "closes at once", "says garbage", "speaks HTTP"])
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    judge_hostile("pgbouncer", lambda peer: {"host": peer.host, "port": peer.port, "user": "x", "tls.mode": "off"}, causes,
                  behaviour)


def test_probes_leave_nothing(pooled):
    mark = pooled.log_mark()
    leaves_nothing(repeat("pgbouncer", console(pooled, **{"tls.mode": "off"}), 100), "pass/none", 100)
    assert "WARNING" not in pooled.log_since(mark) and "ERROR" not in pooled.log_since(mark)
    assert pooled.log_since(mark).count("closing because: client close request") == rounds(100)
    with hostile.Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("pgbouncer", {"host": peer.host, "port": peer.port, "user": "x"}, 100), "fail/protocol", 100)


def test_options_that_make_no_sense_are_refused_by_name():
    refused("pgbouncer", {"user": "a", "warn_wait": "20s"}, "warn_wait")
    refused("pgbouncer", {}, "user")
