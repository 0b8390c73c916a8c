"""Who watches this node: recognised by how they ask, listed with their rhythm, what they were told and what they believe;
the events when they come and when they stay away; what HAProxy hears last."""
import socket
import threading
import time

from agent import Agent, fetch, wait_for
from servers import HAProxy
from test_front_haproxy import Balancer

CHECKS = {"app": {"type": "heartbeat", "max_age": "1h"}}


def config(**listen):
    return {"listen": {"health": {"address": "127.0.0.1:0"}, "haproxy": {"address": "127.0.0.1:0"}, **listen}, "checks": CHECKS,
            "services": {"web": {"all": ["app"]}}}


def raw(address, data):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as c:
        c.sendall(data)
        answer = b""
        while chunk := c.recv(65536):
            answer += chunk
        return answer.decode()


def consumers(agent):
    return {(c["kind"], c["path"]): c for c in agent.admin("/api/v1/consumers").json()["consumers"]}


def test_each_is_known_by_how_it_asks():
    requests = {
        ("envoy", "/health"): "GET /health HTTP/1.1\r\nhost: c\r\nuser-agent: Envoy/HC\r\nconnection: close\r\n\r\n",
        ("aws-elb", "/health/web"): "GET /health/web HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n",
        ("kubernetes", "/readyz"): "GET /readyz HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: kube-probe/1.29\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        ("gcp", "/"): "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nUser-Agent: GoogleHC/1.0\r\nConnection: close\r\n\r\n",
        ("consul", "/health"): "GET /health?as=consul HTTP/1.1\r\nHost: x\r\nUser-Agent: Consul Health Check\r\nConnection: close\r\n\r\n",
        ("keepalived", "/health"): "GET /health HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 1.2.3.4:80\r\n\r\n",
        ("prometheus", "/metrics"): "GET /metrics HTTP/1.1\r\nHost: x\r\nUser-Agent: Prometheus/2.42.0+ds\r\nConnection: close\r\n\r\n",
        ("varnish", "/health"): "GET /health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
        ("haproxy", "/health"): "GET /health HTTP/1.0\r\nx-haproxy-server-state: UP 2/3; address=127.0.0.1; port=80; name=bck/s1; node=lb1; "
                                "weight=100/300; scur=1/2; qcur=0\r\n\r\n",
        ("haproxy", "/"): "OPTIONS / HTTP/1.0\r\n\r\n",
        ("apache", "*"): "OPTIONS * HTTP/1.0\r\nHost: 127.0.0.1:80\r\n\r\n",
        ("other", "/livez"): "GET /livez HTTP/1.0\r\nUser-Agent: something of ours\r\n\r\n",
    }
    with Agent(config()) as agent:
        for _ in range(3):
            for request in requests.values():
                raw(agent.health_address, request.encode())
        seen = consumers(agent)
        assert set(requests) <= set(seen), set(requests) - set(seen)
        assert all(seen[key]["requests"] == 3 and seen[key]["address"] == "127.0.0.1" for key in requests if key[0] != "other")
        assert seen[("haproxy", "/health")]["believes"] == {"state": "UP", "rank": "2/3", "server": "bck/s1", "node": "lb1", "weight": "100/300"}
        assert seen[("envoy", "/health")]["believes"] is None
        assert seen[("envoy", "/health")]["last_code"] == 503
        assert seen[("kubernetes", "/readyz")]["user_agent"] == "kube-probe/1.29"
        expected = {key for key in requests if key[0] != "other"}  # the log is written a moment later
        wait_for(lambda: {(e["kind"], e["path"]) for e in agent.events("consumer_seen")} == expected, 10, "all of them are told")
        assert 'vitald_consumers{kind="haproxy"} 2\n' in agent.health("/metrics").text
        text = agent.ctl("status").stdout
        assert "CONSUMER" in text and "UP 2/3 as bck/s1, weight 100/300, node lb1" in text, text
        # A path that does not exist leaves no trace, nor does vitalctl; and the API is not for everybody.
        raw(agent.health_address, b"GET /health/nope HTTP/1.0\r\nUser-Agent: Envoy/HC\r\n\r\n")
        assert ("envoy", "/health/nope") not in consumers(agent)
        agent.reload({**config(), "listen": {"health": {"address": agent.health_address, "details": "never"}}})
        wait_for(lambda: fetch(agent.health_address, "/api/v1/consumers").status == 403, 5, "no list for strangers")


