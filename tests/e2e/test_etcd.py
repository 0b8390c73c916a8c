"""The etcd check against real members: one, three, three of which one or two are gone, full, hung, with logins, with TLS."""
from concurrent.futures import ThreadPoolExecutor

import pytest

import hostile
from etcd_servers import Etcd, EtcdCluster
from judging import BROKEN, HUNG, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, secret
from servers import Certificates, wait_until
from worker import worker_probe

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def etcd():
    with Etcd() as server:
        yield server


def of(member, **more):
    return {"url": member.url, **more}


# ---- one member ---------------------------------------------------------------------------------------------------------

def test_a_working_member(etcd):
    probe = judge("etcd", of(etcd), "pass", "none", says="is a leader, and its quorum answers")
    assert phases(probe) == ["resolve", "connect", "exchange"]
    assert probe.facts["role"] == "leader" and probe.facts["leader"] == "e" and probe.facts["address"] == "127.0.0.1"
    assert probe.facts["version"].startswith("3.")
    assert probe.measures["members"] == 1 and probe.measures["db_size"] > 0 and 0 < probe.measures["read"] < 5
    assert probe.measures["term"] >= 2 and probe.measures["entries_behind"] == 0
    judge("etcd", of(etcd, role="leader"), "pass", "none")
    judge("etcd", of(etcd, role="follower"), "fail", "role", says="it is a leader, expected a follower")


def test_an_address_of_ipv6():
    member = Etcd()
    member.url = f"http://[::1]:{member.port}"
    with member:
        probe = judge("etcd", of(member, write=True), "pass", "none", says=f"{member.url} is a leader")
        assert probe.facts["address"] == "::1"


def test_a_write_is_read_back_and_leaves_nothing(etcd):
    before = int(etcd.status()["header"]["revision"])
    probe = judge("etcd", of(etcd, write=True), "pass", "none")
    assert probe.measures["write"] > 0
    assert etcd.ctl("get", "", "--prefix", "--keys-only").strip() == "" and "found 0 leases" in etcd.ctl("lease", "list")
    assert int(etcd.status()["header"]["revision"]) == before + 2  # put, delete
    judge("etcd", of(etcd), "pass", "none")
    assert int(etcd.status()["header"]["revision"]) == before + 2  # without `write` nothing is


def test_limits(etcd):
    judge("etcd", of(etcd, warn_db_size="1KiB"), "warn", "content", says="its database has")
    judge("etcd", of(etcd, fail_db_size="1KiB"), "fail", "content", says="above fail_db_size")
    judge("etcd", of(etcd, min_members=2), "warn", "content", says="its cluster has 1 voting members, expected at least 2")
    judge("etcd", of(etcd, warn_read="1us"), "warn", "latency", says="a read through its quorum took")
    judge("etcd", of(etcd, fail_read="1us"), "fail", "latency")


def test_a_member_that_is_full_answers_reads_and_takes_no_writes():
    with Etcd("--quota-backend-bytes", "65536") as full:
        judge("etcd", of(full, write=True), "pass", "none")
        for n in range(40):
            full.ctl("put", f"k{n}", "x" * 10_000)
        assert "NOSPACE" in full.ctl("alarm", "list")
        probe = judge("etcd", of(full), "fail", "content", says="alarm NOSPACE of member")
        assert "read" in probe.measures  # which still works
        full.ctl("alarm", "disarm")
        judge("etcd", of(full), "pass", "none")


def test_hung_and_stopped(etcd):
    etcd.hang()
    try:
        judge("etcd", of(etcd), "fail", "timeout", says="its status: no whole answer in time", timeout=HUNG)
    finally:
        etcd.resume()
    judge("etcd", of(etcd), "pass", "none")
    judge("etcd", {"url": "http://127.0.0.1:1"}, "fail", "refused")


# ---- three members ------------------------------------------------------------------------------------------------------

def test_one_of_three_may_go_and_two_may_not():
    with EtcdCluster() as three:
        leader = three.leader()
        follower, last = [m for m in three.members if m is not leader]
        judge("etcd", of(leader, min_members=3, role="leader"), "pass", "none")
        probe = judge("etcd", of(follower, role="follower"), "pass", "none", says=f"its leader is {leader.called}")
        assert probe.facts["leader"] == leader.called
        leader.kill()
        wait_until(three.leader, what="another leads")
        judge("etcd", of(follower, write=True), "pass", "none")  # two of three decide
        wait_until(lambda: judge_any(last).facts.get("leader") in (follower.called, last.called))
        follower.kill()
        # The port is open, and what the member knows by itself is still to be had. First it waits for the others...
        assert "is its quorum lost?" in judge_any(last).text or "has no leader" in judge_any(last).text
        # ... then it knows.
        wait_until(lambda: not last.status().get("leader"), what="it knows that it has no leader")
        judge("etcd", of(last), "fail", "content", says="it has no leader")
        follower.start()
        wait_until(three.leader, what="they have a leader again")
        judge("etcd", of(last, write=True), "pass", "none")


def judge_any(member):
    return worker_probe("etcd", of(member), timeout=HUNG)


def test_a_leader_whose_followers_hang_is_not_believed():
    with EtcdCluster() as three:
        leader = three.leader()
        for member in three.members:
            if member is not leader:
                member.hang()
        # Right after, it still calls itself the leader: only the read shows that nobody follows.
        probe = judge("etcd", of(leader), "fail", "timeout", says="is its quorum lost?", timeout=HUNG)
        assert probe.facts["role"] == "leader"
        for member in three.members:
            if member is not leader:
                member.resume()
        wait_until(three.leader, what="they have a leader again")


