"""The daemon as systemd and operators meet it: starting, reloading, stopping, refusing, logging, being watched."""
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from agent import BUILD, VITALD, Agent, Listener, free_port, wait_for

QUICK = {"interval": "300ms", "timeout": "200ms", "retries": 0, "rise": 1, "fall": 1}


def tcp(address, **more):
    return {"type": "tcp", "address": address, **QUICK, **more}


@pytest.fixture
def target():
    with Listener() as listener:
        yield listener


@pytest.fixture
def agent(target):
    with Agent({"checks": {"app": tcp(target.address)}, "services": {"web": ["app"]}}) as running:
        running.wait_ready()
        yield running


# ---- starting and stopping -----------------------------------------------------------------------------------------


def test_it_starts_answers_and_ends_with_zero(agent):
    assert agent.health().status == 200
    assert agent.health("/health/web").json()["status"] == "pass"
    workers = agent.descendants()
    assert workers
    assert agent.end() == 0
    assert [e["event"] for e in agent.events()][-1] == "stopped"
    assert not [w for w in workers if os.path.exists(f"/proc/{w}")]


def test_short_form_of_the_command_line_is_the_same(target):
    agent = Agent({"checks": {"app": tcp(target.address)}}, start=False)
    try:
        process = subprocess.Popen([VITALD, "-c", agent.config_file], stderr=subprocess.PIPE, text=True)
        try:
            assert any("event=listening" in line for line in process.stderr)
        finally:
            process.terminate()
            assert process.wait(10) == 0
    finally:
        agent.stop()


def test_sigterm_shows_drain_for_as_long_as_the_config_says(target):
    config = {"checks": {"app": tcp(target.address)}, "shutdown": {"drain": "2s"},
              "listen": {"haproxy": {"address": "127.0.0.1:0"}}}
    with Agent(config) as agent:
        agent.wait_ready()
        assert agent.health().status == 200
        before = time.monotonic()
        agent.process.terminate()
        agent.wait_for(lambda: agent.health().status == 503, 1.5)
        assert agent.health().headers["x-health-status"] == "fail"
        assert agent.haproxy().startswith("up drain")
        assert agent.admin("/api/v1/status").json()["is_stopping"]
        assert agent.end(sig=0) == 0
        assert 1.8 < time.monotonic() - before < 6


def test_a_second_sigterm_ends_at_once(target):
    with Agent({"checks": {"app": tcp(target.address)}, "shutdown": {"drain": "1h"}}) as agent:
        agent.process.terminate()
        agent.wait_for(lambda: agent.events("stopping"))
        before = time.monotonic()
        assert agent.end() == 0
        assert time.monotonic() - before < 3


def test_sigint_ends_it_too(agent):
    assert agent.end(signal.SIGINT) == 0


def test_a_port_in_use_is_one_line_that_names_it(target):
    with Listener() as taken:
        agent = Agent({"checks": {"app": tcp(target.address)}, "listen": {"health": {"address": taken.address}}},
                      start=False)
        try:
            agent.start(wait=False)
            assert agent.process.wait(15) == 1
            assert agent.log().count("\n") == 1
            assert taken.address in agent.log()
            agent.process = None
        finally:
            agent.stop()


def test_ten_mistakes_are_ten_lines_and_nothing_is_started():
    config = """
profile: lenientt
workers: {max: 0}
chekcs: {}
listen:
  haproxy: {address: nonsense}
checks:
  a: {type: tcp, address: "127.0.0.1:1", interval: 10}
  b: {type: nosuch}
  c: {type: tcp}
  d: {type: tcp, address: "127.0.0.1:1", depends_on: [zzz]}
  e: {type: tcp, address: "127.0.0.1:1", rise: 0}
services:
  web: {all: [a, missing]}
"""
    agent = Agent(config, start=False)
    try:
        agent.start(wait=False)
        assert agent.process.wait(20) == 78
        lines = agent.log().splitlines()
        assert len(lines) >= 10, agent.log()
        assert all(re.match(r".*vitald\.yaml:\d+:\d+: ", line) for line in lines), agent.log()
        assert not agent.socket.exists()
        assert not list(agent.state_dir.iterdir())
        agent.process = None
    finally:
        agent.stop()


