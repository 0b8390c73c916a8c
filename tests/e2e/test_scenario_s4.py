"""Scenario S4: two directory servers that replicate each other, and one address that goes where the directory lets users in.
keepalived holds the address; each agent logs in to its own slapd and tells keepalived through a track_file.
docs/scenarios/ldap-with-one-address.md is this system."""
import contextlib
import pathlib
import subprocess
import time

import pytest

from agent import wait_for
from node_agent import NodeAgent
from nodes import Keepalived, Nodes, can_make_nodes
from servers import Slapd, give, program, temporary_directory

pytestmark = pytest.mark.skipif(not can_make_nodes(), reason="namespaces need root")

ADDRESS = "10.77.0.100"
TRACK_FILE = "/run/vitald-keepalived/ldap"


class Directory(Slapd):
    """slapd inside a node, on the directory's own port, a mirror of its peer."""

    def __init__(self, node, peer_address, number):
        super().__init__(settings=f"serverID {number}", with_data=False)
        self.node, self.peer_address, self.number = node, peer_address, number

    def _replication(self):
        return f"""overlay syncprov
syncprov-checkpoint 100 1
syncrepl rid=00{self.number} provider=ldap://{self.peer_address} type=refreshAndPersist retry="1 +" searchbase="{self.suffix}"
  bindmethod=simple binddn="{self.root_dn}" credentials={self.root_password} network-timeout=2 keepalive=2:2:1
multiprovider on
""" + super()._replication()

    def command(self):
        return [*self.node.prefix, program("slapd"), "-f", str(self.config_path), "-d", "stats", "-u", "openldap", "-g", "openldap",
                "-h", "ldap://0.0.0.0"]

    def start(self, timeout=20.0):
        if not self._is_prepared:
            self.prepare()
            self._is_prepared = True
        self.user = None  # slapd itself becomes openldap: the node and the low port need root
        return super().start(timeout)

    def is_ready(self):
        return self.ask("ldapsearch", "-s", "base", "-b", "").returncode == 0

    def ask(self, command, *arguments, at="127.0.0.1", text_in=None, node=None):
        """One of the ldap tools as the administrator, from inside the node."""
        return (node or self.node).run(command, "-x", "-H", f"ldap://{at}", "-o", "nettimeout=2", "-D", self.root_dn, "-w",
                                       self.root_password, *arguments, check=False, text_in=text_in)


@contextlib.contextmanager
def directories():
    """Nodes, both directories, agents, keepalived's; n1 has the address."""
    folder = temporary_directory("s4")
    parts = []
    with Nodes(["n1", "n2"]) as nodes:
        try:
            slapds, agents, keepers = [], [], []
            for number, (name, peer) in enumerate([("n1", "10.77.0.2"), ("n2", "10.77.0.1")], 1):
                slapd = Directory(nodes[name], peer, number)
                parts.append(slapd)
                slapds.append(slapd.start())
            fill(slapds[0])
            wait_for(lambda: "uid=probe" in slapds[1].ask("ldapsearch", "-b", Slapd.people, "(uid=probe)", "dn").stdout, 20,
                     "the other directory has it all")
            for number, (name, slapd) in enumerate(zip(("n1", "n2"), slapds)):
                node = nodes[name]
                node.run("mkdir", "-p", str(pathlib.Path(TRACK_FILE).parent))
                agent = NodeAgent(node, {
                    "profile": "strict",
                    "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms", "max_age": "2s"},
                    "checks": {"directory": {"type": "ldap", "uri": "ldap://127.0.0.1", "bind_dn": slapd.bind_dn,
                                             "password_file": "ldap.password",
                                             "search": {"base": slapd.people, "filter": "(uid=probe)", "min_entries": 1}}},
                    "services": {"ldap": ["directory"]},
                    "outputs": [{"type": "keepalived", "name": "vip", "service": "ldap", "path": TRACK_FILE,
                                 "interval": "500ms"}]}, start=False)
                parts.append(agent)
                agents.append(agent)
                (agent.folder / "ldap.password").write_text(slapd.bind_password + "\n")
                keeper = Keepalived(node, TRACK_FILE, ADDRESS, 100 - number * 10, folder=folder)
                parts.append(keeper)
                keepers.append(keeper)
                keeper.start()
            # A missing file is a dead directory: nobody takes the address before an agent has looked.
            time_without_word = time.monotonic() + 1.5
            while time.monotonic() < time_without_word:
                assert not any(k.is_master() for k in keepers), "fail-closed"
                time.sleep(0.1)
            for agent in agents:
                agent.start()
            for agent in agents:
                agent.wait_ready()
            wait_for(keepers[0].is_master, 20, "n1 takes the address")
            yield nodes, slapds, agents, keepers
        except BaseException:
            for keeper in folder.glob("*.log"):
                print(f"--- {keeper}\n{keeper.read_text()[-3000:]}")
            for agent in agents:
                print(f"--- {agent.log()[-3000:]}")
            raise
        finally:
            for part in reversed(parts):
                part.stop()


