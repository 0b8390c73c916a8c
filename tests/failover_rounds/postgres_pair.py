"""Two PostgreSQL servers on two hosts, one of which follows the other by the network. Each has its data on a small file system of its
own, so that it can be full; the mounts are in the mount namespace of this program and end with it."""
import os
import subprocess

from host_server import OnHost, Pair
from servers import Postgres
from serving import give, run_as, wait_until

PROMOTER = "canary-promoter"
BOUND_BYTES = 64 << 10  # of WAL that may be lost without synchronous replication


class HostPostgres(OnHost, Postgres):
    def __init__(self, on, member, room_mib=400):
        super().__init__(settings={"listen_addresses": "*", "port": 5432, "ssl": "off", "wal_sender_timeout": "5s", "wal_receiver_timeout": "5s",
                                   "max_wal_size": "96MB", "min_wal_size": "32MB", "wal_keep_size": "32MB", "log_min_messages": "warning",
                                   "cluster_name": member})
        self.place(on, member, 5432)
        self.room_mib = room_mib

    def prepare(self):
        """A new primary, or a standby of `primary`; into a directory that is empty or not there yet."""
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.room_mib}m,mode=0700", "vitald-rounds", self.data], check=True)
            give(self.data, self.runs_as)
        if self.primary is None:
            self._make_primary()
        else:
            self._make_standby()
        with open(self.data / "postgresql.conf", "w", encoding="ascii") as configuration:
            configuration.writelines(f"{k} = '{v}'\n" for k, v in self.settings.items() if not k.startswith("ssl_"))

    def _make_primary(self):
        run_as(self.runs_as, [self.bin / "initdb", "-D", self.data, "-U", "postgres", "--no-sync", "-A", "trust", "--locale=C", "-E", "UTF8"])
        (self.data / "pg_hba.conf").write_text("local all postgres trust\nhost all all 10.77.0.0/24 scram-sha-256\n"
                                               "host replication follower 10.77.0.0/24 trust\n")

    def _make_standby(self):
        run_as(None, [*self.inside(), self.bin / "pg_basebackup", "-d",
                      f"host={self.primary.host} port=5432 user=follower connect_timeout=2 application_name={self.member}",
                      "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"])
        # What the primary waits for is not what this one is to wait for once it is alone.
        with open(self.data / "postgresql.auto.conf", "a", encoding="ascii") as configuration:
            configuration.write("synchronous_standby_names = ''\n")

    def fill(self):
        """Not a byte is left for it."""
        with open(self.data / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 16))
            except OSError:
                pass

    def close(self):
        super().close()
        if os.path.ismount(self.data):
            subprocess.run(["umount", self.data], check=True)


class PostgresPair(Pair):
    kind = "postgres"

    @property
    def title(self):
        return f"PostgreSQL, {'synchronous' if self.is_synchronous else 'asynchronous'}"

    def start(self, hosts):
        for name, host in hosts.items():
            self.servers[name] = HostPostgres(host, name)
        one, two = self.servers.values()
        one.start()
        one.sql(f"CREATE USER app PASSWORD '{one.app_password}'", database="postgres")
        one.sql("CREATE DATABASE app OWNER app", database="postgres")
        one.sql("CREATE TABLE numbers (n int PRIMARY KEY, pad text); GRANT SELECT, INSERT ON numbers TO app; GRANT pg_monitor TO app;"
                "CREATE USER follower REPLICATION;"
                f"CREATE USER failover PASSWORD '{PROMOTER}'; GRANT EXECUTE ON FUNCTION pg_promote TO failover;"
                "GRANT EXECUTE ON FUNCTION pg_control_system TO failover;"
                "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) TO failover")
        two.primary = one
        two.start()
        return self.servers

    # -- how it is looked at and acted upon

    def login(self):
        return {"user": "app", "password": Postgres.app_password, "dbname": "app"}

    def witness_login(self, server):
        return {"host": str(server.directory), "port": server.port, "user": "postgres", "dbname": "postgres"}

    def secrets(self):
        return {"db.password": Postgres.app_password, "failover.password": PROMOTER}

    def check(self, server):
        return {"type": "postgres", "host": server.host, "port": server.port, "user": "app", "database": "app", "password_file": "db.password",
                "role": "any", "replication": True, "tls": {"mode": "off"}}

    def promotion(self, server):
        return {"type": "postgres.promote", "host": server.host, "port": server.port, "user": "failover", "password_file": "failover.password",
                "database": "app", "tls": {"mode": "off"}}

    def bound(self):
        return {"synchronous": True} if self.is_synchronous else {"max_lag_bytes": BOUND_BYTES}

    def may_lose(self):
        """Rows: one makes about 300 bytes of WAL."""
        return 0 if self.is_synchronous else BOUND_BYTES // 300

    # -- what is so

    def wait_replication(self, primary, standby):
        wait_until(lambda: primary.sql("SELECT state FROM pg_stat_replication") == "streaming", 120, "the standby follows")
        if self.is_synchronous:
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
            primary.sql("SELECT pg_reload_conf()")
            wait_until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync", 60, "replication is synchronous")

    def is_primary(self, server):
        return server.sql("SELECT pg_is_in_recovery()") == "f"

    def rows(self, server, above):
        return {int(n) for n in server.sql(f"SELECT n FROM numbers WHERE n > {above}").split()}
