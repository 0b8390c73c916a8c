"""vitalctl replay, advise and availability: what was recorded, through the same and through other settings."""
import json
import os
import shutil
import subprocess
import time

from agent import VITALCTL, Agent, Listener, free_port
from servers import HttpApp

QUICK = {"interval": "200ms", "timeout": "150ms", "retries": 0, "rise": 1, "fall": 2, "edge_interval": "200ms"}


def replay(agent, config, *argv, code=0):
    """What vitalctl replay says of this agent's record through a config, as JSON."""
    path = agent.folder / "other.yaml"
    path.write_text(json.dumps(config))
    done = agent.ctl("replay", "-c", str(path), "--json", *argv, timeout=120)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def subject(said, kind, name):
    return next(s for s in said[kind] if s["name"] == name)


def test_the_same_config_says_what_was_said_over_restarts_and_drains():
    with HttpApp() as http, Listener() as up:
        config = {"checks": {"app": {"type": "http", "url": http.url, **QUICK, "warn_after": "60ms"},
                             "db": {"type": "tcp", "address": up.address, **QUICK}},
                  "services": {"web": ["app", "db"], "api": {"any": ["app", "db"]}}}
        with Agent(config) as agent:
            agent.wait_ready()
            for life in range(2):
                http.answer(status=500)
                agent.wait_for(lambda: agent.check("app")["state"] == "fail")
                agent.ctl("drain", "web", "--reason", "new disk")
                http.answer(status=200)
                agent.wait_for(lambda: agent.check("app")["state"] in ("pass", "warn"))
                agent.ctl("resume", "web")
                http.answer(status=200, delay=0.1)
                agent.wait_for(lambda: agent.check("app")["state"] == "warn")
                http.answer(status=200, delay=0)
                agent.wait_for(lambda: agent.check("app")["state"] == "pass")
                agent.kill9() if life else agent.end()
                agent.start()
                agent.wait_ready()
            config.update(json.loads(agent.config_file.read_text()))
            said = replay(agent, config)
            assert said["is_same_config"] and said["results"] > 10 and said["results_unused"] == 0
            assert said["differences"] == [] and said["undecided"] == {}
            app = subject(said, "checks", "app")
            assert app["falls"] == app["would_fall"] >= 2
            # The file alone tells the same.
            agent.end()
            shutil.copy(agent.state_dir / "journal.db", agent.folder / "copy.db")
            offline = replay(agent, config, "--journal", str(agent.folder / "copy.db"))
            assert offline["differences"] == [] and offline["is_same_config"]


def test_a_stricter_and_a_laxer_config_say_what_would_have_been():
    with HttpApp() as http:
        config = {"checks": {"app": {"type": "http", "url": http.url, **QUICK, "timeout": "190ms"}}, "services": {"web": ["app"]}}
        with Agent(config) as agent:
            agent.wait_ready()
            http.answer(status=200, delay=0.1)  # slow, but in time
            time.sleep(2)
            http.answer(status=500)             # and then really broken for a while
            agent.wait_for(lambda: agent.check("app")["state"] == "fail")
            time.sleep(1)
            http.answer(status=200)
            agent.wait_for(lambda: agent.check("app")["state"] == "pass")

            strict = json.loads(agent.config_file.read_text())
            strict["checks"]["app"].update(timeout="50ms")
            said = replay(agent, strict)
            app, web = subject(said, "checks", "app"), subject(said, "services", "web")
            assert not said["is_same_config"] and app["falls"] == 1 and web["falls"] == 1
            assert app["would_be_down_ms"] > app["down_ms"] + 1000 and web["would_be_down_ms"] > web["down_ms"] + 1000
            slow = said["differences"][0]
            assert (slow["said"], slow["would_say"]) == ("pass", "fail")

            lax = json.loads(agent.config_file.read_text())
            lax["checks"]["app"].update(fall=200)
            said = replay(agent, lax)
            app = subject(said, "checks", "app")
            assert (app["falls"], app["would_fall"], app["would_be_down_ms"]) == (1, 0, 0)
            assert all(d["would_say"] == "pass" for d in said["differences"]) and said["differences"]
            shown = agent.ctl("replay", "-c", str(agent.folder / "other.yaml"))
            assert shown.returncode == 0 and "check app: was fail, would have been pass for" in shown.stdout

            # More time than there was: what a timeout would have been then, nobody knows.
            gone = json.loads(agent.config_file.read_text())
            gone["checks"] = {"other": gone["checks"]["app"]}
            gone["services"] = {"web": ["other"]}
            assert replay(agent, gone)["results_unused"] > 10


