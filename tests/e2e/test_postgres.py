"""The postgres check against real servers: working, broken in ways no port check sees, hung, stopped; and against peers
that only pretend to be PostgreSQL."""
import struct

import pytest

import hostile
from hostile import Certificates as PeerCertificates
from hostile import Peer
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, secret
from servers import Certificates, Postgres

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def db():
    with Postgres(hba=["host all trusted 127.0.0.1/32 trust"]) as server:
        yield server


@pytest.fixture(scope="module")
def tls():
    return Certificates.shared()


def login(server, **more):
    return {"host": server.host, "port": server.port, "user": server.app_user, "database": server.app_database,
            "password_file": secret(server.app_password), **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_primary_passes_and_says_what_it_is(db):
    probe = judge("postgres", login(db), "pass", "none", says='is a primary (PostgreSQL 15.')
    assert probe.facts["role"] == "primary" and probe.facts["read_only"] == "off"
    assert probe.facts["tls"].startswith("TLSv1.")
    assert probe.measures["connections"] >= 1 and probe.measures["connections_max"] == 20
    assert phases(probe) == ["resolve", "connect", "tls", "auth", "exchange"]


@pytest.mark.parametrize("mode, is_tls", [("off", False), ("prefer", True), ("require", True), ("verify", True)])
def test_every_tls_mode(db, tls, mode, is_tls):
    probe = judge("postgres", login(db, **{"tls.mode": mode, "tls.ca": tls.ca}), "pass", "none")
    assert ("tls" in probe.facts) == is_tls


def test_a_client_certificate_logs_in_without_a_password(db, tls):
    options = {"host": db.host, "port": db.port, "user": "certuser", "database": "app", "tls.mode": "verify", "tls.ca": tls.ca,
               "tls.certificate": tls.client, "tls.key": tls.key_for("root", tls.client_key)}
    judge("postgres", options, "pass", "none")


def test_the_unix_socket(db):
    probe = judge("postgres", login(db, host=db.directory), "pass", "none")
    assert "tls" not in probe.facts


def test_the_expected_value(db):
    judge("postgres", login(db, query="SELECT 40 + 2", expect="42"), "pass", "none", says='"42"')
    judge("postgres", login(db, query="SELECT 40 + 2", expect="43"), "fail", "content", says='got "42", expected "43"')
    judge("postgres", login(db, query="SELECT 1 WHERE false", expect="1"), "fail", "content", says="no row")
    judge("postgres", login(db, query="SELECT NULL", expect="NULL"), "pass", "none")
    judge("postgres", login(db, query="SELECT 1; SELECT 'last' -- comment", expect="last"), "pass", "none")


def test_roles(db):
    judge("postgres", login(db, role="primary"), "pass", "none")
    judge("postgres", login(db, role="standby"), "fail", "role", says="is a primary, not a standby")
    with Postgres(standby_of=db) as standby:
        judge("postgres", login(standby), "pass", "none")
        probe = judge("postgres", login(standby, role="standby"), "pass", "none")
        assert probe.facts["role"] == "standby" and probe.facts["read_only"] == "on"
        judge("postgres", login(standby, role="primary"), "fail", "role", says="is a standby, not a primary")
        standby.promote()
        judge("postgres", login(standby, role="primary"), "pass", "none")


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_rejected_password_is_unknown_and_tried_once(db):
    mark = db.log_mark()
    for mode in ("off", "prefer", "require"):
        judge("postgres", login(db, password_file=secret("wrong-one"), **{"tls.mode": mode}), "unknown", "auth",
              says="login as app to 127.0.0.1")
    judge("postgres", login(db, user="nobody-here"), "unknown", "auth")
    assert db.log_since(mark).count("FATAL:  password authentication failed") == 4
    options = login(db)
    del options["password_file"]
    judge("postgres", options, "unknown", "auth", says="no password supplied")


def test_a_password_that_was_changed(db):
    db.change_password("s3cret-new")
    try:
        judge("postgres", login(db), "unknown", "auth")
        judge("postgres", login(db, password_file=secret("s3cret-new")), "pass", "none")
    finally:
        db.change_password(db.app_password)


def test_a_user_whom_pg_hba_does_not_let_in():
    with Postgres(hba=["host all all 127.0.0.1/32 reject"]) as server:
        judge("postgres", login(server), "unknown", "auth", says="pg_hba.conf")


def test_a_read_only_primary_is_no_primary(db):
    db.set_read_only()
    try:
        judge("postgres", login(db, role="primary"), "fail", "role", says="read-only")
        probe = judge("postgres", login(db), "warn", "role", says="read-only")
        assert probe.facts["read_only"] == "on"
        judge("postgres", login(db, query="CREATE TABLE t (i int)"), "fail", "role", says="25006")
    finally:
        db.set_read_only(False)


def test_a_monitor_that_may_only_read_does_not_make_the_server_read_only(db):
    db.sql("ALTER USER app SET default_transaction_read_only = on")
    try:
        judge("postgres", login(db, role="primary"), "pass", "none")
    finally:
        db.sql("ALTER USER app RESET ALL")


@pytest.mark.parametrize("more, verdict, cause, says", [
    ({"database": "gone"}, "fail", "content", "3D000"),
    ({"query": "SELECT * FROM gone"}, "fail", "content", "42P01"),
    ({"query": "SELECT gone FROM pg_class"}, "fail", "content", "42703"),
    ({"query": "SELEC 1"}, "unknown", "config", "42601"),
    ({"query": "SELECT * FROM pg_authid"}, "unknown", "auth", "42501"),
    ({"query": "SELECT 1/0"}, "fail", "content", "22012"),
    ({"host": "nothing-here.invalid"}, "fail", "dns", "nothing-here.invalid"),
    ({"tls.mode": "verify", "tls.ca": "/nowhere/ca.pem"}, "unknown", "config", "tls.ca: /nowhere/ca.pem"),
])
def test_what_else_is_wrong(db, more, verdict, cause, says):
    judge("postgres", login(db, **more), verdict, cause, says=says)


def test_too_many_connections_is_alive(db):
    db.sql("ALTER USER app CONNECTION LIMIT 0")
    try:
        judge("postgres", login(db), "warn", "protocol", says="too many connections")
    finally:
        db.sql("ALTER USER app CONNECTION LIMIT -1")


def test_certificates_that_do_not_verify(db, tls):
    verify = {"tls.mode": "verify"}
    judge("postgres", login(db, **verify), "fail", "tls", says="certificate verify failed")  # the system's authorities
    judge("postgres", login(db, **verify, **{"tls.ca": tls.other_ca}), "fail", "tls", says="certificate verify failed")
    judge("postgres", login(db, **verify, **{"tls.ca": tls.ca, "tls.server_name": "db.example"}), "fail", "tls",
          says='does not match host name "db.example"')
    with Postgres(certificate=tls.expired, key=tls.expired_key) as server:
        judge("postgres", login(server, **verify, **{"tls.ca": tls.ca}), "fail", "tls")
        judge("postgres", login(server, **{"tls.mode": "require"}), "pass", "none")
    with Postgres(settings={"ssl": "off"}) as server:
        judge("postgres", login(server, **{"tls.mode": "require"}), "fail", "tls", says="does not support SSL")
        judge("postgres", login(server, **{"tls.mode": "prefer"}), "pass", "none")


# ---- late, hung, stopped ----------------------------------------------------------------------------------------------

def test_a_slow_query_is_ended_by_the_server_before_the_deadline(db):
    probe = judge("postgres", login(db, query="SELECT pg_sleep(20)"), "fail", "timeout", says="57014", timeout="1s")
    assert phases(probe)[-1] == "exchange"
    assert db.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid()") == "0"


def test_a_hung_server_is_a_timeout_that_says_how_far_it_came(db):
    db.hang()
    try:
        for mode, says in (("off", "no answer to the login"), ("prefer", "no end of the handshake")):
            probe = judge("postgres", login(db, **{"tls.mode": mode}), "fail", "timeout", says=says, timeout=HUNG)
            assert phases(probe)[:2] == ["resolve", "connect"] and len(phases(probe)) > 2, "the port accepted, and that is said"
    finally:
        db.resume()
    judge("postgres", login(db), "pass", "none")


def test_a_stopped_server_refuses(db):
    with Postgres() as server:
        server.stop()
        judge("postgres", login(server), "fail", "refused")
        judge("postgres", login(server, host=server.directory), "fail", "refused")
        server.start()
        judge("postgres", login(server), "pass", "none")


def test_a_name_server_that_is_silent_is_our_trouble(db):
    if not hostile.NameServer.is_possible():
        pytest.skip("needs root")
    with hostile.NameServer(mood="silent") as names:
        judge("postgres", login(db, host="db.example"), "unknown", "agent", timeout="1s", wrap=names.wrap)


# ---- a thousand probes ------------------------------------------------------------------------------------------------

def test_many_probes_leave_nothing_in_the_worker_and_nothing_in_the_servers_log(db):
    mark = db.log_mark()
    db.sql("CREATE USER trusted")  # without a password: SCRAM is made to be slow
    leaves_nothing(repeat("postgres", login(db, user="trusted", **{"tls.mode": "off"}), 1000), "pass/none", 1000)
    leaves_nothing(repeat("postgres", login(db), 100), "pass/none", 100)
    complaints = [line for line in db.log_since(mark).splitlines() if "checkpoint" not in line]
    assert complaints == []


def test_probes_that_fail_leave_nothing_either(db):
    leaves_nothing(repeat("postgres", login(db, password_file=secret("wrong-one")), 100), "unknown/auth", 100)
    leaves_nothing(repeat("postgres", login(db, query="SELECT 1/0"), 100), "fail/content", 100)
    leaves_nothing(repeat("postgres", {"host": "127.0.0.1", "port": 1, "user": "x"}, 300), "fail/refused", 300)
    with Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("postgres", {"host": peer.host, "port": peer.port, "user": "x"}, 300), "fail/protocol", 300)


