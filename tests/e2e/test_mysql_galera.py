"""The mysql check against a real Galera cluster of three nodes: one that lost the others keeps its port open and lets everybody in."""
import contextlib

import pytest

from judging import judge, secret
from servers import LOCALHOST, MariaDB, free_port, wait_until

pytestmark = [pytest.mark.timeout(240),
              pytest.mark.long]  # three nodes that copy their data take a minute

PASSWORD = "s3cret-galera"


def node(name, ports):
    """A member of the cluster whose first node is ports["a"]; a new one copies the data of another (rsync)."""
    others = ",".join(f"{LOCALHOST}:{port}" for port in ports.values())
    provider = (f"gmcast.listen_addr=tcp://{LOCALHOST}:{ports[name]};ist.recv_addr={LOCALHOST}:{free_port()};gcache.size=1M;"
                "evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S;"
                "evs.install_timeout=PT4S;pc.announce_timeout=PT1S")
    return MariaDB(galera=True, settings={
        "wsrep-cluster-address": "gcomm://" if name == "a" else f"gcomm://{others}", "wsrep-provider-options": provider,
        "wsrep-node-name": name, "wsrep-sst-method": "rsync", "wsrep-sst-receive-address": f"{LOCALHOST}:{free_port()}"})


def says(server, variable):
    return server.sql(f"SHOW GLOBAL STATUS LIKE '{variable}'").partition("\t")[2]


@pytest.fixture(scope="module")
def cluster():
    ports = {name: free_port() for name in "abc"}
    with contextlib.ExitStack() as stack:
        nodes = []
        for name in ports:
            nodes.append(stack.enter_context(_started(node(name, ports))))
            wait_until(lambda: says(nodes[-1], "wsrep_local_state_comment") == "Synced", timeout=60)
        nodes[0].sql(f"CREATE USER monitor@'%' IDENTIFIED BY '{PASSWORD}'; CREATE TABLE app.t (i int PRIMARY KEY); "
                     "GRANT SELECT ON app.t TO monitor@'%'")
        wait_until(lambda: all("monitor" in n.sql("SELECT user FROM mysql.user") for n in nodes), timeout=30)
        yield nodes


@contextlib.contextmanager
def _started(server):
    server.start(timeout=90)
    try:
        yield server
    finally:
        server.__exit__()


def at(server, **more):
    return {"host": server.host, "port": server.port, "user": "monitor", "password_file": secret(PASSWORD), **more}


def galera(server, verdict, cause, **more):
    return judge("mysql", at(server, galera=True), verdict, cause, **more)


def test_three_nodes_are_one_cluster(cluster):
    for server in cluster:
        probe = judge("mysql", at(server, galera=True, fail_cluster_size=3), "pass", "none")
        assert probe.measures["cluster_size"] == 3 and probe.facts["node_state"] == "Synced"


def test_a_node_that_lost_the_others_has_no_quorum_and_joins_again(cluster):
    alone, *others = cluster
    for server in others:
        server.hang()
    try:
        wait_until(lambda: says(alone, "wsrep_cluster_status") == "non-Primary", timeout=60, what="the quorum is lost")
        galera(alone, "fail", "role", says="no quorum")
        # The port, the login and SELECT 1 see nothing; a client's query is refused with 1047.
        judge("mysql", at(alone), "fail", "role", says="it takes no queries (wsrep_ready is not ON)")
    finally:
        for server in others:
            server.resume()
    for server in cluster:
        wait_until(lambda s=server: (says(s, "wsrep_cluster_status"), says(s, "wsrep_cluster_size"), says(s, "wsrep_local_state_comment"))
                   == ("Primary", "3", "Synced"), timeout=90, what="it joins again")
        galera(server, "pass", "none")


def test_a_node_that_left_in_order_leaves_the_others_their_quorum(cluster):
    first, second, third = cluster
    third.stop(patience=20)
    for server in (first, second):
        wait_until(lambda s=server: says(s, "wsrep_cluster_size") == "2", timeout=60)
        judge("mysql", at(server, galera=True, warn_cluster_size=3), "warn", "content", says="its cluster has 2 nodes")
    third.start(timeout=90)
    wait_until(lambda: says(third, "wsrep_local_state_comment") == "Synced", timeout=60)
    judge("mysql", at(third, galera=True, warn_cluster_size=3), "pass", "none")


def test_a_node_that_is_desynced_lags_on_purpose(cluster):
    server = cluster[1]
    server.sql("SET GLOBAL wsrep_desync = ON")
    try:
        galera(server, "fail", "role", says="it is a donor")
        judge("mysql", at(server, galera=True, galera_donor=True), "warn", "role")
        galera(cluster[0], "pass", "none")
    finally:
        server.sql("SET GLOBAL wsrep_desync = OFF")
    wait_until(lambda: says(server, "wsrep_local_state_comment") == "Synced", timeout=30)
    galera(server, "pass", "none")
