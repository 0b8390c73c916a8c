"""Scenario S9, files: one deep check each against NFS and Samba: working, broken in the way ports do not show, and hung.
docs/scenarios/file-servers.md is this system."""
import os

import pytest

from agent import Agent
from share_servers import Ganesha, Samba

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(os.geteuid() != 0, reason="NFS-Ganesha and Samba want to be started by root")]


@pytest.fixture(scope="module")
def site():
    with Ganesha() as nfs, Samba() as samba:
        canary = {"file": "canary", "expect": "alive"}
        agent = Agent({
            "profile": "strict", "defaults": {"interval": "1500ms", "timeout": "1200ms", "edge_interval": "500ms"},
            "workers": {"seccomp": "enforce"},
            "checks": {
                "nfs": {"type": "nfs", "export": "/app", "port": nfs.port, "write_file": "node-1", **canary},
                "nfs-squashed": {"type": "nfs", "export": "/squashed", "port": nfs.port, **canary},
                "smb": {"type": "smb", "port": samba.port, "share": "app", "user": samba.app_user, "password_file": "smb.password",
                        "write_file": "node-1", **canary},
                "nfs-port": {"type": "tcp", "address": f"127.0.0.1:{nfs.port}"},
                "smb-port": {"type": "tcp", "address": f"127.0.0.1:{samba.port}"}},
            "services": {"files": {"all": ["nfs", "smb"]}, "ports": {"all": ["nfs-port", "smb-port"]}}}, start=False)
        try:
            (agent.folder / "smb.password").write_text(samba.app_password + "\n")
            agent.start()
            agent.wait_ready()
            yield nfs, samba, agent
        finally:
            agent.stop()


def becomes(agent, check, state, cause):
    agent.wait_for(lambda: (agent.check(check)["state"], agent.check(check)["cause"]) == (state, cause), timeout=30,
                   what=f"{check} {state}/{cause}")
    return agent.check(check)["output"]


def test_what_ports_do_not_show(site):
    nfs, samba, agent = site
    for check in ("nfs", "smb"):
        assert "was written and read back" in becomes(agent, check, "pass", "none")
    becomes(agent, "nfs-squashed", "fail", "auth")
    # Another disk is mounted below both, and nobody's file is there.
    (nfs.export("app") / "canary").write_text("other\n")
    (samba.share / "canary").unlink()
    try:
        assert 'contains "other"' in becomes(agent, "nfs", "fail", "content")
        assert "read canary" in becomes(agent, "smb", "fail", "content")
        assert agent.health("/health/files").status == 503
        assert agent.health("/health/ports").status == 200
    finally:
        for place in (nfs.export("app"), samba.share):
            (place / "canary").write_text("alive\n")
            (place / "canary").chmod(0o644)
    for check in ("nfs", "smb"):
        becomes(agent, check, "pass", "none")


def test_a_password_that_was_changed_is_no_outage_but_said(site):
    _, samba, agent = site
    becomes(agent, "smb", "pass", "none")
    samba.set_password("another")
    try:
        agent.wait_for(lambda: agent.check("smb")["cause"] == "auth", timeout=30, what="the refusal is told")
        assert agent.check("smb")["verdict"] == "unknown"
    finally:
        samba.set_password(samba.app_password)
    becomes(agent, "smb", "pass", "none")


def test_servers_that_hang(site):
    nfs, samba, agent = site
    for server, check in ((nfs, "nfs"), (samba, "smb")):
        becomes(agent, check, "pass", "none")
        server.hang()
        try:
            becomes(agent, check, "fail", "timeout")
        finally:
            server.resume()
        becomes(agent, check, "pass", "none")