def test_a_config_that_is_not_there_is_one_line():
    done = subprocess.run([VITALD, "run", "-c", "/nowhere/vitald.yaml"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78
    assert "/nowhere/vitald.yaml" in done.stderr and done.stderr.count("\n") == 1


# ---- reload --------------------------------------------------------------------------------------------------------


def test_sighup_adopts_a_new_config_and_checks_that_did_not_change_go_on(agent, target):
    before = agent.check("app")
    reloaded = agent.reload({"checks": {"app": tcp(target.address), "second": tcp(target.address)},
                             "services": {"web": ["app", "second"]}})
    assert reloaded["event"] == "config_adopted" and "1 check added (second)" in reloaded["changes"]
    agent.wait_for(lambda: agent.check("second")["state"] == "pass")
    agent.wait_for(lambda: agent.check("app")["streak"] > before["streak"])
    assert agent.check("app")["since"] == before["since"]
    # The listener was not touched.
    assert len(agent.addresses("health")) == 1 and agent.health().status == 200


def test_a_refused_reload_leaves_the_old_config_running_and_is_seen_everywhere(agent):
    refused = agent.reload("checks:\n  app: {type: tcp, adress: \"127.0.0.1:1\"}\n")
    assert refused["event"] == "config_refused"
    assert "vitald.yaml:2:" in refused["first"]
    assert agent.health("/health/web").status == 200
    assert agent.admin("/api/v1/status").json()["config"]["is_current"] is False
    assert "vitald_config_last_reload_success 0" in agent.admin("/metrics").text
    assert any("refused" in n for n in agent.health("/health?verbose").json()["notes"])
    assert agent.health("/readyz").status == 503


def test_a_good_reload_after_a_refused_one_makes_everything_well(agent, target):
    agent.reload("nonsense: [")
    assert agent.reload({"checks": {"app": tcp(target.address)}, "services": {"web": ["app"]}})["event"] == "config_adopted"
    assert agent.health("/readyz").status == 200
    assert "vitald_config_last_reload_success 1" in agent.admin("/metrics").text
    assert 'vitald_config_reloads_total{result="refused"} 1' in agent.admin("/metrics").text


def test_a_reload_moves_a_listener_and_refuses_one_that_is_taken(agent, target):
    checks = {"app": tcp(target.address)}
    old = agent.health_address
    with Listener() as taken:
        refused = agent.reload({"checks": checks, "listen": {"health": {"address": taken.address}}})
        assert refused["event"] == "config_refused" and taken.address in refused["first"]
        assert agent.health().status == 200
    new = f"127.0.0.1:{free_port()}"
    agent.reload({"checks": checks, "listen": {"health": {"address": new}}})
    assert agent.health_address == new
    assert agent.health().status == 200
    with pytest.raises(OSError):
        socket.create_connection(tuple(old.rsplit(":", 1)), timeout=1).close()


def test_many_sighups_at_once_are_few_reloads_and_the_last_word_counts(agent, target):
    agent.write_config({"checks": {"app": tcp(target.address), "last": tcp(target.address)}})
    for _ in range(50):
        agent.process.send_signal(signal.SIGHUP)
    agent.wait_for(lambda: agent.admin("/api/v1/checks/last").status == 200)
    agent.wait_for(lambda: agent.check("last")["state"] == "pass")
    assert 1 <= len(agent.events("config_adopted")) <= 50


def test_the_state_of_a_changed_check_is_kept_until_it_is_known_anew(agent):
    with Listener() as other:
        agent.reload({"checks": {"app": tcp(other.address)}, "services": {"web": ["app"]}})
        assert agent.health("/health/web").status == 200
        agent.wait_for(lambda: agent.check("app")["state"] == "pass")


# ---- logs ----------------------------------------------------------------------------------------------------------


def test_a_log_of_json_names_the_node_in_every_line(target):
    with Agent({"node": {"name": "web-7"}, "log": {"format": "json"}, "checks": {"app": tcp(target.address)}},
               start=False) as agent:
        agent.start(wait=False)
        wait_for(lambda: '"event":"listening"' in agent.log(), 15)
        wait_for(lambda: '"event":"check_state"' in agent.log(), 15)
        lines = [json.loads(line) for line in agent.log().splitlines()]
        assert {line["node"] for line in lines} == {"web-7"}
        assert all(line["ts"].endswith("Z") and line["level"] for line in lines)
        states = [line for line in lines if line["event"] == "check_state"]
        assert states[0]["check"] == "app" and states[0]["to"] == "pass"


def test_a_log_file_is_opened_anew_on_sighup(target):
    agent = Agent({"checks": {}}, start=False)
    try:
        path = agent.folder / "vitald.log"
        config = {"log": {"file": str(path)}, "checks": {"app": tcp(target.address)}}
        agent.write_config(config)
        agent.start(wait=False)
        wait_for(lambda: path.exists() and "event=listening" in path.read_text(), 15)
        path.rename(agent.folder / "vitald.log.1")
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: path.exists() and "event=config_adopted" in path.read_text(), 15)
    finally:
        agent.stop()


def test_transitions_are_logged_and_heartbeats_are_not(agent):
    agent.wait_for(lambda: agent.check("app")["streak"] > 8)
    assert len([e for e in agent.events() if e.get("check") == "app"]) == 1


def test_a_log_nobody_reads_does_not_hold_the_agent(target):
    agent = Agent({"checks": {"app": tcp(target.address)}}, start=False)
    address = f"127.0.0.1:{free_port()}"
    agent.write_config({"checks": {"app": tcp(target.address)}, "listen": {"health": {"address": address}}})
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen([VITALD, "-c", agent.config_file], stderr=write_end)
        try:
            wait_for(lambda: agent.admin("/readyz").status == 200, 15)
            for _ in range(80):  # each four lines of 600 bytes; the pipe holds 64 KiB
                agent.admin("/api/v1/maintenance", "POST", {"kind": "drain", "reason": "x" * 400})
                agent.admin("/api/v1/maintenance", "DELETE")
            assert agent.admin("/health").status == 200
            dropped = re.search(r"^vitald_log_lines_dropped_total (\d+)", agent.admin("/metrics").text, re.M)
            wait_for(lambda: int(re.search(r"^vitald_log_lines_dropped_total (\d+)", agent.admin("/metrics").text,
                                           re.M).group(1)) > 0, 10, f"dropped lines are counted, {dropped}")
        finally:
            process.terminate()
            assert process.wait(10) == 0
    finally:
        os.close(read_end)
        os.close(write_end)
        agent.stop()


# ---- systemd -------------------------------------------------------------------------------------------------------


class Manager:
    """What systemd is to a service of Type=notify: a datagram socket that remembers."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10)
        self.seen = []

    def wait(self, wanted, timeout=10):
        """The first message from now on, or before, with a line that starts so; with its time."""
        end = time.monotonic() + timeout
        while True:
            for entry in self.seen:
                if any(line.startswith(wanted) for line in entry[1]):
                    self.seen.remove(entry)
                    return entry
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            data = self.socket.recv(65536).decode()
            self.seen.append((time.monotonic(), data.splitlines()))


@pytest.fixture
def managed(tmp_path, target):
    manager = Manager(tmp_path)
    agent = Agent({"checks": {"app": tcp(target.address)}}, start=False,
                  env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000"})
    try:
        agent.start()
        yield manager, agent
    finally:
        agent.stop()
        manager.socket.close()


def test_systemd_hears_of_readiness_state_reload_and_stop(managed, target):
    manager, agent = managed
    manager.wait("READY=1")
    manager.wait("STATUS=pass: ")
    agent.reload({"checks": {"app": tcp(target.address), "second": tcp(target.address)}})
    reloading = manager.wait("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in reloading[1])
    assert manager.wait("READY=1")[0] >= reloading[0]
    agent.reload("nonsense: [")
    manager.wait("RELOADING=1")
    status = manager.wait("STATUS=pass: 2 checks")
    while not any("reload was refused" in line for line in status[1]):
        status = manager.wait("STATUS=pass: 2 checks")
    assert agent.end() == 0
    manager.wait("STOPPING=1")


def test_the_watchdog_is_fed_twice_as_often_as_asked(managed):
    manager, _ = managed
    first = manager.wait("WATCHDOG=1")[0]
    times = [manager.wait("WATCHDOG=1")[0] for _ in range(6)]
    assert max(b - a for a, b in zip([first, *times], times)) < 0.95


def test_a_stopped_agent_feeds_no_watchdog_and_is_well_again_when_it_goes_on(managed):
    manager, agent = managed
    agent.wait_ready()
    agent.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(0.3)
        manager.seen.clear()
        manager.socket.setblocking(False)
        while True:
            try:
                manager.socket.recv(65536)
            except BlockingIOError:
                break
        with pytest.raises(TimeoutError):
            manager.wait("WATCHDOG=1", 1.5)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    manager.wait("WATCHDOG=1")
    agent.wait_for(lambda: agent.health().status == 200)


class Frozen:
    """Stops one thread of a process and no other, as a loop that hangs would: PTRACE_SEIZE and PTRACE_INTERRUPT."""

    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
    WALL = 0x40000000

    def __init__(self, thread):
        self.thread = thread
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(self, request):
        if self.libc.ptrace(request, self.thread, None, None) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def __enter__(self):
        try:
            self.ptrace(self.SEIZE)
        except PermissionError:
            pytest.skip("this machine does not let us trace our own child")
        self.ptrace(self.INTERRUPT)
        os.waitpid(self.thread, self.WALL)

    def __exit__(self, *_):
        self.ptrace(self.DETACH)


def test_when_the_loop_hangs_the_front_says_so_by_itself(agent):
    assert agent.health("/health/web").status == 200 and agent.health("/livez").status == 200
    with Frozen(agent.pid):
        agent.wait_for(lambda: agent.health("/health/web").status == 503, 8)
        assert agent.health("/livez").status == 503
        assert agent.health("/health").status == 503
        assert agent.admin("/api/v1/status").json()["is_stalled"]
        assert "vitald_agent_stalled 1" in agent.admin("/metrics").text
        done = agent.ctl("status")
        assert done.returncode == 2 and "stalled" in done.stdout
    agent.wait_for(lambda: agent.health("/health/web").status == 200, 8)
    assert agent.health("/livez").status == 200
    # Being away is our own trouble: no check failed for it.
    assert not [e for e in agent.events("check_state") if e["to"] == "fail"]


# ---- overlays and the state file -----------------------------------------------------------------------------------


def drained(agent):
    return agent.admin("/api/v1/status").json()["node"]["overlay"] == "drain"


def test_an_overlay_survives_kill_9(agent):
    answer = agent.admin("/api/v1/maintenance", "POST", {"kind": "drain", "for": "1h", "reason": "deploy", "owner": "alice"})
    assert answer.status == 200 and answer.json()["is_saved"]
    agent.kill9()
    agent.start()
    assert drained(agent) and agent.health().status == 503
    overlay = agent.admin("/api/v1/status").json()["overlays"][0]
    assert (overlay["owner"], overlay["reason"], overlay["until"]) == ("alice", "deploy", answer.json()["until"])
    assert agent.admin("/api/v1/maintenance", "DELETE").json()["cleared"]
    agent.kill9()
    agent.start()
    assert not drained(agent)


def test_an_overlay_that_ended_while_nobody_ran_is_over(agent):
    agent.admin("/api/v1/maintenance", "POST", {"kind": "drain", "for": "1s"})
    agent.kill9()
    time.sleep(1.1)
    agent.start()
    agent.wait_for(lambda: not drained(agent), 2)


def test_an_overlay_ends_by_itself(agent):
    agent.admin("/api/v1/maintenance", "POST", {"kind": "maintenance", "service": "web", "for": "1s"})
    assert agent.health("/health/web").status == 503
    agent.wait_for(lambda: agent.health("/health/web").status == 200, 5)
    assert agent.events("overlay_expired")


def test_a_restart_is_warm(agent):
    agent.end()
    agent.start()
    assert agent.health("/health/web").status == 200, "no moment of 503 for a restart"
    assert agent.check("app")["state"] == "pass"
    assert agent.events("state_restored")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00" * 5000])
def test_a_torn_or_foreign_state_file_is_ignored_with_one_line(agent, content):
    agent.admin("/api/v1/maintenance", "POST", {"kind": "drain"})
    agent.kill9()
    state = next(p for p in agent.state_dir.iterdir() if p.name == "state")
    state.write_bytes(content or state.read_bytes()[:-20])
    agent.start()
    agent.wait_ready()
    assert len(agent.events("state_ignored")) == 1
    assert agent.health().status == 200


def test_a_state_dir_that_cannot_be_written_is_one_warning(target):
    agent = Agent({"checks": {"app": tcp(target.address)}}, start=False)
    try:
        (agent.folder / "file").write_text("no folder")
        agent.write_config({"checks": {"app": tcp(target.address)}, "state_dir": str(agent.folder / "file")})
        agent.start()
        agent.wait_ready()
        answer = agent.admin("/api/v1/maintenance", "POST", {"kind": "drain"})
        assert answer.status == 200 and answer.json()["is_saved"] is False
        assert agent.health().status == 503
        assert agent.admin("/api/v1/maintenance", "DELETE").status == 200
        assert len(agent.events("state_not_saved")) == 1
    finally:
        agent.stop()


# ---- what it is made of --------------------------------------------------------------------------------------------


def test_the_agent_maps_no_library_of_any_check(agent):
    maps = pathlib.Path(f"/proc/{agent.pid}/maps").read_text()
    for library in ("libcurl", "libpq", "libmariadb", "libldap", "/checks/"):
        assert library not in maps, f"{library} is mapped into the agent"


def test_the_front_answers_while_the_agent_is_busy_with_a_thousand_connections_that_say_nothing(agent):
    host, port = agent.health_address.rsplit(":", 1)
    silent = [socket.create_connection((host, int(port)), timeout=2) for _ in range(300)]
    try:
        for s in silent[::2]:
            s.sendall(b"GET /hea")
        assert agent.health().status == 200
        assert agent.check("app")["state"] == "pass"
    finally:
        for s in silent:
            s.close()


def test_a_heartbeat_of_the_admin_api_runs_a_check_and_answers_with_its_result(agent):
    before = agent.check("app")
    answer = agent.admin("/api/v1/checks/app/run", "POST", timeout=20)
    assert answer.status == 200 and answer.json()["verdict"] == "pass"
    assert answer.json()["last_result"] >= before["last_result"]
    assert agent.admin("/api/v1/checks/nosuch/run", "POST").status == 404
    assert agent.admin("/api/v1/checks/app/result", "POST", {"verdict": "pass"}).status == 409


def test_nothing_is_written_through_the_health_listener(agent):
    for path in ("/api/v1/maintenance", "/api/v1/reload", "/api/v1/checks/app/run"):
        assert agent.health(path, method="POST", body="{}").status in (403, 404, 405)
    assert not agent.events("reloading") and not agent.events("overlay_set")


def test_events_are_kept_in_memory_and_can_be_asked_for(agent):
    page = agent.admin("/api/v1/events?check=app").json()
    assert [e["event"] for e in page["events"]] == ["check_state"]
    assert page["events"][0]["fields"]["to"] == "pass"
    assert agent.admin(f"/api/v1/events?after={page['last_id']}").json()["events"] == []
    assert agent.admin("/api/v1/events?since=lunch").status == 400


def test_build_directory_is_the_one_asked_for():
    assert BUILD.is_dir() and VITALD.exists()
