"""patroni.switchover against a real Patroni of two members with etcd: it makes the other member the leader once, believes it when every
member says so, and leaves alone what it must not touch. How such a cluster is watched is here too."""
import os
import shutil

import pytest

from acting import Kind, outcome
from agent import Agent, wait_for
from patroni_cluster import CLUSTER, PASSWORD, USER, Patroni
from serving import wait_until

pytestmark = [pytest.mark.skipif("VITALD_LONG" not in os.environ, reason="two members and a switchover take half a minute: scripts/test --long"),
              pytest.mark.skipif(shutil.which("patroni") is None, reason="no patroni here")]


@pytest.fixture(scope="module")
def patroni():
    with Patroni() as made:
        yield made


def switchover(patroni, leader, candidate, tmp_path, password=PASSWORD, **more):
    secret = tmp_path / "password"
    secret.write_text(password)
    return Kind("patroni.switchover", members={m.called: m.url for m in patroni.members}, leader=leader, candidate=candidate, user=USER,
                password_file=secret, **{"scope": CLUSTER, **more})


def test_the_other_member_becomes_the_leader_once_and_is_believed_when_all_say_so(patroni, tmp_path):
    old, new = patroni.leader().called, patroni.replica().called
    action = switchover(patroni, old, new, tmp_path)
    assert action.check(timeout="10s").verdict == "pass", action.check(timeout="10s").text
    assert patroni.leader().called == old
    before = action.verify(timeout="2s")
    assert before.verdict == "fail" and f"{old} is still a primary" in before.text and f"{new} is no primary" in before.text
    assert outcome(action.perform(**{"step.not_after": 1})) == "too_late" and patroni.leader().called == old
    done = action.perform(timeout="60s")
    assert done.verdict == "pass" and "200" in done.text, done.text
    seen = action.verify(timeout="60s")
    assert seen.verdict == "pass", seen.text
    assert patroni.leader().called == new
    assert "already" in action.perform(timeout="10s").text
    assert action.check(timeout="10s").verdict == "warn"
    assert action.compensate().verdict == "fail"
    wait_until(patroni.is_whole, 60, "the old leader follows")


def test_what_must_not_be_switched_is_left_alone(patroni, tmp_path):
    old, new = patroni.leader().called, patroni.replica().called
    other = switchover(patroni, new, old, tmp_path)
    assert "already" in other.perform(timeout="10s").text
    stranger = switchover(patroni, "p9", new, tmp_path).perform(timeout="10s")
    assert outcome(stranger) == "vetoed" and f"leader is {old} and not p9" in stranger.text
    nobody = switchover(patroni, old, "p9", tmp_path).check(timeout="10s")
    assert nobody.verdict == "fail" and "knows no member p9" in nobody.text
    foreign = switchover(patroni, old, new, tmp_path, scope="invoices").perform(timeout="10s")
    assert outcome(foreign) == "vetoed" and "not of invoices" in foreign.text
    refused = switchover(patroni, old, new, tmp_path, password="canary-wrong")
    assert refused.check(timeout="10s").cause == "auth"
    denied = refused.perform(timeout="10s")
    assert (denied.cause, outcome(denied)) == ("auth", "failed") and "canary" not in denied.output
    assert patroni.leader().called == old


def test_a_switchover_that_somebody_makes_is_seen_by_the_members_rest_and_becomes_a_record(patroni):
    old, new = patroni.leader(), patroni.replica()
    check = {"type": "http", "preset": "patroni"}
    agent = Agent({"profile": "strict", "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "500ms"},
                   "checks": {m.called: {**check, "url": m.url} for m in patroni.members}, "services": {"db": {"any": ["p1", "p2"]}},
                   "failover": {"topologies": {"orders": {"members": {"one": old.called, "two": new.called}}}}})
    try:
        def topology():
            return agent.admin("/api/v1/failovers").json()["topologies"][0]
        wait_for(lambda: (topology()["status"], topology()["primary"]) == ("steady", "one"), 30, "the leader is known")
        wait_for(lambda: {m["name"]: m["role"] for m in topology()["members"]} == {"one": "primary", "two": "standby"}, 30, "both are seen")
        assert old.ask("POST", "/switchover", {"leader": old.called, "candidate": new.called})[0] == 200
        record = wait_for(lambda: next(iter(agent.admin("/api/v1/failovers").json()["failovers"]), None), 60, "a record")
        assert (record["end"], record["from"], record["to"]) == ("moved", "one", "two")
        wait_for(lambda: (topology()["status"], topology()["primary"]) == ("steady", "two"), 60, "the new one is known")
    finally:
        agent.stop()
    wait_until(patroni.is_whole, 60, "the old leader follows")


def test_an_old_leader_that_does_not_answer_is_not_believed_to_be_one_no_more(patroni, tmp_path):
    old, new = patroni.leader(), patroni.replica()
    old.hang()
    try:
        hung = switchover(patroni, old.called, new.called, tmp_path).perform(timeout="3s")
        assert hung.verdict != "pass" and hung.seconds < 8
        # Patroni replaces it by itself; that alone does not say what the old one does.
        wait_until(new.is_leader, 90, "Patroni elects the other one")
        assert switchover(patroni, old.called, new.called, tmp_path).verify(timeout="3s").verdict == "fail"
    finally:
        old.resume()
