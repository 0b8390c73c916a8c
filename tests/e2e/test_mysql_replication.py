"""The mysql check's replication, Galera, headroom and write probe, against a real MariaDB pair and a real Galera node."""
import contextlib
import subprocess
import time

import pytest

from judging import HUNG, judge, leaves_nothing, refused, repeat, secret
from servers import MariaDB, wait_until

pytestmark = pytest.mark.timeout(120)

PASSWORD = "s3cret-monitor"


def login(server, **more):
    return {"host": server.host, "port": server.port, "user": "monitor", "password_file": secret(PASSWORD), **more}


@pytest.fixture(scope="module")
def pair():
    with MariaDB(settings=MariaDB.LOGS) as primary, MariaDB(replica_of=primary) as replica:
        primary.sql(f"CREATE USER monitor@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SLAVE MONITOR ON *.* TO monitor@'%';"
                    f"CREATE USER blind@'%' IDENTIFIED BY '{PASSWORD}';"
                    "CREATE DATABASE vitald; CREATE TABLE vitald.canary (node varchar(255) PRIMARY KEY, written datetime NOT NULL);"
                    "GRANT SELECT, INSERT, UPDATE ON vitald.canary TO monitor@'%'; CREATE TABLE app.t (i int)")
        wait_until(lambda: is_caught_up(primary, replica))
        yield primary, replica


def is_caught_up(primary, replica):
    return primary.sql("SELECT @@gtid_binlog_pos") == replica.sql("SELECT @@gtid_slave_pos")


@contextlib.contextmanager
def stopped_thread(replica, which):
    replica.sql(f"STOP SLAVE {which}")
    try:
        yield
    finally:
        replica.sql("START SLAVE")
        wait_until(lambda: runs(replica))


def runs(replica):
    text = subprocess.run(["mariadb", "--no-defaults", "-u", "root", "-S", str(replica.socket), "-E", "-e", "SHOW ALL SLAVES STATUS"],
                          capture_output=True, text=True, check=True).stdout
    return "Slave_IO_Running: Yes" in text and "Slave_SQL_Running: Yes" in text


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_pair_says_how_its_replication_stands(pair):
    primary, replica = pair
    primary.sql("INSERT INTO app.t VALUES (1)")
    wait_until(lambda: is_caught_up(primary, replica))
    probe = judge("mysql", login(replica, role="standby", warn_lag="10s"), "pass", "none")
    assert probe.facts["replica"] == "yes" and probe.facts["source"] == "127.0.0.1" and probe.facts["address"] == "127.0.0.1"
    assert probe.measures["lag"] == 0 and probe.measures["transactions_waiting"] == 0
    probe = judge("mysql", login(primary, role="primary", replication=True), "pass", "none")
    assert probe.facts["replica"] == "no"


def test_a_row_is_written_on_a_primary_alone(pair):
    primary, replica = pair
    probe = judge("mysql", login(primary, write_table="vitald.canary"), "pass", "none")
    assert probe.measures["write"] < 5
    assert primary.sql("SELECT count(*) FROM vitald.canary WHERE written > UTC_TIMESTAMP() - INTERVAL 1 MINUTE") == "1"
    probe = judge("mysql", login(replica, write_table="vitald.canary"), "pass", "none")
    assert "write" not in probe.measures


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_replica_whose_threads_do_not_run_has_no_lag_of_zero(pair):
    primary, replica = pair
    with stopped_thread(replica, "SQL_THREAD"):
        primary.sql("INSERT INTO app.t VALUES (2); INSERT INTO app.t VALUES (3)")
        wait_until(lambda: judged(replica).measures["transactions_waiting"] == 2)
        probe = judge("mysql", login(replica, warn_lag="10s"), "fail", "content", says="its SQL thread from 127.0.0.1 says No")
        assert "lag" not in probe.measures, "NULL is unknown"
    with stopped_thread(replica, "IO_THREAD"):
        judge("mysql", login(replica, replication=True), "fail", "content", says="its IO thread from 127.0.0.1 says No")
        judge("mysql", login(replica), "pass", "none")  # who does not ask is not told


