"""Scenario S1: two web servers behind a load balancer, an agent beside each; one application dies, users notice nothing.
docs/scenarios/two-web-servers.md is this system."""
import http.client
import threading
import time

import pytest

from agent import Agent, wait_for
from servers import HAProxy, HttpApp

CHECK = {"type": "http", "interval": "500ms", "timeout": "400ms", "edge_interval": "200ms",
         "expect": {"status": "200-299"}}
# One interval until it is seen, an edge interval and a timeout until it is believed, HAProxy's 200 ms; and as much again
# for a machine that does other things too.
DETECTED_WITHIN = 2 * (0.5 + 0.2 + 2 * 0.4 + 0.2)


class Users:
    """One user after the other, without a pause, each with a new connection; remembers how each fared."""

    def __init__(self, host, port):
        self.host, self.port, self.seen, self._ends = host, port, [], False
        self._threads = [threading.Thread(target=self._loop) for _ in range(2)]

    def _loop(self):
        while not self._ends:
            start = time.monotonic()
            try:
                connection = http.client.HTTPConnection(self.host, self.port, timeout=2)
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.seen.append((start, answer.status, answer.getheader("X-Server")))
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.seen.append((start, repr(error), None))
            time.sleep(0.005)

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        for t in self._threads:
            t.join(10)

    def failed(self, since):
        return [s for s in self.seen if s[0] >= since and s[1] != 200]

    def servers(self, since):
        return {s[2] for s in self.seen if s[0] >= since and s[1] == 200}


@pytest.fixture(scope="module")
def site():
    """Two nodes, each an application and its agent, and HAProxy before them."""
    with HttpApp() as one, HttpApp() as two:
        agents = []
        try:
            for app in (one, two):
                agents.append(Agent({
                    "listen": {"health": {"address": "127.0.0.1:0"}, "haproxy": {"address": "127.0.0.1:0"}},
                    "profile": "strict", "checks": {"app": {**CHECK, "url": app.url + "/healthz"}},
                    "services": {"web": {"all": ["app"]}}}))
            for agent in agents:
                agent.wait_ready()
            lines = []
            for name, app, agent in zip(("web1", "web2"), (one, two), agents):
                health, check = (a.rsplit(":", 1)[1] for a in (agent.health_address, agent.haproxy_address))
                lines.append(f"{name} 127.0.0.1:{app.port} weight 100 check port {health} inter 200ms fall 1 rise 1 "
                             f"on-marked-down shutdown-sessions agent-check agent-port {check} agent-inter 200ms "
                             "agent-send \"web\\n\"")
            with HAProxy(lines, backend=["option httpchk GET /health/web"]) as haproxy:
                yield one, two, agents, haproxy
        finally:
            for agent in agents:
                agent.stop()


FAULTS = {
    "killed": (lambda app: app.kill(), lambda app: app.start()),
    "hung": (lambda app: app.hang(), lambda app: app.resume()),
    "answering 500": (lambda app: app.answer(500, "no\n"), lambda app: app.answer()),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_application_is_lost_and_users_notice_nothing(site, fault):
    one, two, agents, haproxy = site
    both = {str(one.port), str(two.port)}
    wait_for(lambda: set(haproxy.servers().values()) == {"UP"}, 10, "both nodes are up")
    break_it, mend_it = FAULTS[fault]
    with Users(haproxy.host, haproxy.port) as users:
        wait_for(lambda: users.servers(0) == both, 5, "users reach both")
        assert not users.failed(0)
        broken_at = time.monotonic()
        break_it(one)
        try:
            wait_for(lambda: haproxy.servers()["web1"] == "DOWN", DETECTED_WITHIN, "HAProxy takes web1 out")
            out_at = time.monotonic()
            time.sleep(1.0)
            assert not users.failed(out_at), "no request fails once the fault is detected"
            assert users.servers(out_at) == {str(two.port)}
            lost = len(users.failed(broken_at))
        finally:
            mend_it(one)
        mended_at = time.monotonic()
        wait_for(lambda: haproxy.servers()["web1"] == "UP", 10, "web1 comes back by itself")
        back_at = time.monotonic()
        wait_for(lambda: users.servers(back_at) == both, 5, "users reach both again")
        assert not users.failed(back_at)
        assert agents[1].check("app")["state"] == "pass"
        total = len(users.seen)
    print(f"{fault}: out after {out_at - broken_at:.2f} s, {lost} of {total} requests failed before that, "
          f"back {back_at - mended_at:.2f} s after the repair")
