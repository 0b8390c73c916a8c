"""vitald's commands that need no agent: check-config, explain, modules, and how they are called."""
import json
import os
import pathlib
import pty
import re
import shutil
import subprocess

import pytest

from agent import BUILD, ROOT, VITALD

COMMANDS = ["run", "check-config", "explain", "probe", "modules"]

TEN_MISTAKES = """\
listen:
  health: {address: 0.0.0.0}
profle: strict
checks:
  app:
    type: http
    url: http://127.0.0.1:8080/healthz
    intervall: 10s
    timeout: 5
  db:
    type: postgres
    user: app
    password: geheim
    port: 70000
  cache:
    type: tcp
    depends_on: [dbb]
services:
  web: {quorum: 3, of: [app, db]}
  api: [app, cachee]
"""

GOOD = """\
node: {name: web-1}
checks:
  app: {type: http, url: "http://127.0.0.1:8080/healthz", headers: {Authorization: "Bearer ${TOKEN}"}}
  db: {type: postgres, user: app, password_file: db.password, scope: shared, depends_on: [app]}
  old: {type: disk, enabled: false}
services:
  web: {all: [app, {any: [db, app]}], http_codes: {warn: 429}, lb: {interval: 30s, timeout: 6s, fall: 2}}
"""


def run(*argv, env=None, timeout=60):
    return subprocess.run([str(VITALD), *argv], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})


@pytest.fixture
def good(tmp_path):
    secret = tmp_path / "db.password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    file = tmp_path / "vitald.yaml"
    file.write_text(GOOD)
    return file


