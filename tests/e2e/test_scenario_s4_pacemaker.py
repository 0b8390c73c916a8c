"""Scenario S4 with Pacemaker: two directory servers that replicate each other, and one address that a cluster of two nodes keeps
where users can log in. Each agent logs in to its own slapd and keeps the node attribute #health-vitald; Pacemaker moves the
address off a red node. docs/scenarios/ldap-with-one-address.md compares it with keepalived and with a balancer."""
import shutil
import time

import pytest

from agent import wait_for
from node_agent import NodeAgent
from nodes import can_make_nodes
from pacemaker_cluster import Cluster
from servers import Slapd
from serving import Temporary
from test_outputs_pacemaker import PREFERS, VIP
from test_scenario_s4 import Directory, User, fill

pytestmark = [pytest.mark.skipif(not can_make_nodes(), reason="namespaces need root"),
              pytest.mark.skipif(shutil.which("corosync", path="/usr/sbin") is None, reason="no corosync here")]


def config(slapd):
    return {
        "profile": "strict",
        "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms", "max_age": "2s"},
        "checks": {"directory": {"type": "ldap", "uri": "ldap://127.0.0.1", "bind_dn": slapd.bind_dn, "password_file": "ldap.password",
                                 "search": {"base": slapd.people, "filter": "(uid=probe)", "min_entries": 1}}},
        "services": {"ldap": ["directory"]},
        "outputs": [{"type": "pacemaker", "service": "ldap", "interval": "3s", "timeout": "3s"}]}


@pytest.fixture(scope="module")
def site():
    parts, slapds, agents = [], [], []
    with Cluster() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Temporary, "base", "/tmp")  # the nodes of a cluster have a /dev/shm of their own
        try:
            for number, (name, peer) in enumerate([("n1", "10.77.0.2"), ("n2", "10.77.0.1")], 1):
                slapd = Directory(cluster.node(name), peer, number)
                parts.append(slapd)
                slapds.append(slapd.start())
            fill(slapds[0])
            wait_for(lambda: "uid=probe" in slapds[1].ask("ldapsearch", "-b", Slapd.people, "(uid=probe)", "dn").stdout, 20,
                     "the other directory has it all")
            for name, slapd in zip(("n1", "n2"), slapds):
                agent = NodeAgent(cluster.node(name), config(slapd), start=False)
                parts.append(agent)
                agents.append(agent)
                (agent.folder / "ldap.password").write_text(slapd.bind_password + "\n")
                agent.start()
            for agent in agents:
                agent.wait_ready()
            for name in ("n1", "n2"):
                wait_for(lambda n=name: cluster.attribute(n) == "green", 20, f"{name} is green")
            cluster.configure(VIP, PREFERS)
            wait_for(lambda: cluster.address_is_on("n1"), 20, "n1 has the address")
            yield cluster.nodes, slapds, agents, cluster
        except BaseException:
            print(f"--- pacemaker\n{cluster.log('n1')}")
            for agent in agents:
                print(f"--- {agent.log()[-3000:]}")
            raise
        finally:
            for part in reversed(parts):
                part.stop()


def test_the_cluster_moves_the_address_where_users_can_log_in(site):
    _, slapds, agents, cluster = site
    user = User(site)
    wait_for(lambda: cluster.address_is_on("n1") and user.login(), 20, "all is well on n1")
    user.add("before")
    wait_for(lambda: "uid=before" in slapds[1].ask("ldapsearch", "-b", Slapd.people, "(uid=before)", "dn").stdout, 10)
    broken_at = time.monotonic()
    slapds[0].hang()
    try:
        wait_for(lambda: agents[0].output("pacemaker")["told"] == "fail", 8, "the agent says so")
        told_at = time.monotonic()
        wait_for(lambda: cluster.address_is_on("n2"), 30, "the address moves")
        moved_at = time.monotonic()
        wait_for(lambda: user.login("before"), 8, "users log in and find what was written before")
        switched_at = time.monotonic()
        assert cluster.attribute("n1") == "red" and cluster.attribute("n2") == "green"
        assert not cluster.address_is_on("n1")
        user.add("after")
    finally:
        slapds[0].resume()
    wait_for(lambda: cluster.address_is_on("n1"), 20, "it comes back when the directory does")
    wait_for(lambda: user.login("after"), 10, "with what was written meanwhile")
    print(f"told after {told_at - broken_at:.2f} s, address moved after {moved_at - broken_at:.2f} s, "
          f"users log in again after {switched_at - broken_at:.2f} s")
