"""The memcached check against real servers: working, broken in ways a port check does not see, hung; and against peers that
only pretend."""
import socket

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, rounds, secret
from net_servers import Memcached
from servers import Certificates, wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def memcached():
    with Memcached() as server:
        yield server


def test_a_value_written_read_back_and_removed(memcached):
    probe = judge("memcached", {"port": memcached.port}, "pass", "none", says="took a value and gave it back")
    assert phases(probe) == ["connect", "exchange"]
    assert probe.measures["evictions"] == 0 and probe.measures["connections_free"] > 900
    assert probe.facts["version"].startswith("1.")
    assert memcached.stats()["curr_items"] == "0"
    judge("memcached", {"port": memcached.port, "host": "localhost"}, "pass", "none")


def test_users_and_passwords():
    with Memcached(users={"app": "s3cret-mc"}) as server:
        login = {"port": server.port, "user": "app", "password_file": secret("s3cret-mc")}
        assert "auth" in phases(judge("memcached", login, "pass", "none"))
        judge("memcached", {"port": server.port}, "unknown", "auth", says="it wants a user and a password")
        judge("memcached", {**login, "password_file": secret("wrong-one")}, "unknown", "auth", says="authentication failure")


def test_tls():
    if b"ssl_chain_cert" not in open("/usr/bin/memcached", "rb").read():
        pytest.skip("this memcached was built without TLS")
    tls = Certificates.shared()
    with Memcached(tls=True) as server:
        judge("memcached", {"port": server.port, "tls.mode": "verify", "tls.ca": tls.ca}, "pass", "none")
        judge("memcached", {"port": server.port, "tls.mode": "verify"}, "fail", "tls")


def test_a_full_memory_that_takes_no_value():
    with Memcached("-M", "-m", "1", "-I", "512k") as server:  # -M: errors instead of evictions
        filler = b"x" * 400_000
        with socket.create_connection((server.host, server.port)) as s:
            for n in range(100):
                s.sendall(b"set f%d 0 0 %d\r\n%s\r\n" % (n, len(filler), filler))
                if b"SERVER_ERROR" in s.recv(200):
                    break
            for size in range(1, 120, 20):  # and the slabs of small values
                for n in range(50000):
                    s.sendall(b"set g%d-%d 0 0 %d\r\n%s\r\n" % (size, n, size, b"y" * size))
                    if b"SERVER_ERROR" in s.recv(200):
                        break
        probe = judge("memcached", {"port": server.port}, "fail", "content", says="its memory is full")
        assert "SERVER_ERROR out of memory" in probe.text


def test_connections_that_run_out():
    with Memcached("-c", "40", "-t", "1") as server:
        judge("memcached", {"port": server.port, "warn_free_connections": "99%"}, "warn", "content", says="of its connections are left")
        judge("memcached", {"port": server.port, "fail_free_connections": 40}, "fail", "content")
        holders = []
        try:
            for _ in range(45):
                holders.append(socket.create_connection((server.host, server.port)))
            judge("memcached", {"port": server.port}, "warn", "protocol", says="all its connections are taken")
        finally:
            for s in holders:
                s.close()
        wait_until(lambda: server.stats()["accepting_conns"] == "1", what="it accepts again")
        judge("memcached", {"port": server.port}, "pass", "none")


def test_a_hung_server_is_a_timeout_and_a_stopped_one_refuses():
    with Memcached() as server:
        server.hang()
        judge("memcached", {"port": server.port}, "fail", "timeout", says="no answer to set came", timeout=HUNG)
        server.resume()
        judge("memcached", {"port": server.port}, "pass", "none")
        server.stop()
        judge("memcached", {"port": server.port}, "fail", "refused")


def test_hundreds_of_probes_leave_nothing(memcached):
    mark, before = memcached.log_mark(), memcached.stats()
    leaves_nothing(repeat("memcached", {"port": memcached.port}, 700), "pass/none", 700)
    after = memcached.stats()
    wait_until(lambda: memcached.stats()["curr_connections"] == before["curr_connections"], what="no client is left")
    assert after["curr_items"] == "0" and int(after["cmd_set"]) - int(before["cmd_set"]) == rounds(700)
    assert after["get_misses"] == before["get_misses"] and after["delete_misses"] == before["delete_misses"]
    assert "ERROR" not in memcached.log_since(mark) and memcached.log_since(mark).count(" quit") == rounds(700)
    leaves_nothing(repeat("memcached", {"port": 1}, 200), "fail/refused", 200)


KNOWS_SOME = {
    "stores, then nothing": (hostile.says(b"STORED\r\n", ask_first=True), SILENT),
    "stores, then closes": (hostile.says(b"STORED\r\n", ask_first=True, then=hostile.closes_when_asked), BROKEN),
    "one byte at a time": (hostile.drips(b"STORED\r\nVALUE x 0 1000\r\n", every=0.1), SILENT),
    "announces a huge value": (hostile.says(b"STORED\r\nVALUE x 0 999999999\r\n", ask_first=True), BROKEN),
    "statistics that never end": (hostile.repeats(b"STAT a 1\r\n" * 100), BROKEN),
    "does not know the command": (hostile.says(b"ERROR\r\n", ask_first=True), BROKEN),
    "gives another value back": (hostile.says(b"STORED\r\nVALUE x 0 1\r\ny\r\nEND\r\n", ask_first=True), {"content"}),
    "forgets": (hostile.says(b"STORED\r\nEND\r\n", ask_first=True), {"content"}),
}


@pytest.mark.parametrize("name", {**WORDLESS, **KNOWS_SOME})
def test_peers_that_only_pretend(name):
    behaviour, causes = {**WORDLESS, **KNOWS_SOME}[name]
    judge_hostile("memcached", lambda peer: {"port": peer.port}, causes, behaviour)


def test_tls_that_never_ends():
    judge_hostile("memcached", lambda peer: {"port": peer.port, "tls.mode": "require"}, SILENT, hostile.silent)


@pytest.mark.parametrize("options, says", [
    ({"user": "a"}, "password"), ({"prefix": "a b"}, "prefix"), ({"host": "a b"}, "host"),
    ({"warn_free_connections": "1%", "fail_free_connections": "2%"}, "warn_free_connections"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("memcached", options, says)