def test_the_table_is_bounded_and_who_comes_always_stays():
    with Agent(config(health={"address": "127.0.0.1:0", "proxy_protocol": ["127.0.0.1"]})) as agent:
        for _ in range(3):
            raw(agent.health_address, b"GET /health HTTP/1.1\r\nuser-agent: Envoy/HC\r\nconnection: close\r\n\r\n")
        for i in range(400):
            raw(agent.health_address, f"PROXY TCP4 10.0.{i // 200}.{i % 200} 127.0.0.1 1 2\r\nGET /health HTTP/1.0\r\n\r\n".encode())
        answer = agent.admin("/api/v1/consumers").json()
        assert len(answer["consumers"]) == 256
        assert answer["evicted"] >= 144
        assert [c["kind"] for c in answer["consumers"] if c["requests"] == 3] == ["envoy"]


def test_a_real_haproxy_is_listed_and_missed():
    with Agent(config()) as agent:
        assert agent.ctl("report", "app", "pass").returncode == 0
        agent_port = agent.haproxy_address.rsplit(":", 1)[1]
        backend = ("defaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n  timeout check 1s\n"
                   "  default-server inter 200ms fall 2 rise 1\nbackend farm\n  option httpchk GET /health\n  http-check send-state\n"
                   f"  server s {agent.health_address} weight 100 check agent-check agent-port {agent_port} agent-inter 200ms agent-send \"web\\n\"\n")
        with Balancer([f"unused {agent.health_address}"], sections=backend):
            key, other = ("haproxy", "/health"), ("haproxy", "agent-check:web")
            wait_for(lambda: consumers(agent).get(key, {}).get("requests", 0) > 6, 20, "HAProxy is listed")
            wait_for(lambda: consumers(agent).get(other, {}).get("requests", 0) > 6, 20, "its agent check is")
            seen = consumers(agent)
            assert 100 <= seen[key]["interval_ms"] <= 1500, seen[key]
            assert seen[key]["believes"]["server"] == "farm/s" and seen[key]["believes"]["weight"] == "100/100"
            assert seen[other]["last_word"] == "up ready 100%"
            wait_for(lambda: agent.events("consumer_seen"), 5, "the event")
        wait_for(lambda: len(agent.events("consumer_lost")) >= 2, 40, "both are missed")
        assert consumers(agent)[key]["is_lost"]
        assert "lost" in agent.ctl("status").stdout


def last_lines(agent, service="web"):
    """What the agent check says while the agent stops."""
    said = []
    agent.process.terminate()
    end = time.monotonic() + 10
    while time.monotonic() < end and agent.process.poll() is None:
        try:
            said.append(agent.haproxy(service))
        except OSError:
            break
        time.sleep(0.05)
    return said


def test_the_last_line_haproxy_hears_is_as_configured():
    wanted = {"drain": "up drain # ", "ready": "up ready 100%", "down": "down ready # vitald is stopping", "maint": "up maint # vitald is stopping"}
    for farewell, line in wanted.items():
        with Agent({**config(haproxy={"address": "127.0.0.1:0", "farewell": farewell}), "shutdown": {"drain": "400ms"}}) as agent:
            assert agent.ctl("report", "app", "pass").returncode == 0
            wait_for(lambda: agent.haproxy("web") == "up ready 100%", 10, "it passes")
            said = last_lines(agent)
            assert said and said[-1].startswith(line), (farewell, said)
            agent.process.wait(10)
    with Agent({**config(haproxy={"address": "127.0.0.1:0", "farewell": "ready"}), "shutdown": {"drain": "400ms"}}) as agent:
        assert agent.ctl("report", "app", "pass").returncode == 0
        wait_for(lambda: agent.haproxy("web") == "up ready 100%", 10, "it passes")
        assert agent.ctl("maintenance", "--reason", "disk").returncode == 0
        wait_for(lambda: agent.haproxy("web").startswith("up maint"), 10, "maintenance")
        assert last_lines(agent)[-1].startswith("up maint # maintenance"), "an operator's word stands"
        agent.process.wait(10)


