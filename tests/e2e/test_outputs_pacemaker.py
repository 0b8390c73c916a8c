"""Pacemaker for real: two nodes in namespaces, an address that follows the agents' word, by node health and by the OCF agent.
The cluster takes about five seconds to start, the whole file about half a minute."""
import pathlib
import shutil
import time

import pytest

from agent import ROOT, VITALCTL, wait_for
from node_agent import NodeAgent
from nodes import can_make_nodes
from pacemaker_cluster import ADDRESS, Cluster, install_agent
from servers import program

pytestmark = [pytest.mark.skipif(not can_make_nodes(), reason="namespaces need root"),
              pytest.mark.skipif(shutil.which("corosync", path="/usr/sbin") is None, reason="no corosync here")]

VIP = (f'<primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2"><instance_attributes id="vip-i">'
       f'<nvpair id="vip-ip" name="ip" value="{ADDRESS}"/><nvpair id="vip-mask" name="cidr_netmask" value="24"/></instance_attributes>'
       f'</primitive>')
PREFERS = '<rsc_location id="prefers" rsc="vip" node="n1" score="100"/>'
OUTPUT = {"type": "pacemaker", "service": "web", "interval": "1s", "timeout": "900ms"}


# The application works while a file is there. 2 is what a plugin ends with for a failure.
WORKS = ["/bin/sh", "-c", "test -e /run/app-works || exit 2"]


def config(outputs):
    return {"profile": "strict", "defaults": {"interval": "300ms", "timeout": "250ms", "edge_interval": "100ms", "max_age": "5s",
                                              "rise": 1, "fall": 1},
            "checks": {"app": {"type": "exec", "command": WORKS}}, "services": {"web": ["app"]},
            "outputs": outputs}


@pytest.fixture(scope="module")
def site():
    agents = {}
    with Cluster() as cluster:
        try:
            for name in ("n1", "n2"):
                cluster.node(name).run("touch", "/run/app-works")
                install_agent(cluster.node(name), ROOT / "conf/ocf/service")
                agents[name] = NodeAgent(cluster.node(name), config([OUTPUT]))
            for agent in agents.values():
                agent.wait_ready()
            yield cluster, agents
        finally:
            for agent in agents.values():
                agent.stop()


def fail(cluster, name):
    cluster.node(name).run("rm", "-f", "/run/app-works")


def work(cluster, name):
    cluster.node(name).run("touch", "/run/app-works")


@pytest.fixture
def address(site):
    """The address alone, on n1, with all well and node health heeded."""
    cluster, agents = site
    cluster.set("node-health-strategy", "migrate-on-red")
    cluster.configure(VIP, PREFERS)
    for name in ("n1", "n2"):
        work(cluster, name)
        wait_for(lambda n=name: cluster.attribute(n) == "green", 20, f"{name} is green")
    wait_for(lambda: cluster.address_is_on("n1"), 20, "the address is on n1")
    return cluster, agents


def test_a_resource_leaves_a_node_whose_service_fails_and_comes_back(address):
    cluster, agents = address
    broken = time.monotonic()
    fail(cluster, "n1")
    wait_for(lambda: cluster.address_is_on("n2"), 20, "the address moves")
    print(f"address on the other node after {time.monotonic() - broken:.2f} s with a check every 0.3 s")
    assert cluster.attribute("n1") == "red" and not cluster.address_is_on("n1")
    wait_for(lambda: agents["n1"].output("pacemaker")["state"] == "ok", 10)
    mended = time.monotonic()
    work(cluster, "n1")
    wait_for(lambda: cluster.address_is_on("n1"), 20, "it comes back: red is cleared")
    print(f"back after {time.monotonic() - mended:.2f} s")
    assert cluster.attribute("n1") == "green"


def test_a_drain_moves_it_too_and_a_stopped_agent_leaves_the_attribute(address):
    cluster, agents = address
    agents["n1"].ctl("drain", "web")
    wait_for(lambda: cluster.address_is_on("n2"), 20)
    agents["n1"].ctl("resume", "web")
    wait_for(lambda: cluster.address_is_on("n1"), 20)
    assert agents["n1"].end() == 0
    assert cluster.attribute("n1") == "green" and cluster.address_is_on("n1")
    agents["n1"].start()
    agents["n1"].wait_ready()


@pytest.mark.long
def test_an_attribute_that_pacemaker_lost_is_published_again(address):
    cluster, agents = address
    fail(cluster, "n1")
    wait_for(lambda: cluster.address_is_on("n2"), 20)
    wait_for(lambda: agents["n1"].output("pacemaker")["state"] == "ok", 10)
    cluster.node("n1").run("bash", "-c", "kill -9 $(pidof pacemaker-attrd)")  # of this PID namespace
    wait_for(lambda: agents["n1"].output("pacemaker")["repairs"] >= 1, 20, "the loss is seen")
    wait_for(lambda: cluster.attribute("n1") == "red" and cluster.address_is_on("n2"), 20, "and set right")


@pytest.mark.long
def test_dampening_is_pacemakers_own_and_the_output_is_pending_meanwhile(address):
    cluster, agents = address
    agents["n1"].reload(config([{**OUTPUT, "dampening": "3s"}]))
    wait_for(lambda: agents["n1"].output("pacemaker")["state"] == "ok", 15)
    fail(cluster, "n1")
    wait_for(lambda: agents["n1"].output("pacemaker")["state"] == "pending", 10)
    asked = time.monotonic()
    wait_for(lambda: cluster.address_is_on("n2"), 20, "the address moves")
    assert time.monotonic() - asked > 1.5, "not before the dampening is over"
    wait_for(lambda: agents["n1"].output("pacemaker")["state"] == "ok", 10)
    agents["n1"].reload(config([OUTPUT]))


