"""Scenario S10, its local half: a name server that checks health by HTTP, as the DNS of clouds does, follows what the agents answer: to
the node whose Redis is the primary, and to a sorry page when no node is left. Nothing calls anybody to switch it. The name server is
PowerDNS with `ifurlup`. docs/scenarios/sorry-page.md is this system."""
import contextlib
import http.server
import socket
import subprocess
import threading

import pytest

from agent import Agent, wait_for
from net_servers import Redis
from powerdns import PowerDns

pytestmark = pytest.mark.long
NODES, SORRY = ("127.0.0.1", "127.0.0.2"), "127.0.0.3"


def free_port_of_all():
    """A port that is free at each node's address."""
    while True:
        with socket.create_server((NODES[0], 0)) as first:
            port = first.getsockname()[1]
            try:
                with socket.create_server((NODES[1], port)), socket.create_server((SORRY, port)):
                    return port
            except OSError:
                continue


class Sorry(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def sorry_page(port):
    """A web server that is always well, whatever is asked."""
    with http.server.ThreadingHTTPServer((SORRY, port), Sorry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def node(address, port, redis):
    return Agent({
        "listen": {"health": {"address": f"{address}:{port}"}}, "profile": "strict",
        "defaults": {"interval": "300ms", "timeout": "300ms", "edge_interval": "300ms"},
        "checks": {"redis": {"type": "redis", "host": redis.host, "port": redis.port},
                   "primary": {"type": "redis", "host": redis.host, "port": redis.port, "role": "master"}},
        "services": {"page": ["redis"], "db": ["primary"]}})


def test_dns_follows_the_answers_to_the_primary_and_to_the_sorry_page_when_nothing_is_left():
    port = free_port_of_all()
    urlup = f"ifurlup('http://www.example.jp:{port}/health/%s', {{ {{'{NODES[0]}', '{NODES[1]}'}}, {{'{SORRY}'}} }})"
    with Redis() as one, Redis(replica_of=one) as two, node(NODES[0], port, one) as a, node(NODES[1], port, two) as b, \
            sorry_page(port), \
            PowerDns([f'www 1 IN LUA A "{urlup % "page"}"', f'db 1 IN LUA A "{urlup % "db"}"'], is_lua=True) as dns:
        for agent in (a, b):
            agent.wait_ready()

        def answer(name):
            return set(subprocess.run(["dig", "+short", "+tries=1", "+time=2", f"@{dns.host}", "-p", str(dns.port), name, "A"], capture_output=True,
                                      text=True, check=False).stdout.split())

        wait_for(lambda: answer("db.example.jp") == {NODES[0]}, 30, "the name is where the primary is")
        assert a.health("/health/db").status == 200
        assert b.health("/health/db").status == 503 and b.health("/health/page").status == 200
        assert answer("www.example.jp") <= set(NODES)
        one.kill()
        two.cli("replicaof", "no", "one")
        wait_for(lambda: answer("db.example.jp") == {NODES[1]}, 30, "the name follows the role")
        wait_for(lambda: answer("www.example.jp") == {NODES[1]}, 30, "a node that is down is left out")
        two.kill()
        for name in ("db.example.jp", "www.example.jp"):
            wait_for(lambda n=name: answer(n) == {SORRY}, 30, "nothing is left but the sorry page")
        two.start()
        wait_for(lambda: answer("www.example.jp") == {NODES[1]}, 30, "and it comes back by itself")
