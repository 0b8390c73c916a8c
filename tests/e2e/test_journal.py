"""What the agent remembers: events and results in state_dir/journal.db, over restarts, kill -9, and with no disk at all."""
import json
import os
import re
import subprocess

import pytest

from agent import Agent, Listener, free_port

QUICK = {"interval": "200ms", "timeout": "150ms", "retries": 0, "rise": 1, "fall": 1}


def tcp(address, **more):
    return {"type": "tcp", "address": address, **QUICK, **more}


def events(agent, query=""):
    return agent.admin("/api/v1/events?" + query).json()


def names(page):
    return [e["event"] for e in page["events"]]


def journal_status(agent):
    return agent.admin("/api/v1/status").json()["journal"]


def metric(agent, name):
    return float(re.search(rf"^{re.escape(name)} (\S+)$", agent.health("/metrics").text, re.M)[1])


# ---- over restarts --------------------------------------------------------------------------------------------------


def test_events_survive_restart_and_kill_and_their_ids_go_on():
    with Listener() as up, Agent({"checks": {"app": tcp(up.address)}}) as agent:
        agent.wait_ready()
        agent.ctl("drain", "--reason", "first life")
        agent.wait_for(lambda: "overlay_set" in names(events(agent)))
        first = events(agent)["last_id"]
        agent.wait_for(lambda: journal_status(agent)["rows_written"] > 5)
        agent.kill9()
        agent.start()
        agent.wait_ready()
        agent.end()
        agent.start()
        agent.wait_ready()
        page = events(agent)
        assert names(page).count("starting") == 3 and names(page).count("stopped") == 1
        ids = [e["id"] for e in page["events"]]
        assert ids == sorted(set(ids)) and page["last_id"] > first and page["source"] == "journal"
        overlay = next(e for e in page["events"] if e["event"] == "overlay_set")
        assert overlay["fields"]["reason"] == "first life"
        # The same through vitalctl, as JSON lines; what has happened meanwhile stands behind it.
        lines = agent.ctl("events", "--since", "1h", "--json").stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines][:len(ids)] == ids


def test_events_come_in_pages_without_gap_or_repetition():
    with Listener() as up, Agent({"checks": {"app": tcp(up.address)}}) as agent:
        agent.wait_ready()
        for i in range(12):
            agent.ctl("drain", "--reason", f"n{i}")
        every = [e["id"] for e in events(agent)["events"]]
        paged, after = [], 0
        while True:
            page = events(agent, f"after={after}&limit=5")
            paged += [e["id"] for e in page["events"]]
            after = page["last_id"]
            if not page["has_more"]:
                break
        assert paged == every and len(every) > 12
        assert [e["id"] for e in events(agent, "limit=3")["events"]] == every[-3:]
        assert set(names(events(agent, "event=overlay_set,starting"))) == {"overlay_set", "starting"}
        assert events(agent, "until=2020-01-01T00:00:00Z")["events"] == []
        assert agent.admin("/api/v1/events?colour=red").status == 400
        assert agent.admin("/api/v1/failovers").json()["failovers"] == []


# ---- results --------------------------------------------------------------------------------------------------------


def test_results_and_the_history_of_a_check_are_kept():
    with Listener() as up, Agent({"checks": {"app": tcp(up.address), "db": tcp(f"127.0.0.1:{free_port()}")}}) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: len(agent.admin("/api/v1/results?check=db").json()["results"]) >= 3)
        page = agent.admin("/api/v1/results?check=db&limit=2").json()
        assert page["has_more"] and len(page["results"]) == 2
        result = page["results"][-1]
        assert (result["verdict"], result["cause"], result["is_outcome"]) == ("fail", "refused", True)
        assert "refused" in result["output"] and result["duration_ms"] < 150
        good = agent.admin("/api/v1/results?check=app&limit=1").json()["results"][0]
        assert (good["verdict"], good["output"]) == ("pass", "")
        agent.kill9()
        agent.start()
        agent.wait_ready()
        hours = agent.admin("/api/v1/history?check=db").json()["hours"]
        assert sum(h["fail"] for h in hours) >= 3 and sum(h["pass"] for h in hours) == 0
        assert agent.admin("/api/v1/history").status == 400
        shown = agent.ctl("history", "app").stdout
        assert re.search(r"^HOUR +PASS +WARN +FAIL", shown, re.M) and "check_state check=app" in shown
        assert json.loads(agent.ctl("history", "app", "--json").stdout)["hours"][-1]["pass"] > 0


