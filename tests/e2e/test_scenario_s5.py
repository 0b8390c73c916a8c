"""Scenario S5: two directory servers behind a balancer that knows only ports. A slapd that accepts connections but lets
nobody in: the port check stays green, the agent's answer does not, users are led to the other one.
docs/scenarios/ldap-behind-ports.md is this system."""
import subprocess
import time

import pytest

from agent import Agent, wait_for
from servers import HAProxy, Slapd, free_port


class Site:
    """Two slapd, an agent beside each, HAProxy with the same servers twice: checked by port, and by the agents."""

    def __init__(self):
        self.slapds = [Slapd(), Slapd()]
        self.agents = []
        self.haproxy = None
        self.port_only, self.by_agent = free_port(), free_port()

    def __enter__(self):
        try:
            for slapd in self.slapds:
                slapd.start()
                agent = Agent({
                    "profile": "strict",
                    "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms", "max_age": "2s"},
                    "checks": {"directory": {
                        "type": "ldap", "uri": slapd.uri, "bind_dn": slapd.bind_dn, "password_file": "ldap.password",
                        "search": {"base": slapd.people, "filter": "(uid=probe)", "min_entries": 1}}},
                    "services": {"ldap": {"all": ["directory"]}}}, start=False)
                self.agents.append(agent)
                (agent.folder / "ldap.password").write_text(slapd.bind_password + "\n")
                agent.start()
            for agent in self.agents:
                agent.wait_ready()
            ports = [a.health_address.rsplit(":", 1)[1] for a in self.agents]
            one, two = self.slapds
            self.haproxy = HAProxy(["none 127.0.0.1:1"], sections=f"""
listen port_only
  mode tcp
  bind 127.0.0.1:{self.port_only}
  server ldap1 {one.host}:{one.port} check inter 200ms fall 1 rise 1
  server ldap2 {two.host}:{two.port} check inter 200ms fall 1 rise 1 backup
listen by_agent
  mode tcp
  bind 127.0.0.1:{self.by_agent}
  option httpchk GET /health/ldap
  server ldap1 {one.host}:{one.port} check port {ports[0]} inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
  server ldap2 {two.host}:{two.port} check port {ports[1]} inter 200ms fall 1 rise 1 backup
""").start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.haproxy:
            self.haproxy.__exit__()
        for agent in self.agents:
            agent.stop()
        for slapd in self.slapds:
            slapd.__exit__()

    def status(self, backend, server):
        rows = [r.split(",") for r in self.haproxy.runtime("show stat").lstrip("# ").splitlines() if r]
        column = rows[0].index("status")
        return next(r[column].split(" ")[0] for r in rows[1:] if r[:2] == [backend, server])

    def login(self, port):
        """What a user's program does: bind, and look for himself."""
        one = self.slapds[0]
        command = ["ldapsearch", "-x", "-H", f"ldap://127.0.0.1:{port}", "-D", one.bind_dn, "-w", one.bind_password, "-b",
                   one.people, "(uid=probe)", "dn"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False)
        except subprocess.TimeoutExpired:  # as the user, who hangs
            return False
        return done.returncode == 0 and "uid=probe" in done.stdout


@pytest.fixture(scope="module")
def site():
    with Site() as s:
        yield s


FAULTS = {
    "hangs": (lambda s: s.hang(), lambda s: s.resume(), {"timeout"}),
    "lost its data": (lambda s: s.empty(), lambda s: refill(s), {"auth", "content"}),
}


def refill(slapd):
    slapd.stop()
    for path in slapd.data.iterdir():
        path.unlink()
    slapd.data.rmdir()
    slapd.prepare()
    slapd.start()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_directory_nobody_can_log_in_to_is_found(site, fault):
    break_it, mend_it, causes = FAULTS[fault]
    wait_for(lambda: site.status("by_agent", "ldap1") == "UP" and site.login(site.by_agent), 10)
    broken_at = time.monotonic()
    break_it(site.slapds[0])
    try:
        wait_for(lambda: site.status("by_agent", "ldap1") == "DOWN", 8, "the agent's answer takes ldap1 out")
        out_at = time.monotonic()
        wait_for(lambda: site.login(site.by_agent), 5, "users log in at the other one")
        switched = time.monotonic() - broken_at
        assert site.status("port_only", "ldap1") == "UP", "the port check stays green: this is why we are here"
        assert not site.login(site.port_only)
        seen = site.agents[0].check("directory")
        assert seen["cause"] in causes and seen["state"] in ("fail", "stale"), seen
        assert site.agents[1].check("directory")["state"] == "pass"
    finally:
        mend_it(site.slapds[0])
    wait_for(lambda: site.status("by_agent", "ldap1") == "UP" and site.login(site.by_agent), 10, "it comes back by itself")
    print(f"{fault}: out after {out_at - broken_at:.2f} s, users log in again after {switched:.2f} s")
