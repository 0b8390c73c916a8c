"""Scenario S14: TLS ends at the load balancer, and a certificate is about to run out. Days left of every certificate of the
chain are told in time, while users notice nothing yet; and they are told still when the chain is no longer trusted.
docs/scenarios/certificate-about-to-end.md is this system."""
import pytest

from agent import Agent
from chains import Chain
from servers import HAProxy, HttpApp, free_port

pytestmark = pytest.mark.timeout(120)


class Site:
    """An application behind HAProxy, which ends TLS with the certificate it is given."""

    def __init__(self, chain):
        self.chain, self.port = chain, free_port()
        self.app = HttpApp().start()
        self.haproxy = None
        self.use(chain.both)

    def use(self, certificate):
        """Restarts HAProxy with another certificate."""
        if self.haproxy:
            self.haproxy.__exit__()
        self.haproxy = HAProxy([f"app {self.app.host}:{self.app.port}"], sections=f"""
frontend tls
  bind 127.0.0.1:{self.port} ssl crt {certificate}
  default_backend app
""").start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.haproxy.__exit__()
        self.app.__exit__()


def agent_for(site, authority):
    return Agent({
        "profile": "strict",
        "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "200ms"},
        "checks": {"certificate": {"type": "tls", "host": "127.0.0.1", "port": site.port, "warn_days": 21, "fail_days": 3,
                                   "names": ["localhost"], "tls": {"ca": str(authority.ca)}},
                   "app": {"type": "http", "url": f"https://localhost:{site.port}/", "tls": {"ca": str(authority.ca)}}},
        "services": {"web": {"all": ["certificate", "app"]}}})


def measures(agent):
    return {m["name"]: m["value"] for m in agent.check("certificate")["measures"]}


def test_a_certificate_about_to_end_is_told_in_time():
    with Chain(days=10) as ending, Site(ending) as site, agent_for(site, ending) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: agent.check("certificate")["state"] == "warn")
        answer = agent.health("/health/web")
        assert answer.status == 200 and answer.headers["x-health-status"] == "warn"
        assert "certificate: warn/tls" in answer.headers["x-health-reason"]
        assert agent.check("app")["state"] == "pass", "users notice nothing yet"
        assert 10 <= measures(agent)["chain_days_left"] < 10.1 and 60 <= measures(agent)["certificate_1_days_left"] < 60.1


def test_one_that_ended_fails_and_its_days_are_told_still():
    with Chain(days=-2) as ended, Chain() as fresh, Site(ended) as site, agent_for(site, ended) as agent:
        agent.wait_for(lambda: agent.check("certificate")["state"] == "fail")
        seen = agent.check("certificate")
        assert seen["cause"] == "tls" and "expired" in seen["output"]
        assert -2 <= measures(agent)["chain_days_left"] < -1.9 and 60 <= measures(agent)["certificate_1_days_left"] < 60.1
        assert agent.check("app")["cause"] == "tls", "users notice by now"
        assert agent.health("/health/web").status == 503
        # A new certificate is no help if nobody trusts who signed it; its days are known all the same.
        site.use(fresh.both)
        agent.wait_for(lambda: "authority" in agent.check("certificate")["output"])
        assert 30 <= measures(agent)["chain_days_left"] < 30.1


def test_a_renewed_certificate_is_seen_at_once():
    with Chain(days=2) as made, Site(made) as site, agent_for(site, made) as agent:
        agent.wait_for(lambda: agent.check("certificate")["state"] == "fail")
        with Chain.renewed(made, days=80) as renewed:
            site.use(renewed.both)
            agent.wait_for(lambda: agent.check("certificate")["state"] == "pass")
            assert agent.health("/health/web").headers["x-health-status"] == "pass"
