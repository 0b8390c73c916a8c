"""What the programs print with --json is what docs/cli.schema.json says, for every command there is."""
import json
import re
import subprocess

import jsonschema
import pytest

from agent import BUILD, ROOT, VITALCTL, VITALD, Agent, Listener, free_port

SCHEMA = json.loads((ROOT / "docs/cli.schema.json").read_text())
QUICK = {"interval": "300ms", "timeout": "200ms", "retries": 0, "rise": 1, "fall": 1}


@pytest.fixture(scope="module")
def agent():
    with Listener() as up:
        config = {"node": {"name": "web-1"},
                  "checks": {"app": {"type": "tcp", "address": up.address, **QUICK}, "memory": {"type": "memory", **QUICK},
                             "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", "depends_on": ["app"], **QUICK},
                             "backup": {"type": "heartbeat", "max_age": "1h"}},
                  "services": {"web": ["app", "memory"], "api": ["app", "db"]},
                  "failover": {"topologies": {"pair": {"members": {"one": "app", "two": "db"}}}}}
        with Agent(config) as running:
            running.wait_for(lambda: running.check("db")["state"] == "fail")
            running.wait_for(lambda: running.check("memory")["state"] == "pass")
            running.ctl("drain", "api", "--reason", "a test")
            yield running
            running.ctl("resume", "api")


def holds(command, document):
    jsonschema.Draft7Validator({**SCHEMA["commands"][command], "definitions": SCHEMA["definitions"]}).validate(document)


def test_the_schema_is_one_and_would_see_a_field_that_is_gone():
    for schema in SCHEMA["commands"].values():
        jsonschema.Draft7Validator.check_schema({**schema, "definitions": SCHEMA["definitions"]})
    with pytest.raises(jsonschema.ValidationError):
        holds("vitalctl resume", {"clear": True})
    with pytest.raises(jsonschema.ValidationError):
        holds("vitalctl names", {"names": [1]})


@pytest.mark.parametrize("command, words", [
    ("vitalctl status", ["status"]), ("vitalctl status SERVICE", ["status", "api"]), ("vitalctl check", ["check", "db"]),
    ("vitalctl drain", ["drain", "web", "--for", "forever"]), ("vitalctl drain", ["maintenance", "web"]), ("vitalctl resume", ["resume", "web"]),
    ("vitalctl report", ["report", "backup", "pass", "done"]), ("vitalctl history", ["history", "db"]), ("vitalctl failover", ["failover", "status"]),
    ("vitalctl availability", ["availability"]), ("vitalctl reload", ["reload"]), ("vitalctl names", ["names"]),
])
def test_what_the_agent_is_asked(agent, command, words):
    done = agent.ctl(*words, "--json")
    holds(command, json.loads(done.stdout))
    assert done.stderr == ""


def test_a_refused_reload(agent):
    good = agent.config_file.read_text()
    agent.config_file.write_text(good.replace('"memory"', '"memroy"', 1))
    done = agent.ctl("reload", "--json")
    agent.config_file.write_text(good)
    assert done.returncode == 78
    holds("vitalctl reload, refused", json.loads(done.stdout))
    assert agent.ctl("reload").returncode == 0


def test_events_and_results_are_an_object_a_line(agent):
    for words, command in ((["events"], "vitalctl events"), (["events", "--results", "--check", "db"], "vitalctl events --results")):
        def told():
            lines = agent.ctl(*words, "--json").stdout.splitlines()
            return lines if len(lines) > 3 else None
        lines = agent.wait_for(told, what=f"more than three lines of {command}")
        for line in lines:
            holds(command, json.loads(line))
    whole = agent.ctl("events", "--results").stdout.splitlines()
    assert any(re.match(r"20\S+Z  db fail/refused in \S+", line) for line in whole), whole[:3]
    until = agent.ctl("events", "--results", "--until", "2000-01-01T00:00:00Z", "--json")
    assert (until.returncode, until.stdout) == (0, "")
    assert agent.ctl("events", "--results", "--follow").returncode == 1


def test_what_is_done_beside_the_agent(agent, tmp_path):
    def said(program, *words):
        done = subprocess.run([program, *map(str, words), "--json"], capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        return json.loads(done.stdout)
    socket, config = ["--socket", agent.socket], ["-c", agent.config_file]
    holds("vitalctl doctor", said(VITALCTL, "doctor", *config, *socket, "--no-probes"))
    holds("vitalctl init", said(VITALCTL, "init", "-c", tmp_path / "new.yaml"))
    holds("vitalctl init", said(VITALCTL, "init", "--print"))
    holds("vitalctl replay", said(VITALCTL, "replay", *config, *socket))
    holds("vitalctl advise", said(VITALCTL, "advise", *config, *socket))
    (tmp_path / "haproxy.cfg").write_text("backend b\n  server s 127.0.0.1:80 agent-check agent-port 9181\n")
    holds("vitalctl lint", said(VITALCTL, "lint", tmp_path / "haproxy.cfg"))
    holds("vitald check-config", said(VITALD, "check-config", *config, "--timing"))
    (tmp_path / "bad.yaml").write_text("checks: {a: {type: tpc}}\n")
    bad = said(VITALD, "check-config", "-c", tmp_path / "bad.yaml")
    holds("vitald check-config", bad)
    assert not bad["ok"] and bad["problems"]
    holds("vitald explain", said(VITALD, "explain", *config))
    holds("vitald probe", said(VITALD, "probe", *config, "db"))
    holds("vitald modules", said(VITALD, "modules"))
    holds("vitald modules TYPE", said(VITALD, "modules", "http"))
    module = next((BUILD / "checks").glob("load.so"))
    holds("vitald module-test", said(VITALD, "module-test", "--no-valgrind", "--rounds", "10", module))


def test_every_command_that_has_json_has_a_schema():
    for program in (VITALD, VITALCTL):
        text = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=30).stdout
        for name in re.findall(r"^  ([a-z][\w-]*) ", text, re.M):
            if name in ("run", "maintenance"):
                continue
            shown = subprocess.run([program, name, "--help"], capture_output=True, text=True, timeout=30).stdout
            assert "--json" in shown, name
            if program == VITALCTL or name not in ("replay", "advise", "doctor", "init"):
                assert any(c.split()[:2] == [program.name, name] for c in SCHEMA["commands"]), name
