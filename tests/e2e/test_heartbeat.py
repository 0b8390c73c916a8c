"""Heartbeats: somebody must report in time, by vitalctl, by the admin socket or with a token over the health address."""
import json
import os
import subprocess
import time

import pytest

from agent import VITALD, Agent, fetch

TOKEN = "b1946ac92492d2347c6235b4d2611184"


def report(agent, name, body=None, token=TOKEN, method="POST"):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return agent.health(f"/api/v1/checks/{name}/result", method=method, body=json.dumps(body or {}), headers=headers)


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return str(path)


def test_a_report_is_a_result_and_silence_is_a_failure_that_keeps_the_last_words():
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "2s"}}}) as agent:
        assert agent.check("backup")["state"] == "pending"
        done = agent.ctl("report", "backup", "pass", "dumped 42 tables", "--measures", "size=4200B took=1.5s")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "backup: pass is recorded\n"
        seen = agent.check("backup")
        assert (seen["state"], seen["output"]) == ("pass", "dumped 42 tables")
        assert {m["name"]: (m["value"], m["unit"]) for m in seen["measures"]} == {"size": (4200, "B"), "took": (1.5, "s")}
        assert agent.health().status == 200
        agent.wait_for(lambda: agent.check("backup")["state"] == "fail", what="it is missed")
        seen = agent.check("backup")
        assert (seen["verdict"], seen["cause"]) == ("fail", "timeout")
        assert "no report for 2" in seen["output"] and "dumped 42 tables" in seen["output"]
        assert agent.health().status == 503
        agent.ctl("report", "backup")
        assert agent.health().status == 200
        assert 'vitald_check_probes_total{check="backup",verdict="pass",cause="none"} 2' in agent.health("/metrics").text


def test_a_failure_that_is_reported_counts_at_once():
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "1h"}}}) as agent:
        agent.ctl("report", "backup", "pass", "fine")
        assert agent.health().status == 200
        assert agent.ctl("report", "backup", "fail", "disk full").returncode == 0
        assert agent.health().status == 503
        assert "disk full" in agent.check("backup")["output"]
        assert agent.ctl("report", "backup", "warn", "slow").returncode == 0
        assert agent.check("backup")["state"] == "warn"


def test_vitalctl_report_says_what_was_wrong():
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "1h"}, "root": {"type": "disk"}}}) as agent:
        wrong = agent.ctl("report", "bakcup")
        assert wrong.returncode == 1 and "did you mean backup" in wrong.stderr
        wrong = agent.ctl("report", "backup", "ok")
        assert wrong.returncode == 1 and "write pass, warn, fail or unknown" in wrong.stderr
        wrong = agent.ctl("report", "root", "pass")
        assert wrong.returncode == 1 and "takes no reports" in wrong.stderr
        wrong = agent.ctl("report", "backup", "pass", "x", "--measures", "size")
        assert wrong.returncode == 1 and "NAME=NUMBER" in wrong.stderr
        assert agent.ctl("check", "backup").returncode == 3


def test_a_token_opens_one_check_over_the_health_address_and_nothing_else(token_file):
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "1h", "token_file": token_file},
                           "other": {"type": "heartbeat", "max_age": "1h"}}}) as agent:
        assert report(agent, "backup", {"text": "by token"}).status == 200
        assert agent.check("backup")["output"] == "by token"
        refused = report(agent, "backup", token=None)
        assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"
        assert report(agent, "backup", token=TOKEN[:-1] + "5").status == 403
        assert report(agent, "other").status == 404
        assert report(agent, "backup", method="PUT").status == 405
        assert report(agent, "backup", {"verdict": "splendid"}).status == 400
        assert report(agent, "backup", {"text": "x" * 9000}).status == 413
        for path in ("/api/v1/maintenance", "/api/v1/reload", "/api/v1/checks/backup/run"):
            answer = agent.health(path, method="POST", body="{}", headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status == 403, path
        assert agent.check("other")["state"] == "pending"
        everything = agent.log() + agent.health("/metrics").text + agent.admin("/api/v1/checks").text
        assert TOKEN not in everything
        assert 'vitald_http_reports_total{result="unauthorized"} 3' in agent.health("/metrics").text


def test_a_flood_of_reports_is_held_back_before_the_agents_loop(token_file):
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "1h", "token_file": token_file}}}) as agent:
        codes = [report(agent, "backup", {"text": f"number {n}"}).status for n in range(60)]
        assert codes[:10] == [200] * 10
        assert codes.count(429) > 30
        strangers = [report(agent, "backup", token="0" * 32).status for _ in range(60)]
        assert strangers.count(429) > 20
        time.sleep(0.6)  # one more is allowed by then
        assert report(agent, "backup").status == 200


def test_without_a_token_nothing_is_written_over_the_health_address():
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "1h"}}}) as agent:
        assert report(agent, "backup").status == 403
        assert agent.check("backup")["state"] == "pending"


def test_a_restart_does_not_forget_the_silence():
    with Agent({"checks": {"backup": {"type": "heartbeat", "max_age": "4s"}}}) as agent:
        agent.ctl("report", "backup", "pass", "before the restart")
        reported = time.monotonic()
        time.sleep(2)
        agent.end()
        stopped = time.monotonic()
        agent.start()
        away = time.monotonic() - stopped
        assert agent.check("backup")["state"] == "pass"
        agent.wait_for(lambda: agent.check("backup")["state"] == "fail", what="it is missed")
        # Four seconds of silence, and the time in which nobody could have listened.
        assert 3.5 < time.monotonic() - reported < 4 + away + 3
        assert "before the restart" in agent.check("backup")["output"]


def test_explain_and_timing_say_what_a_heartbeat_is(tmp_path, token_file):
    config = tmp_path / "vitald.yaml"
    config.write_text(f"checks: {{nightly: {{type: heartbeat, max_age: 26h, token_file: {token_file}}}}}\n")
    run = lambda *argv: subprocess.run([str(VITALD), *argv], capture_output=True, text=True, timeout=60)
    told = run("explain", "-c", str(config))
    assert told.returncode == 0, told.stderr
    assert "vitalctl report nightly pass" in told.stdout and "26h without a report" in told.stdout
    assert "timeout" not in told.stdout.split("services")[0] and TOKEN not in told.stdout
    timing = run("check-config", "-c", str(config), "--timing")
    assert "1d 2h" in timing.stdout
    listed = run("modules")
    assert "heartbeat" in listed.stdout
    assert "token_file" in run("modules", "heartbeat").stdout
    probed = run("probe", "-c", str(config), "nightly")
    assert probed.returncode == 3 and "reported by somebody else" in probed.stderr


def test_a_token_that_could_be_guessed_is_refused(tmp_path):
    (tmp_path / "short").write_text("secret\n")
    config = tmp_path / "vitald.yaml"
    config.write_text("checks: {nightly: {type: heartbeat, max_age: 26h, token_file: short}}\n")
    told = subprocess.run([str(VITALD), "check-config", "-c", str(config)], capture_output=True, text=True, timeout=60)
    assert told.returncode == 78
    assert "checks.nightly.token_file: must be 16 to 512 visible ASCII characters" in told.stdout + told.stderr
