"""Three hosts and a client's in a network of their own: on each host an agent and a member of etcd, on the first two a database
server, at the client HAProxy, a writer that knows only HAProxy, and a witness that sees everything.

    with Site(PostgresPair(is_synchronous=True)) as site:
        site.wait_ready()
        ...
"""
import json
import pathlib
import signal
import subprocess
import sys
import time

from etcd_cluster import EtcdCluster, Member
from netns import InNetwork, Network
from servers import HAProxy
from serving import as_user, program, temporary_directory

HERE = pathlib.Path(__file__).resolve().parent
HOLD_DOWN = 3.0  # seconds, as the agents are told
MEMBERS = ("one", "two")


def wait_for(claim, timeout, what):
    """Until `claim` is true; seldom enough that the asking is no load. No agent to ask is no answer."""
    end = time.monotonic() + timeout
    while True:
        try:
            if found := claim():
                return found
        except OSError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(0.1)


class HostMember(Member):
    """A member of etcd on a host of the network."""

    def __init__(self, cluster, number, host):
        super().__init__(cluster, number)
        self.on = host
        self.peer, self.url = f"http://{host.address}:2380", f"http://{host.address}:2379"

    def command(self):
        # A member that hears nothing would without pre-vote depose each leader when it is heard again.
        return [*self.on.prefix, *super().command(), "--pre-vote"]


class Etcd(EtcdCluster):
    def __init__(self, hosts):
        super().__init__(0)
        for number, host in enumerate(hosts):
            self.members.append(HostMember(self, number, host))


class Balancer(HAProxy):
    """HAProxy beside the client, in front of both servers; the agents reach its runtime socket by the network."""

    RUNTIME_PORT = 9999

    def __init__(self, host, servers):
        super().__init__([])
        self.on, self.servers = host, servers

    def prepare(self):
        servers = "\n".join(f"  server {m} {s.host}:{s.port}{'' if m == 'one' else ' disabled'}" for m, s in self.servers.items())
        (self.directory / "haproxy.cfg").write_text(f"""
global
  stats socket {self.socket} mode 600 level admin
  stats socket ipv4@{self.on.address}:{self.RUNTIME_PORT} level admin
  maxconn 200
defaults
  mode tcp
  timeout connect 500ms
  timeout client 10s
  timeout server 1500ms
  retries 1
listen db
  bind {self.on.address}:{self.port}
{servers}
""")

    def command(self):
        return [*self.on.prefix, program("haproxy"), "-W", "-db", "-f", str(self.directory / "haproxy.cfg")]

    def is_ready(self):
        return self.socket.exists() and "Loading success" in self.log()


class Program:
    """writer.py or witness.py, and what it has written."""

    def __init__(self, name, file, *arguments, prefix=()):
        self.file, self.read_to, self.written = file, 0, []
        self.file.touch()
        self.process = subprocess.Popen([*prefix, sys.executable, str(HERE / name), *arguments], **as_user(None))

    def lines(self):
        with open(self.file, encoding="ascii") as text:
            text.seek(self.read_to)
            new = text.read()
        new = new[:new.rfind("\n") + 1]
        self.read_to += len(new)
        self.written += new.splitlines()
        return self.written

    def stop(self):
        self.process.kill()
        self.process.wait()


