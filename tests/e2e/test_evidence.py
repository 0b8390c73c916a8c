"""The agent's own trouble is never the target's: stopped, suspended, starved, with a stuck loop, a jumping clock or a dead
resolver, no check of a real agent changes before a fresh look."""
import os
import pathlib
import shutil
import signal
import subprocess
import time
import types

import pytest

import hostile
from agent import Agent, Listener, wait_for
from threads import FrozenThread, Quota, loop_thread

FAKETIME = next(iter(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
CHECK = {"interval": "400ms", "timeout": "300ms", "edge_interval": "200ms", "retries": 0, "rise": 1, "fall": 1}


def tcp(address, **more):
    return {"type": "tcp", "address": address, **CHECK, **more}


@pytest.fixture
def target():
    with Listener() as listener:
        yield listener


@pytest.fixture
def agent(target):
    config = {"checks": {f"c{i}": tcp(target.address) for i in range(8)}}
    with Agent(config) as running:
        running.wait_ready()
        running.wait_for(lambda: running.health().status == 200)
        yield running


def looked_again(agent, check="c0"):
    """Two fresh results of this check."""
    before = agent.check(check)["streak"]
    agent.wait_for(lambda: agent.check(check)["streak"] >= before + 2)


def changes(agent):
    return [e for e in agent.events("check_state") if e["from"] != "pending"]


# ---- what is recorded ----------------------------------------------------------------------------------------------


def test_what_the_agent_was_like_stands_beside_every_result_and_is_counted(agent):
    evidence = agent.check("c0")["evidence"]
    assert set(evidence) == {"queue_delay_ms", "worker_lag_ms", "timer_overshoot_ms", "loop_lag_ms", "throttled_ms",
                             "lost_ms", "cpu_pressure_percent"}
    assert all(isinstance(v, (int, float)) and v >= 0 for v in evidence.values())
    assert evidence["queue_delay_ms"] < 300
    metrics = agent.admin("/metrics").text
    for name in ('vitald_probe_lost_seconds_total{why="queue"}', 'vitald_probe_lost_seconds_total{why="throttled"}',
                 "vitald_host_cpu_pressure_ratio", "vitald_agent_throttled_seconds_total", "vitald_agent_stalls_total",
                 "vitald_timeouts_discounted_total", "vitald_agent_loop_lag_seconds"):
        assert name in metrics, name


# ---- stopped and starved -------------------------------------------------------------------------------------------


def test_an_agent_that_was_stopped_changes_no_check_and_looks_again_first(agent):
    os.kill(agent.pid, signal.SIGSTOP)
    time.sleep(2.5)  # more than max_age: all it knows is old now
    os.kill(agent.pid, signal.SIGCONT)
    looked_again(agent)
    assert agent.events("agent_stalled") and not changes(agent)
    agent.wait_for(lambda: agent.health().status == 200)
    assert "vitald_agent_stalls_total 1" in agent.admin("/metrics").text


def test_probes_that_hung_while_the_agent_was_stopped_prove_nothing(target):
    with hostile.Peer(hostile.silent) as silent:
        with Agent({"checks": {"quiet": tcp(silent.address, expect="hello", interval="5s", timeout="4s", fall=2),
                               "app": tcp(target.address)}}, timeout=20) as agent:
            agent.wait_for(lambda: agent.check("quiet").get("running_ms") is not None)
            os.kill(agent.pid, signal.SIGSTOP)
            time.sleep(4.5)  # past its deadline
            os.kill(agent.pid, signal.SIGCONT)
            agent.wait_for(lambda: agent.events("agent_stalled"))
            looked_again(agent, "app")
            # What timed out meanwhile is no evidence; the fresh look, which a silent peer fails, is.
            assert agent.check("quiet")["history"] in ("", "?") and agent.check("quiet")["state"] == "pending"
            agent.wait_for(lambda: agent.check("quiet")["state"] == "fail", 15)
            assert agent.check("quiet")["history"].lstrip("?") == "F"


def test_the_whole_tree_stopped_and_continued_is_no_news_either(agent):
    tree = [agent.pid, *agent.descendants()]
    for pid in tree:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.0)
    for pid in reversed(tree):
        os.kill(pid, signal.SIGCONT)
    looked_again(agent)
    assert not changes(agent)


def test_a_stuck_loop_is_answered_for_by_the_front_and_leaves_no_trace(agent):
    assert agent.health("/livez").status == 200
    with FrozenThread(loop_thread(agent.pid)):
        stalled = agent.wait_for(lambda: (a := agent.health()).status == 503 and a, 8, "the front says 503 by itself")
        assert stalled.headers["x-health-status"] == "fail"
        assert agent.health("/livez").status == 503
        assert "vitald_agent_stalled 1" in agent.health("/metrics").text
        slowest = 0.0
        for _ in range(50):
            before = time.monotonic()
            assert agent.health().status == 503
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 1
    agent.wait_for(lambda: agent.health().status == 200)
    looked_again(agent)
    assert not changes(agent)
    assert agent.health("/livez").status == 200


def test_timeouts_under_a_cpu_quota_prove_nothing_until_there_is_air_again():
    with hostile.Peer(hostile.silent) as peer:
        checks = {"hung": tcp(peer.address, expect="hello", interval="2s", timeout="1s", edge_interval="1s", max_age="1m")}
        with Quota() as quota, Agent({"checks": checks}, timeout=40, argv_prefix=quota.prefix) as agent:
            agent.wait_for(lambda: agent.check("hung")["state"] == "fail")
            before = len(agent.check("hung")["history"])
            with quota.squeezed(percent=4):
                agent.wait_for(lambda: agent.check("hung")["history"][before:].count("?") >= 3)
                seen = agent.check("hung")
                assert seen["cause"] == "agent" and "proves nothing" in seen["output"]
                assert seen["evidence"]["throttled_ms"] > 250, seen["evidence"]
                assert seen["state"] == "fail"  # ignorance holds the last state
            agent.wait_for(lambda: agent.check("hung")["history"].endswith("FF"))
            throttled = [line for line in agent.admin("/metrics").text.splitlines()
                         if line.startswith("vitald_agent_throttled_seconds_total ")]
            assert float(throttled[0].split()[1]) > 1


@pytest.mark.long
def test_a_check_that_passed_stays_so_while_a_quota_starves_the_agent():
    with hostile.Peer(hostile.silent) as silent, Listener() as well:
        checks = {"app": tcp(well.address, interval="2s", timeout="1s", edge_interval="1s", max_age="1m")}
        with Quota() as quota, Agent({"checks": checks}, timeout=40, argv_prefix=quota.prefix) as agent:
            agent.wait_for(lambda: agent.check("app")["state"] == "pass")
            checks["app"] = {**checks["app"], "address": silent.address, "expect": "hello"}
            with quota.squeezed(percent=4):
                agent.reload({"checks": checks})
                agent.wait_for(lambda: agent.check("app")["history"].count("?") >= 2)
                assert agent.check("app")["state"] == "pass" and "F" not in agent.check("app")["history"]
            agent.wait_for(lambda: agent.check("app")["state"] == "fail", what="with air again the truth is found")


# ---- clocks --------------------------------------------------------------------------------------------------------


# The library also fakes timerfd_settime, and takes an absolute time of any clock for one of the wall clock's: a timer that is
# to fire at once would fire in ten days. This one, which comes first, leaves timers alone.
PLAIN_TIMERS = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
int timerfd_settime(int fd, int flags, const struct itimerspec* new_value, struct itimerspec* old_value) {
  return (int)syscall(SYS_timerfd_settime, fd, flags, new_value, old_value);
}
"""


# What a suspend looks like from within: the clock that counts it has moved on, the other has not.
SLEEPING_CLOCK = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t which, struct timespec* t) {
  int result = (int)syscall(SYS_clock_gettime, which, t);
  if (which == CLOCK_BOOTTIME && result == 0) {
    FILE* f = fopen(getenv("SLEPT_FILE"), "re");
    long seconds = 0;
    if (f != NULL && fscanf(f, "%ld", &seconds) == 1) t->tv_sec += seconds;
    if (f != NULL) fclose(f);
  }
  return result;
}
"""


def preload(tmp_path, source):
    """A library made of this, to be put before all others."""
    if shutil.which("gcc") is None:
        pytest.skip("needs the package gcc")
    library = tmp_path / "shim.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=source, text=True, check=True)
    return library


@pytest.fixture
def clock(tmp_path):
    """A file that says by how much the wall clock of a process is off, and the environment for that process."""
    if FAKETIME is None:
        pytest.skip("needs the package faketime")
    shim = preload(tmp_path, PLAIN_TIMERS)
    file = tmp_path / "clock"
    file.write_text("+0")
    env = {"LD_PRELOAD": f"{shim} {FAKETIME}", "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
           "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    return types.SimpleNamespace(jump=lambda by: file.write_text(by), env=env)


def test_a_wall_clock_that_jumps_both_ways_changes_nothing(target, clock):
    with Agent({"checks": {"app": tcp(target.address)}}, env=clock.env) as agent:
        agent.wait_ready()
        agent.ctl("drain", "--for", "30m", "--reason", "jump")
        agent.ctl("maintenance", "default", "--for", "2s")
        for jump in ("+400d", "-400d"):
            clock.jump(jump)
            streak = agent.check("app")["streak"]
            started = time.monotonic()
            agent.wait_for(lambda: agent.check("app")["streak"] >= streak + 4)
            assert time.monotonic() - started > 0.6  # four looks take their time: no burst
            year = time.gmtime(time.time() + (400 if jump[0] == "+" else -400) * 86400).tm_year
            assert agent.check("app")["last_result"].startswith(str(year))  # it did see the jump
        assert not changes(agent) and not agent.events("agent_stalled") and not agent.events("host_slept")
        # An end that was set is an instant: the jump neither ended the drain nor kept the two seconds alive.
        agent.wait_for(lambda: [o["kind"] for o in agent.admin("/api/v1/status").json()["overlays"]] == ["drain"])
        age = agent.check("app")["age_ms"]
        assert 0 <= age < 5000
        clock.jump("+0")
        agent.ctl("resume")
        agent.wait_for(lambda: agent.health().status == 200)


def test_a_restart_across_a_clock_that_went_back_trusts_nothing_old_and_changes_no_check(target, clock):
    with Agent({"checks": {"app": tcp(target.address)}}, env=clock.env) as agent:
        agent.wait_ready()
        assert agent.end() == 0
        clock.jump("-10d")
        agent.start()
        agent.wait_for(lambda: agent.health().status == 200)
        assert not changes(agent)


def test_a_host_that_slept_ages_what_was_known_and_looks_again_before_anything_changes(target, tmp_path):
    slept = tmp_path / "slept"
    slept.write_text("0")
    env = {"LD_PRELOAD": str(preload(tmp_path, SLEEPING_CLOCK)), "SLEPT_FILE": str(slept)}
    config = {"checks": {f"c{i}": tcp(target.address, interval="3s", edge_interval="1s") for i in range(6)}}
    with Agent(config, env=env) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: agent.health().status == 200)
        slept.write_text(str(8 * 3600))
        agent.wait_for(lambda: agent.events("host_slept"))
        assert agent.events("host_slept")[0]["for"] in ("8h", "7h 59m")
        agent.wait_for(lambda: agent.health().status == 200)
        told = [e["answer"] for e in agent.events("service_state")]
        assert told == ["pass", "fail", "pass"], "eight hours old is not pass; the fresh look is"
        assert not changes(agent)


# ---- names ---------------------------------------------------------------------------------------------------------

NAMED = {
    "http": lambda name: {"type": "http", "url": f"http://{name}:8080/"},
    "tcp": lambda name: {"type": "tcp", "address": f"{name}:80"},
    "postgres": lambda name: {"type": "postgres", "host": name, "user": "app", "database": "app"},
    "mysql": lambda name: {"type": "mysql", "host": name, "user": "app"},
    "ldap": lambda name: {"type": "ldap", "uri": f"ldap://{name}"},
}


def test_a_dead_resolver_is_our_trouble_and_a_name_that_is_not_there_the_targets(tmp_path):
    """A name server of our own in namespaces of our own; see resolving.py, which is what runs there."""
    if os.geteuid() != 0:
        pytest.skip("needs root for namespaces")
    done = subprocess.run(["unshare", "-n", "-m", "--propagation", "private", "/usr/bin/python3",
                           pathlib.Path(__file__).with_name("resolving.py"), tmp_path], capture_output=True, text=True,
                          timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.strip().split(" ", 1) for line in done.stdout.splitlines() if line.count("=") == 1 and " " in line)
    for kind in NAMED:
        assert lines[f"nxdomain-{kind}"] == "answer=fail/dns", done.stdout
        assert lines[f"silent-{kind}"] == "answer=unknown/agent", done.stdout
        assert lines[f"state-{kind}"] == "state=fail", done.stdout  # held: not being able to ask is no news
