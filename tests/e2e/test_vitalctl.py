"""vitalctl as an operator, a script and a Nagios server use it."""
import json
import os
import pty
import re
import select
import socket
import subprocess
import time

import pytest

from agent import VITALCTL, Agent, Listener, free_port

QUICK = {"interval": "300ms", "timeout": "200ms", "retries": 0, "rise": 1, "fall": 1}


@pytest.fixture(scope="module")
def agent():
    with Listener() as up:
        config = {"node": {"name": "web-1"},
                  "checks": {"app": {"type": "tcp", "address": up.address, **QUICK},
                             "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", **QUICK}},
                  "services": {"web": ["app"], "api": ["app", "db"]}}
        with Agent(config) as running:
            running.wait_ready()
            running.config = config
            yield running


@pytest.fixture(autouse=True)
def nothing_laid(agent):
    yield
    for query in ("", "?service=web", "?service=api"):
        agent.admin("/api/v1/maintenance" + query, "DELETE")


def ctl(agent, *argv, **how):
    return agent.ctl(*argv, **how)


# ---- status --------------------------------------------------------------------------------------------------------


def test_status_shows_services_and_checks_in_aligned_columns(agent):
    done = ctl(agent, "status")
    assert done.returncode == 2 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("web-1: fail for ")
    assert "db: fail/refused" in lines[0]
    services = next(i for i, line in enumerate(lines) if line.startswith("SERVICE"))
    column = lines[services].index("TOLD")
    assert {line[column:column + 4] for line in lines[services + 1:services + 3]} == {"pass", "fail"}
    checks = next(i for i, line in enumerate(lines) if line.startswith("CHECK"))
    column = lines[checks].index("STATE")
    assert {line.split()[0]: line[column:column + 4] for line in lines[checks + 1:checks + 3]} == {"app": "pass", "db": "fail"}
    assert "\x1b" not in done.stdout


def test_status_of_one_service_ends_with_its_code(agent):
    assert ctl(agent, "status", "web").returncode == 0
    assert ctl(agent, "status", "api").returncode == 2
    done = ctl(agent, "status", "wbe")
    assert done.returncode == 3 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "db" not in ctl(agent, "status", "web").stdout


def test_status_as_json_is_what_the_api_shows(agent):
    seen = json.loads(ctl(agent, "status", "--json").stdout)
    assert seen["node"]["name"] == "web-1" and {s["name"] for s in seen["services"]} == {"web", "api"}
    assert json.loads(ctl(agent, "status", "web", "--json").stdout)["answer"] == "pass"


def test_status_for_nagios_is_one_line_with_perfdata(agent):
    good = ctl(agent, "status", "web", "--nagios")
    assert good.returncode == 0 and re.match(r"^OK - web[^\n]*\| 'app'=[0-9.e-]+s[^\n]*\n$", good.stdout)
    bad = ctl(agent, "status", "--nagios")
    assert bad.returncode == 2 and bad.stdout.startswith("CRITICAL - ") and bad.stdout.count("\n") == 1
    nobody = ctl(agent, "status", "--nagios", "--socket", "/nowhere/admin.sock")
    assert nobody.returncode == 3 and nobody.stdout.startswith("UNKNOWN - no agent answers on /nowhere/admin.sock")


def test_colour_is_for_terminals_that_want_it(agent):
    def on_terminal(**env):
        parent, child = pty.openpty()
        try:
            environment = {**os.environ, "TERM": "xterm", "VITALD_SOCKET": str(agent.socket), **env}
            if "NO_COLOR" not in env:
                environment.pop("NO_COLOR", None)
            subprocess.run([VITALCTL, "status"], stdout=child, stdin=child, env=environment, timeout=20)
            text = b""
            while select.select([parent], [], [], 0.2)[0]:
                text += os.read(parent, 65536)
            return text
        finally:
            os.close(parent)
            os.close(child)
    assert b"\x1b[31mfail\x1b[0m" in on_terminal()
    assert b"\x1b[" not in on_terminal(NO_COLOR="1")
    assert b"\x1b[" not in on_terminal(TERM="dumb")


