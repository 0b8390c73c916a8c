"""The store of leases on a real etcd of three members: members that die or freeze, holders that freeze, contenders, passwords, TLS,
a full disk. What two nodes said is compared by the machine's one monotonic clock: never did both hold the lease."""
import os
import pathlib
import shutil
import signal
import time

import pytest

from etcd_cluster import EtcdCluster, Node, assert_never_two, is_ours
from serving import Certificates

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
LONG = "VITALD_LONG" in os.environ


@pytest.fixture(scope="module")
def etcd():
    with EtcdCluster(3) as made:
        yield made


@pytest.fixture(autouse=True)
def is_clean(request):
    yield
    if "etcd" in request.fixturenames:
        request.getfixturevalue("etcd").ctl("del", "--prefix", "/vitald/")


def test_two_contenders_hand_the_lease_back_and_forth_and_never_both_hold_it(etcd):
    with Node(etcd, "a", hold_ms=100, interval_ms=100) as a, Node(etcd, "b", hold_ms=100, interval_ms=100) as b:
        end = time.monotonic() + (600 if LONG else 60)
        while True:
            spans = assert_never_two([a, b])
            is_enough = len(spans) >= (300 if LONG else 5) and {node for *_, node in spans} == {"a", "b"}
            if is_enough or time.monotonic() > end:
                break
            time.sleep(0.5)
    assert is_enough, spans
    assert not a.errors.read_text() and not b.errors.read_text()


@pytest.mark.long
def test_the_lease_outlives_the_end_of_the_leader_of_etcd_and_its_being_frozen(etcd):
    with Node(etcd, "a", ttl_ms=12000, margin_ms=2000) as a, Node(etcd, "b", ttl_ms=12000, margin_ms=2000) as b:
        token = a.wait_held() if not any(map(is_ours, b.lines)) else b.wait_held()
        for end, back in ((lambda m: m.kill(), lambda m: m.start()), (lambda m: m.hang(), lambda m: m.resume())):
            leader = etcd.leader()
            end(leader)
            time.sleep(3)
            back(leader)
            for node in (a, b):
                node.wait(lambda seen: seen["health"] == "ok", 30, "a quorum")
        spans = assert_never_two([a, b])
        assert [span[2] for span in spans] == [token]


def test_a_holder_that_is_frozen_past_its_lease_wakes_without_it(etcd):
    with Node(etcd, "a") as a:
        token = a.wait_held()
        with Node(etcd, "b") as b:
            b.wait(lambda seen: seen["lease"] and seen["lease"]["holder"] == "a")
            a.signal(signal.SIGSTOP)
            seen_before = len(a.lines)
            assert b.wait_held() > token
            a.signal(signal.SIGCONT)
            a.wait(lambda seen: seen["lease"] and seen["lease"]["holder"] == "b")
            assert not any(is_ours(line) for line in a.lines[seen_before:] if line["lease"] and line["lease"]["token"] == token)
            assert_never_two([a, b])


def test_without_a_quorum_the_lease_is_given_up_before_it_ends_and_taken_again_after(etcd):
    with Node(etcd, "a") as a:
        token = a.wait_held()
        gone = etcd.members[:2]
        for member in gone:
            member.hang()
        a.wait(lambda seen: not seen["lease"] or not seen["lease"]["ours"], 20, "the end of the lease")
        a.wait(lambda seen: seen["health"] == "unreachable", 20, "trouble")
        for member in gone:
            member.resume()
        assert a.wait_held(60) > token
        assert_never_two([a])


def test_a_key_deleted_by_hand_ends_the_lease(etcd):
    with Node(etcd, "a") as a:
        token = a.wait_held()
        etcd.ctl("del", "/vitald/default/leases/main")
        a.wait(lambda seen: not is_ours(seen), 20, "the end of the lease")
        assert a.wait_held() > token


def test_votes_reach_the_others_with_an_age_that_grows_when_their_writer_freezes(etcd):
    with Node(etcd, "a") as a, Node(etcd, "b") as b:
        b.wait(lambda seen: [v for v in seen["votes"] if v["node"] == "a" and v["age_ms"] < 3000], what="a's vote")
        a.signal(signal.SIGSTOP)
        frozen = time.monotonic()
        b.wait(lambda seen: [v for v in seen["votes"] if v["node"] == "a" and v["age_ms"] > 3000], what="an old vote")
        b.wait(lambda seen: not [v for v in seen["votes"] if v["node"] == "a"], what="the end of it")
        assert time.monotonic() - frozen < 25
        a.signal(signal.SIGCONT)


def test_a_helper_that_freezes_costs_the_lease_and_is_replaced(etcd):
    with Node(etcd, "a") as a:
        token = a.wait_held()
        helper = int(pathlib.Path(f"/proc/{a.process.pid}/task/{a.process.pid}/children").read_text().split()[0])
        assert "libcurl" in pathlib.Path(f"/proc/{helper}/maps").read_text()
        assert "libcurl" not in pathlib.Path(f"/proc/{a.process.pid}/maps").read_text()
        os.kill(helper, signal.SIGSTOP)
        a.wait(lambda seen: not is_ours(seen), 20, "the end of the lease")
        assert a.wait_held(60) > token


def test_with_tls_on_both_sides_and_with_a_wrong_authority(etcd):
    made = Certificates.shared()
    with EtcdCluster(1, tls=True) as secure:
        ours = {"ca": str(made.ca), "certificate": str(made.client), "key": str(made.client_key)}
        with Node(secure, "a", **ours) as a:
            assert a.wait_held() > 0
        with Node(secure, "a", **{**ours, "ca": str(made.other_ca)}) as a:
            seen = a.wait(lambda seen: "ertificate" in seen["text"])
            assert seen["health"] == "unreachable"


def test_with_authentication_a_password_is_needed_and_a_new_token_taken_when_the_old_one_ends():
    with EtcdCluster(1) as etcd:
        for words in (["user", "add", "root:r"], ["user", "grant-role", "root", "root"], ["user", "add", "vitald:canary-password"],
                      ["role", "add", "v"], ["role", "grant-permission", "v", "readwrite", "/vitald/", "--prefix"],
                      ["user", "grant-role", "vitald", "v"], ["auth", "enable"]):
            etcd.ctl(*words)
        with Node(etcd, "a", user="vitald", password="canary-password") as a:
            token = a.wait_held()
            etcd.members[0].stop()
            etcd.members[0].start()  # it knows the token no more
            a.wait(lambda seen: seen["health"] == "ok", 30, "a new login")
            assert a.wait_held() >= token
        with Node(etcd, "b", user="vitald", password="wrong-canary") as b:
            seen = b.wait(lambda seen: seen["health"] == "refused", 20, "a refusal")
            assert "authentication failed" in seen["text"] and "wrong-canary" not in seen["text"]
        assert "canary" not in str(a.lines) + str(b.lines)


@pytest.mark.long
def test_a_full_etcd_keeps_the_lease_and_gives_no_new_one():
    with EtcdCluster(1, quota=2 * 1024 * 1024) as etcd:
        with Node(etcd, "a") as a:
            a.wait_held()
            for i in range(40):
                if "NOSPACE" in etcd.ctl("alarm", "list"):
                    break
                etcd.ctl("put", f"/filler/{i}", input="x" * 200000)
            assert "NOSPACE" in etcd.ctl("alarm", "list")
            time.sleep(4)
            assert is_ours(a.lines[-1])
        with Node(etcd, "b") as b:
            b.wait(lambda seen: seen["health"] == "ok")
            time.sleep(2)
            assert not any(map(is_ours, b.lines))