class Site:
    def __init__(self, pair, pace_s=0.02):
        self.pair, self.pace_s = pair, pace_s
        self.primary = "one"
        self.fault_at = 0.0  # when the last fault began
        self.parts = []  # what is to be ended, in the order it was begun

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        self.folder = temporary_directory("rounds")
        self.folder.chmod(0o755)
        self.network = Network()
        self.parts.append(self.network.close)
        self.hosts = [self.network.host(f"h{n}") for n in (1, 2, 3)]
        self.client = self.network.host("client")
        self.parts.append(self.pair.close)
        self.servers = self.pair.start(dict(zip(MEMBERS, self.hosts)))
        self.etcd = Etcd(self.hosts)
        self.parts.append(self.etcd.__exit__)
        self.etcd.__enter__()
        self.balancer = Balancer(self.client, self.servers)
        self.parts.append(self.balancer.stop)
        self.balancer.start()
        where = {"host": self.client.address, "port": self.balancer.port, **self.pair.login()}
        self.writer = Program("writer.py", self.folder / "acknowledged", self.pair.kind, json.dumps(where), str(self.folder / "acknowledged"),
                              str(self.pace_s), prefix=self.client.prefix)
        self.parts.append(self.writer.stop)
        self.witness = Program("witness.py", self.folder / "seen", self.pair.kind,
                               json.dumps({m: self.pair.witness_login(s) for m, s in self.servers.items()}), str(self.folder / "seen"))
        self.parts.append(self.witness.stop)
        self.agents = {}
        for name, host in zip("abc", self.hosts):
            agent = InNetwork(host, self.config(name), start=False)
            self.parts.append(agent.stop)
            self.agents[name] = agent
            for file, text in self.pair.secrets().items():
                (agent.folder / file).write_text(text)
                (agent.folder / file).chmod(0o600)
            agent.start()

    def __exit__(self, *_):
        while self.parts:
            self.parts.pop()()

    def config(self, name):
        power, runtime = str(HERE / "power"), f"{self.client.address}:{Balancer.RUNTIME_PORT}"
        actions = {}
        for member, server in self.servers.items():
            other = self.other(member)
            actions[f"off-{member}"] = {"type": "exec", "command": [power, "off", str(server.data)], "verify": [power, "is-off", str(server.data)],
                                        "enabled": True}
            actions[f"to-{member}"] = {"type": "haproxy.set", "sockets": [runtime], "servers": {f"db/{other}": "maint", f"db/{member}": "ready"},
                                       "enabled": True}
            actions[f"promote-{member}"] = {**self.pair.promotion(server), "enabled": True}
        return {
            "node": {"name": name}, "profile": "strict",
            "defaults": {"interval": "1s", "timeout": "900ms", "edge_interval": "500ms"},
            "checks": {**{f"db-{m}": self.pair.check(s) for m, s in self.servers.items()},
                       "endpoint": {**self.pair.check(self.servers["one"]), "host": self.client.address, "port": self.balancer.port, "role": "primary"}},
            "cluster": {"type": "etcd", "endpoints": self.etcd.endpoints, "ttl": "6s", "margin": "2s", "timeout": "700ms", "interval": "300ms"},
            "failover": {"grace": "1s", "actions": actions, "topologies": {"main": {
                "mode": "auto", "members": {m: f"db-{m}" for m in MEMBERS}, "endpoint": "endpoint", **self.pair.bound(), "witnesses": 2,
                "hold_down": f"{HOLD_DOWN:.0f}s", "overload_grace": "4s", "doubt": "2s", "evidence_max_age": "5s", "cool_down": "1s", "deadline": "60s",
                "fence": ["off-{from}"], "promote": ["promote-{to}"], "move": ["to-{to}"]}}}}

    @staticmethod
    def other(member):
        return MEMBERS[1 - MEMBERS.index(member)]

    @property
    def old(self):
        """The server that is primary as a round begins."""
        return self.servers[self.primary]

    @property
    def standby(self):
        return self.servers[self.other(self.primary)]

    def host_of(self, member):
        return self.hosts[MEMBERS.index(member)]

    # -- what the agents say

    def failovers(self, agent):
        return agent.admin("/api/v1/failovers").json()

    def policy(self, agent):
        return self.failovers(agent)["policies"][0]

    def states(self):
        out = {}
        for name, agent in self.agents.items():
            try:
                policy = self.policy(agent)
                out[name] = policy["state"], policy["reason"], policy["holds"]
            except OSError as error:
                out[name] = str(error)
        return out

    def is_ready(self):
        for agent in self.agents.values():
            seen = self.failovers(agent)
            topology, policy = seen["topologies"][0], seen["policies"][0]
            if topology["status"] != "steady" or topology["primary"] != self.primary:
                return False
            if any(m["role"] == "standby" and not m["is_promotable"] for m in topology["members"]) or len(topology["members"]) != 2:
                return False
            if policy["acts_as"] != "auto" or policy["state"] != "observing" or [h for h in policy["holds"] if not self.is_of_nothing_lost(h)]:
                return False
        return True

    @staticmethod
    def is_of_nothing_lost(hold):
        """What holds nothing back but says that there is nothing to do."""
        return "witnesses see" in hold or "sees" in hold

    def wait_ready(self, timeout=300):
        """Until all agents would act, the standby follows and rows are written. An agent that is kept from running knows nothing, so on a
        busy machine this takes its time."""
        self.pair.wait_replication(self.old, self.standby)
        wait_for(self.is_ready, timeout, lambda: f"all agents see the pair well and would act; {self.states()}")
        before = len(self.writer.lines())
        wait_for(lambda: len(self.writer.lines()) > before + 3, 20, "rows are written")

    # -- what was done

    def switched(self):
        """How often a server was switched off, in all."""
        return sum(len(path.read_text().splitlines()) for s in self.servers.values() if (path := pathlib.Path(f"{s.data}.switched")).exists())

    def end_host(self, member):
        """The whole host loses its power: server, agent and etcd at once."""
        number = MEMBERS.index(member)
        agent = list(self.agents.values())[number]
        agent.process.send_signal(signal.SIGKILL)
        self.etcd.members[number].kill()
        self.servers[member].kill()

    def begin_host(self, member):
        number = MEMBERS.index(member)
        agent = list(self.agents.values())[number]
        if agent.process.poll() is not None:
            agent.end(0)
            self.etcd.members[number].start()
            agent.start()
