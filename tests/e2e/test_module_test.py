"""vitald module-test: our own modules pass it, and each rogue fails the line that is about what it does."""
import json
import os
import re
import shutil
import subprocess

import pytest

from agent import BUILD, ROOT, VITALD

ROGUES = BUILD / "tests/probe/modules"


def trial(module, *words, rounds=60, timeout="500ms", valgrind=False, code=None):
    """The lines of a trial, by name."""
    done = subprocess.run([VITALD, "module-test", "--json", "--rounds", str(rounds), "--timeout", timeout,
                           *([] if valgrind else ["--no-valgrind"]), module, *words], capture_output=True, text=True,
                          timeout=200, stdin=subprocess.DEVNULL)
    told = json.loads(done.stdout)
    lines = {line["name"]: line for line in told["lines"]}
    assert len(lines) == len(told["lines"]), "each line has a name of its own"
    assert done.returncode == (0 if told["ok"] else 1)
    assert told["ok"] == all(line["outcome"] != "fail" for line in lines.values())
    return lines


def failed(lines):
    return {name: line["text"] for name, line in lines.items() if line["outcome"] == "fail"}


# What each of ours needs, to say something of a target that is not there.
WORDS = {
    "amqp": ["user=u", "port=1"],
    "dns": ["name=localhost"], "exec": ["command=/bin/echo", "command=OK"], "file": ["path=/etc/passwd"],
    "exec_lines": ["command=/usr/bin/python3", f"command={ROOT}/docs/examples/plugin-lines/checks.py",
                   "arguments.check=backlog", "arguments.directory=/etc", "protocol=lines"],
    "etcd": ["url=http://127.0.0.1:1"], "http": ["url=http://127.0.0.1:1/"], "ldap": ["uri=ldap://127.0.0.1:1"], "memcached": ["port=1"], "redis": ["port=1"],
    "mysql": ["user=u", "port=1"], "postgres": ["user=u", "port=1"], "pgbouncer": ["user=u", "port=1"],
    "mount": ["path=/nowhere"], "nfs": ["export=/x", "port=1"], "smb": ["share=x", "user=u", "port=1"],
    "network": ["interface=lo"], "ocf": ["agent=heartbeat:Dummy"], "ping": ["host=127.0.0.1"], "process": ["command=systemd"],
    "systemd": ["unit=cron.service"], "tcp": ["address=127.0.0.1:1"], "tls": ["host=127.0.0.1", "port=1"],
    "s3": ["url=http://127.0.0.1:1/bucket", "access_key=AKIDEXAMPLE", "secret_key_file=/etc/hostname"],
    "scenario": ["url=http://127.0.0.1:1/", "steps=GET /"],
}
# Where there is nothing to ask, they rightly say that they cannot tell.
CANNOT_TELL = {"heartbeat": "never probed", "drbd": "drbdsetup", "systemd": "the bus cannot be reached",
               "ping": "lets nobody of our group ping"}


def words_for(type_):
    """Of a check that is not in the list: what it needs, as its own table shows it."""
    if type_ in WORDS:
        return WORDS[type_]
    described = json.loads(subprocess.run([VITALD, "modules", type_, "--json"], capture_output=True, text=True,
                                          timeout=60).stdout)
    return [f"{o['name']}={o.get('example', '')}" for o in described["options"] if o["required"] and not o["secret"]]


# The rule of a composite looks at other checks, of which a module on trial has none: its module declares options, no more.
@pytest.mark.parametrize("type_", sorted({p.stem for p in (BUILD / "checks").glob("*.so")} - {"composite"}))
def test_a_module_of_ours_passes(type_):
    lines = trial(BUILD / "checks" / f"{type_}.so", *words_for(type_), timeout="2s")
    wrong = failed(lines)
    if type_ in CANNOT_TELL and CANNOT_TELL[type_] in wrong.get("probe", "-"):
        wrong.pop("probe")
    assert not wrong
    assert {"file", "describe", "table", "options", "refusals", "edges", "create", "probe", "deadline", "leaks", "processes",
            "log", "results"} <= set(lines)


