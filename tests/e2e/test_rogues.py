"""The rogues' gallery: every bad module and plugin at once in one agent, beside a check that is well. Each rogue gets its
verdict and cause, the healthy one notices nothing, the agent stays flat, and in the end nothing is left."""
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time

import pytest

from agent import BUILD, Agent, wait_for

MODULES = BUILD / "tests" / "probe" / "modules"
TIMES = {"interval": "3s", "timeout": "1500ms", "retries": 0, "edge_interval": "3s", "critical": False}
MARK = f"77{os.getpid()}"  # in the command line of what our rogues leave behind

pytestmark = pytest.mark.skipif(not (MODULES / "misbehaves.so").exists(), reason="the modules of the unit tests are not built")


def module(kind, **options):
    return {"type": kind, **TIMES, **options}


def shell(script, **options):
    return {"type": "exec", "command": ["/bin/sh", "-c", script], **TIMES, **options}


def lines(body, **options):
    head = "import json, os, sys, time\nfor line in sys.stdin:\n    id = json.loads(line)['id']\n    "
    return {"type": "exec", "protocol": "lines", "command": ["/usr/bin/python3", "-c", head + body], **TIMES, **options}


TIMEOUT = ("fail", "timeout")
OURS = ("unknown", "agent")
WELL = ("pass", "none")

# name: the check, verdict and cause, words of the text
ROGUES = {
    "finishes-twice": (module("plain", lie="twice"), WELL, "plain C"),
    "finishes-anothers": (module("plain", lie="stranger"), WELL, "plain C"),
    "never-finishes": (module("plain", lie="silent"), OURS, "without a result"),
    "lies-about-sizes": (module("plain", lie="size"), OURS, "broken result"),
    "lies-about-strides": (module("plain", lie="stride"), WELL, "plain C"),
    "gives-null": (module("plain", lie="null"), WELL, "plain C"),
    "crashes": (module("misbehaves", how="crash"), OURS, "crashed (signal 11)"),
    "aborts": (module("misbehaves", how="abort"), OURS, "crashed (signal 6)"),
    "exits": (module("misbehaves", how="exit"), OURS, "exited (code 0)"),
    "recurses": (module("misbehaves", how="recurse"), OURS, "crashed (signal 11)"),
    "throws": (module("misbehaves", how="throw"), OURS, "it is raining"),
    "throws-through-c": (module("misbehaves", how="throw through C"), OURS, "it is raining"),
    "spins": (module("misbehaves", how="spin"), TIMEOUT, ""),
    "stops-itself": (module("misbehaves", how="stop"), TIMEOUT, ""),
    "ignores-signals": (module("misbehaves", how="ignore signals"), TIMEOUT, ""),
    "forks-and-setsids": (module("misbehaves", how="fork and setsid"), TIMEOUT, ""),
    "forks-a-thousand": (module("misbehaves", how="fork a thousand"), WELL, "done"),
    "leaks": (module("misbehaves", how="leak"), OURS, "std::bad_alloc"),
    "floods": (module("misbehaves", how="flood"), WELL, "done"),
    "closes-3": (module("misbehaves", how="close 3"), WELL, "done"),
    "closes-all": (module("misbehaves", how="close"), OURS, "exited (code 0)"),
    "traces": (module("misbehaves", how="ptrace"), OURS, "workers.seccomp forbids"),
    "async-late": (module("async_misbehaves", how="never"), TIMEOUT, ""),
    "async-from-a-thread": (module("async_misbehaves", how="other thread"), TIMEOUT, ""),
    "async-crashes": (module("async_misbehaves", how="crash"), OURS, "crashed (signal 11)"),
    "async-blocks": (module("async_misbehaves", how="block"), OURS, "held up"),
    "plugin-hangs": (shell(f"trap '' TERM; setsid sleep {MARK} & sleep {MARK}"), TIMEOUT, "killed"),
    "plugin-daemonises": (shell(f"(setsid sh -c 'sleep {MARK} & sleep {MARK}' &); echo fine"), WELL, "fine"),
    "plugin-stops-itself": (shell("kill -STOP $$"), TIMEOUT, "killed"),
    "plugin-writes-100-mb": (shell("echo first; head -c 100000000 /dev/zero; exit 1"), ("warn", "content"), "first"),
    "plugin-crashes": (shell("kill -SEGV $$"), OURS, "signal 11"),
    "plugin-traces": ({**shell(""), "command": ["/usr/bin/python3", "-c", "import ctypes; ctypes.CDLL(None).ptrace(0,0,0,0)"]},
                      OURS, "workers.seccomp forbids"),
    "lines-garbage": (lines("print('hello', flush=True)"), OURS, "garbage"),
    "lines-hangs": (lines("time.sleep(1000)"), TIMEOUT, "did not answer in time"),
    "lines-exits": (lines("sys.exit(4)"), OURS, "exit code 4"),
}


