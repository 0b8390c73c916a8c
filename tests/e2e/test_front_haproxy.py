"""The endpoint before a real HAProxy: every shape of its health checks and agent checks, in every mood of a node.

The node is tests/publish/front-demo: the real front with an invented node behind it, whose mood is set by a line on its
standard input. HAProxy's own words (UP, DOWN, NOLB, DRAIN, MAINT) are the judgement.
"""
import csv
import os
import pathlib
import socket
import subprocess

import pytest

from servers import HAProxy, LOCALHOST, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", ROOT / "build")).resolve()
DEMO = BUILD / "tests" / "publish" / "front-demo"

BACKENDS = """
backend bare
  option httpchk
  server s {health} check
backend no_host
  option httpchk GET /health HTTP/1.1
  server s {health} check
backend state_sent
  option httpchk GET /health/mail
  http-check disable-on-404
  http-check send-state
  server s {health} check
backend header_expected
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host any
  http-check expect hdr name x-health-status value pass
  server s {health} check
backend string_expected
  option httpchk GET /health?format=text
  http-check expect rstring ^pass$
  server s {health} check
backend posted
  option httpchk
  http-check send meth POST uri /health/web ver HTTP/1.1 hdr Host any body hello
  server s {health} check
backend proxy1
  option httpchk GET /health
  server s {health} send-proxy check
backend proxy2
  option httpchk GET /health
  server s {health} send-proxy-v2 check
backend agent
  option httpchk GET /livez
  server s {health} weight 100 check agent-check agent-addr 127.0.0.1 agent-port {agent_port} agent-inter 200ms agent-send "group=web\\n"
backend agent_node
  option httpchk GET /livez
  server s {health} weight 100 check agent-check agent-addr 127.0.0.1 agent-port {agent_port} agent-inter 200ms
backend agent_typo
  option httpchk GET /livez
  server s {health} weight 100 check agent-check agent-addr 127.0.0.1 agent-port {agent_port} agent-inter 200ms agent-send "wbe\\n"
"""
HTTP = ["bare", "no_host", "header_expected", "string_expected", "posted", "proxy1", "proxy2"]


class Demo:
    """front-demo on free ports."""

    def __enter__(self):
        self.process = subprocess.Popen([DEMO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.health = self.process.stdout.readline().split()[1]
        self.haproxy = self.process.stdout.readline().split()[1]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def be(self, mood):
        self.process.stdin.write(mood + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"ok {mood}\n"

    def ask(self, data):
        host, port = self.health.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=5) as s:
            s.sendall(data)
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
            return answer.decode()


class Balancer(HAProxy):
    def stats(self):
        """backend -> the row of its server."""
        rows = csv.DictReader(self.runtime("show stat").lstrip("# ").splitlines())
        return {row["pxname"]: row for row in rows if row["svname"] == "s"}

    def states(self):
        return {name: row["status"].split(" ")[0] for name, row in self.stats().items()}


@pytest.fixture(scope="module")
def pair():
    with Demo() as demo:
        sections = BACKENDS.format(health=demo.health, agent_port=demo.haproxy.rsplit(":", 1)[1])
        with Balancer([f"unused {demo.health}"], sections="defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n"
                      "  timeout server 5s\n  timeout check 1s\n  default-server inter 200ms fall 2 rise 1\n" + sections) as haproxy:
            yield demo, haproxy


def expect(haproxy, **wanted):
    """Waits until HAProxy says so of these backends."""
    seen = {}

    def holds():
        seen.update(haproxy.states())
        return all(seen[name] == state for name, state in wanted.items())
    try:
        wait_until(holds, 15, f"{wanted}")
    except TimeoutError:
        raise AssertionError(f"wanted {wanted}, HAProxy says {seen}") from None


def test_a_passing_node_is_up_for_every_kind_of_check(pair):
    demo, haproxy = pair
    demo.be("pass")
    expect(haproxy, **{name: "UP" for name in HTTP}, state_sent="UP", agent="UP", agent_node="UP")
    # HAProxy calls a server up before it has checked it.
    wait_until(lambda: all(haproxy.stats()[name]["check_status"] == "L7OK" for name in HTTP), 15, "the first checks")
    wait_until(lambda: haproxy.stats()["agent"]["agent_status"] == "L7OK", 15, "the first agent check")
    assert haproxy.stats()["agent"]["weight"] == "100"


def test_a_failing_node_is_down_and_the_agent_says_why(pair):
    demo, haproxy = pair
    demo.be("fail")
    expect(haproxy, **{name: "DOWN" for name in HTTP}, agent="DOWN", agent_node="DOWN", state_sent="UP")
    assert "via agent : down (db: fail/timeout: no answer in 5s)" in haproxy.log()
    assert haproxy.stats()["bare"]["check_code"] == "503"
    demo.be("pass")
    expect(haproxy, **{name: "UP" for name in HTTP}, agent="UP", agent_node="UP")


def test_a_warning_keeps_the_traffic(pair):
    demo, haproxy = pair
    demo.be("warn")
    wait_until(lambda: "X-Health-Status: warn" in demo.ask(b"GET /health HTTP/1.0\r\n\r\n"), 5, "the warning")
    expect(haproxy, bare="UP", no_host="UP", posted="UP", agent="UP", agent_node="UP", header_expected="DOWN")
    assert haproxy.stats()["agent"]["weight"] == "100"
    demo.be("pass")
    expect(haproxy, header_expected="UP")


def test_a_drained_node_is_left_politely_and_comes_back(pair):
    demo, haproxy = pair
    demo.be("drain")
    expect(haproxy, state_sent="NOLB", agent="DRAIN", agent_node="DRAIN", bare="DOWN")
    demo.be("pass")
    expect(haproxy, state_sent="UP", agent="UP", agent_node="UP", bare="UP")


def test_maintenance_is_told_and_taken_back(pair):
    demo, haproxy = pair
    demo.be("maintenance")
    expect(haproxy, agent="MAINT", agent_node="MAINT", bare="DOWN")
    demo.be("pass")
    expect(haproxy, agent="UP", agent_node="UP", bare="UP")


def test_a_stalled_agent_is_down_for_everybody(pair):
    demo, haproxy = pair
    demo.be("stall")
    expect(haproxy, **{name: "DOWN" for name in HTTP}, agent="DOWN", agent_node="DOWN")
    demo.be("pass")
    expect(haproxy, **{name: "UP" for name in HTTP}, agent="UP", agent_node="UP")


def test_a_service_nobody_knows_changes_nothing_and_is_reported(pair):
    demo, haproxy = pair
    assert haproxy.states()["agent_typo"] == "UP"
    demo.be("fail")
    expect(haproxy, agent="DOWN")
    row = haproxy.stats()["agent_typo"]
    assert row["status"] == "UP"
    assert "unknown-service" in row["last_agt"], row
    assert "vitald_haproxy_agent_unknown_services_total 0\n" not in demo.ask(b"GET /metrics HTTP/1.0\r\n\r\n")
    demo.be("pass")
    expect(haproxy, agent="UP")


def test_the_metrics_pass_promtool(pair):
    demo, _ = pair
    for mood in ["pending", "fail", "pass"]:
        demo.be(mood)
        body = demo.ask(b"GET /metrics HTTP/1.0\r\n\r\n").split("\r\n\r\n", 1)[1]
        done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
