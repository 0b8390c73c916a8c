"""Nodes: machines made of namespaces, joined by a bridge, for what must not touch this host: addresses that move, clusters.

    with Nodes(["n1", "n2"]) as nodes:            # and nodes.client, a machine without a service
        nodes["n1"].run("ip", "-br", "addr")
        nodes.cut("n1"); nodes.heal("n1")         # the cable
        nodes["n1"].crash()                       # everything in it dies at once

A node is one process that is pid 1 of new mount, UTS, IPC, network and PID namespaces; killing it ends all that runs inside,
and the kernel removes its network and its mounts. /run and /var/tmp are its own. Needs root: ask can_make_nodes().
"""
import ctypes
import os
import pathlib
import signal
import subprocess
import threading
import time

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_INIT = ('hostname "$1"; ip link set lo up; trap : CHLD; trap "exit 0" TERM; '
         'while :; do sleep 3600 & wait $!; done')
_OWN = "for d in /run:755 /var/tmp:1777; do mount -t tmpfs -o mode=${d#*:} tmpfs ${d%:*}; done"


def can_make_nodes():
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "-u", "-i", "-n", "-p", "-f", "true"], capture_output=True, check=False).returncode == 0


def die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Node:
    """One machine. `prefix` before a command line runs it inside."""

    def __init__(self, name, address=None):
        self.name, self.address = name, address
        assert threading.current_thread() is threading.main_thread(), "the kernel ends it with the thread that made it"
        # Not a shell's child: unshare itself is the parent, and --kill-child takes pid 1 with it.
        self.holder = subprocess.Popen(
            ["unshare", "-m", "-u", "-i", "-n", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private",
             "bash", "-c", _INIT, f"node-init-{name}", name],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
        self.pid = self._wait_for_init()
        self.run("bash", "-c", _OWN)

    def _wait_for_init(self):
        end = time.monotonic() + 10
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        while time.monotonic() < end:
            try:
                pid = int(children.read_text().split()[0])
                seen = subprocess.run(["nsenter", "-t", str(pid), "-u", "hostname"], capture_output=True, text=True, check=False)
                if seen.stdout.strip() == self.name:
                    return pid
            except (OSError, IndexError, ValueError):
                pass
            time.sleep(0.01)
        raise TimeoutError(f"the node {self.name} did not come up")

    @property
    def prefix(self):
        """Inside but for the PID namespace: a program started so is our own child and can be signalled."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "--"]

    @property
    def prefix_with_pids(self):
        """Wholly inside: dies with the node."""
        return ["nsenter", "-t", str(self.pid), "-m", "-u", "-i", "-n", "-p", "--"]

    def run(self, *command, check=True, timeout=20, text_in=None):
        """Runs a command to its end; its output."""
        done = subprocess.run([*self.prefix_with_pids, *map(str, command)], input=text_in, capture_output=True, text=True,
                              timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def has_address(self, address):
        return f" {address}/" in self.run("ip", "-o", "-4", "addr", "show", "dev", "eth0")

    def crash(self):
        self.kill()
        self.wait()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def wait(self):
        """Until all that ran in it is gone. A busy kernel takes seconds to end a dozen daemons and their sockets."""
        self.holder.wait(60)

    def is_running(self):
        return self.holder.poll() is None


class Nodes:
    """Named nodes at 10.77.0.1, 10.77.0.2, ... and a client at 10.77.0.200, which holds the bridge."""

    network = "10.77.0"

    def __init__(self, names):
        self.names = names
        self.nodes = {}
        self.client = None

    def __enter__(self):
        try:
            self.client = Node("client", f"{self.network}.200")
            self.client.run("ip", "link", "add", "br0", "type", "bridge")
            self.client.run("ip", "addr", "add", f"{self.client.address}/24", "dev", "br0")
            self.client.run("ip", "link", "set", "br0", "up")
            for name in self.names:
                self.make(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self, name):
        """Makes a node, or makes it again after a crash."""
        node = Node(name, f"{self.network}.{self.names.index(name) + 1}")
        self.nodes[name] = node
        cable = f"v-{name}"
        self.client.run("ip", "link", "del", cable, check=False)
        node.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", cable)
        subprocess.run(["nsenter", "-t", str(node.pid), "-n", "ip", "link", "set", cable, "netns", str(self.client.pid)], check=True)
        self.client.run("ip", "link", "set", cable, "master", "br0", "up")
        node.run("ip", "addr", "add", f"{node.address}/24", "dev", "eth0")
        node.run("ip", "link", "set", "eth0", "up")
        return node

    def cut(self, name):
        self.client.run("ip", "link", "set", f"v-{name}", "nomaster")

    def heal(self, name):
        self.client.run("ip", "link", "set", f"v-{name}", "master", "br0")

    def __getitem__(self, name):
        return self.nodes[name]

    def __exit__(self, *_):
        running = [node for node in [*self.nodes.values(), self.client] if node is not None and node.is_running()]
        for node in running:
            node.kill()
        for node in running:
            node.wait()


class Keepalived:
    """keepalived inside a node, with one VRRP instance whose address follows a track_file."""

    def __init__(self, node, track_file, address, priority, weight="0 reverse", folder=None):
        self.node, self.address = node, address
        self.directory = pathlib.Path(folder)
        self.config = self.directory / f"keepalived-{node.name}.conf"
        self.log_path = self.directory / f"keepalived-{node.name}.log"
        self.config.write_text(f"""
global_defs {{
  router_id {node.name}
  vrrp_garp_master_delay 1
}}
track_file word {{
  file "{track_file}"
}}
vrrp_instance vip {{
  state BACKUP
  interface eth0
  virtual_router_id 77
  priority {priority}
  advert_int 1
  virtual_ipaddress {{
    {address}/24
  }}
  track_file {{
    word weight {weight}
  }}
}}
""")
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.node.prefix, "/usr/sbin/keepalived", "-n", "-l", "-D", "-P", "-f", str(self.config), "-p", "/run/k.pid", "-r",
                 "/run/k-vrrp.pid"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
        return self

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def is_master(self):
        return self.node.has_address(self.address)
