"""A real etcd of several members on one machine, and the store of leases on it.

    with EtcdCluster(3) as etcd, Node(etcd, "a") as a:
        a.wait(lambda seen: seen["lease"] and seen["lease"]["ours"])
        etcd.leader().hang()
"""
import json
import os
import pathlib
import subprocess
import threading
import time

from serving import LOCALHOST, Certificates, Server, free_port, program, temporary_directory, wait_until

BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")).resolve()


class Member(Server):
    name = "etcd"

    def __init__(self, cluster, number):
        super().__init__()
        self.cluster, self.number = cluster, number
        self.peer = f"http://{LOCALHOST}:{free_port()}"
        self.url = f"{'https' if cluster.tls else 'http'}://{LOCALHOST}:{self.port}"

    def command(self):
        initial = ",".join(f"e{m.number}={m.peer}" for m in self.cluster.members)
        tls = []
        if self.cluster.tls:
            made = Certificates.shared()
            tls = ["--cert-file", str(made.certificate), "--key-file", str(made.key_for(self.user)), "--client-cert-auth",
                   "--trusted-ca-file", str(made.ca)]
        return [program("etcd"), "--name", f"e{self.number}", "--data-dir", str(self.directory / "data"), "--listen-client-urls", self.url,
                "--advertise-client-urls", self.url, "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
                "--initial-cluster", initial, "--heartbeat-interval", "100", "--election-timeout", "1000", "--unsafe-no-fsync",
                "--quota-backend-bytes", str(self.cluster.quota), *tls]

    def is_ready(self):
        # The first of several cannot be ready before the others are there.
        return self.cluster.is_forming or "ready to serve client requests" in self.log_since(self._log_start)


class EtcdCluster:
    def __init__(self, members=3, tls=False, quota=0):
        self.tls, self.quota = tls, quota
        self.is_forming = False
        self.members = []
        for number in range(members):
            self.members.append(Member(self, number))

    @property
    def endpoints(self):
        return [m.url for m in self.members]

    def __enter__(self):
        self.is_forming = True
        for member in self.members:
            member.start()
        self.is_forming = False
        try:
            wait_until(lambda: all(m.is_ready() for m in self.members), 40, what="a quorum of etcd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.stop(patience=1)

    def ctl(self, *arguments, endpoints=None, input=None):
        tls = Certificates.shared() if self.tls else None
        return subprocess.run(
            [program("etcdctl"), "--endpoints", ",".join(endpoints or self.endpoints),
             *(["--cacert", str(tls.ca), "--cert", str(tls.client), "--key", str(tls.client_key)] if tls else []), *arguments],
            input=input, capture_output=True, text=True, timeout=30, env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}, check=False).stdout

    def leader(self):
        for member in self.members:
            answer = self.ctl("endpoint", "status", "-w", "json", endpoints=[member.url])
            status = json.loads(answer)[0]["Status"] if answer.strip() else None
            if status and status["leader"] == status["header"]["member_id"]:
                return member
        return None


class Node:
    """A cluster-node: what it has printed so far is in `lines`, times in seconds of CLOCK_MONOTONIC."""

    def __init__(self, etcd, name, hold_ms=0, endpoints=None, **settings):
        plan = {"endpoints": endpoints or etcd.endpoints, "ttl_ms": 4000, "margin_ms": 1000, "timeout_ms": 700, "interval_ms": 200,
                **settings}
        self.name, self.lines = name, []
        self.errors = temporary_directory("node") / "errors"
        self.process = subprocess.Popen(
            [str(BUILD / "tests/cluster/cluster-node"), str(BUILD / "src/vitald-cluster"), name, json.dumps(plan), str(hold_ms)],
            stdout=subprocess.PIPE, stderr=open(self.errors, "wb"), text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, of, timeout=30, what="what is waited for"):
        """The first line from now on of which `of` is true."""
        at, until = len(self.lines), time.monotonic() + timeout
        while time.monotonic() < until:
            while at < len(self.lines):
                if of(self.lines[at]):
                    return self.lines[at]
                at += 1
            time.sleep(0.02)
        raise AssertionError(f"{self.name}: {what} did not come within {timeout} s; last: {self.lines[-1:]}")

    def wait_held(self, timeout=30):
        return self.wait(is_ours, timeout, "the lease")["lease"]["token"]


def is_ours(line):
    return bool(line["lease"] and line["lease"]["ours"])


def holdings(nodes):
    """(first, last, token, node) of each time a node said the lease was its own, by its own clock, in order."""
    spans = {}
    for node in nodes:
        for line in node.lines:
            if is_ours(line):
                key = (line["lease"]["token"], node.name)
                first, _ = spans.get(key, (line["at_ns"], 0))
                spans[key] = (first, line["at_ns"])
    return sorted((first, last, token, node) for (token, node), (first, last) in spans.items())


def assert_never_two(nodes):
    spans = holdings(nodes)
    for (_, last, token, node), (first, _, next_token, other) in zip(spans, spans[1:]):
        assert last < first, f"{node} held it with {token} until {last}, and {other} with {next_token} from {first}"
        assert token < next_token, (token, next_token)
    return spans