def judged(replica):
    return judge("mysql", login(replica, replication=True), "fail", "content")


def test_a_replica_that_is_late(pair):
    primary, replica = pair
    lock = subprocess.Popen(["mariadb", "--no-defaults", "-u", "root", "-S", str(replica.socket), "-e",
                             "LOCK TABLES app.t WRITE; SELECT SLEEP(30)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "LOCK" in replica.sql("SHOW PROCESSLIST") or "SLEEP" in replica.sql("SHOW PROCESSLIST"))
        primary.sql("INSERT INTO app.t VALUES (4)")
        time.sleep(2.2)
        probe = judge("mysql", login(replica, warn_lag="1s", fail_lag="1m"), "warn", "content", says="above warn_lag 1s")
        assert probe.measures["lag"] >= 2
        judge("mysql", login(replica, fail_lag="1s"), "fail", "content")
    finally:
        for line in replica.sql("SHOW PROCESSLIST").splitlines():
            if "SLEEP(30)" in line:
                replica.sql(f"KILL {line.split(chr(9))[0]}")
        lock.wait(10)
    wait_until(lambda: is_caught_up(primary, replica))
    judge("mysql", login(replica, warn_lag="1s"), "pass", "none")


def test_a_replica_that_stumbled_over_a_statement_says_over_which(pair):
    primary, replica = pair
    primary.sql("CREATE TABLE app.once (i int PRIMARY KEY)")
    wait_until(lambda: is_caught_up(primary, replica))
    replica.sql("SET sql_log_bin = 0; INSERT INTO app.once VALUES (1)")
    primary.sql("INSERT INTO app.once VALUES (1)")
    wait_until(lambda: not runs(replica))
    judge("mysql", login(replica, replication=True), "fail", "content", says="Duplicate entry")
    replica.sql("SET sql_log_bin = 0; DELETE FROM app.once; START SLAVE")
    wait_until(lambda: is_caught_up(primary, replica))


def test_a_read_only_server_that_follows_nobody(pair):
    primary, _ = pair
    primary.set_read_only()
    try:
        judge("mysql", login(primary, replication=True), "fail", "content", says="it replicates from nobody")
        judge("mysql", login(primary), "pass", "none")
    finally:
        primary.set_read_only(False)


def test_who_may_not_see_replication_is_told_so(pair):
    primary, _ = pair
    judge("mysql", login(primary, user="blind", replication=True), "unknown", "auth", says="1227")


def test_the_connections_run_out(pair):
    primary, _ = pair
    probe = judge("mysql", login(primary, warn_free_connections="99%"), "warn", "content", says="connections are left, below")
    assert probe.measures["connections_free"] < 20
    judge("mysql", login(primary, fail_free_connections="20"), "fail", "content")
    judge("mysql", login(primary, fail_free_connections="2"), "pass", "none")


def test_a_write_that_waits_for_a_lock_is_ended_by_the_server(pair):
    primary, _ = pair
    lock = subprocess.Popen(["mariadb", "--no-defaults", "-u", "root", "-S", str(primary.socket), "-e",
                             "LOCK TABLES vitald.canary WRITE; SELECT SLEEP(30)"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "SLEEP" in primary.sql("SHOW PROCESSLIST"))
        judge("mysql", login(primary), "pass", "none")
        judge("mysql", login(primary, write_table="vitald.canary"), "fail", "timeout", says="1969", timeout="1s")
        assert "monitor" not in primary.sql("SHOW PROCESSLIST"), "no thread stays behind"
    finally:
        for line in primary.sql("SHOW PROCESSLIST").splitlines():
            if "SLEEP(30)" in line:
                primary.sql(f"KILL {line.split(chr(9))[0]}")
        lock.wait(10)


@pytest.mark.parametrize("table, verdict, cause, says", [
    ("vitald.gone", "unknown", "auth", "1142"),
    ("app.t", "unknown", "auth", "1142"),
])
def test_a_write_that_is_refused(pair, table, verdict, cause, says):
    judge("mysql", login(pair[0], write_table=table), verdict, cause, says=says)


# ---- hung -----------------------------------------------------------------------------------------------------------

def test_a_hung_replica_is_a_timeout(pair):
    _, replica = pair
    replica.hang()
    try:
        judge("mysql", login(replica, warn_lag="10s"), "fail", "timeout", timeout=HUNG)
    finally:
        replica.resume()
    wait_until(lambda: runs(replica))
    judge("mysql", login(replica, replication=True), "pass", "none")


# ---- a thousand probes ----------------------------------------------------------------------------------------------

def test_hundreds_of_probes_leave_nothing(pair):
    primary, replica = pair
    before = [(s.status("Aborted_connects"), s.status("Aborted_clients")) for s in pair]
    leaves_nothing(repeat("mysql", login(primary, write_table="vitald.canary", replication=True, **{"tls.mode": "off"}), 200),
                   "pass/none", 200)
    leaves_nothing(repeat("mysql", login(replica, warn_lag="1m", **{"tls.mode": "off"}), 200), "pass/none", 200)
    assert [(s.status("Aborted_connects"), s.status("Aborted_clients")) for s in pair] == before


# ---- Galera ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def node():
    with MariaDB(galera=True) as server:
        wait_until(lambda: "Synced" in server.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'"))
        server.sql(f"CREATE USER monitor@'%' IDENTIFIED BY '{PASSWORD}'; CREATE TABLE app.t (i int); "
                   "GRANT SELECT ON app.t TO monitor@'%'")
        yield server


def test_a_synced_galera_node(node):
    probe = judge("mysql", login(node, galera=True, fail_cluster_size=1, warn_receive_queue=100), "pass", "none")
    assert probe.facts["cluster_status"] == "Primary" and probe.facts["node_state"] == "Synced"
    assert probe.measures["cluster_size"] == 1 and probe.measures["receive_queue"] == 0
    judge("mysql", login(node, warn_cluster_size=3), "warn", "content", says="its cluster has 1 nodes, below warn_cluster_size 3")


def test_a_galera_node_that_lets_in_and_does_no_work(node):
    node.sql("SET GLOBAL wsrep_reject_queries = ALL")
    try:
        judge("mysql", login(node, galera=True), "fail", "role", says="it rejects queries")
        # What reads no table is answered: SELECT 1 proves nothing here.
        judge("mysql", login(node), "fail", "role", says="rejects queries")
    finally:
        node.sql("SET GLOBAL wsrep_reject_queries = NONE")
    judge("mysql", login(node, galera=True), "pass", "none")


def test_a_galera_node_without_its_cluster(node):
    node.sql("SET GLOBAL wsrep_cluster_address = 'gcomm://127.0.0.1:1'")
    try:
        judge("mysql", login(node, galera=True), "fail", "role", says="no quorum")
        judge("mysql", login(node), "fail", "role", says="takes no queries (wsrep_ready is not ON)")
    finally:
        node.sql("SET GLOBAL wsrep_cluster_address = 'gcomm://'")
    wait_until(lambda: "Synced" in node.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'"))
    judge("mysql", login(node, galera=True), "pass", "none")


def test_a_desynced_node_and_a_server_that_is_none(node, pair):
    node.sql("SET GLOBAL wsrep_desync = ON")
    try:
        judge("mysql", login(node, galera=True), "fail", "role", says="it is a donor")
        judge("mysql", login(node, galera=True, galera_donor=True), "warn", "role", says="it is a donor")
    finally:
        node.sql("SET GLOBAL wsrep_desync = OFF")
    wait_until(lambda: "Synced" in node.sql("SHOW STATUS LIKE 'wsrep_local_state_comment'"))
    judge("mysql", login(pair[0], galera=True), "fail", "role", says="it is no Galera node")


@pytest.mark.parametrize("options, says", [
    ({"warn_lag": "2s", "fail_lag": "1s"}, "warn_lag"),
    ({"warn_cluster_size": 1, "fail_cluster_size": 2}, "warn_cluster_size"),
    ({"write_table": "a`b"}, "write_table"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("mysql", {"user": "a", **options}, says)