def test_a_reload_is_kept_with_each_option_that_changed():
    with Listener() as up:
        config = {"checks": {"app": tcp(up.address)}}
        with Agent(config) as agent:
            agent.wait_ready()
            config["checks"]["app"]["fall"] = 4
            config["checks"]["app"]["timeout"] = "120ms"
            agent.reload(config)
            changed = [e["fields"] for e in events(agent, "event=config_changed")["events"]]
            assert {(c["path"], c["from"], c["to"]) for c in changed} >= {
                ("checks.app.fall", "1", "4"), ("checks.app.timeout", "150ms", "120ms")}


# ---- without a disk -------------------------------------------------------------------------------------------------


def assert_goes_on(agent):
    """It probes, answers and remembers the latest events, and has said once what is wrong."""
    agent.wait_ready()
    streak = agent.check("app")["streak"]
    agent.wait_for(lambda: agent.check("app")["streak"] > streak)
    assert agent.health().status == 200
    page = events(agent)
    assert "check_state" in names(page)
    said = agent.events("journal_trouble")
    assert len(said) == 1, said
    status = journal_status(agent)
    assert status["is_enabled"] and not status["is_healthy"] and status["problem"]
    assert metric(agent, "vitald_journal_healthy") == 0
    return page


def test_a_state_dir_that_cannot_be_made_costs_the_journal_and_nothing_else(tmp_path):
    with Listener() as up, Agent({"checks": {"app": tcp(up.address)}, "state_dir": str(tmp_path / "no" / "such")}) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: not journal_status(agent)["is_healthy"])
        page = assert_goes_on(agent)
        assert page["source"] == "memory"
        agent.wait_for(lambda: metric(agent, 'vitald_journal_rows_dropped_total{why="disk"}') > 0)
        assert agent.admin("/api/v1/results").status == 503
        assert agent.ctl("events").returncode == 0
        assert agent.end() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount")
@pytest.mark.parametrize("options, fill", [("size=256k", True), ("ro", False)])
def test_a_full_or_read_only_disk_costs_the_journal_and_nothing_else(tmp_path, options, fill):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        if fill:
            with open(disk / "others", "wb") as f:
                f.write(b"x" * 180 * 1024)
            try:
                with open(disk / "more", "wb") as f:
                    f.write(b"x" * 80 * 1024)
            except OSError:
                pass
        with Listener() as up, Agent({"checks": {"app": tcp(up.address)}, "state_dir": str(disk)}) as agent:
            agent.wait_ready()
            agent.wait_for(lambda: not journal_status(agent)["is_healthy"])
            assert_goes_on(agent)
            if fill:
                (disk / "others").unlink()
                subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
            else:
                subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            agent.wait_for(lambda: journal_status(agent)["is_healthy"], timeout=40)
            agent.wait_for(lambda: len(agent.events("journal_well")) == 1)
            assert events(agent)["source"] == "journal" and "starting" in names(events(agent))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_broken_journal_is_moved_aside_and_kept():
    with Listener() as up, Agent({"checks": {"app": tcp(up.address)}}, start=False) as agent:
        (agent.state_dir / "journal.db").write_bytes(b"not a database" * 500)
        agent.start()
        agent.wait_ready()
        assert "moved aside" in agent.events("journal_trouble")[0]["reason"]
        assert (agent.state_dir / "journal.db.unreadable-1").read_bytes().startswith(b"not a database")
        assert events(agent)["source"] == "journal" and journal_status(agent)["is_healthy"]


def test_a_journal_can_be_switched_off_and_on_again():
    with Listener() as up:
        config = {"checks": {"app": tcp(up.address)}, "journal": {"enabled": False}}
        with Agent(config) as agent:
            agent.wait_ready()
            assert events(agent)["source"] == "memory" and not (agent.state_dir / "journal.db").exists()
            agent.reload({**config, "journal": {"enabled": True, "max_size": "2MiB", "max_age": "2h"}})
            agent.wait_for(lambda: events(agent)["source"] == "journal")
            assert journal_status(agent)["max_bytes"] == 2 << 20
