"""pacemaker.standby, move and ban against a real cluster of two nodes: each does what it says and reads back that it came true, refuses
what would stop everything or what Pacemaker would not do, and takes back the constraints it left."""
import os
import shutil
import signal

import pytest

from acting import Kind, outcome
from agent import wait_for
from nodes import can_make_nodes
from pacemaker_cluster import Cluster

pytestmark = [pytest.mark.skipif(not can_make_nodes(), reason="namespaces need root"),
              pytest.mark.skipif(shutil.which("corosync", path="/usr/sbin") is None, reason="no corosync here")]

TOOLS = "/usr/sbin"
long = pytest.mark.skipif("VITALD_LONG" not in os.environ, reason="a cluster takes its time: scripts/test --long")


def dummy(name, more=""):
    return f'<primitive id="{name}" class="ocf" provider="heartbeat" type="Dummy">{more}</primitive>'


def meta(name, value):
    return f'<meta_attributes id="{name}-m"><nvpair id="{name}-n" name="{name}" value="{value}"/></meta_attributes>'


DB = f'<clone id="db-clone">{meta("promotable", "true")}<primitive id="db" class="ocf" provider="pacemaker" type="Stateful"/></clone>'
PREFERS = '<rsc_location id="prefers" rsc="app" node="n1" score="100"/>'


@pytest.fixture(scope="module")
def made():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(made):
    made.configure(f'<group id="app">{dummy("files")}{dummy("web")}</group>{DB}', PREFERS)
    wait_for(lambda: ("web", "Started", "n1") in running(made) and any(i[1] == "Promoted" for i in running(made)), 30, "all runs")
    yield made
    for node in ("n1", "n2"):
        made.node("n1").run("crm_standby", "-N", node, "-D", check=False)


def running(cluster, at="n1"):
    """(resource, role, node) of each."""
    seen = cluster.status(at)
    return {(r.get("id"), r.get("role"), n.get("name")) for r in seen.iter("resource") for n in r.iter("node")} if seen is not None else set()


def constraints(cluster):
    return cluster.node("n1").run("cibadmin", "-Q", "-o", "constraints")


def wait_seen(kind, text):
    """Until verify says so: a look takes its time where the machine is busy."""
    wait_for(lambda: text in kind.verify(timeout="3s").text, 30, text)


def kind(cluster, wish, node, at="n1", **options):
    return Kind(f"pacemaker.{wish}", inside=cluster.node(at), node=node, **options)


@pytest.mark.long
def test_a_group_is_moved_believed_when_all_of_it_runs_there_and_its_constraint_is_cleared(cluster):
    move = kind(cluster, "move", "n2", resource="app")
    assert move.check(timeout="10s").verdict == "pass", move.check(timeout="10s").text
    wait_seen(move, "app is to run on n2, and is: files (Started, n1), web (Started, n1)")
    late = move.perform(**{"step.not_after": 1})
    assert outcome(late) == "too_late" and "cli-" not in constraints(cluster)
    assert move.perform(timeout="10s").verdict == "pass"
    after = move.verify(timeout="20s")
    assert after.verdict == "pass", after.text
    assert {("files", "Started", "n2"), ("web", "Started", "n2")} <= running(cluster)
    assert move.perform(timeout="10s").text == "already: app runs on n2"
    assert "cli-prefer-app" in constraints(cluster)
    back = move.compensate(timeout="10s")
    assert back.verdict == "pass" and "cli-prefer-app" not in constraints(cluster)
    # Without it the group goes where it is preferred, and is no longer believed to be moved.
    wait_seen(move, "app is to run on n2, and is: files (Started, n1), web (Started, n1)")


@long
def test_the_promoted_role_of_a_clone_is_moved(cluster):
    promoted = next(i[2] for i in running(cluster) if i[1] == "Promoted")
    other = "n2" if promoted == "n1" else "n1"
    vague = kind(cluster, "move", other, resource="db-clone").perform(timeout="10s")
    assert outcome(vague) == "vetoed" and "write promoted: true" in vague.text
    move = kind(cluster, "move", other, resource="db-clone", promoted=True)
    assert move.perform(timeout="10s").verdict == "pass"
    seen = move.verify(timeout="20s")
    assert seen.verdict == "pass", seen.text
    assert ("db", "Promoted", other) in running(cluster)
    assert move.compensate(timeout="10s").verdict == "pass" and "cli-" not in constraints(cluster)


