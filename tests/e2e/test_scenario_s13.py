"""Scenario S13, the sessions: logins are kept in Redis, or in memcached. The page answers and the port is open while no session
can be written any more; the agent writes, reads back and removes one. docs/scenarios/sessions.md is this system."""
import pytest

from agent import Agent
from net_servers import Memcached, Redis
from servers import HttpApp

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def site():
    """The application, both stores, a replica, and an agent beside them."""
    with HttpApp() as app, Redis() as redis, Redis(replica_of=redis) as replica, Memcached() as memcached:
        replica.follows()
        agent = Agent({
            "profile": "strict", "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms"},
            "checks": {
                "page": {"type": "http", "url": app.url},
                "sessions-port": {"type": "tcp", "address": f"127.0.0.1:{redis.port}"},
                "sessions": {"type": "redis", "port": redis.port, "user": redis.app_user, "password_file": "redis.password",
                             "role": "master", "write": True, "min_replicas": 1},
                "cache": {"type": "memcached", "port": memcached.port}},
            "services": {"web": {"all": ["page", "sessions"]}, "cache": {"all": ["cache"]}}}, start=False)
        try:
            (agent.folder / "redis.password").write_text(redis.app_password + "\n")
            agent.start()
            agent.wait_ready()
            yield redis, replica, memcached, agent
        finally:
            agent.stop()


def becomes(agent, check, state, cause):
    agent.wait_for(lambda: (agent.check(check)["state"], agent.check(check)["cause"]) == (state, cause), what=f"{check} {state}/{cause}")
    return agent.check(check)


def test_sessions_that_cannot_be_written(site):
    redis, _, _, agent = site
    becomes(agent, "sessions", "pass", "none")
    assert agent.health("/health/web").status == 200 and redis.cli("DBSIZE") == "0"
    redis.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        assert "OOM" in becomes(agent, "sessions", "fail", "content")["output"]
        assert redis.cli("PING") == "PONG" and agent.check("sessions-port")["state"] == "pass" == agent.check("page")["state"]
        answer = agent.health("/health/web")
        assert answer.status == 503 and "sessions: fail/content" in answer.headers["x-health-reason"]
    finally:
        redis.cli("CONFIG", "SET", "maxmemory", "0")
    becomes(agent, "sessions", "pass", "none")


def test_a_replica_that_is_lost_is_a_warning(site):
    _, replica, _, agent = site
    becomes(agent, "sessions", "pass", "none")
    replica.stop()
    try:
        assert "0 replicas follow it" in becomes(agent, "sessions", "warn", "content")["output"]
        assert agent.health("/health/web").status == 200
    finally:
        replica.start()
        replica.follows()
    becomes(agent, "sessions", "pass", "none")


def test_a_store_that_hangs(site):
    redis, _, memcached, agent = site
    for server, check, service in ((redis, "sessions", "web"), (memcached, "cache", "cache")):
        becomes(agent, check, "pass", "none")
        server.hang()
        try:
            becomes(agent, check, "fail", "timeout")
            assert agent.check("sessions-port")["state"] == "pass", "the kernel accepts connections for it"
            assert agent.health(f"/health/{service}").status == 503
        finally:
            server.resume()
        becomes(agent, check, "pass", "none")
