"""Two MariaDB servers on two hosts, one of which follows the other by GTID, by the network. A new replica has nothing and takes the
whole history from the binary log of the other, which keeps all of it."""
from host_server import OnHost, Pair
from servers import MariaDB
from serving import wait_until

PROMOTER = "canary-promoter"
HOUR_MS = 3_600_000


class HostMariaDB(OnHost, MariaDB):
    def __init__(self, on, member, number, is_synchronous):
        waits = {"rpl-semi-sync-slave-enabled": "ON", "rpl-semi-sync-master-wait-point": "AFTER_SYNC", "rpl-semi-sync-master-timeout": HOUR_MS}
        super().__init__(settings={"bind-address": "0.0.0.0", "port": 3306, "server-id": number, "log-bin": "b", "log-slave-updates": "ON", "read-only": 1,
                                   "gtid-strict-mode": "ON", "slave-net-timeout": 4, "master-retry-count": 0, "max-connections": 50,
                                   "max-connect-errors": 1_000_000, **(waits if is_synchronous else {})})
        self.place(on, member, 3306)

    def prepare(self):
        if self.data.exists():  # emptied, to begin anew
            self.data.rmdir()
        self.user = self.runs_as
        super().prepare()
        self.user = None

    def is_ready(self):
        return "ready for connections" in self.log_since(self._log_start) and self.socket.exists()


class MariadbPair(Pair):
    kind = "mariadb"

    @property
    def title(self):
        return f"MariaDB, {'semi-synchronous' if self.is_synchronous else 'asynchronous'}"

    def start(self, hosts):
        for number, (name, host) in enumerate(hosts.items(), 1):
            self.servers[name] = HostMariaDB(host, name, number, self.is_synchronous)
        one, two = self.servers.values()
        one.start()
        one.sql("SET GLOBAL read_only = 0")
        one.sql("CREATE TABLE numbers (n int PRIMARY KEY, pad text) ENGINE=InnoDB; "
                "CREATE TABLE canary (node varchar(255) PRIMARY KEY, written datetime) ENGINE=InnoDB; "
                f"CREATE USER failover@'%' IDENTIFIED BY '{PROMOTER}'; GRANT ALL ON app.* TO failover@'%'; "
                "GRANT SUPER, READ_ONLY ADMIN, REPLICATION SLAVE ADMIN, SLAVE MONITOR, RELOAD, PROCESS, CONNECTION ADMIN ON *.* TO failover@'%'; "
                "GRANT SLAVE MONITOR ON *.* TO app@'%'",
                database="app")
        two.primary = one
        two.start()
        return self.servers

    # -- how it is looked at and acted upon

    def login(self):
        return {"user": MariaDB.app_user, "password": MariaDB.app_password, "database": "app"}

    def witness_login(self, server):
        return {"unix_socket": str(server.socket), "user": "root"}

    def secrets(self):
        return {"db.password": MariaDB.app_password, "failover.password": PROMOTER}

    def check(self, server):
        return {"type": "mysql", "host": server.host, "port": server.port, "user": "app", "database": "app", "password_file": "db.password",
                "role": "any", "replication": True, "tls": {"mode": "off"}}

    def promotion(self, server):
        return {"type": "mysql.promote", "host": server.host, "port": server.port, "user": "failover", "password_file": "failover.password",
                "write_table": "app.canary", "tls": {"mode": "off"}}

    def bound(self):
        return {"synchronous": True} if self.is_synchronous else {"max_lag": "3s"}

    def may_lose(self):
        """Rows: at most fifty are written a second."""
        return 0 if self.is_synchronous else 150

    # -- what is so

    def wait_replication(self, primary, standby):
        wait_until(lambda: self.is_following(primary, standby), 120, "the replica follows")
        if self.is_synchronous:
            primary.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1")
            wait_until(lambda: primary.sql("SHOW STATUS LIKE 'Rpl_semi_sync_master_status'").endswith("ON")
                       and primary.status("Rpl_semi_sync_master_clients") == 1, 60, "replication is semi-synchronous")

    @staticmethod
    def is_following(primary, standby):
        if not standby.sql("SHOW STATUS LIKE 'Slave_running'").endswith("ON"):
            return False
        done, wanted = (s.sql("SELECT @@gtid_current_pos").split("-")[-1] for s in (standby, primary))
        return int(done or 0) + 100 >= int(wanted or 0)

    def is_primary(self, server):
        return server.sql("SELECT @@global.read_only") == "0"

    def rows(self, server, above):
        return {int(n) for n in server.sql(f"SELECT n FROM app.numbers WHERE n > {above}").split()}
