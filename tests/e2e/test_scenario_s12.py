"""Scenario S12, the line: block replication suffers from a slow line, and nothing fails. The agent at one end of a line of our
making says that it is slow, that it varies, that it loses. docs/scenarios/replication-line.md is this system."""
import os
import pathlib
import re
import sys

import pytest

from agent import Agent

pytestmark = [pytest.mark.timeout(60),
              pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"), reason="needs root and /dev/net/tun")]
HOST = str(pathlib.Path(__file__).parent / "echo_host.py")


@pytest.mark.parametrize("delays, lose, state, says", [
    ("0", 0, "pass", r"10\.9\.0\.2 answers in"),
    ("15", 0, "warn", r"it answers in \d"),
    ("0,0,0,0,60", 0, "warn", r"varies by \d"),
    ("0", 10, "warn", r"\d+% were lost"),
    ("0", 1, "fail", r"none of 10 echoes came back"),
])
def test_a_line_that_is_not_as_it_should_be(delays, lose, state, says):
    checks = {"replication-line": {"type": "ping", "host": "10.9.0.2", "count": 10, "size": 1472, "spacing": "10ms",
                                   "warn_rtt": "14ms", "fail_rtt": "2s", "warn_jitter": "10ms", "warn_loss": 5, "fail_loss": 60,
                                   "critical": False}}
    line = ["unshare", "-n", sys.executable, HOST, "--delays", delays, "--lose", str(lose), "--"]
    with Agent({"profile": "strict", "defaults": {"interval": "1500ms", "timeout": "1s"}, "checks": checks,
                "services": {"storage": {"all": ["replication-line"]}}}, argv_prefix=line, start=False) as agent:
        agent.start(wait=False)

        def is_told():
            status = agent.ctl("status").stdout
            # Of a probe that our own delay spoiled it says nothing yet.
            return re.search(says, status) and re.search(rf"replication-line +{state}\b", status)
        agent.wait_for(is_told)
