"""A real two-node Pacemaker cluster in nodes of nodes.py: corosync with knet, no fencing, an address that prefers n1.

    with Cluster() as cluster:
        cluster.node("n1").run("crm_mon", "-1")
        cluster.where("vip")                     # "n1", or None
"""
import pathlib
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from nodes import Nodes, die_with_parent

ADDRESS = "10.77.0.100"
NODES = ("n1", "n2")

_DIRECTORIES = r"""set -e
t() { mkdir -p $1; mount -t tmpfs -o mode=$2 tmpfs $1; }
t /dev/shm 1777; t /var/lib/pacemaker 755; t /var/lib/corosync 755; t /var/log/pacemaker 770; t /var/log/corosync 755; t /etc/corosync 755
install -d -o hacluster -g haclient -m 750 /var/lib/pacemaker/blackbox /var/lib/pacemaker/cib /var/lib/pacemaker/cores \
  /var/lib/pacemaker/pengine /run/crm
chown hacluster:haclient /var/log/pacemaker; install -d -m 1755 /run/resource-agents; install -d /run/lock /run/corosync
cat > /etc/corosync/corosync.conf
"""

_COROSYNC = """totem {
 version: 2
 cluster_name: vitald
 transport: knet
 crypto_cipher: none
 crypto_hash: none
 token: 1000
}
nodelist {
""" + "".join(f" node {{\n  name: {n}\n  nodeid: {i}\n  ring0_addr: 10.77.0.{i}\n }}\n" for i, n in enumerate(NODES, 1)) + """}
quorum {
 provider: corosync_votequorum
 two_node: 1
}
system {
 sched_rr: no
 move_to_root_cgroup: no
}
logging {
 to_syslog: no
 to_logfile: yes
 logfile: /var/log/corosync/corosync.log
}
"""


def _property(name, value):
    return f'<nvpair id="p-{name}" name="{name}" value="{value}"/>'


_CIB = ('<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config>'
        '<cluster_property_set id="cib-bootstrap-options">' + _property("stonith-enabled", "false") +
        _property("no-quorum-policy", "ignore") + _property("node-health-strategy", "migrate-on-red") +
        _property("dc-deadtime", "2s") + _property("cluster-recheck-interval", "5s") +
        '</cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>')


class Cluster:
    def __init__(self):
        self.nodes = Nodes(NODES)
        self.running = []

    def node(self, name):
        return self.nodes[name]

    def __enter__(self):
        self.nodes.__enter__()
        try:
            for name in NODES:
                node = self.nodes[name]
                node.run("bash", "-c", _DIRECTORIES, text_in=_COROSYNC)
                node.run("bash", "-c", "umask 077; cat > /var/lib/pacemaker/cib/cib.xml; chown hacluster:haclient "
                         "/var/lib/pacemaker/cib/cib.xml; chmod 600 /var/lib/pacemaker/cib/cib.xml", text_in=_CIB)
            for name in NODES:
                self._spawn(name, "corosync", "-f")
            for name in NODES:
                self.wait(lambda n=name: self.nodes[n].run("corosync-cmapctl", "-g", "runtime.votequorum.this_node_id",
                                                           check=False).returncode == 0, 30, f"corosync on {name}")
            for name in NODES:
                self._spawn(name, "env", "PCMK_logfile=/var/log/pacemaker/pacemaker.log", "PCMK_logfacility=none", "pacemakerd", "-f")
            self.wait(self._is_online, 60, "both nodes are online")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _spawn(self, name, *command):
        self.running.append(subprocess.Popen([*self.nodes[name].prefix_with_pids, *command], stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent))

    @staticmethod
    def wait(claim, timeout, what):
        end = time.monotonic() + timeout
        while not claim():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout} s: {what}")
            time.sleep(0.05)

    def status(self, at="n1"):
        done = self.nodes[at].run("crm_mon", "-1", "--output-as=xml", check=False)
        return ElementTree.fromstring(done.stdout) if done.returncode == 0 and done.stdout else None

    def _is_online(self):
        seen = self.status()
        if seen is None:
            return False
        online = [n.get("name") for n in seen.iter("node") if n.get("online") == "true" and n.get("type") == "member"]
        dc = seen.find(".//current_dc")
        return set(NODES) <= set(online) and dc is not None and dc.get("with_quorum") == "true"

    def configure(self, resources, constraints=""):
        """Replaces both; the constraints go first and come last, since they name resources."""
        for section, xml in (("constraints", ""), ("resources", resources), ("constraints", constraints)):
            self.nodes["n1"].run("cibadmin", "-R", "-o", section, "-X", f"<{section}>{xml}</{section}>")

    def set(self, name, value):
        self.nodes["n1"].run("crm_attribute", "-n", name, "-v", value)

    def attribute(self, node, name="#health-vitald"):
        """Its value on a node as Pacemaker knows it, or None."""
        text = self.nodes["n2"].run("attrd_updater", "-n", name, "-QA", check=False).stdout
        for line in text.splitlines():
            if f'host="{node}"' in line:
                return line.split('value="')[1].split('"')[0] or None
        return None

    def address_is_on(self, name):
        return self.nodes[name].has_address(ADDRESS)

    def log(self, name):
        return self.nodes[name].run("bash", "-c", "tail -n 40 /var/log/pacemaker/pacemaker.log", check=False).stdout

    def __exit__(self, *_):
        self.nodes.__exit__()
        for process in self.running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


def install_agent(node, source):
    """Makes conf/ocf/service known as ocf:vitald:service in this node only."""
    node.run("bash", "-c", "mkdir -p /run/ra/up/vitald /run/ra/wk; mount -t overlay overlay -o "
             "lowerdir=/usr/lib/ocf/resource.d,upperdir=/run/ra/up,workdir=/run/ra/wk /usr/lib/ocf/resource.d; "
             "cat > /usr/lib/ocf/resource.d/vitald/service; chmod 755 /usr/lib/ocf/resource.d/vitald/service",
             text_in=pathlib.Path(source).read_text())