@pytest.fixture(scope="module")
def site():
    with directories() as made:
        yield made


def fill(slapd):
    ldif = f"""dn: {slapd.suffix}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {slapd.bind_dn}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: monitor
userPassword: {slapd.bind_password}

dn: {slapd.people}
objectClass: organizationalUnit
ou: people

""" + person("probe")
    done = slapd.ask("ldapadd", text_in=ldif)
    assert done.returncode == 0, done.stderr


def person(uid):
    return f"dn: uid={uid},{Slapd.people}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n\n"


class User:
    """Somebody on another machine, who knows the one address only."""

    def __init__(self, site):
        self.node, self.slapd = site[0].client, site[1][0]

    def login(self, wanted="probe"):
        try:
            done = self.node.run("ldapsearch", "-x", "-H", f"ldap://{ADDRESS}", "-o", "nettimeout=1", "-D", self.slapd.bind_dn, "-w",
                                 self.slapd.bind_password, "-b", self.slapd.people, f"(uid={wanted})", "dn", check=False, timeout=2)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0 and f"uid={wanted}," in done.stdout

    def add(self, uid):
        done = self.slapd.ask("ldapadd", at=ADDRESS, text_in=person(uid), node=self.node)
        assert done.returncode == 0, done.stderr


FAULTS = {"hangs": (lambda s: s.hang(), lambda s: s.resume()), "is gone": (lambda s: s.kill(), lambda s: s.start())}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_address_goes_where_users_can_log_in(site, fault):
    _, slapds, agents, keepers = site
    break_it, mend_it = FAULTS[fault]
    user = User(site)
    wait_for(lambda: keepers[0].is_master() and user.login(), 15, "all is well on n1")
    entry = f"before-{fault.replace(' ', '-')}"
    user.add(entry)
    wait_for(lambda: f"uid={entry}" in slapds[1].ask("ldapsearch", "-b", Slapd.people, f"(uid={entry})", "dn").stdout, 10)
    broken_at = time.monotonic()
    break_it(slapds[0])
    try:
        wait_for(lambda: agents[0].output("vip")["told"] == "fail", 8, "the agent says so")
        told_at = time.monotonic()
        wait_for(keepers[1].is_master, 8, "the address moves")
        moved_at = time.monotonic()
        wait_for(lambda: user.login(entry), 8, "users log in and find what was written before")
        switched_at = time.monotonic()
        assert not keepers[0].is_master()
        assert agents[1].output("vip")["told"] == "pass"
        user.add("after-" + entry)
    finally:
        mend_it(slapds[0])
    wait_for(keepers[0].is_master, 20, "it comes back when the directory does")
    wait_for(lambda: user.login("after-" + entry), 10, "with what was written meanwhile")
    print(f"{fault}: told after {told_at - broken_at:.2f} s, address moved after {moved_at - broken_at:.2f} s, "
          f"users log in again after {switched_at - broken_at:.2f} s")


def test_a_file_that_somebody_edits_or_deletes_is_set_right(site):
    nodes, _, agents, keepers = site
    wait_for(keepers[0].is_master, 15)
    before = agents[0].output("vip")["repairs"]
    nodes["n1"].run("rm", TRACK_FILE)
    wait_for(lambda: agents[0].output("vip")["repairs"] > before, 5, "the file is written again")
    nodes["n1"].run("bash", "-c", f"echo 0 > {TRACK_FILE}")
    wait_for(lambda: agents[0].output("vip")["repairs"] > before + 1, 5)
    assert nodes["n1"].run("cat", TRACK_FILE) == "1\n"
    assert agents[0].events("output_repaired")[-1]["output"] == "vip"
    wait_for(keepers[0].is_master, 15, "and the address is where it was")


def test_a_drain_moves_the_address_and_a_restart_of_the_agent_does_not(site):
    _, _, agents, keepers = site
    wait_for(keepers[0].is_master, 15)
    agents[0].ctl("drain", "--for", "1m")
    wait_for(keepers[1].is_master, 8, "drained nodes give the address away")
    agents[0].ctl("resume")
    wait_for(keepers[0].is_master, 15)
    assert agents[0].end() == 0
    agents[0].start()
    agents[0].wait_ready()
    assert keepers[0].is_master() and not keepers[1].is_master()
    assert agents[0].output("vip")["changes"] + agents[0].output("vip")["repairs"] == 0, "nothing was written"