# ---- peers that only pretend -------------------------------------------------------------------------------------------

def pretend(peer, **more):
    return {"host": peer.host, "port": peer.port, "user": "app", "password_file": secret("s3cret-pretend"), **more}


def offers_tls(talk):
    assert talk.receive(8)[4:] == b"\x04\xd2\x16\x2f"
    talk.send(b"S")


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


WELCOME = (message(b"R", bytes(4)) + message(b"S", b"server_version\x0015.1\x00") + message(b"Z", b"I"))

PROTOCOL = {
    "asks for a password, then nothing": (hostile.says(message(b"R", b"\0\0\0\x03"), ask_first=True), SILENT),
    "lets in, then nothing": (hostile.says(WELCOME, ask_first=True), SILENT),
    "lets in, then closes": (hostile.says(WELCOME, ask_first=True, then=hostile.closes_when_asked), BROKEN),
    "lets in, then garbage": (hostile.says(WELCOME, ask_first=True, then=hostile.says(b"\xff" * 3000, ask_first=True)), BROKEN),
    "says how long it will be, and it is long": (hostile.says(b"E\x3f\xff\xff\xff" + b"x" * 65536), BROKEN | SILENT),
    "notices for ever": (hostile.repeats(message(b"N", b"SNOTICE\0C00000\0Mhello\0\0"), head=message(b"R", bytes(4))), SILENT),
    "one byte at a time": (hostile.drips(WELCOME, every=0.2), SILENT),
}