def processes_of(agent_pid):
    """Workers of that agent and what carries our mark, also with another parent by now."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                continue
        except OSError:
            continue
        is_worker = b"--parent" in words and words[words.index(b"--parent") + 1] == str(agent_pid).encode()
        if is_worker or (MARK.encode() in words and b"sleep" in words[0]):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


def figures(agent):
    status = pathlib.Path(f"/proc/{agent.pid}/status").read_text()
    return {"rss_kb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]), "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
            "descriptors": len(os.listdir(f"/proc/{agent.pid}/fd"))}


def metric(agent, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", agent.health("/metrics").text, re.M)
    return float(found[1]) if found else None


def gallery():
    checks = {name: config for name, (config, _, _) in ROGUES.items()}
    checks["good"] = {"type": "exec", "command": ["/bin/echo", "well"], "interval": "1s", "timeout": "900ms", "retries": 0,
                      "fall": 3, "rise": 1, "edge_interval": "1s"}
    # Room for all of them to hang at once: a full pool is not what is tried here.
    return {"checks": checks, "module_path": [str(MODULES)], "services": {"web": ["good"]},
            "workers": {"max": 40, "memory_mib": 256, "seccomp": "enforce"}}


def test_every_rogue_gets_its_verdict_and_nobody_else_notices():
    with Agent(gallery(), timeout=120) as agent:
        agent.wait_for(lambda: agent.check("good")["state"] == "pass")
        missing = dict(ROGUES)

        def all_seen():
            for name, (_, told, words) in list(missing.items()):
                seen = agent.check(name)
                # Two cores are not enough for all of them: what was starved is told so, and proves nothing.
                is_starved = seen["cause"] == "agent" and any(
                    w in (seen["output"] or "") for w in ("this machine is overloaded", "which proves nothing"))
                if is_starved or ((seen["verdict"], seen["cause"]) == told and words in (seen["output"] or "")):
                    del missing[name]
            return not missing
        try:
            agent.wait_for(all_seen)
        except AssertionError:
            raise AssertionError({n: (missing[n][1:], agent.check(n)["verdict"], agent.check(n)["output"]) for n in missing}) from None

        before = figures(agent)
        good_before = agent.check("good")
        time.sleep(12)
        after = figures(agent)
        assert after["threads"] == before["threads"]
        assert after["descriptors"] < before["descriptors"] + 60, (before, after)  # workers come and go
        assert after["rss_kb"] < before["rss_kb"] + 8192, (before, after)
        good = agent.check("good")
        assert good["state"] == "pass" and agent.health("/health/web").status == 200
        assert "F" not in good["history"] and good["since"] == good_before["since"]
        assert metric(agent, "vitald_agent_loop_lag_seconds") < 1
        assert metric(agent, "vitald_processes_unkillable") == 0
        pid = agent.pid
    wait_for(lambda: not processes_of(pid), 10, "nothing of them is left")


@pytest.mark.skipif(os.getuid() != 0, reason="making control groups needs root")
def test_where_a_control_group_is_delegated_it_ends_everything_a_worker_started():
    root = pathlib.Path("/sys/fs/cgroup/unified")
    if not (root / "cgroup.procs").exists():
        root = pathlib.Path("/sys/fs/cgroup")
    group = root / f"own.vitald-{os.getpid()}"
    try:
        group.mkdir()
        os.setxattr(group, "user.delegate", b"1")
        if not (group / "cgroup.kill").exists():
            pytest.skip("this kernel has no cgroup.kill")
    except OSError as error:
        pytest.skip(f"no cgroup of our own: {error}")
    try:
        config = {"checks": {"rogue": module("misbehaves", how="fork and setsid"),
                             "good": {"type": "exec", "command": ["/bin/echo", "well"], **TIMES}},
                  "module_path": [str(MODULES)]}
        join = ["/bin/sh", "-c", f"echo $$ >{group}/cgroup.procs && exec \"$@\"", "sh"]
        with Agent(config, argv_prefix=join, timeout=60) as agent:
            assert metric(agent, 'vitald_worker_kill_method{method="cgroup"}') == 1
            agent.wait_for(lambda: agent.check("good")["state"] == "pass" and agent.check("rogue")["cause"] == "timeout")
            assert list(group.glob("vitald-worker-*")), "each worker has a group of its own"
            pid = agent.pid
        wait_for(lambda: not processes_of(pid), 10, "nothing of them is left")
        assert not list(group.glob("vitald-worker-*/cgroup.procs")) or not any(
            f.read_text() for f in group.glob("vitald-worker-*/cgroup.procs"))
    finally:
        for inner in group.glob("vitald-worker-*"):
            inner.rmdir()
        wait_for(lambda: not (group / "cgroup.procs").read_text(), 5)
        group.rmdir()


@pytest.mark.skipif(os.getuid() != 0 or not pathlib.Path("/sys/fs/cgroup/freezer").exists(),
                    reason="a frozen process needs root and the freezer of cgroup version 1")
def test_a_plugin_that_cannot_be_killed_is_shown_counted_and_never_run_beside_itself():
    freezer = pathlib.Path(f"/sys/fs/cgroup/freezer/own.vitald-{os.getpid()}")
    freezer.mkdir()
    state = freezer / "freezer.state"
    try:
        # It freezes itself: from then on it is in state D, and no signal reaches it.
        script = f"echo $$ >{freezer}/cgroup.procs; echo FROZEN >{state}; echo never"
        with Agent({"checks": {"frozen": shell(script), "good": {"type": "exec", "command": ["/bin/echo", "well"], **TIMES}}}) as agent:
            agent.wait_for(lambda: "unkillable" in (agent.check("frozen")["output"] or ""), 30)
            agent.wait_for(lambda: "not run a second time" in agent.check("frozen")["output"], 30)
            assert (agent.check("frozen")["verdict"], agent.check("frozen")["cause"]) == OURS
            assert metric(agent, "vitald_processes_unkillable") == 1
            assert [e["check"] for e in agent.events("process_unkillable")] == ["frozen"]
            assert len((freezer / "cgroup.procs").read_text().split()) == 1
            agent.wait_for(lambda: agent.check("good")["state"] == "pass")
            state.write_text("THAWED")
            agent.wait_for(lambda: metric(agent, "vitald_processes_unkillable") == 0, 20)
    finally:
        wait_for(lambda: (state.write_text("THAWED"), not (freezer / "cgroup.procs").read_text())[1], 10)
        freezer.rmdir()


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv")
def test_what_the_kernel_does_not_let_us_kill_is_shown_counted_and_never_run_beside_itself():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vitald-refused-"))
    folder.chmod(0o755)
    well = folder / "well"

    def sleepers():
        return [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit()
                and (p / "cmdline").exists() and (p / "cmdline").read_bytes().split(b"\0")[:2] == [b"/bin/sleep", MARK.encode()]]
    # Root without CAP_KILL may become another user, and then not kill what it became.
    without_kill = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]
    config = {"checks": {"others": shell(f"test -e {well} || exec /bin/sleep {MARK}", user="nobody"),
                         "good": {"type": "exec", "command": ["/bin/echo", "well"], **TIMES}}}
    try:
        with Agent(config, argv_prefix=without_kill) as agent:
            agent.wait_for(lambda: "unkillable" in (agent.check("others")["output"] or ""), 30)
            agent.wait_for(lambda: "not run a second time" in agent.check("others")["output"], 30)
            seen = agent.check("others")
            assert (seen["verdict"], seen["cause"]) == OURS and "another user's (EPERM)" in seen["output"]
            assert metric(agent, "vitald_processes_unkillable") == 1
            workers = agent.health("/api/v1/status").json()["workers"]
            assert workers["unkillable_processes"] == 1 and workers["kill_method"] in ("subreaper", "cgroup")
            said = agent.ctl("status").stdout
            assert "1 process of checks cannot be killed" in said and f"ended by {workers['kill_method']}" in said
            looks = len(seen["history"])
            agent.wait_for(lambda: len(agent.check("others")["history"]) > looks + 1, 30)
            assert len(sleepers()) == 1, "no second one beside it"
            agent.wait_for(lambda: agent.check("good")["state"] == "pass")
            well.touch()
            for pid in sleepers():
                os.kill(pid, signal.SIGKILL)
            agent.wait_for(lambda: agent.check("others")["state"] == "pass", 30)
            assert metric(agent, "vitald_processes_unkillable") == 0
            assert "cannot be killed" not in agent.ctl("status").stdout
    finally:
        for pid in sleepers():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder)
