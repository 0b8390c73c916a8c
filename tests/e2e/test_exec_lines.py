"""exec with protocol: lines: one child that stays, many requests in flight, killed and replaced when it misbehaves."""
import pathlib
import sys
import textwrap
import time

import pytest

from agent import ROOT, Agent, wait_for

EXAMPLE = ROOT / "docs" / "examples" / "plugin-lines" / "checks.py"
PYTHON = "/usr/bin/python3"


@pytest.fixture
def plugin(tmp_path):
    """Writes a plugin whose answers come from `body`, a function of the request; gives its path."""
    def write(body, head=""):
        path = tmp_path / "plugin.py"
        path.write_text(textwrap.dedent("""\
            import json, os, sys, threading, time
            def say(id, **rest):
                sys.stdout.write(json.dumps({"id": id, **rest}) + "\\n"); sys.stdout.flush()
            """) + textwrap.dedent(head) + "\nfor line in sys.stdin:\n    request = json.loads(line); args = request['arguments']\n"
            + textwrap.indent(textwrap.dedent(body), "    "))
        return str(path)
    return write


def lines(path, interval="300ms", timeout="250ms", **arguments):
    return {"type": "exec", "protocol": "lines", "command": [PYTHON, path], "arguments": arguments, "interval": interval,
            "timeout": timeout, "retries": 0, "fall": 1, "rise": 1, "edge_interval": interval}


