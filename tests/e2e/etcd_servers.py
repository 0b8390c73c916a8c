"""etcd for the end-to-end tests: one member, or a cluster of three.

    with Etcd() as one: one.ctl("put", "a", "b")
    with EtcdCluster() as three: three.leader().kill()
"""
import contextlib
import json
import re
import subprocess
import urllib.request

from serving import Certificates, Server, free_port, program, wait_until


class Etcd(Server):
    """One member. `arguments` are added to its command line; with tls=True clients need TLS and a certificate of ours."""

    name = "etcd"
    root_password = "s3cret-etcd-root"

    def __init__(self, *arguments, tls=False, called="e"):
        super().__init__()
        self.peer_port = free_port()
        self.arguments, self.tls, self.called = arguments, tls, called
        self.peer_url = f"http://{self.host}:{self.peer_port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}:{self.port}"
        self.cluster = [self]

    def command(self):
        initial = ",".join(f"{m.called}={m.peer_url}" for m in self.cluster)
        command = [program("etcd"), "--name", self.called, "--data-dir", str(self.directory / "data"), "--listen-client-urls",
                   self.url, "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer_url,
                   "--initial-advertise-peer-urls", self.peer_url, "--initial-cluster", initial, "--unsafe-no-fsync",
                   "--heartbeat-interval", "100", "--election-timeout", "1000"]
        if self.tls:
            tls = Certificates.shared()
            command += ["--cert-file", str(tls.certificate), "--key-file", str(tls.key_for(self.user)), "--client-cert-auth",
                        "--trusted-ca-file", str(tls.ca)]
        return [*command, *self.arguments]

    def is_ready(self):
        return "ready to serve client requests" in self.log_since(self._log_start)

    def ctl(self, *arguments, given=None):
        return subprocess.run([program("etcdctl"), "--endpoints", self.url, *arguments], capture_output=True, text=True, timeout=20,
                              input=given, env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}, check=False).stdout

    def as_root(self, *arguments, given=None):
        return self.ctl("--user", f"root:{self.root_password}", *arguments, given=given)

    def value(self, key):
        text = self.ctl("get", key, "--print-value-only").strip()
        return json.loads(text) if text else None

    def status(self):
        said = json.loads(self.ctl("endpoint", "status", "-w", "json") or "[]")
        return said[0]["Status"] if said else {"leader": 0, "header": {"member_id": -1}}

    def logins(self):
        """How many there have been since it started."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            said = answer.read().decode()
        return sum(int(n) for n in re.findall(r'^grpc_server_handled_total{[^}]*grpc_method="Authenticate"[^}]*} (\d+)$', said, re.M))

    def leads(self):
        status = self.status()
        return status.get("leader", 0) == status["header"]["member_id"]

    def require_logins(self, users):
        """Turns authentication on; `users` is name -> (password, prefix it may read and write)."""
        self.ctl("user", "add", f"root:{self.root_password}")
        self.ctl("user", "grant-role", "root", "root")
        for user, (password, prefix) in users.items():
            self.ctl("role", "add", user)
            self.ctl("role", "grant-permission", user, "readwrite", "--prefix=true", prefix)
            self.ctl("user", "add", f"{user}:{password}")
            self.ctl("user", "grant-role", user, user)
        assert "Enabled" in self.ctl("auth", "enable")


class EtcdCluster:
    """Three members, which know each other."""

    def __init__(self):
        self.members = [Etcd(called=f"e{n}") for n in (1, 2, 3)]
        for member in self.members:
            member.cluster = self.members
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        for member in self.members:  # none is ready before a second one runs
            member.is_ready = lambda: True
            self._stack.enter_context(member)
        wait_until(self.leader, what="the members have a leader")
        return self

    def __exit__(self, *_):
        self._stack.close()

    def running(self):
        return [m for m in self.members if m in Server.running]

    def leader(self):
        return next((m for m in self.running() if m.leads()), None)
