"""The mysql check against real MariaDB servers: working, broken in ways no port check sees, hung, stopped; and against
peers that only pretend to be one. The server's counters of aborted connections must not move."""
import struct
import subprocess

import pytest

import hostile
from hostile import Certificates as PeerCertificates
from hostile import Peer
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, secret
from servers import Certificates, MariaDB, wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def db():
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="module")
def tls():
    return Certificates.shared()


def login(server, **more):
    return {"host": server.host, "port": server.port, "user": server.app_user, "database": server.app_database,
            "password_file": secret(server.app_password), **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_server_passes_and_says_what_it_is(db):
    probe = judge("mysql", login(db), "pass", "none", says="is a primary (10.")
    assert probe.facts["role"] == "primary" and probe.facts["read_only"] == "off"
    assert "MariaDB" in probe.facts["version"] and probe.facts["tls"].startswith("TLSv1.")
    assert probe.measures["connections"] >= 1 and probe.measures["connections_max"] == 20
    assert phases(probe) == ["resolve", "auth", "exchange"]


@pytest.mark.parametrize("mode, is_tls", [("off", False), ("prefer", True), ("require", True), ("verify", True)])
def test_every_tls_mode(db, tls, mode, is_tls):
    for host in ("127.0.0.1", "localhost"):
        probe = judge("mysql", login(db, host=host, **{"tls.mode": mode, "tls.ca": tls.ca}), "pass", "none")
        assert ("tls" in probe.facts) == is_tls


def test_a_client_certificate(db, tls):
    db.sql("CREATE USER certuser@'%' REQUIRE SUBJECT '/CN=app'")
    options = {"host": db.host, "port": db.port, "user": "certuser", "tls.mode": "verify", "tls.ca": tls.ca}
    judge("mysql", {**options, "tls.certificate": tls.client, "tls.key": tls.client_key}, "pass", "none")
    judge("mysql", options, "unknown", "auth")


def test_the_unix_socket(db):
    probe = judge("mysql", login(db, host=db.socket), "pass", "none")
    assert "tls" not in probe.facts


def test_the_expected_value(db):
    judge("mysql", login(db, query="SELECT 40 + 2", expect="42"), "pass", "none", says='"42"')
    judge("mysql", login(db, query="SELECT 40 + 2", expect="43"), "fail", "content", says='got "42", expected "43"')
    judge("mysql", login(db, query="SELECT 1 FROM DUAL WHERE false", expect="1"), "fail", "content", says="no row")
    judge("mysql", login(db, query="SELECT NULL", expect="NULL"), "pass", "none")
    judge("mysql", login(db, query="SET @a = 1"), "pass", "none")
    judge("mysql", login(db, query="SET @a = 1", expect="1"), "fail", "content", says="no row")


def test_roles(db):
    judge("mysql", login(db, role="primary"), "pass", "none")
    judge("mysql", login(db, role="standby"), "fail", "role", says="accepts writes")
    db.set_read_only()
    try:
        judge("mysql", login(db, role="primary"), "fail", "role", says="read-only")
        probe = judge("mysql", login(db, role="standby"), "pass", "none")
        assert probe.facts["role"] == "standby" and probe.facts["read_only"] == "on"
        judge("mysql", login(db), "pass", "none")
        judge("mysql", login(db, query="CREATE TABLE t (i int)"), "fail", "role", says="1290")
    finally:
        db.set_read_only(False)


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_rejected_password_is_unknown(db):
    for mode in ("off", "prefer"):
        judge("mysql", login(db, password_file=secret("wrong-one"), **{"tls.mode": mode}), "unknown", "auth",
              says="login as app to 127.0.0.1")
    judge("mysql", login(db, user="nobody-here"), "unknown", "auth", says="1045")
    db.change_password("s3cret-new")
    try:
        judge("mysql", login(db), "unknown", "auth")
        judge("mysql", login(db, password_file=secret("s3cret-new")), "pass", "none")
    finally:
        db.change_password(db.app_password)


def test_a_user_who_may_not_come_from_here(db):
    db.sql("CREATE USER far@'192.0.2.1' IDENTIFIED BY 'x'")
    judge("mysql", login(db, user="far"), "unknown", "auth")


def test_a_database_that_was_dropped(db):
    db.sql("DROP DATABASE app")
    try:
        judge("mysql", login(db), "fail", "content", says="1049")
    finally:
        db.sql("CREATE DATABASE app")


@pytest.mark.parametrize("more, verdict, cause, says", [
    ({"database": "never_granted"}, "unknown", "auth", "1044"),
    ({"query": "SELECT * FROM gone"}, "fail", "content", "1146"),
    ({"query": "SELECT gone FROM DUAL"}, "fail", "content", "1054"),
    ({"query": "SELEC 1"}, "unknown", "config", "1064"),
    ({"query": "SELECT * FROM mysql.user"}, "unknown", "auth", "1142"),
    ({"host": "nothing-here.invalid"}, "fail", "dns", "nothing-here.invalid"),
    ({"tls.mode": "verify", "tls.ca": "/nowhere/ca.pem"}, "unknown", "config", "tls.ca: /nowhere/ca.pem"),
])
def test_what_else_is_wrong(db, more, verdict, cause, says):
    judge("mysql", login(db, **more), verdict, cause, says=says)


def test_too_many_connections_is_alive():
    with MariaDB() as server:
        client = ["mariadb", "--no-defaults", "-u", "app", f"-p{server.app_password}", "-h", server.host, "-P",
                  str(server.port), "-e", "SELECT SLEEP(100)"]
        crowd = [subprocess.Popen(client, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(10)]
        try:
            there = "SELECT count(*) FROM information_schema.processlist WHERE user = 'app'"
            wait_until(lambda: server.sql(there) == "10", what="a crowd of ten")
            server.sql("SET GLOBAL max_connections = 10")
            for mode in ("off", "prefer"):
                judge("mysql", login(server, **{"tls.mode": mode}), "warn", "protocol", says="Too many connections")
        finally:
            for one in crowd:
                one.kill()
                one.wait()


def test_certificates_that_do_not_verify(db, tls):
    verify = {"tls.mode": "verify"}
    judge("mysql", login(db, **verify), "fail", "tls", says="certificate")  # the system's authorities
    judge("mysql", login(db, **verify, **{"tls.ca": tls.other_ca}), "fail", "tls", says="certificate")
    with MariaDB(certificate=tls.expired, key=tls.expired_key) as server:
        judge("mysql", login(server, **verify, **{"tls.ca": tls.ca}), "fail", "tls", says="expired")
        judge("mysql", login(server, **{"tls.mode": "require"}), "pass", "none")
    with MariaDB(certificate=tls.wrong_name, key=tls.wrong_name_key) as server:
        judge("mysql", login(server, **verify, **{"tls.ca": tls.ca}), "fail", "tls")
    with MariaDB(settings={"skip-ssl": "1", "ssl-cert": "", "ssl-key": "", "ssl-ca": ""}) as server:
        judge("mysql", login(server, **{"tls.mode": "require"}), "fail", "tls", says="no TLS")
        judge("mysql", login(server, **verify, **{"tls.ca": tls.ca}), "fail", "tls")
        judge("mysql", login(server, **{"tls.mode": "prefer"}), "pass", "none")


# ---- late, hung, stopped ----------------------------------------------------------------------------------------------

def test_a_slow_query_is_ended_by_the_server_before_the_deadline(db):
    judge("mysql", login(db, query="SELECT SLEEP(20)"), "fail", "timeout", says="1969", timeout="1s")
    assert "SLEEP(20)" not in db.sql("SHOW FULL PROCESSLIST")


def test_a_hung_server_is_a_timeout_also_below_a_second(db):
    db.hang()
    try:
        for timeout in (HUNG, "1500ms"):
            probe = judge("mysql", login(db), "fail", "timeout", says="login as app to", timeout=timeout)
            assert probe.seconds > 0.5
            assert phases(probe) == ["resolve", "auth"], "the port accepted, and that is said"
    finally:
        db.resume()
    judge("mysql", login(db), "pass", "none")


def test_an_answer_late_by_library_seconds_but_in_time_counts(db):
    judge("mysql", login(db, query="SELECT SLEEP(1.2)"), "pass", "none", timeout="1900ms")


def test_a_stopped_server_refuses(tls):
    with MariaDB() as server:
        server.stop()
        judge("mysql", login(server), "fail", "refused", says="connection refused")
        judge("mysql", login(server, host="localhost", **{"tls.mode": "verify", "tls.ca": tls.ca}), "fail", "refused")
        judge("mysql", login(server, host=server.socket), "fail", "refused")
        server.start()
        judge("mysql", login(server), "pass", "none")


def test_a_name_server_that_is_silent_is_our_trouble(db):
    if not hostile.NameServer.is_possible():
        pytest.skip("needs root")
    with hostile.NameServer(mood="silent") as names:
        judge("mysql", login(db, host="db.example"), "unknown", "agent", timeout="1s", wrap=names.wrap)


# ---- a thousand probes ------------------------------------------------------------------------------------------------

def test_many_probes_leave_nothing_in_the_worker_and_nothing_in_the_servers_counters(db):
    def counters():
        return [db.status(name) for name in ("Aborted_connects", "Aborted_connects_preauth", "Aborted_clients")]

    before, mark = counters(), db.log_mark()
    leaves_nothing(repeat("mysql", login(db, **{"tls.mode": "off"}), 1000), "pass/none", 1000)
    leaves_nothing(repeat("mysql", login(db), 200), "pass/none", 200)
    leaves_nothing(repeat("mysql", login(db, query="SELECT * FROM gone"), 100), "fail/content", 100)
    assert counters() == before
    assert "Aborted" not in db.log_since(mark)


def test_probes_that_fail_leave_nothing_either(db):
    leaves_nothing(repeat("mysql", login(db, password_file=secret("wrong-one")), 200), "unknown/auth", 200)
    leaves_nothing(repeat("mysql", {"host": "127.0.0.1", "port": 1, "user": "x"}, 300), "fail/refused", 300)
    with Peer(hostile.resets) as peer:
        leaves_nothing(repeat("mysql", {"host": peer.host, "port": peer.port, "user": "x"}, 300), "fail/protocol", 300)


# ---- peers that only pretend -------------------------------------------------------------------------------------------

def pretend(peer, **more):
    return {"host": peer.host, "port": peer.port, "user": "app", "password_file": secret("s3cret-pretend"), **more}


def packet(body, number=0):
    return struct.pack("<I", len(body))[:3] + bytes([number]) + body


def greeting(capabilities=0xf7fe):
    """What MariaDB says first; 0x0800 among the capabilities offers TLS."""
    return packet(b"\x0a5.5.5-10.11.6-MariaDB\0" + struct.pack("<I", 7) + b"abcdefgh\0" + struct.pack("<H", capabilities) +
                  b"\x21\x02\0\xff\x81\x15" + bytes(10) + b"ijklmnopqrst\0mysql_native_password\0")


OK = packet(b"\0\0\0\x02\0\0\0", 2)

PROTOCOL = {
    "greets, then nothing": (hostile.says(greeting()), SILENT),
    "greets, then closes": (hostile.says(greeting(), then=hostile.closes_when_asked), BROKEN),
    "greets, then garbage": (hostile.says(greeting(), then=hostile.says(b"\x20\0\0\x02" + b"\xee" * 3000, ask_first=True)),
                             BROKEN | SILENT | {"content"}),
    "lets in, then nothing": (hostile.says(greeting(), then=hostile.says(OK, ask_first=True)), SILENT),
    "says how long it will be, and it is long": (hostile.repeats(b"x" * 4096, head=b"\xff\xff\xff\0"), BROKEN | SILENT),
    "one byte at a time": (hostile.drips(greeting(), every=0.1), SILENT),
}


# The server speaks first here: one that waits to be asked is silent.
@pytest.mark.parametrize("name", WORDLESS)
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    if name in ("speaks HTTP", "resets when asked", "closes when asked", "says zeros for ever"):
        causes = causes | SILENT
    judge_hostile("mysql", pretend, causes, behaviour)


@pytest.mark.parametrize("name", PROTOCOL)
@pytest.mark.parametrize("mode", ["off", "prefer"])
def test_peers_that_know_some_of_the_protocol(name, mode):
    behaviour, causes = PROTOCOL[name]
    judge_hostile("mysql", lambda peer: pretend(peer, **{"tls.mode": mode}), causes, behaviour)


@pytest.mark.parametrize("error, verdict, cause", [(1040, "warn", "protocol"), (1129, "warn", "protocol"),
                                                   (1130, "unknown", "auth"), (1053, "fail", "protocol")])
def test_an_error_instead_of_a_greeting_is_understood_with_and_without_tls(error, verdict, cause):
    with Peer(hostile.says(packet(b"\xff" + struct.pack("<H", error) + b"words"))) as peer:
        for mode in ("off", "prefer", "require"):
            judge("mysql", pretend(peer, **{"tls.mode": mode}), verdict, cause, says="words")


def offers_tls(talk):
    talk.send(greeting(0xfffe))
    talk.receive(36)  # what asks for TLS; the handshake itself comes after it


def test_tls_that_never_ends_is_late_and_broken_tls_is_tls():
    for mode in ("prefer", "require"):
        judge_hostile("mysql", lambda peer: pretend(peer, **{"tls.mode": mode}), SILENT, hostile.silent, preface=offers_tls)
    judge_hostile("mysql", lambda peer: pretend(peer, **{"tls.mode": "require"}), {"tls"}, WORDLESS["speaks HTTP"][0],
                  preface=offers_tls)


def test_certificates_of_every_bad_kind():
    with PeerCertificates() as made:
        verify = {"tls.mode": "verify", "tls.ca": made.ca}
        for kind in ("expired", "wrong_name", "self_signed"):
            judge_hostile("mysql", lambda peer: pretend(peer, **verify), {"tls"}, hostile.silent, preface=offers_tls,
                          tls=made.server(kind))
        judge_hostile("mysql", lambda peer: pretend(peer, **verify), SILENT, hostile.silent, preface=offers_tls,
                      tls=made.server("good"))


def test_an_address_that_cannot_be_reached_and_one_that_does_not_answer():
    judge("mysql", {"host": hostile.UNROUTABLE, "user": "app"}, "fail", "unreachable", timeout=HUNG)
    with hostile.Deaf() as peer:
        assert phases(judge("mysql", pretend(peer), "fail", "timeout", timeout=HUNG)) == ["resolve", "connect"]


@pytest.mark.parametrize("options, says", [
    ({}, "user"),
    ({"user": "a", "tls.mode": "sometimes"}, "tls.mode"),
    ({"user": "a", "query": ""}, "query"),
    ({"user": "a", "tls.certificate": "/c"}, "tls.key"),
    ({"user": "a", "host": "/run/mysqld/mysqld.sock", "tls.mode": "verify"}, "tls.mode"),
    ({"user": "a", "tls.server_name": "db"}, "tls.server_name"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("mysql", options, says)
