"""Scenario S2: the page answers, the database behind it does not. A plain HTTP check stays green; /health fails or
degrades, as configured, and says which check and why. docs/scenarios/page-without-database.md is this system."""
import pytest

from agent import Agent, wait_for
from servers import HAProxy, HttpApp, Postgres


@pytest.fixture(scope="module")
def site():
    with HttpApp() as page, Postgres() as db:
        database = {"type": "postgres", "host": "127.0.0.1", "port": db.port, "user": "app", "database": "app",
                    "password_file": "db.password", "query": "SELECT 1", "role": "primary"}
        agent = Agent({
            "profile": "strict",
            "defaults": {"interval": "500ms", "timeout": "500ms", "edge_interval": "200ms"},
            "checks": {"page": {"type": "http", "url": page.url + "/"},
                       "db": database, "shared-db": {**database, "scope": "shared"}},
            "services": {"strict": {"all": ["page", "db"]},
                         "degrading": {"all": ["page", "shared-db"]},
                         "demanding": {"all": ["page", "shared-db"], "on_shared_failure": "fail"},
                         "page-only": {"all": ["page"]}}}, start=False)
        (agent.folder / "db.password").write_text(db.app_password)
        try:
            agent.start()
            agent.wait_ready()
            with HAProxy([f"page {page.host}:{page.port} check inter 200ms"], backend=["option httpchk GET /"]) as shallow:
                yield db, agent, shallow
        finally:
            agent.stop()


def codes(agent):
    return {s: agent.health(f"/health/{s}").status for s in ("strict", "degrading", "demanding", "page-only")}


WELL = {"strict": 200, "degrading": 200, "demanding": 200, "page-only": 200}


@pytest.mark.parametrize("fault, cause", [("stopped", "refused"), ("hung", "timeout")])
def test_the_database_is_lost_and_the_answer_says_so(site, fault, cause):
    db, agent, shallow = site
    wait_for(lambda: codes(agent) == WELL, 10)
    if fault == "stopped":
        db.stop()
    else:
        db.hang()
    try:
        wait_for(lambda: codes(agent) == {**WELL, "strict": 503, "demanding": 503}, 8, "each service as configured")
        failed = agent.health("/health/strict")
        assert failed.headers["x-health-reason"].startswith("db") and cause in failed.text
        assert failed.json()["status"] == "fail"
        degraded = wait_for(lambda: (a := agent.health("/health/degrading")).headers["x-health-status"] == "warn" and a, 5)
        assert degraded.headers["x-health-reason"].startswith("shared-db") and "x-envoy-degraded" in degraded.headers
        assert agent.health("/health").status == 503  # the node: the worst of its services
        assert agent.check("db")["cause"] == cause
        assert agent.check("page")["state"] == "pass"
        assert shallow.servers()["page"] == "UP", "the plain HTTP check stays green: this is why we are here"
    finally:
        if fault == "stopped":
            db.start()
        else:
            db.resume()
    wait_for(lambda: codes(agent) == WELL and agent.health("/health").status == 200, 10, "all is well by itself")
