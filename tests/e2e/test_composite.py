"""composite checks in a running agent: rules over what real checks found, of this host and of a hostile world."""
import subprocess

import pytest

from agent import VITALD, Agent
from servers import HttpApp, temporary_directory

pytestmark = pytest.mark.timeout(60)
FAST = {"interval": "500ms", "edge_interval": "200ms", "timeout": "400ms"}


def test_a_rule_over_two_checks_follows_what_they_find():
    folder = temporary_directory("composite")
    (folder / "state").write_text("x" * 10)
    with HttpApp() as app, Agent({
            "profile": "strict", "defaults": FAST,
            "checks": {"state-file": {"type": "file", "path": str(folder / "state"), "critical": False},
                       "app": {"type": "http", "url": app.url + "/", "critical": False},
                       "both": {"type": "composite", "interval": "500ms", "rule": "state-file.size < 100 and app.state == pass",
                                "warn_rule": "state-file.size < 50"}},
            "services": {"web": {"all": ["both"]}}}) as agent:
        agent.wait_for(lambda: agent.check("both")["state"] == "pass")
        assert "state-file.size is 10" in agent.check("both")["output"]
        (folder / "state").write_text("x" * 60)
        agent.wait_for(lambda: agent.check("both")["state"] == "warn")
        (folder / "state").write_text("x" * 200)
        agent.wait_for(lambda: agent.health("/health/web").status == 503)
        assert "state-file.size is 200" in agent.health("/health/web").headers["x-health-reason"]
        assert agent.check("state-file")["state"] == "pass", "the checks themselves are well"
        (folder / "state").write_text("")
        agent.wait_for(lambda: agent.health("/health/web").status == 200)
        app.stop()
        agent.wait_for(lambda: agent.check("both")["state"] == "fail")
        assert "app.state is fail" in agent.check("both")["output"]
        done = agent.ctl("check", "both")
        assert done.returncode == 2 and "does not hold" in done.stdout, done.stdout + done.stderr
        assert 'vitald_check_probes_total{check="both"' in agent.health("/metrics").text


def test_what_is_not_known_proves_nothing_and_a_reload_changes_the_rule():
    config = {"profile": "strict", "defaults": FAST,
              "checks": {"here": {"type": "limits"},
                         "rule": {"type": "composite", "interval": "500ms", "max_age": "3s", "rule": "here.nothing < 1"}}}
    with Agent(config) as agent:
        agent.wait_for(lambda: "not known" in (agent.check("rule").get("output") or ""))
        assert agent.check("rule")["verdict"] == "unknown"
        agent.wait_for(lambda: agent.check("rule")["state"] == "stale")
        config["checks"]["rule"]["rule"] = "here.used_pids > 0"
        assert agent.reload(config)["event"] == "config_adopted"
        agent.wait_for(lambda: agent.check("rule")["state"] == "pass")
        config["checks"]["rule"]["rule"] = "hare.used_pids > 0"
        assert agent.reload(config)["event"] == "config_refused"
        agent.wait_for(lambda: agent.check("rule")["state"] == "pass")


def test_a_composite_is_not_probed_by_hand():
    folder = temporary_directory("composite")
    (folder / "c.yaml").write_text("checks:\n  here: {type: limits}\n  rule: {type: composite, rule: here.used_pids > 0}\n")
    done = subprocess.run([VITALD, "probe", "-c", folder / "c.yaml", "rule"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3 and "vitalctl check rule" in done.stderr, done.stdout + done.stderr
    done = subprocess.run([VITALD, "check-config", "-c", folder / "c.yaml", "--timing"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "rule" in done.stdout, done.stdout + done.stderr