def command_line(pid):
    """Empty if there is none, or if it has ended and nobody has looked after it yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def children_named(agent, text):
    return [pid for pid in agent.descendants() if text in command_line(pid)]


def test_a_secret_that_the_command_repeats_goes_no_further(tmp_path, plugin):
    secret = tmp_path / "secret"
    secret.write_text("canary-42")
    path = plugin("""
        say(request["id"], verdict="fail", text="login with " + key + " failed", facts={"tried": key})
        """, head="key = open('/dev/fd/3').read().strip()\n")
    with Agent({"checks": {"c": {**lines(path), "secret_file": str(secret)}}, "services": {"web": ["c"]}}) as agent:
        agent.wait_for(lambda: agent.check("c")["state"] == "fail")
        check = agent.check("c")
        assert check["output"] == "login with *** failed" and check["facts"]["tried"] == "***", check


def test_the_example_answers_for_many_checks_from_one_process(tmp_path):
    for n in range(3):
        (tmp_path / f"file{n}").write_text("x")
    checks = {f"c{n}": lines(str(EXAMPLE), timeout="1s", interval="1s", check="backlog", directory=str(tmp_path), warn="2")
              for n in range(8)}
    checks["fresh"] = lines(str(EXAMPLE), timeout="1s", interval="1s", check="freshness", file=str(tmp_path / "file0"))
    checks["wrong"] = lines(str(EXAMPLE), timeout="1s", interval="1s", check="nonsense")
    with Agent({"checks": checks, "services": {"web": ["c0", "fresh"]}}) as agent:
        agent.wait_for(lambda: agent.check("c7")["state"] == "warn" and agent.check("fresh")["state"] == "pass")
        assert agent.check("c7")["output"] == "3 files wait"
        assert agent.check("c7")["measures"][0]["value"] == 3
        agent.wait_for(lambda: agent.check("wrong")["verdict"] == "unknown" and agent.check("wrong")["cause"] == "config")
        first = children_named(agent, "checks.py")
        assert len(first) == 1
        time.sleep(2.5)
        assert children_named(agent, "checks.py") == first
    wait_for(lambda: not command_line(first[0]), 10, "it ends with its agent")


def test_answers_come_in_any_order(plugin):
    path = plugin("""\
        if args["name"] == "slow":
            threading.Timer(0.15, say, [request["id"]], {"verdict": "pass", "text": "slow"}).start()
        else:
            say(request["id"], verdict="pass", text="quick")
        """)
    with Agent({"checks": {"slow": lines(path, timeout="1s", interval="1s", name="slow"),
                           "quick": lines(path, timeout="1s", interval="1s", name="quick")}}) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: agent.check("slow")["output"] == "slow" and agent.check("quick")["output"] == "quick")
        assert agent.check("slow")["duration_ms"] > 140
        agent.wait_for(lambda: agent.check("quick")["duration_ms"] < 140, what="a quick answer does not wait for a slow one")


def test_a_late_answer_is_counted_and_thrown_away(plugin):
    path = plugin("""\
        if args["name"] == "late":
            threading.Timer(1.2, say, [request["id"]], {"verdict": "pass", "text": "too late"}).start()
        else:
            say(request["id"], verdict="pass", text="on time")
        """)
    with Agent({"checks": {"late": lines(path, timeout="1s", interval="1s", name="late"),
                           "good": lines(path, timeout="1s", interval="1s", name="good")}}) as agent:
        agent.wait_for(lambda: agent.check("late")["cause"] == "timeout")
        agent.wait_for(lambda: any(m["name"] == "late_answers" for m in agent.check("good")["measures"]))
        agent.wait_for(lambda: agent.check("late")["output"].endswith("did not answer in time"))
        assert len(children_named(agent, "plugin.py")) == 1


@pytest.mark.parametrize("body, words", [
    ("print('hello world', flush=True)", "spoke garbage: a line that is no JSON object"),
    ("say(request['id'] + 1000, verdict='pass')", "spoke garbage: an answer to a request nobody made"),
    ("sys.stdout.write('x' * 200000); sys.stdout.flush()", "spoke garbage: a line of more than 64 KiB"),
    ("sys.exit(3)", "ended with exit code 3"),
    ("os.kill(os.getpid(), 11)", "was ended by signal 11"),
    ("sys.stderr.write('no database\\n'); sys.exit(1)", "ended with exit code 1"),
])
def test_a_child_that_breaks_is_replaced_with_a_growing_pause(plugin, body, words):
    path = plugin(body)
    with Agent({"checks": {"bad": lines(path, timeout="200ms")}}) as agent:
        agent.wait_for(lambda: words in agent.check("bad")["output"])
        seen = agent.check("bad")
        assert (seen["verdict"], seen["cause"]) == ("unknown", "agent")
        agent.wait_for(lambda: "started again in" in agent.check("bad")["output"], what="it is held back")
    assert "Traceback" not in agent_text(agent)


def agent_text(agent):
    return agent.log() if agent.log_file.exists() else ""


def test_a_child_that_hangs_is_killed_and_its_successor_answers(plugin, tmp_path):
    flag = tmp_path / "hung"
    path = plugin("""\
        if not os.path.exists(FLAG):
            open(FLAG, "w").close()
            os.spawnlp(os.P_NOWAIT, "setsid", "setsid", "sleep", "987654")
            time.sleep(0.1)
            while True: time.sleep(60)
        say(request["id"], verdict="pass", text="well again")
        """, head=f"FLAG = {str(flag)!r}")
    with Agent({"checks": {"c": lines(path)}}) as agent:
        agent.wait_for(lambda: flag.exists())
        first = children_named(agent, "plugin.py")
        agent.wait_for(lambda: agent.check("c")["output"] == "well again")
        assert children_named(agent, "plugin.py") != first
        agent.wait_for(lambda: not children_named(agent, "987654"), what="what it left behind is gone")
        assert [m for m in agent.check("c")["measures"] if m["name"] == "restarts"][0]["value"] >= 1


def test_a_reload_that_takes_one_check_away_leaves_the_child_to_the_other(plugin):
    path = plugin("say(request['id'], verdict='pass', text=args['name'])")
    one, two = lines(path, name="one"), lines(path, name="two")
    with Agent({"checks": {"one": one, "two": two}}) as agent:
        agent.wait_for(lambda: agent.check("one")["output"] == "one" and agent.check("two")["output"] == "two")
        before = children_named(agent, "plugin.py")
        agent.reload({"checks": {"two": two}})
        seen = agent.check("two")["last_result"]
        agent.wait_for(lambda: agent.check("two")["last_result"] != seen)
        assert agent.check("two")["state"] == "pass"
        assert children_named(agent, "plugin.py") == before
        agent.reload({"checks": {"other": {"type": "load"}}})
        agent.wait_for(lambda: not children_named(agent, "plugin.py"), what="the last one took it along")


def test_a_secret_comes_by_descriptor_and_is_nowhere_else(plugin, tmp_path):
    (tmp_path / "secret").write_text("canary-4711\n")
    (tmp_path / "secret").chmod(0o600)
    path = plugin("say(request['id'], verdict='pass', text='got %d' % len(SECRET), facts={'env': str(len(os.environ))})",
                  head="SECRET = open('/dev/fd/3').read().strip()")
    check = {**lines(path, timeout="1s", interval="1s"), "secret_file": str(tmp_path / "secret")}
    with Agent({"checks": {"c": check}}) as agent:
        agent.wait_for(lambda: agent.check("c")["output"] == "got 11")
        for pid in children_named(agent, "plugin.py"):
            assert b"canary" not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            assert b"canary" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