def test_mistakes_are_one_line(tmp_path):
    with Listener() as up, Agent({"checks": {"app": {"type": "tcp", "address": up.address, **QUICK}}}) as agent:
        agent.wait_ready()
        good = str(agent.config_file)
        for argv, code, words in [(["-c", good, "--since", "lunch"], 64, "write a duration"),
                                  ([], 64, "which config"),
                                  (["-c", good, "--journal", str(tmp_path / "no.db")], 1, "no.db"),
                                  (["-c", good, "--socket", str(tmp_path / "no.sock")], 1, "no agent answers")]:
            done = agent.ctl("replay", *argv)
            assert done.returncode == code and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
        (tmp_path / "bad.yaml").write_text("checks:\n  app: {type: tcp, adress: x}\n")
        assert agent.ctl("replay", "-c", str(tmp_path / "bad.yaml")).returncode == 78


def test_availability_keeps_planned_maintenance_and_ignorance_apart():
    with Listener() as up:
        config = {"checks": {"app": {"type": "tcp", "address": up.address, **QUICK},
                             "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", **QUICK}},
                  "services": {"web": ["app"], "data": ["db"]}}
        with Agent(config) as agent:
            agent.wait_ready()
            agent.ctl("drain", "web", "--reason", "new disk")
            time.sleep(1)
            agent.ctl("resume", "web")
            time.sleep(0.5)
            agent.kill9()
            time.sleep(1.5)
            agent.start()
            agent.wait_ready()
            seen = agent.admin("/api/v1/availability").json()
            web = subject(seen, "services", "web")["windows"]["1h"]
            assert web["availability"] == 1 and web["planned_ms"] > 900 and web["up_ms"] > 300 and web["down_ms"] == 0
            assert abs(sum(web[k] for k in ("up_ms", "down_ms", "planned_ms", "unknown_ms")) - 3600_000) < 10
            data = subject(seen, "services", "data")["windows"]["30d"]
            assert data["availability"] == 0 and data["down_ms"] > 1000
            shown = agent.ctl("availability").stdout
            assert "service web" in shown and "100%" in shown and "check db" in shown and "0.000%" in shown
            assert agent.ctl("availability", "nosuch").returncode == 1


def test_advice_comes_with_its_numbers():
    with HttpApp() as http:
        quick = {**QUICK, "interval": "50ms", "timeout": "45ms", "edge_interval": "50ms", "fall": 1}
        config = {"checks": {"app": {"type": "http", "url": http.url, **quick}}}
        with Agent(config) as agent:
            agent.wait_ready()
            agent.wait_for(lambda: len(agent.admin("/api/v1/results?check=app&limit=400").json()["results"]) >= 250, timeout=60)
            for _ in range(3):
                http.answer(status=500)
                agent.wait_for(lambda: agent.check("app")["state"] == "fail")
                http.answer(status=200)
                agent.wait_for(lambda: agent.check("app")["state"] == "pass")
            done = agent.ctl("advise", "-c", str(agent.config_file), "--json", timeout=60)
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            app = said["checks"][0]
            assert app["answers"] > 200 and 0 < app["p50_ms"] <= app["p99_ms"] <= app["p99_9_ms"] <= app["max_ms"] <= 45
            fall = next(a for a in said["advice"] if a["option"] == "fall")
            assert fall["now"] == "1" and int(fall["instead"]) > 1 and "it fell" in fall["why"]
            assert "app" in agent.ctl("advise", "-c", str(agent.config_file), timeout=60).stdout
