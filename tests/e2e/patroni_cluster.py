"""Patroni of two members on one machine, with an etcd of its own: the real one, on loopback.

    with Patroni() as patroni:
        patroni.leader().name              # "p1" or "p2"
        patroni.member("p2").ask("GET", "/cluster")
"""
import base64
import json
import pathlib
import urllib.error
import urllib.request

from etcd_servers import Etcd
from serving import LOCALHOST, Server, free_port, give, program, temporary_directory, wait_until

USER, PASSWORD = "operator", "s3cret-patroni"
CLUSTER = "orders"


class Member(Server):
    """Patroni and the PostgreSQL it runs. `port` is that of its REST interface."""

    name = "patroni"
    user = "postgres"

    def __init__(self, called, etcd, tags=None):
        super().__init__()
        self.called, self.etcd, self.tags = called, etcd, tags or {}
        self.database_port = free_port()
        self.url = f"http://{self.host}:{self.port}"

    def prepare(self):
        binaries = sorted(map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
        self.bin = pathlib.Path(program("initdb", *binaries)).parent
        settings = {
            "scope": CLUSTER, "name": self.called,
            "restapi": {"listen": f"{LOCALHOST}:{self.port}", "connect_address": f"{LOCALHOST}:{self.port}",
                        "authentication": {"username": USER, "password": PASSWORD}},
            "etcd3": {"host": f"{LOCALHOST}:{self.etcd.port}"},
            "bootstrap": {"dcs": {"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 1048576,
                                  "postgresql": {"use_pg_rewind": True, "parameters": {"fsync": "off", "full_page_writes": "off", "wal_log_hints": "on",
                                                                                       "shared_buffers": "16MB", "max_connections": 20}}},
                          "initdb": ["no-sync", {"encoding": "UTF8"}, {"locale": "C"}]},
            "postgresql": {"listen": f"{LOCALHOST}:{self.database_port}", "connect_address": f"{LOCALHOST}:{self.database_port}",
                           "data_dir": str(self.directory / "data"), "bin_dir": str(self.bin), "pgpass": str(self.directory / "pgpass"),
                           "authentication": {"superuser": {"username": "postgres", "password": "s3cret-pg"},
                                              "replication": {"username": "replicator", "password": "s3cret-repl"}},
                           "basebackup": ["no-sync", {"checkpoint": "fast"}],
                           "parameters": {"unix_socket_directories": str(self.directory)},
                           "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 scram-sha-256",
                                      "host replication replicator 127.0.0.1/32 scram-sha-256"]},
            "tags": self.tags,
        }
        path = self.directory / "patroni.json"  # JSON is YAML
        path.write_text(json.dumps(settings))
        give(path, self.user)

    def command(self):
        return [program("patroni"), self.directory / "patroni.json"]

    def is_ready(self):
        return self.ask("GET", "/health")[0] == 200

    def ask(self, method, path, document=None, user=USER, password=PASSWORD):
        """(status, body); status 0 if nobody answers."""
        request = urllib.request.Request(self.url + path, method=method, data=None if document is None else json.dumps(document).encode())
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError:
            return 0, ""

    def is_leader(self):
        return self.ask("GET", "/leader")[0] == 200


class Patroni:
    def __init__(self, tags=None):
        self.etcd = Etcd()
        self.tags = tags or {}
        self.members = []

    def __enter__(self):
        self.etcd.__enter__()
        try:
            for name in ("p1", "p2"):
                member = Member(name, self.etcd, self.tags.get(name))
                self.members.append(member)
                member.start(timeout=90)
            wait_until(self.is_whole, 60, what="a leader and a replica that streams")
        except BaseException:
            self.__exit__()
            raise
        return self

    def is_whole(self):
        leader = self.leader()
        if leader is None:
            return False
        _, text = leader.ask("GET", "/cluster")
        members = json.loads(text)["members"]
        return len(members) == 2 and all(m["state"] in ("running", "streaming") for m in members) and \
            all(str(m.get("lag", 0)) == "0" for m in members)

    def member(self, name):
        return next(m for m in self.members if m.called == name)

    def leader(self):
        return next((m for m in self.members if m.is_leader()), None)

    def replica(self):
        leader = self.leader()
        return next(m for m in self.members if m is not leader)

    def __exit__(self, *_):
        for member in reversed(self.members):
            member.__exit__()
        self.etcd.__exit__()