def service(more=""):
    return (f'<primitive id="web" class="ocf" provider="vitald" type="service"><instance_attributes id="web-i">'
            f'<nvpair id="web-s" name="service" value="web"/><nvpair id="web-c" name="vitalctl" value="{VITALCTL}"/>'
            f'<nvpair id="web-k" name="socket" value="SOCKET"/>{more}</instance_attributes><operations>'
            f'<op id="web-m" name="monitor" interval="1s" timeout="10s"/><op id="web-mp" name="monitor" interval="1001ms" timeout="10s" role="Promoted"/>'
            f'</operations><meta_attributes id="web-meta"><nvpair id="web-mt" name="migration-threshold" value="1"/>'
            f'<nvpair id="web-ft" name="failure-timeout" value="5s"/></meta_attributes></primitive>')


def link_sockets(cluster, agents):
    """The same path on both nodes, as on real ones."""
    for name, agent in agents.items():
        cluster.node(name).run("ln", "-sf", str(agent.socket), "/run/vitald.sock")
    return "/run/vitald.sock"


def test_pacemaker_asks_by_the_ocf_agent_and_moves_what_is_grouped_with_it(address):
    cluster, agents = address
    socket = link_sockets(cluster, agents)
    cluster.set("node-health-strategy", "none")
    cluster.configure(f'<group id="g">{service().replace("SOCKET", socket)}{VIP}</group>', PREFERS.replace("vip", "g"))
    try:
        wait_for(lambda: cluster.address_is_on("n1"), 30, "the group runs on n1")
        asked = time.monotonic()
        fail(cluster, "n1")
        wait_for(lambda: cluster.address_is_on("n2"), 30, "the group moves")
        print(f"moved by the OCF agent after {time.monotonic() - asked:.2f} s, monitored every second")
        # An agent that is restarted is no failure.
        assert agents["n2"].end() == 0
        time.sleep(3)
        assert cluster.address_is_on("n2")
        agents["n2"].start()
    finally:
        work(cluster, "n1")
        cluster.configure("")


@pytest.mark.long
def test_the_promoted_copy_is_where_the_service_works(address):
    cluster, agents = address
    socket = link_sockets(cluster, agents)
    cluster.set("node-health-strategy", "none")
    cluster.configure('<clone id="c"><meta_attributes id="c-m"><nvpair id="c-p" name="promotable" value="true"/></meta_attributes>'
                      f'{service().replace("SOCKET", socket)}</clone>')

    def promoted():
        seen = cluster.status()
        roles = {r.find("node").get("name"): r.get("role") for r in seen.iter("resource") if r.find("node") is not None}
        return next((n for n, role in roles.items() if role in ("Promoted", "Master")), None)
    try:
        first = wait_for(promoted, 30, "one is promoted")
        other = "n2" if first == "n1" else "n1"
        fail(cluster, first)
        wait_for(lambda: promoted() == other, 30, "the other one is promoted")
        fail(cluster, other)
        wait_for(lambda: promoted() is None, 30, "nobody is, where it works nowhere")
    finally:
        for name in ("n1", "n2"):
            work(cluster, name)
        cluster.configure("")


@pytest.mark.long
def test_ocf_tester_passes(site):
    cluster, agents = site
    done = cluster.node("n2").run(program("ocf-tester"), "-n", "web", "-o", "service=web", "-o", f"socket={agents['n2'].socket}", "-o",
                                  f"vitalctl={VITALCTL}", "/usr/lib/ocf/resource.d/vitald/service", check=False, timeout=60)
    assert done.returncode == 0 and "passed all tests" in done.stdout, done.stdout + done.stderr


def test_the_ocf_agents_answers(site):
    """0, 190 and 7, and what it says when nobody can be asked."""
    cluster, agents = site
    node = cluster.node("n2")
    base = ["env", "OCF_ROOT=/usr/lib/ocf", "OCF_RESOURCE_INSTANCE=t", "OCF_RESKEY_service=web", f"OCF_RESKEY_vitalctl={VITALCTL}",
            "OCF_RESKEY_grace=0", "OCF_RESKEY_state=/run/t.state"]
    agent = "/usr/lib/ocf/resource.d/vitald/service"

    def run(action, socket=agents["n2"].socket):
        return node.run(*base, f"OCF_RESKEY_socket={socket}", agent, action, check=False).returncode
    assert run("monitor") == 7, "not started here"
    assert run("start") == 0 and run("start") == 0
    assert run("monitor") == 0
    fail(cluster, "n2")
    wait_for(lambda: run("monitor") == 7, 10)
    work(cluster, "n2")
    wait_for(lambda: run("monitor") == 0, 10)
    time.sleep(1.1)
    assert run("monitor", "/run/nobody.sock") == 1, "the grace is over"
    # A check that only warns makes the service warn.
    agents["n2"].reload({**config([OUTPUT]), "checks": {"app": {"type": "exec", "command": WORKS, "critical": False}}})
    fail(cluster, "n2")
    wait_for(lambda: run("monitor") == 190, 10, "degraded")
    assert run("stop") == 0 and run("stop") == 0 and run("monitor") == 7
    work(cluster, "n2")
    assert pathlib.Path(ROOT / "conf/ocf/service").stat().st_mode & 0o111