BLOCKING = [
    ("crash", "probe", "crashed (signal 11) in probe"),
    ("abort", "probe", "crashed (signal 6) in probe"),
    ("exit", "probe", "exited (code 0) in probe"),
    ("throw", "probe", "unknown/agent: the check threw: it is raining"),
    ("throw a number", "probe", "unknown/agent: the check threw something unknown"),
    ("leave a child", "processes", "left processes behind"),
    ("fork and return", "processes", "left processes behind"),
    ("hang with a child", "probe", "no result by the deadline, after 500ms"),
    ("leak", "probe", "std::bad_alloc"),
    ("close", "probe", "exited (code 0)"),
    ("stop", "probe", "no result by the deadline"),
    ("spin", "probe", "no result by the deadline"),
    ("crash at create", "create", "crashed (signal 11) in create"),
    ("throw at create", "create", "threw something unknown"),
    ("crash at destroy", "create", "crashed (signal 6) in destroy"),
    ("lose a descriptor", "leaks", "descriptors from"),
    ("lose a thread", "leaks", "threads from"),
]
ASYNC = [
    ("never", "probe", "no result by the deadline"),
    ("crash", "probe", "crashed (signal 11) in callback"),
    ("exit", "probe", "exited (code 3) in callback"),
    ("throw", "results", "the module threw: it is raining"),
    ("throw at start", "probe", "unknown/agent: the check threw: it is snowing"),
    ("block", "loop", "stood still"),
    ("block at start", "loop", "stood still"),
    ("close", "probe", "exited (code 0)"),
    ("log", "log", "a line, or more, for each probe"),
    ("other thread", "results", "1 times: called finish() from another thread"),
    ("crash in cancel", "cancel", "crashed (signal 11) in cancel"),
    ("hang in cancel", "cancel", "did not come back in cancel"),
    ("crash at create", "create", "crashed (signal 11) in create"),
]
LIES = [
    ("size", "results", "gave a result that is too small"),
    ("stride", "results", "gave measures of a wrong size"),
    ("element", "results", "gave measures of a wrong size"),
    ("null", "results", "gave facts of a wrong size"),
    ("verdict", "results", "gave the unknown verdict 77"),
    ("cause", "results", "gave the unknown cause 77"),
    ("silent", "results", "probe() returned without a result"),
    ("no result", "results", "finished without a result"),
    ("stranger", "results", "for a probe that is not its own"),
    ("twice", "results", "called finish() twice"),
    ("refuse", "create", "does not say why"),
]
TABLES = [
    ("crashes_at_load", "crashed (signal 11) while it was loaded"),
    ("wrong_magic", "its magic is 0x464c457f, expected 0x314c5456"),
    ("foreign_abi", "has module ABI 9.7, this vitald speaks 0.1"),
    ("misnamed", "declares the type 'another'"),
    ("too_small", "has a broken table: 48 bytes, at least 96"),
    ("lies_ten_thousand_options", "declares 10000 options, at most 256"),
    ("lies_table_nowhere", "crashed (signal 11) while it was loaded"),
]


@pytest.mark.parametrize("module, word, line, text",
                         [("misbehaves", f"how={how}", line, text) for how, line, text in BLOCKING] +
                         [pytest.param("async_misbehaves", f"how={how}", line, text, marks=pytest.mark.long) for how, line, text in ASYNC[2:]] +
                         [("async_misbehaves", f"how={how}", line, text) for how, line, text in ASYNC[:2]] +
                         [pytest.param("plain", f"lie={lie}", line, text, marks=pytest.mark.long) for lie, line, text in LIES[3:]] +
                         [("plain", f"lie={lie}", line, text) for lie, line, text in LIES[:3]])
def test_a_rogue_fails_the_line_that_is_about_it(module, word, line, text):
    # Who ends by himself has time to, on a busy machine too.
    timeout = "500ms" if "by the deadline" in text else "20s" if "bad_alloc" in text else "5s"
    lines = trial(ROGUES / f"{module}.so", word, timeout=timeout)
    assert text in failed(lines).get(line, ""), failed(lines)
    assert lines[line]["advice"]