def test_watch_goes_on_until_it_is_interrupted(agent):
    process = subprocess.Popen([VITALCTL, "--socket", agent.socket, "status", "--watch"], stdout=subprocess.PIPE, text=True)
    try:
        heads = 0
        deadline = time.monotonic() + 15
        while heads < 2 and time.monotonic() < deadline:
            heads += process.stdout.readline().startswith("web-1: ")
        assert heads == 2
    finally:
        process.terminate()
        process.wait(5)


# ---- check ---------------------------------------------------------------------------------------------------------


def test_check_probes_now_and_ends_with_the_verdict(agent):
    before = agent.check("app")["streak"]
    done = ctl(agent, "check", "app")
    assert done.returncode == 0 and done.stdout.startswith("app (tcp): pass in ")
    assert agent.check("app")["streak"] > before
    done = ctl(agent, "check", "db")
    assert done.returncode == 2 and "fail/refused" in done.stdout
    assert json.loads(ctl(agent, "check", "db", "--json").stdout)["cause"] == "refused"


def test_check_of_an_unknown_name_helps(agent):
    done = ctl(agent, "check", "appp")
    assert done.returncode == 3 and "did you mean app?" in done.stderr
    assert ctl(agent, "check").returncode == 3


# ---- drain, maintenance, resume ------------------------------------------------------------------------------------


def test_drain_names_who_why_and_until_when(agent):
    done = ctl(agent, "drain", "web", "--for", "30m", "--reason", "new kernel")
    assert done.returncode == 0 and re.match(r"^service web: drain until 20\S+Z \(30m\)\n$", done.stdout)
    assert agent.health("/health/web").status == 503
    status = ctl(agent, "status", "web")
    assert status.returncode == 2
    assert re.search(r"^drain on web by \S+ until \S+: new kernel$", status.stdout, re.M)
    done = ctl(agent, "resume", "web")
    assert done.returncode == 0 and done.stdout == "service web: resumed\n"
    assert agent.health("/health/web").status == 200


def test_maintenance_of_the_node_for_ever(agent):
    done = ctl(agent, "maintenance", "--for", "forever", "--owner", "night shift")
    assert done.returncode == 0 and done.stdout == "this node: maintenance until you resume it\n"
    overlay = json.loads(ctl(agent, "status", "--json").stdout)["overlays"][0]
    assert (overlay["kind"], overlay["owner"], overlay["until"]) == ("maintenance", "night shift", None)
    assert ctl(agent, "resume").stdout == "this node: resumed\n"


def test_resume_says_what_still_keeps_something_out(agent):
    ctl(agent, "drain", "api", "--reason", "slow disk")
    done = ctl(agent, "resume")
    assert done.returncode == 0
    assert done.stdout.startswith("this node: nothing was laid on it\n")
    assert "still: drain on service api" in done.stdout and "(slow disk)" in done.stdout


@pytest.mark.parametrize("argv, said", [
    (["drain", "--for", "30"], "30m"),
    (["drain", "wbe"], "did you mean web?"),
    (["resume", "nosuch"], "nosuch"),
])
def test_mistakes_are_one_line_and_nothing_is_laid(agent, argv, said):
    done = ctl(agent, *argv)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    assert json.loads(ctl(agent, "status", "--json").stdout)["overlays"] == []


# ---- events, history -----------------------------------------------------------------------------------------------


def test_events_are_lines_and_json_lines(agent):
    done = ctl(agent, "events", "--check", "db")
    assert done.returncode == 0
    assert re.search(r"^20\S+Z  check_state check=db from=pending to=fail cause=refused", done.stdout, re.M)
    events = [json.loads(line) for line in ctl(agent, "events", "--json", "--event", "listening").stdout.splitlines()]
    assert {e["fields"]["listener"] for e in events} == {"health", "admin"}
    assert ctl(agent, "events", "--since", "1us").stdout == ""
    assert "write a duration" in ctl(agent, "events", "--since", "lunch").stderr


