"""A network of our own: hosts in network namespaces on one switch, with faults made by nftables. Needs root.

    with Network() as net:
        node, db = net.host("node"), net.host("db")      # 10.77.0.1 and 10.77.0.2
        db.start(["/usr/bin/python3", "-m", "http.server", "8080"])
        db.lose(30)                                      # of a hundred packets that arrive, lost by chance
        db.cut()                                         # nothing in, nothing out, nobody is told
        db.heal()
        with InNetwork(node, config) as agent:           # an Agent there; it is asked over its admin socket
            ...

A namespace lives as long as the process that holds it, and that one dies with us: nothing is left behind, also if the test
is killed. `node.prefix` goes in front of any command that is to run there.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import time

import pytest

from agent import Agent

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _run(command, **more):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stdout}")
    return done.stdout


def require():
    """Skips the test where this cannot work, and says why."""
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    for tool in ("ip", "nft", "nsenter", "unshare"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {tool}")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        pytest.skip("this system does not let us make a network namespace")


class _Namespace:
    """A network namespace and the process that holds it."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stdin=subprocess.DEVNULL,
                                       preexec_fn=_die_with_parent)
        end = time.monotonic() + 10
        ours = os.readlink("/proc/self/ns/net")
        while True:  # until it has unshared and become sleep
            try:
                if os.readlink(f"/proc/{self.holder.pid}/ns/net") != ours:
                    break
            except OSError:
                pass
            if time.monotonic() > end:
                raise RuntimeError("no network namespace within 10 s")
            time.sleep(0.005)
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-n", "--"]

    def run(self, *command, **more):
        return _run([*self.prefix, *command], **more)

    def close(self):
        self.holder.kill()
        self.holder.wait(10)


class Host:
    """A host on the switch: one address on eth0, and loopback."""

    def __init__(self, network, name, address):
        self.network, self.name, self.address = network, name, address
        self._namespace = _Namespace()
        self.prefix, self.run = self._namespace.prefix, self._namespace.run
        self._processes = []

    def start(self, command, **more):
        """A process there; ended with the network."""
        process = subprocess.Popen([*self.prefix, *map(str, command)], stdin=subprocess.DEVNULL,
                                   preexec_fn=_die_with_parent, start_new_session=True,
                                   **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more})
        self._processes.append(process)
        return process

    def add_address(self, address):
        """A further address with its prefix length, as in 10.77.0.100/24, announced to the others."""
        self.run("ip", "address", "add", address, "dev", "eth0")

    def remove_address(self, address):
        self.run("ip", "address", "del", address, "dev", "eth0")

    def _rules(self, incoming, outgoing):
        self.run("nft", "-f", "-", input=f"""
table inet trouble
delete table inet trouble
table inet trouble {{
  chain incoming {{
    type filter hook input priority -10
    iifname "lo" accept
    {incoming}
  }}
  chain outgoing {{
    type filter hook output priority -10
    oifname "lo" accept
    {outgoing}
  }}
}}
""")

    def lose(self, percent):
        """Loses this share of the packets that arrive."""
        self._rules(f"numgen random mod 100 < {percent} counter drop", "")

    def cut(self):
        """Loses everything, both ways, silently: as a broken network does, not as a stopped host."""
        self._rules("counter drop", "counter drop")

    def deafen(self):
        """Hears nothing, and is heard."""
        self._rules("counter drop", "")

    def mute(self):
        """Hears everything, and is not heard."""
        self._rules("", "counter drop")

    def lose_path(self, address, port, user=None):
        """Loses what goes to this port and comes from there; with `user`, only what a process of that user sends there."""
        whose = f"meta skuid {user} " if user else ""
        self._rules("" if user else f"ip saddr {address} tcp sport {port} counter drop", f"{whose}ip daddr {address} tcp dport {port} counter drop")

    def heal(self):
        self.run("nft", "-f", "-", input="table inet trouble\ndelete table inet trouble\n")

    def lost(self):
        """How many packets the fault that is set now has eaten."""
        return sum(int(line.split("packets ")[1].split()[0])
                   for line in self.run("nft", "list", "table", "inet", "trouble").splitlines() if "packets " in line)

    def close(self):
        for process in self._processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait(10)
        self._namespace.close()


class Network:
    """A switch and what is plugged into it."""

    def __init__(self, net="10.77.0"):
        require()
        self.net, self.hosts = net, []
        self._switch = _Namespace()
        try:
            self._switch.run("ip", "link", "add", "br0", "type", "bridge")
            self._switch.run("ip", "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise

    def host(self, name):
        number = len(self.hosts) + 1
        host = Host(self, name, f"{self.net}.{number}")
        self.hosts.append(host)
        pid = host._namespace.holder.pid
        self._switch.run("ip", "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pid))
        self._switch.run("ip", "link", "set", f"p{number}", "master", "br0", "up")
        host.run("ip", "link", "set", "lo", "up")
        host.run("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.run("ip", "link", "set", "eth0", "up")
        return host

    def close(self):
        for host in self.hosts:
            host.close()
        self._switch.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class InNetwork(Agent):
    """An Agent on a host of the network. Its ports are there, its admin socket is here: health() asks that."""

    def __init__(self, host, config, **more):
        super().__init__(config, argv_prefix=host.prefix, **more)

    @property
    def health_address(self):
        return str(self.socket)