@pytest.mark.parametrize("module, text", TABLES)
def test_a_module_that_cannot_be_loaded_fails_there_and_nothing_else_is_tried(module, text):
    lines = trial(ROGUES / f"{module}.so")
    assert list(lines) == ["file", "describe"] and text in failed(lines)["describe"]


@pytest.mark.parametrize("module, words", [("answers", []), ("plain", []), ("misbehaves", []), ("async_misbehaves", []),
                                           ("resolves", ["name=127.0.0.1"]), ("spawns", ["command=/bin/true"]), ("future", []),
                                           ("frozen_0_1", ["text=a"]), ("frozen_async_0_1", [])])
def test_a_module_that_behaves_passes(module, words):
    assert not failed(trial(ROGUES / f"{module}.so", *words))


def test_memory_that_is_lost_is_seen_by_its_growth():
    lines = trial(ROGUES / "misbehaves.so", "how=lose memory", rounds=400)
    assert list(failed(lines)) == ["leaks"] and re.search(r"memory from \d+ to \d+ KiB", lines["leaks"]["text"])


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed; scripts/test installs it")
@pytest.mark.parametrize("how, text", [("lose memory", "definitely lost"), ("read beyond", "Invalid read of size 1")])
def test_valgrind_names_what_is_lost_or_touched(how, text):
    lines = trial(ROGUES / "misbehaves.so", f"how={how}", valgrind=True, timeout="5s")
    assert text in failed(lines)["valgrind"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed; scripts/test installs it")
def test_valgrind_has_nothing_against_a_module_that_behaves():
    assert trial(ROGUES / "answers.so", valgrind=True, timeout="5s")["valgrind"]["outcome"] == "pass"


def test_options_that_are_missing_or_wrong_are_told_as_check_config_tells_them():
    assert failed(trial(BUILD / "checks/http.so"))["options"].startswith("needs url; write url: ")
    told = failed(trial(BUILD / "checks/http.so", "url=http://x/", "max_body=many", "metod=GET"))["options"]
    assert "max_body: 'many' is no size" in told and "did you mean 'method'?" in told
    assert "write KEY=VALUE" in failed(trial(BUILD / "checks/http.so", "url"))["options"]


def test_a_secret_is_given_by_a_file_beside_the_author(tmp_path):
    (tmp_path / "secret").write_text("open sesame\n")
    (tmp_path / "secret").chmod(0o600)
    done = subprocess.run([VITALD, "module-test", "--no-valgrind", "--rounds", "10", BUILD / "checks/redis.so", "port=1",
                           "password_file=secret"], capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sesame" not in done.stdout + done.stderr
    done = subprocess.run([VITALD, "module-test", "--no-valgrind", BUILD / "checks/redis.so", "password=sesame"],
                          capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert done.returncode == 1 and "password_file" in done.stdout and "sesame" not in done.stdout


def test_a_file_others_may_write_is_refused_as_the_agent_will(tmp_path):
    shutil.copy(ROGUES / "answers.so", tmp_path / "answers.so")
    (tmp_path / "answers.so").chmod(0o666)
    assert "writable by others" in failed(trial(tmp_path / "answers.so"))["file"]
    assert "No such file" in failed(trial(tmp_path / "nowhere.so"))["file"]


def test_a_wrong_command_line_is_told_in_one_line():
    for words in ([], ["--rounds", "0", "x.so"], ["--timeout", "soon", "x.so"], ["--nosuch"]):
        done = subprocess.run([VITALD, "module-test", *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == 64 and len(done.stderr.splitlines()) == 1 and not done.stdout


def test_for_people_each_line_says_pass_or_fail_and_what_to_do():
    done = subprocess.run([VITALD, "module-test", "--no-valgrind", "--rounds", "20", ROGUES / "plain.so", "lie=twice"],
                          capture_output=True, text=True, timeout=100, env={**os.environ, "NO_COLOR": "1"})
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and lines[-1] == "1 failed"
    at = next(i for i, line in enumerate(lines) if line.startswith("fail  results"))
    assert lines[at + 1].strip().startswith("finish() once for each probe")
    assert any(re.match(r"pass  probe +pass/none: plain C", line) for line in lines)