# ---- logins and TLS -----------------------------------------------------------------------------------------------------

def test_logins():
    with Etcd() as server:
        server.require_logins({"monitor": ("s3cret-etcd", "vitald/probe")})
        judge("etcd", of(server), "unknown", "auth", says="set user and password_file")
        login = {"user": "monitor", "password_file": secret("s3cret-etcd")}
        probe = judge("etcd", of(server, **login, write=True), "pass", "none")
        assert phases(probe) == ["resolve", "connect", "auth", "exchange"]
        judge("etcd", of(server, user="monitor", password_file=secret("not-the-password")), "unknown", "auth",
              says="invalid user ID or password")
        judge("etcd", of(server, **login, key="elsewhere"), "unknown", "auth", says="permission denied")
        judge("etcd", of(server, **login, write=True, write_prefix="elsewhere/"), "unknown", "auth", says="permission denied")


def test_a_login_is_kept_and_made_again_when_etcd_forgets_it():
    with Etcd() as server:
        server.require_logins({"monitor": ("s3cret-etcd", "vitald/probe")})
        options = of(server, user="monitor", password_file=secret("s3cret-etcd"))
        before = server.logins()
        leaves_nothing(repeat("etcd", options, 20), "pass/none", 20)
        assert server.logins() == before + 1
        before = server.logins()
        with ThreadPoolExecutor() as pool:
            many = pool.submit(repeat, "etcd", options, 400)
            wait_until(lambda: server.logins() > before, what="it has logged in")
            server.as_root("user", "passwd", "monitor", "--interactive=false", given="s3cret-etcd")  # ends all its tokens
            leaves_nothing(many.result(60), "pass/none", 400)
        assert server.logins() == before + 3  # root once, ours twice


def test_a_member_without_logins_says_so(etcd):
    judge("etcd", of(etcd, user="a", password_file=secret("whatever")), "unknown", "config", says="authentication is not enabled")


def test_tls_with_our_certificate():
    tls = Certificates.shared()
    ours = {"tls.ca": tls.ca, "tls.certificate": tls.client, "tls.key": tls.client_key}
    with Etcd(tls=True) as server:
        assert phases(judge("etcd", of(server, **ours), "pass", "none")) == ["resolve", "connect", "tls", "exchange"]
        probe = judge("etcd", of(server, **{**ours, "tls.ca": tls.other_ca}), "fail", "tls")
        assert "certificate" in probe.text
        assert judge("etcd", of(server, **ours, **{"tls.server_name": "localhost"}), "pass", "none").facts["address"] == "127.0.0.1"
        judge("etcd", of(server, **ours, **{"tls.server_name": "elsewhere.example"}), "fail", "tls", says="elsewhere.example")
        judge("etcd", of(server, **{"tls.ca": tls.ca}), "fail", "protocol", says="does it want a tls.certificate of ours?")
        judge("etcd", of(server, **{**ours, "tls.ca": "/nowhere"}), "unknown", "config", says="tls.ca")
        judge("etcd", {"url": server.url.replace("https", "http")}, "fail", "protocol")


# ---- peers that only pretend --------------------------------------------------------------------------------------------

def json_of(text, status="200 OK"):
    return hostile.says(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode(),
                        ask_first=True)


PRETENDERS = {
    "no JSON": (json_of("hello"), BROKEN),
    "an empty object": (json_of("{}"), BROKEN),
    "a status of another": (json_of('{"header": [], "version": 3}'), BROKEN),
    "not found": (json_of("404 page not found", "404 Not Found"), BROKEN),
    "an error": (json_of('{"error":"x","code":13,"message":"etcdserver: corrupt"}', "500 Internal Server Error"), {"content"}),
    "a header for ever": (hostile.repeats(b"X-A: b\r\n" * 512, head=b"HTTP/1.1 200 OK\r\n"), {"content", "protocol"}),
    "a body for ever": (hostile.repeats(b"x" * 4096, head=b"HTTP/1.1 200 OK\r\n\r\n"), {"content"}),
    "one byte at a time": (hostile.drips(b"HTTP/1.1 200 OK\r\n\r\n{}{}{}{}{}{}{}{}{}{}", every=0.1), {"timeout"}),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    judge_hostile("etcd", lambda peer: {"url": f"http://{peer.address}"}, causes | {"content"}, behaviour)


@pytest.mark.parametrize("name", PRETENDERS)
def test_peers_that_know_some_of_the_protocol(name):
    behaviour, causes = PRETENDERS[name]
    judge_hostile("etcd", lambda peer: {"url": f"http://{peer.address}"}, causes, behaviour)


# ---- many probes --------------------------------------------------------------------------------------------------------

def test_probes_leave_nothing(etcd):
    mark = etcd.log_mark()
    leaves_nothing(repeat("etcd", of(etcd, write=True), 100), "pass/none", 100)
    assert etcd.ctl("get", "", "--prefix", "--keys-only").strip() == "" and "found 0 leases" in etcd.ctl("lease", "list")
    assert "rejected" not in etcd.log_since(mark) and "error" not in etcd.log_since(mark).lower()
    with hostile.Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("etcd", {"url": f"http://{peer.address}"}, 100), "fail/protocol", 100)


@pytest.mark.parametrize("options, says", [
    ({"url": "ftp://a"}, "url"),
    ({"url": "http://a:b@c"}, "url"),
    ({"user": "a"}, "password"),
    ({"key": ""}, "key"),
    ({"warn_read": "2s", "fail_read": "1s"}, "warn_read"),
    ({"tls.key": "/x"}, "tls.certificate"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("etcd", options, says)