@long
def test_a_ban_empties_a_node_and_never_the_last_one(cluster):
    ban = kind(cluster, "ban", "n1", resource="app")
    assert ban.perform(timeout="10s").verdict == "pass"
    seen = ban.verify(timeout="20s")
    assert seen.verdict == "pass", seen.text
    assert ("web", "Started", "n2") in running(cluster)
    last = kind(cluster, "ban", "n2", resource="app").perform(timeout="10s")
    assert outcome(last) == "vetoed" and "could run nowhere; crm_resource --clear -r app -N n1 ends that" in last.text
    back = kind(cluster, "move", "n1", resource="app").perform(timeout="10s")
    assert outcome(back) == "vetoed" and "forbids app on n1" in back.text
    # It does not run there, and yet it might: that is not what was asked for.
    cluster.configure(f'<group id="app">{dummy("files")}{dummy("web")}</group>{DB}', PREFERS.replace('"n1"', '"n2"'))
    wait_seen(ban, "no constraint forbids app on n1")
    assert ban.perform(timeout="10s").verdict == "pass" and ban.compensate(timeout="10s").verdict == "pass"
    assert "cli-ban" not in constraints(cluster)


def test_a_node_in_standby_is_believed_when_it_runs_nothing(cluster):
    standby = kind(cluster, "standby", "n1", at="n2")
    wait_seen(standby, "n1 still runs")
    assert standby.perform(timeout="10s").verdict == "pass"
    seen = standby.verify(timeout="20s")
    assert seen.verdict == "pass", seen.text
    assert not any(node == "n1" for _, _, node in running(cluster))
    assert standby.perform(timeout="10s").text.startswith("already")
    last = kind(cluster, "standby", "n2").perform(timeout="10s")
    assert outcome(last) == "vetoed" and "no other node could take over" in last.text
    assert outcome(kind(cluster, "move", "n1", resource="app").perform(timeout="10s")) == "vetoed"
    assert standby.compensate(timeout="10s").verdict == "pass"
    assert cluster.node("n2").run("crm_standby", "-N", "n1", "-G", "-q").strip() == "off"


@long
def test_what_pacemaker_does_not_manage_keeps_a_standby_from_being_believed(cluster):
    cluster.configure(dummy("files"))
    wait_for(lambda: ("files" in {i[0] for i in running(cluster)}), 20)
    on = next(i[2] for i in running(cluster) if i[0] == "files")
    cluster.configure(dummy("files", meta("is-managed", "false")))
    wait_for(lambda: 'managed="false"' in cluster.node("n1").run("crm_mon", "-1", "--output-as=xml"), 20)
    standby = kind(cluster, "standby", on)
    assert standby.perform(timeout="10s").verdict == "pass"
    wait_seen(standby, f"{on} still runs files")
    assert "not managed" in kind(cluster, "move", "n1" if on == "n2" else "n2", resource="files").check(timeout="10s").text


def test_what_pacemaker_would_not_do_is_not_asked_of_it(cluster):
    assert "it knows n1, n2" in kind(cluster, "standby", "n9").check(timeout="10s").text
    assert "no resource nothing" in kind(cluster, "move", "n2", resource="nothing").check(timeout="10s").text
    cluster.set("maintenance-mode", "true")
    try:
        held = kind(cluster, "standby", "n1").perform(timeout="10s")
        assert outcome(held) == "vetoed" and "maintenance mode" in held.text
    finally:
        cluster.set("maintenance-mode", "false")
    nobody = Kind("pacemaker.standby", node="n1").check(timeout="10s")
    assert nobody.cause == "refused" and "crm_mon ended with 102" in nobody.text
    assert not any("standby" in line for line in cluster.node("n1").run("cibadmin", "-Q", "-o", "nodes").splitlines())


@long
def test_a_tool_that_hangs_is_killed_and_it_is_not_known_whether_it_was_done(cluster, tmp_path):
    for tool in ("crm_mon", "crmadmin"):
        (tmp_path / tool).write_text(f"#!/bin/sh\nexec {TOOLS}/{tool} \"$@\"\n")
    (tmp_path / "crm_standby").write_text("#!/bin/sh\nsleep 60\n")
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    hung = kind(cluster, "standby", "n1", programs=str(tmp_path)).perform(timeout="2s")
    assert outcome(hung) == "timeout" and hung.seconds < 6
    daemon = cluster.node("n1").run("pidof", "pacemaker-based").split()[0]
    cluster.node("n1").run("kill", f"-{signal.SIGSTOP}", daemon)
    try:
        frozen = kind(cluster, "standby", "n1").perform(timeout="2s")
    finally:
        cluster.node("n1").run("kill", f"-{signal.SIGCONT}", daemon)
    assert frozen.verdict == "fail" and frozen.seconds < 6


def test_a_node_that_is_lost_is_not_believed_to_run_nothing_without_a_fence(cluster):
    ban = kind(cluster, "ban", "n2", resource="app")
    assert ban.perform(timeout="10s").verdict == "pass" and ban.verify(timeout="20s").verdict == "pass"
    cluster.nodes.cut("n2")
    try:
        wait_seen(ban, "n2 is offline and this cluster has no fencing")
        alone = kind(cluster, "standby", "n1").perform(timeout="10s")
        assert outcome(alone) == "vetoed" and "no other node" in alone.text
    finally:
        cluster.nodes.heal("n2")
        ban.compensate(timeout="10s")