@pytest.fixture
def bad(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(TEN_MISTAKES)
    return file


# ---- how they are called

@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = run(command, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"example: vitald {command}" in done.stdout
    assert run(command, "--version").stdout == run("--version").stdout


def test_vitald_alone_lists_its_commands():
    done = run()
    assert done.returncode == 64
    for command in COMMANDS:
        assert f"\n  {command} " in done.stderr
    assert run("--help").returncode == 0


@pytest.mark.parametrize("argv, word", [
    (["check-confg"], "did you mean check-config?"),
    (["check-config", "--timming"], "did you mean --timing?"),
    (["check-config", "--config"], "--config needs a FILE"),
    (["check-config", "-c", "/dev/null", "more"], "'more' is one argument too many"),
    (["check-config", "--json=yes"], "--json takes no value"),
])
def test_a_wrong_call_gets_one_line(argv, word):
    done = run(*argv)
    assert done.returncode == 64 and done.stdout == ""
    assert word in done.stderr and done.stderr.count("\n") == 1


# ---- check-config

def test_ten_mistakes_get_ten_lines(bad):
    done = run("check-config", "-c", str(bad))
    assert done.returncode == 78
    lines = (done.stdout + done.stderr).splitlines()
    assert len(lines) == 10
    for line in lines:
        assert re.match(re.escape(str(bad)) + r":\d+:\d+: [\w.-]+: \S", line), line
    assert "geheim" not in done.stdout + done.stderr


def test_nothing_is_started_with_a_bad_config(bad):
    done = run("run", "--config", str(bad))
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 10
    assert run("-c", str(bad)).returncode == 78


def test_problems_as_json(bad):
    done = run("check-config", "-c", str(bad), "--json")
    assert done.returncode == 78
    told = json.loads(done.stdout)
    assert told["ok"] is False and len(told["problems"]) == 10
    assert {"file", "line", "column", "path", "text"} == set(told["problems"][0])
    assert [p["line"] for p in told["problems"]] == sorted(p["line"] for p in told["problems"])


def test_a_good_config_is_one_line(good):
    done = run("check-config", f"--config={good}", env={"TOKEN": "s3cret"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{good}: ok: 2 checks, 1 service\n"
    assert json.loads(run("check-config", "-c", str(good), "--json", env={"TOKEN": "x"}).stdout)["ok"] is True


def test_timing_speaks_of_every_check_and_service(good):
    done = run("check-config", "-c", str(good), "--timing", env={"TOKEN": "x"})
    assert done.returncode == 0
    for line in ("check app: fail after ", "check db: fail after ", "service web: fail after "):
        assert line in done.stdout
    timing = json.loads(run("check-config", "-c", str(good), "--timing", "--json", env={"TOKEN": "x"}).stdout)["timing"]
    web = timing["services"][0]
    assert web["name"] == "web" and 0 < web["to_fail"]["best_ms"] < web["to_fail"]["worst_ms"] < web["seen_down"]["worst_ms"]


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    done = run("check-config", "-c", str(tmp_path / "none.yaml"))
    assert done.returncode == 78
    assert done.stderr == f"{tmp_path}/none.yaml: is not there; --config names another file\n"


def test_a_check_of_its_module_is_told_at_the_option(tmp_path):
    file = tmp_path / "vitald.yaml"
    file.write_text("checks:\n  app:\n    type: http\n    url: http://127.0.0.1/\n    expect: {body: {matches: '('}}\n")
    done = run("check-config", "-c", str(file))
    assert done.returncode == 78
    assert done.stderr.startswith(f"{file}:5:30: checks.app.expect.body.matches: ")


@pytest.mark.parametrize("file", sorted((ROOT / "conf").glob("*.yaml")), ids=lambda p: p.name)
def test_the_configs_we_ship_are_good(file):
    done = run("check-config", "-c", str(file))
    assert (done.returncode, done.stderr) == (0, "")


# ---- explain

def test_explain_shows_values_where_they_come_from_and_no_secret(good):
    done = run("explain", "-c", str(good), env={"TOKEN": "s3cret"})
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert "hunter2" not in text and "s3cret" not in text
    assert "Bearer ${TOKEN}" in text
    for row in (r"interval +10s +\(profile lenient\)", r"password +\(secret\) +\(.*/db.password\)", r"depends_on +app",
                r"old: disabled", r"any of\n +db +\(shared: warns at most\)", r"/health/web +pass 200, warn 429, fail 503"):
        assert re.search(row, text), row
    assert not re.search(r" +$", text, re.M)


def test_explain_of_a_bad_config_is_its_problems(bad):
    done = run("explain", "-c", str(bad))
    assert (done.returncode, done.stdout) == (78, "")
    assert len(done.stderr.splitlines()) == 10


def coloured(argv, **env):
    """The output on a terminal."""
    main, child = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen([str(VITALD), *argv], stdin=subprocess.DEVNULL, stdout=child, stderr=child,
                               env={**environment, "TERM": "xterm", "TOKEN": "x", **env})
    os.close(child)
    text = b""
    try:
        while chunk := os.read(main, 4096):
            text += chunk
    except OSError:  # the terminal's other end is closed
        pass
    os.close(main)
    assert process.wait(30) == 0
    return text


def test_colour_is_for_terminals_that_want_it(good):
    argv = ["explain", "-c", str(good)]
    assert b"\x1b[" in coloured(argv)
    assert b"\x1b[" not in coloured(argv, NO_COLOR="1")
    assert b"\x1b[" not in coloured(argv, TERM="dumb")
    assert "\x1b[" not in run(*argv, env={"TOKEN": "x", "TERM": "xterm"}).stdout


# ---- modules

def test_modules_lists_types_with_their_options():
    done = run("modules")
    assert done.returncode == 0
    for kind in ("http", "tcp", "postgres", "mysql", "ldap", "disk", "memory", "load"):
        assert re.search(rf"^{kind} +\S", done.stdout, re.M), kind
    every = json.loads(run("modules", "--json").stdout)["modules"]
    assert [m["type"] for m in every] == sorted(m["type"] for m in every)
    for module in every:
        for option in module["options"]:
            assert option["help"], (module["type"], option["name"])
    one = json.loads(run("modules", "postgres", "--json").stdout)
    password = next(o for o in one["options"] if o["name"] == "password_file")
    assert password["secret"] and password["type"] == "file"
    assert re.search(r"port +whole number 1 to 65535, default 5432", run("modules", "postgres").stdout)


def test_modules_lists_the_kinds_of_action_without_what_the_agent_says_of_the_step():
    done = run("modules", "--actions")
    assert done.returncode == 0
    for kind in ("exec", "webhook", "postgres.promote", "pacemaker.move", "wait"):
        assert re.search(rf"^{re.escape(kind)} +\S", done.stdout, re.M), kind
    assert not re.search(r"^http ", done.stdout, re.M)
    every = json.loads(run("modules", "--actions", "--json").stdout)["modules"]
    options = [o for module in every for o in module["options"]]
    assert options and all(o["help"] for o in options) and not [o for o in options if o["name"].startswith("step.")]
    one = run("modules", "--actions", "webhook").stdout
    assert "secret_file" in one and "step." not in one
    wrong = run("modules", "--actions", "webhok")
    assert (wrong.returncode, wrong.stderr) == (1, "vitald modules: there is no kind of action 'webhok': did you mean 'webhook'?\n")


def test_an_unknown_type_gets_the_nearest():
    done = run("modules", "postgers")
    assert done.returncode == 1
    assert done.stderr == "vitald modules: there is no check type 'postgers': did you mean 'postgres'?\n"


def test_an_installed_vitald_finds_its_parts_from_where_it_lies(tmp_path):
    options = {o["name"]: o["value"] for o in json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())}
    prefix = tmp_path / "prefix"
    worker = prefix / options["libexecdir"] / "vitald" / "vitald-worker"
    checks = prefix / options["libdir"] / "vitald" / "checks"
    for source, target in ((VITALD, prefix / options["bindir"] / "vitald"), (BUILD / "src/vitald-worker", worker),
                           (BUILD / "checks/load.so", checks / "load.so")):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    done = subprocess.run([prefix / options["bindir"] / "vitald", "modules", "load", "--json"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert pathlib.Path(json.loads(done.stdout)["path"]) == checks / "load.so"