class Asking:
    """A balancer that asks four times a second; what it was told."""

    def __init__(self, agent):
        self.agent, self.over, self.told = agent, threading.Event(), []
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        address = self.agent.health_address
        while not self.over.wait(0.25):
            try:
                said = raw(address, b"GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\n\r\n")
                self.told.append(int(said.split()[1]))
            except (OSError, IndexError):
                self.told.append(None)

    def __enter__(self):
        self.thread.start()
        wait_for(lambda: (consumers(self.agent).get(("aws-elb", "/health")) or {}).get("interval_ms"), 20, "its rhythm is known")
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_a_drain_waits_for_the_balancers_that_were_seen_asking():
    with Agent(config()) as agent:
        agent.ctl("report", "app", "pass")
        with Asking(agent):
            early = agent.ctl("drain", "--wait", "--timeout", "100ms")
            assert early.returncode == 1 and "aws-elb at 127.0.0.1 asks every" in early.stdout, early.stdout + early.stderr
            done = agent.ctl("drain", "--wait", "--timeout", "20s")
            assert done.returncode == 0 and "it is safe to stop" in done.stdout, done.stdout + done.stderr


def stop_while_asked(shutdown):
    """What a balancer was told while the agent stopped, how long that took, and the event at the end of the drain."""
    with Agent({**config(), "shutdown": shutdown}) as agent:
        agent.ctl("report", "app", "pass")
        with Asking(agent) as balancer:
            wait_for(lambda: balancer.told[-1:] == [200], 10, "it passes")
            before = len(balancer.told)
            start = time.monotonic()
            assert agent.end(timeout=60) == 0
            took = time.monotonic() - start
            told = balancer.told[before:]
        return told, took, agent.events("drained")


def test_a_stop_waits_for_the_balancers_that_were_seen_asking_and_no_longer():
    told, took, drained = stop_while_asked({"drain": "50s", "leave": "when_left"})
    assert told.count(503) >= 3, told
    assert 1.2 < took < 40, took  # three times 0.25 s and a second
    assert drained[0]["level"] == "info" and drained[0]["not_left"] == "", drained


def test_a_stop_that_is_too_short_for_a_balancer_says_who_had_not_left():
    _, took, drained = stop_while_asked({"drain": "400ms"})
    assert took < 15 and drained[0]["level"] == "warning" and "aws-elb at 127.0.0.1 asks every" in drained[0]["not_left"], drained


def test_a_stop_that_takes_no_time_is_announced_to_nobody():
    """Balancers used to hear 503, and HAProxy drain, while the workers of the agent were ending: up to two seconds."""
    stuck = {"type": "exec", "command": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"], "interval": "2m", "timeout": "1m", "retries": 0}
    with Agent({**config(), "checks": {**CHECKS, "stuck": stuck}, "workers": {"max": 1}}) as agent:
        agent.ctl("report", "app", "pass")
        wait_for(lambda: agent.haproxy("web") == "up ready 100%", 10, "it passes")
        wait_for(lambda: agent.check("stuck")["running_ms"], 70, "a worker is at work")
        told = []
        agent.process.terminate()
        while agent.process.poll() is None and len(told) < 1000:
            try:
                told.append((agent.health("/health/web").status, agent.haproxy("web")))
            except OSError:
                break  # the doors are closed
            time.sleep(0.02)
        assert agent.process.wait(20) == 0
        assert set(told) == {(200, "up ready 100%")}, told
