"""Drain and maintenance by files: what an operator with `touch` and `rm`, and nothing else, can count on."""
import os
import time

import pytest

from agent import Agent, Listener, wait_for

QUICK = {"interval": "300ms", "timeout": "200ms", "retries": 0, "rise": 1, "fall": 1}


@pytest.fixture
def agent():
    with Listener() as up:
        config = {"checks": {"app": {"type": "tcp", "address": up.address, **QUICK}},
                  "services": {"web": ["app"], "api": ["app"]}, "listen": {"haproxy": {"address": "127.0.0.1:0"}}}
        with Agent(config) as running:
            running.wait_ready()
            running.config = config
            running.spool = running.state_dir / "spool"
            running.wait_for(running.spool.is_dir)
            running.wait_for(lambda: running.health().status == 200)
            yield running


def overlays(agent):
    return agent.admin("/api/v1/status").json()["overlays"]


def test_a_file_that_is_touched_drains_the_node_until_it_is_removed(agent):
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3, "drained")
    assert agent.haproxy().startswith("up drain")
    laid = overlays(agent)[0]
    assert (laid["kind"], laid["service"], laid["until"], laid["file"]) == ("drain", None, None, str(agent.spool / "drain"))
    (agent.spool / "drain").unlink()
    agent.wait_for(lambda: agent.health().status == 200, 3, "back again")
    assert [e["event"] for e in agent.events() if e["event"].startswith("overlay")] == ["overlay_set", "overlay_cleared"]


def test_a_file_can_name_a_service_and_say_who_and_why_and_until_when(agent):
    (agent.spool / "web.maintenance").write_text("reason: new disk\nowner: alice\nfor: 2h\n")
    agent.wait_for(lambda: agent.health("/health/web").status == 503, 3)
    assert agent.health("/health/api").status == 200
    laid = overlays(agent)[0]
    assert (laid["kind"], laid["service"], laid["owner"], laid["reason"]) == ("maintenance", "web", "alice", "new disk")
    assert laid["until"] is not None
    status = agent.ctl("status").stdout
    assert "maintenance on web by alice until" in status and "new disk" in status


def test_it_ends_by_itself_when_its_time_is_over_and_the_file_may_stay(agent):
    (agent.spool / "drain").write_text("for: 1s\n")
    agent.wait_for(lambda: agent.health().status == 503, 3)
    agent.wait_for(lambda: agent.health().status == 200, 5, "its second is over")
    assert agent.events("overlay_expired")[0]["file"] == str(agent.spool / "drain")
    agent.reload(agent.config)  # reads every file anew
    time.sleep(0.3)
    assert agent.health().status == 200
    assert not agent.events("spool_refused")


def test_only_the_file_ends_what_the_file_laid(agent):
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
    done = agent.ctl("resume")
    assert done.returncode != 0 and f"remove {agent.spool / 'drain'}" in done.stderr
    agent.ctl("maintenance", "--reason", "by hand")
    (agent.spool / "drain").unlink()
    agent.wait_for(lambda: len(overlays(agent)) == 1, 3)
    assert overlays(agent)[0]["reason"] == "by hand"
    assert agent.ctl("resume").returncode == 0
    agent.wait_for(lambda: agent.health().status == 200, 3)


def test_a_malformed_file_is_one_line_and_nothing_is_lost(agent):
    (agent.spool / "web.drain").write_text("deploy\n")
    agent.wait_for(lambda: agent.health("/health/web").status == 503, 3)
    (agent.spool / "web.drain").write_text("raeson: deploy\n")
    (agent.spool / "wbe.drain").touch()
    agent.wait_for(lambda: len(agent.events("spool_refused")) == 2, 5)
    time.sleep(0.3)
    lines = sorted(e["text"] for e in agent.events("spool_refused"))
    assert len(lines) == 2  # once each, however often it is looked at
    assert "no service 'wbe'" in lines[0] and "did you mean web?" in lines[0]
    assert "did you mean reason?" in lines[1] and "stays" in lines[1]
    assert agent.health("/health/web").status == 503 and agent.health("/health/api").status == 200
    agent.wait_for(lambda: 'vitald_spool_files{state="refused"} 2' in agent.admin("/metrics").text, 10)
    (agent.spool / "web.drain").write_text("deploy, second half\n")
    agent.wait_for(lambda: overlays(agent)[0]["reason"] == "deploy, second half", 3)


def test_a_restart_keeps_it_from_the_first_answer_on_and_ends_what_went_meanwhile(agent):
    (agent.spool / "drain").write_text("kernel update\n")
    agent.wait_for(lambda: agent.health().status == 503, 3)
    agent.wait_for(lambda: "kernel update" in (agent.state_dir / "state").read_text(), 5, "saved")
    agent.kill9()
    agent.start()
    seen = {agent.health().status for _ in range(20)}
    assert seen == {503} and overlays(agent)[0]["reason"] == "kernel update"
    assert not agent.events("overlay_set")  # it never ended
    agent.kill9()
    (agent.spool / "drain").unlink()
    agent.start()
    agent.wait_for(lambda: not overlays(agent), 5)
    agent.wait_for(lambda: agent.health().status == 200, 5)


def test_a_folder_of_ones_own_or_none(agent, tmp_path):
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
    own = tmp_path / "own"
    agent.reload({**agent.config, "overlays": {"spool": str(own)}})
    agent.wait_for(lambda: agent.health().status == 200, 3, "the old folder says nothing any more")
    (own / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
    agent.reload({**agent.config, "overlays": {"spool": "off"}})
    agent.wait_for(lambda: agent.health().status == 200, 3)
    assert agent.reload({**agent.config, "overlays": {"spool": "spool"}})["event"] == "config_refused"


def test_a_folder_everybody_can_write_to_is_refused_and_what_stood_stands(agent):
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
    agent.spool.chmod(0o777)
    agent.wait_for(lambda: agent.events("spool_refused"), 8)
    assert "chmod o-w" in agent.events("spool_refused")[0]["text"]
    assert agent.health().status == 503
    agent.wait_for(lambda: "vitald_spool_unreadable 1" in agent.admin("/metrics").text, 10)
    agent.spool.chmod(0o755)
    (agent.spool / "drain").unlink()
    agent.wait_for(lambda: agent.health().status == 200, 8)


def test_the_folder_may_go_and_come_again(agent):
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
    (agent.spool / "drain").unlink()
    agent.spool.rmdir()
    agent.wait_for(lambda: agent.health().status == 200, 8)
    wait_for(agent.spool.is_dir, 10, "it is made again")
    (agent.spool / "drain").touch()
    agent.wait_for(lambda: agent.health().status == 503, 3)