@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize("mode", ["off", "prefer", "require"])
def test_peers_that_speak_no_protocol(name, mode):
    behaviour, causes = WORDLESS[name]
    judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": mode}), causes, behaviour)


@pytest.mark.parametrize("name", PROTOCOL)
def test_peers_that_know_some_of_the_protocol(name):
    behaviour, causes = PROTOCOL[name]
    judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": "off"}), causes, behaviour)


def test_tls_that_never_ends_is_late_and_broken_tls_is_tls():
    for mode in ("prefer", "require"):
        judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": mode}), SILENT, hostile.silent, preface=offers_tls)
    judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": "require"}), {"tls"},
                  WORDLESS["speaks HTTP"][0], preface=offers_tls)


def test_certificates_of_every_bad_kind():
    with PeerCertificates() as made:
        for kind in ("expired", "wrong_name", "self_signed"):
            judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": "verify", "tls.ca": made.ca}), {"tls"},
                          hostile.silent, preface=offers_tls, tls=made.server(kind))
        probe = judge_hostile("postgres", lambda peer: pretend(peer, **{"tls.mode": "verify", "tls.ca": made.ca}), SILENT,
                              hostile.silent, preface=offers_tls, tls=made.server("good"))
        assert "login" in probe.text  # TLS was fine, then nothing came


def test_an_address_that_cannot_be_reached_and_one_that_does_not_answer():
    judge("postgres", {"host": hostile.UNROUTABLE, "user": "app"}, "fail", "unreachable", timeout=HUNG)
    with hostile.Deaf() as peer:
        judge("postgres", pretend(peer), "fail", "timeout", says="connect to", timeout=HUNG)


@pytest.mark.parametrize("options, says", [
    ({}, "user"),
    ({"user": "a", "tls.mode": "sometimes"}, "tls.mode"),
    ({"user": "a", "query": " ; "}, "query"),
    ({"user": "a", "tls.key": "/k"}, "tls.certificate"),
    ({"user": "a", "host": "/run/postgresql", "tls.mode": "require"}, "tls.mode"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("postgres", options, says)
