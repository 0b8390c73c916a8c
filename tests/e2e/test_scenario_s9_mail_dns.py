"""Scenario S9, mail and names: one deep check each against Postfix, Dovecot, unbound and Knot DNS: working, broken in the way
ports do not show, and hung. docs/scenarios/mail-and-names.md is this system."""
import os

import pytest

from agent import Agent
from net_servers import Dovecot, Knot, Postfix, Unbound
from servers import Certificates

pytestmark = [pytest.mark.timeout(90), pytest.mark.skipif(os.geteuid() != 0, reason="Postfix and Dovecot want to be started by root")]


@pytest.fixture(scope="module")
def site():
    with Knot(["www 1 A 192.0.2.10"]) as knot, Unbound(forward=knot.port) as unbound, Dovecot() as dovecot, Postfix() as postfix:
        ca = str(Certificates.shared().ca)
        agent = Agent({
            "profile": "strict", "defaults": {"interval": "1200ms", "timeout": "1s", "edge_interval": "300ms"},
            "checks": {
                "names": {"type": "dns", "port": unbound.port, "name": "www.example.jp", "expect": {"answers": ["192.0.2.10"]}},
                "zone": {"type": "dns", "port": knot.port, "name": "example.jp", "record": "SOA", "recursion": False,
                         "expect": {"authoritative": True}},
                "mx": {"type": "smtp", "port": postfix.port, "starttls": True, "to": "postmaster@example.jp", "tls": {"ca": ca}},
                "mx-without-map": {"type": "smtp", "port": postfix.mapless_port, "to": "postmaster@example.jp"},
                "mailboxes": {"type": "imap", "port": dovecot.port, "user": dovecot.app_user, "password_file": "mail.password"}},
            "services": {"dns": {"all": ["names", "zone"]}, "mail": {"all": ["mx", "mailboxes"]}}}, start=False)
        try:
            (agent.folder / "mail.password").write_text(dovecot.app_password + "\n")
            agent.start()
            agent.wait_ready()
            yield knot, unbound, dovecot, postfix, agent
        finally:
            agent.stop()


def becomes(agent, check, state, cause):
    agent.wait_for(lambda: (agent.check(check)["state"], agent.check(check)["cause"]) == (state, cause), what=f"{check} {state}/{cause}")
    return agent.check(check)["output"]


def test_what_ports_do_not_show(site):
    knot, _, dovecot, _, agent = site
    for check in ("names", "zone", "mx", "mailboxes"):
        becomes(agent, check, "pass", "none")
    assert "451 4.3.0" in becomes(agent, "mx-without-map", "fail", "content")
    dovecot.lock_users(True)
    knot.stop()
    knot.zone_path.unlink()
    knot.start()
    try:
        assert "UNAVAILABLE" in becomes(agent, "mailboxes", "fail", "content")
        becomes(agent, "zone", "fail", "content")
        becomes(agent, "names", "fail", "content")
        assert agent.health("/health/dns").status == agent.health("/health/mail").status == 503
    finally:
        dovecot.lock_users(False)
        knot.stop()
        knot.write_zone(2)
        knot.start()
    for check in ("zone", "names", "mailboxes"):
        becomes(agent, check, "pass", "none")


def test_servers_that_hang(site):
    _, unbound, dovecot, postfix, agent = site
    for server, check in ((unbound, "names"), (dovecot, "mailboxes"), (postfix, "mx")):
        becomes(agent, check, "pass", "none")
        server.hang()
        try:
            becomes(agent, check, "fail", "timeout")
        finally:
            server.resume()
        becomes(agent, check, "pass", "none")
