"""Ten thousand connections at once: half of them silent, half in the middle of a request. Who really asks does not notice,
memory stays bounded, and afterwards nothing is left."""
import pathlib
import resource
import socket
import time

import pytest

from agent import Agent, fetch, wait_for

COUNT = 10_000


def memory_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def metric(agent, name):
    for line in agent.admin("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


@pytest.mark.timeout(180)
def test_ten_thousand_connections_cost_others_nothing():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < COUNT + 500:
        pytest.skip(f"this process may have {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    try:
        with Agent({"checks": {"app": {"type": "heartbeat", "max_age": "1h"}}}) as agent:
            assert agent.ctl("report", "app", "pass").returncode == 0
            host, port = agent.health_address.rsplit(":", 1)
            before = memory_of(agent.pid)
            slowest = 0.0
            for i in range(COUNT):
                c = socket.create_connection((host, int(port)), timeout=30)
                if i % 2:
                    c.sendall(b"GET /health HTTP/1.1\r\nHost:")
                held.append(c)
                if i % 500 == 499:
                    start = time.monotonic()
                    assert fetch(agent.health_address, timeout=30).status == 200
                    slowest = max(slowest, time.monotonic() - start)
            wait_for(lambda: metric(agent, "vitald_http_connections_total") > COUNT, 30, "all of them were accepted")
            # 4,096 places: the silent ones give way first, then those in the middle of a request.
            assert metric(agent, "vitald_http_connections_open") <= 4096
            assert metric(agent, "vitald_http_connections_evicted_total") >= COUNT - 4096
            assert metric(agent, "vitald_http_connections_over_source_cap_total") == 0  # loopback is not counted
            assert fetch(agent.health_address, "/livez", timeout=30).status == 200
            assert slowest < 2, f"the slowest answer among them took {slowest:.3f} s"
            assert memory_of(agent.pid) - before < 64 * 1024, "4,096 connections take less than 64 MiB"
            for c in held:
                c.close()
            held.clear()
            wait_for(lambda: metric(agent, "vitald_http_connections_open") <= 1, 30, "none is left")
            assert fetch(agent.health_address).status == 200
    finally:
        for c in held:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
