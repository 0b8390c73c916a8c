"""The redis check against real servers with a replica and a Sentinel: working, broken in ways PING does not show, hung; and
against peers that only pretend. No probe leaves a connection or a key behind."""
import socket

import pytest

import hostile
from hostile import Certificates as PeerCertificates
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, rounds, secret
from net_servers import Redis, Sentinel
from servers import Certificates, free_port, wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def redis():
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def replica(redis):
    with Redis(replica_of=redis) as server:
        yield server.follows()


@pytest.fixture(scope="module")
def tls():
    return Certificates.shared()


def at(server, **more):
    return {"port": server.port, **more}


def app(server, **more):
    return at(server, user=server.app_user, password_file=secret(server.app_password), **more)


def over_tls(server, **more):
    return {**app(server), "port": server.tls_port, **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_master_a_replica_and_a_written_key(redis, replica):
    probe = judge("redis", app(redis, role="master", write=True, min_replicas=1), "pass", "none",
                  says="is a master, wrote and read back")
    assert phases(probe) == ["connect", "auth", "exchange"]
    assert probe.facts["role"] == "master" and probe.measures["replicas"] == 1
    assert redis.cli("KEYS", "vitald:*") == ""
    probe = judge("redis", app(replica, role="replica"), "pass", "none", says="is a replica")
    assert probe.facts["master_link"] == "up" and probe.facts["master"] == f"127.0.0.1:{redis.port}"
    judge("redis", at(redis, host="localhost"), "pass", "none", says=f"localhost:{redis.port}")
    judge("redis", {"host": redis.socket}, "pass", "none", says=str(redis.socket))


def test_tls_in_every_mode(redis, tls):
    for mode in ("verify", "require"):
        probe = judge("redis", over_tls(redis, **{"tls.mode": mode, "tls.ca": tls.ca}), "pass", "none")
        assert probe.facts["tls"].startswith("TLSv1.") and "tls" in phases(probe)
        assert 9 <= probe.measures["certificate_days_left"] <= 10
    judge("redis", over_tls(redis, **{"tls.mode": "verify", "tls.ca": tls.ca, "tls.warn_days": 30}), "warn", "tls",
          says="but its certificate ends in")


# ---- broken in ways a port check does not see -------------------------------------------------------------------------

def test_what_it_rejects_is_named_at_once(redis):
    judge("redis", {**app(redis), "password_file": secret("wrong-one")}, "unknown", "auth", says="WRONGPASS")
    judge("redis", {**app(redis), "user": "nobody"}, "unknown", "auth", says="WRONGPASS")
    judge("redis", at(redis, password_file=secret("for-nobody")), "unknown", "auth", says="rejects our password")
    judge("redis", app(redis, write=True, write_prefix="other:"), "unknown", "auth", says="NOPERM")
    with Redis(default_user="on >s3cret-default ~* &* +@all") as server:
        probe = judge("redis", at(server), "unknown", "auth", says="NOAUTH")
        assert probe.seconds < 3
        judge("redis", at(server, password_file=secret("s3cret-default")), "pass", "none")


def test_the_wrong_role(redis, replica):
    judge("redis", app(redis, role="replica"), "fail", "role", says="is a master, expected a replica")
    judge("redis", app(replica, role="master"), "fail", "role", says="is a replica, expected a master")
    judge("redis", app(replica, write=True), "fail", "role", says="READONLY")


def test_a_replica_that_lost_its_master():
    with Redis() as master, Redis(replica_of=master) as one:
        one.follows()
        with Redis(replica_of=master, settings={"replica-serve-stale-data": "no"}) as strict:
            strict.follows()
            master.hang()
            for server in (one, strict):
                wait_until(lambda s=server: s.info("master_link_status") == "down", what="the link is down")
            judge("redis", app(one), "warn", "content", says="its link to the master")
            judge("redis", app(one, fail_link_down="0s"), "fail", "content", says="its link to the master")
            judge("redis", app(strict), "fail", "content", says="MASTERDOWN")
            master.resume()


def test_writes_that_fail_while_ping_says_pong(redis):
    redis.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        judge("redis", app(redis), "pass", "none")
        judge("redis", app(redis, write=True), "fail", "content", says="OOM")
        judge("redis", app(redis, fail_free_memory="5%"), "fail", "content", says="of maxmemory are left")
        judge("redis", app(redis, warn_free_memory="5%"), "warn", "content", says="of maxmemory are left")
    finally:
        redis.cli("CONFIG", "SET", "maxmemory", "0")
    redis.cli("CONFIG", "SET", "min-replicas-to-write", "5")
    try:
        judge("redis", app(redis, write=True), "fail", "content", says="NOREPLICAS")
        judge("redis", app(redis, min_replicas=5), "warn", "content", says="expected at least 5")
    finally:
        redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
    judge("redis", app(redis, write=True), "pass", "none")


def test_a_server_that_cannot_save():
    with Redis(settings={"save": "3600 1000000"}) as server:
        server.cli("SET", "a", "b")
        (server.directory / "dump.rdb").mkdir(exist_ok=True)  # nothing can be renamed onto a directory
        (server.directory / "dump.rdb" / "x").touch()
        server.cli("BGSAVE")
        wait_until(lambda: server.info("rdb_last_bgsave_status") == "err", what="the save fails")
        judge("redis", app(server), "fail", "content", says="MISCONF")
        judge("redis", app(server, write=True), "fail", "content", says="MISCONF")
        server.cli("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
        judge("redis", app(server, write=True), "warn", "content", says="its last save failed")
        server.kill()


def test_room_for_clients():
    with Redis(settings={"maxclients": 20}) as server:
        probe = judge("redis", app(server, warn_free_clients=100), "warn", "content", says="19 of maxclients are left")
        assert probe.measures["clients_free"] == 19
        judge("redis", app(server, fail_free_clients="99%"), "fail", "content")
        server.cli("CONFIG", "SET", "maxclients", "1")
        with socket.create_connection(("127.0.0.1", server.port)) as holder:
            holder.sendall(b"PING\r\n")
            holder.recv(100)
            judge("redis", app(server), "warn", "protocol", says="max number of clients")
            judge("redis", {"port": server.port}, "warn", "protocol", says="max number of clients")  # closed after that


def test_a_server_that_loads_its_data():
    with Redis(settings={"key-load-delay": 200000, "loading-process-events-interval-bytes": 1024,
                         "rdbcompression": "no"}) as server:
        for n in range(20):
            server.cli("SET", f"k{n}", "x" * 2000)
        server.cli("SAVE")
        server.kill()
        server.start()
        judge("redis", app(server, write=True), "fail", "protocol", says="is loading its data")
        server.kill()


def test_a_cluster_without_its_slots():
    with Redis(settings={"cluster-enabled": "yes", "cluster-port": free_port()}) as server:
        judge("redis", app(server), "fail", "content", says="cluster_state fail")
        server.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait_until(lambda: "cluster_state:ok" in server.cli("CLUSTER", "INFO"), what="the cluster is ok")
        assert judge("redis", app(server, write=True), "pass", "none").facts["cluster"] == "ok"


# ---- Sentinel ---------------------------------------------------------------------------------------------------------

def test_a_master_that_sentinel_has_left_behind(redis):
    with Redis(settings={"masteruser": "root", "masterauth": "root"}) as one, \
            Redis(replica_of=one, settings={"masteruser": "root", "masterauth": "root"}) as two:
        two.follows()
        with Sentinel(one) as sentinel:
            sentinel.cli("SENTINEL", "DEBUG", "info-period", "300")
            wait_until(lambda: sentinel.field("runid") and sentinel.field("num-slaves") == "1", what="Sentinel knows both")
            asked = {"sentinel.addresses": [f"127.0.0.1:{sentinel.port}"], "sentinel.master": "mymaster"}
            probe = judge("redis", app(one, role="master", **asked), "pass", "none")
            assert probe.facts["sentinel_master"] == f"127.0.0.1:{one.port}"
            judge("redis", app(two, role="replica", **asked), "pass", "none")
            judge("redis", app(one, **{**asked, "sentinel.master": "other"}), "warn", "content", says="No such master")
            one.hang()
            wait_until(lambda: two.info("role") == "master" and sentinel.field("port") == str(two.port)
                       and sentinel.field("runid") == two.info("run_id"), timeout=30, what="the failover")
            judge("redis", app(two, role="master", **asked), "pass", "none")
            sentinel.hang()  # so that the old master, back again, is not put right at once
            one.resume()
            sentinel.resume()
            # Until Sentinel demotes it there are two masters; then it is a replica.
            said = judge("redis", app(one, role="master", **asked), "fail", "role")
            assert "Sentinel's master" in said.text or "is a replica" in said.text
            sentinel.hang()
            judge("redis", app(two, role="master", **asked), "warn", "content", says="no Sentinel could be asked", timeout="1s")
            sentinel.resume()
        judge("redis", app(two, **asked), "warn", "content", says="connection refused")


# ---- hung, stopped ------------------------------------------------------------------------------------------------------

def test_a_hung_server_is_a_timeout_and_a_stopped_one_refuses(tls):
    with Redis() as server:
        server.hang()
        judge("redis", app(server), "fail", "timeout", says="no answer to AUTH came", timeout=HUNG)
        judge("redis", over_tls(server, **{"tls.mode": "verify", "tls.ca": tls.ca}), "fail", "timeout",
              says="handshake", timeout=HUNG)
        server.resume()
        judge("redis", app(server), "pass", "none")
        server.stop()
        judge("redis", app(server), "fail", "refused")
        judge("redis", {"host": server.socket}, "fail", "refused")
    judge("redis", {"host": hostile.NO_SUCH_NAME}, "fail", "dns")
    judge("redis", {"host": hostile.UNROUTABLE}, "fail", "unreachable", timeout=HUNG)


def test_certificates_that_do_not_verify(redis, tls):
    tls_at = {"tls.mode": "verify"}
    judge("redis", over_tls(redis, **tls_at), "fail", "tls", says="not from an authority we trust")
    judge("redis", over_tls(redis, **tls_at, **{"tls.ca": tls.ca, "tls.server_name": "redis.example"}), "fail", "tls", says="redis.example")
    # A port without TLS: Redis waits for the end of the line that a handshake would be to it.
    judge("redis", app(redis, **{"tls.mode": "verify", "tls.ca": tls.ca}), "fail", "timeout", says="handshake", timeout=HUNG)
    with Redis(certificate=tls.expired, key=tls.expired_key, wants_client=True) as server:
        shown = {"tls.ca": tls.ca, "tls.certificate": tls.client, "tls.key": tls.client_key}
        judge("redis", over_tls(server, **shown, **{"tls.mode": "verify"}), "fail", "tls", says="expired")
        judge("redis", over_tls(server, **shown, **{"tls.mode": "require"}), "pass", "none")
        judge("redis", over_tls(server, **{"tls.mode": "require"}), "unknown", "auth", says="wants a certificate")


# ---- hundreds of probes -------------------------------------------------------------------------------------------------

def test_hundreds_of_probes_leave_nothing(redis, replica, tls):
    mark, before = redis.log_mark(), int(redis.info("total_connections_received"))
    errors = redis.info("total_error_replies")
    leaves_nothing(repeat("redis", app(redis, write=True), 500), "pass/none", 500)
    leaves_nothing(repeat("redis", over_tls(redis, **{"tls.mode": "verify", "tls.ca": tls.ca}), 200), "pass/none", 200)
    wait_until(lambda: redis.info("connected_clients") == "1", what="no client is left")
    many = rounds(500) + rounds(200)
    assert many <= int(redis.info("total_connections_received")) - before <= many + 100
    assert redis.info("total_error_replies") == errors
    assert "rror" not in redis.log_since(mark)
    assert redis.cli("DBSIZE") == "0"
    leaves_nothing(repeat("redis", {**app(redis), "password_file": secret("wrong-one")}, 200), "unknown/auth", 200)
    leaves_nothing(repeat("redis", {"port": 1}, 200), "fail/refused", 200)
    with hostile.Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("redis", {"port": peer.port}, 200), "fail/protocol", 200)


# ---- peers that only pretend --------------------------------------------------------------------------------------------

def pretend(**more):
    return lambda peer: {"port": peer.port, **more}


KNOWS_SOME = {
    "answers, then nothing": (hostile.says(b"+PONG\r\n", ask_first=True), SILENT),
    "answers, then closes": (hostile.says(b"+PONG\r\n", ask_first=True, then=hostile.closes_when_asked), BROKEN),
    "one byte at a time": (hostile.drips(b"+PONG\r\n$100000\r\n", every=0.1), SILENT),
    "announces gigabytes": (hostile.says(b"$9999999999\r\n", ask_first=True), BROKEN),
    "announces a million replies": (hostile.says(b"*1000000\r\n", ask_first=True), BROKEN),
    "lists in lists": (hostile.repeats(b"*1\r\n" * 1000), BROKEN),
    "a line that never ends": (hostile.repeats(b"x" * 4096, head=b"+"), BROKEN),
    "numbers that are none": (hostile.says(b"$-x\r\n", ask_first=True), BROKEN),
    "an INFO without a role": (hostile.says(b"+PONG\r\n$2\r\nok\r\n", ask_first=True), BROKEN),
    "an INFO that is no text": (hostile.says(b"+PONG\r\n*0\r\n", ask_first=True), BROKEN),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    judge_hostile("redis", pretend(), causes, behaviour)


@pytest.mark.parametrize("name", KNOWS_SOME)
def test_peers_that_know_some_of_the_protocol(name):
    behaviour, causes = KNOWS_SOME[name]
    judge_hostile("redis", pretend(), causes, behaviour)


def test_tls_that_never_ends_and_certificates_of_every_bad_kind():
    with PeerCertificates() as made:
        over_tls = {"tls.mode": "verify", "tls.ca": made.ca}
        judge_hostile("redis", pretend(**over_tls), SILENT, hostile.silent)
        judge_hostile("redis", pretend(**over_tls), SILENT, hostile.drips(b"\x16\x03\x03\x40\x00" + bytes(100), every=0.1))
        judge_hostile("redis", pretend(**over_tls), {"tls"}, hostile.says(b"+PONG\r\n", ask_first=True))
        for kind in ("expired", "wrong_name", "self_signed"):
            judge_hostile("redis", pretend(**over_tls), {"tls"}, hostile.silent, tls=made.server(kind))
        probe = judge_hostile("redis", pretend(**over_tls), SILENT, hostile.silent, tls=made.server("good"))
        assert "answer to PING" in probe.text
    with hostile.Deaf() as peer:
        judge("redis", {"port": peer.port}, "fail", "timeout", says="nobody answered the connection", timeout=HUNG)


@pytest.mark.parametrize("options, says", [
    ({"host": "a:1"}, "host"),
    ({"user": "a"}, "password"),
    ({"role": "replica", "write": True}, "write"),
    ({"sentinel.master": "m"}, "sentinel.addresses"),
    ({"sentinel.addresses": ["a:1"]}, "sentinel.master"),
    ({"sentinel.addresses": ["a"], "sentinel.master": "m"}, "sentinel.addresses"),
    ({"warn_free_memory": "1%", "fail_free_memory": "2%"}, "warn_free_memory"),
    ({"tls.ca": "/x"}, "tls.mode"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("redis", options, says)