def test_events_can_be_followed(agent):
    process = subprocess.Popen([VITALCTL, "--socket", agent.socket, "events", "--follow", "--since", "1us"],
                               stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        agent.ctl("drain", "web", "--reason", "followed")
        deadline = time.monotonic() + 10
        line = ""
        while "overlay_set" not in line and time.monotonic() < deadline:
            line = process.stdout.readline()
        assert "reason=followed" in line
    finally:
        process.terminate()
        process.wait(5)


def test_history_shows_the_outcomes_and_the_events_of_a_check(agent):
    done = ctl(agent, "history", "db")
    assert done.returncode == 0
    assert re.search(r"^outcomes, oldest first: F+$", done.stdout, re.M) and "check_state" in done.stdout
    assert ctl(agent, "history", "nosuch").returncode == 1


# ---- reload --------------------------------------------------------------------------------------------------------


def test_reload_says_what_changed_or_every_reason_against(agent):
    more = {**agent.config, "checks": {**agent.config["checks"], "extra": agent.config["checks"]["app"]}}
    agent.write_config(more)
    done = ctl(agent, "reload")
    assert done.returncode == 0
    assert re.search(r"^  added +extra$", done.stdout, re.M) and re.search(r"^  kept +app, db$", done.stdout, re.M)
    agent.write_config("checks:\n  app: {type: tcp}\n  db: {tipe: tcp}\n")
    done = ctl(agent, "reload")
    assert done.returncode == 78 and done.stdout == ""
    assert len(re.findall(r"vitald\.yaml:\d+:\d+: ", done.stderr)) >= 2
    assert "the last reload was refused" in ctl(agent, "status").stdout
    assert agent.health("/health/web").status == 200
    agent.write_config(agent.config)
    done = ctl(agent, "reload")
    assert done.returncode == 0 and re.search(r"^  removed +extra$", done.stdout, re.M)


# ---- being called ---------------------------------------------------------------------------------------------------

COMMANDS = ["status", "check", "drain", "maintenance", "resume", "events", "history", "availability", "replay", "advise", "reload"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_version(command):
    done = subprocess.run([VITALCTL, command, "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and f"example: vitalctl {command}" in done.stdout
    done = subprocess.run([VITALCTL, command, "--version"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and re.match(r"^vitalctl \d+\.\d+\.\d+\n$", done.stdout)


def test_the_whole_has_help_too():
    done = subprocess.run([VITALCTL, "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and all(re.search(rf"^  {c} ", done.stdout, re.M) for c in COMMANDS)
    assert subprocess.run([VITALCTL, "--version"], capture_output=True, text=True, timeout=10).stdout.startswith("vitalctl ")


def test_a_typing_mistake_is_answered_with_the_nearest_command():
    done = subprocess.run([VITALCTL, "stauts"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 64 and "did you mean status?" in done.stderr


@pytest.mark.parametrize("command, code", [(["status"], 3), (["check", "app"], 3), (["drain"], 1), (["reload"], 1),
                                           (["events"], 1), (["history", "x"], 1), (["resume"], 1)])
def test_no_agent_is_one_line_that_says_what_to_try(command, code, tmp_path):
    done = subprocess.run([VITALCTL, *command, "--socket", tmp_path / "none.sock"], capture_output=True, text=True, timeout=10)
    assert done.returncode == code
    assert done.stderr == (f"vitalctl: no agent answers on {tmp_path}/none.sock: is vitald running? "
                           "try systemctl status vitald\n")


def test_something_else_on_the_socket_is_said_to_be_something_else(tmp_path):
    path = str(tmp_path / "other.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        process = subprocess.Popen([VITALCTL, "status", "--socket", path], stderr=subprocess.PIPE, text=True)
        connection, _ = other.accept()
        connection.recv(4096)
        connection.sendall(b"220 mail ready\r\n")
        connection.close()
        assert "is not vitald" in process.communicate(timeout=10)[1] and process.returncode == 3


def test_a_hostile_name_reaches_the_terminal_without_its_control_characters(agent):
    done = ctl(agent, "drain", "--reason", "x\x1b[2J\ny")
    assert done.returncode == 0
    shown = ctl(agent, "status").stdout
    assert "\x1b" not in shown and "x [2J y" in shown
