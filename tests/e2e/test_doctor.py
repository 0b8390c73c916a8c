"""vitalctl doctor: each trouble of an installation, planted, is found and has a line that says how to mend it."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import socketserver
import subprocess
import textwrap
import threading

import pytest

from agent import BUILD, VITALCTL, VITALD, Agent, Listener, free_port
from servers import temporary_directory

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="a namespace of its own needs root")
DISK = {"root": {"type": "disk", "path": "/", "warn_free": "1%", "fail_free": "0%"}}


@contextlib.contextmanager
def installed(checks=None, start=False, **config):
    """A configuration and its folder; the agent runs if `start` says so."""
    agent = Agent({"checks": checks or DISK, **config}, start=start)
    try:
        yield agent
    finally:
        agent.stop()


def doctor(agent, *argv, prefix=(), program=VITALCTL, env=None, limit=None, probes=False):
    """The findings by subject, and the exit code."""
    words = [*prefix, str(program), "doctor", "-c", str(agent.config_file), "--socket", str(agent.socket), "--json", *argv]
    if not probes:
        words.append("--no-probes")
    done = subprocess.run(words, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                          preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))) if limit else None)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert done.returncode == {"ok": 0, "warning": 1, "problem": 2}[said["worst"]], done
    found = {}
    for finding in said["findings"]:
        assert (finding["level"] == "ok") == (finding["mend"] is None), finding
        found.setdefault(finding["subject"], []).append(finding)
    return found


def only(found, subject, level):
    """The one line of that subject at that level."""
    lines = [f for f in found.get(subject, []) if f["level"] == level]
    assert len(lines) == 1, found.get(subject)
    return lines[0]


def in_mounts(script):
    """The words that run a command after `script` in mounts of its own."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script + '\nexec "$@"', "sh"]


def test_a_healthy_installation_has_nothing_but_ok():
    with Listener() as up, installed({"app": {"type": "tcp", "address": up.address}, **DISK}, start=True) as agent:
        found = doctor(agent, probes=True)
        of_host = {"clock", "resolver", "unit", "limits"}  # this machine's own
        assert {"config", "worker", "modules", "state", "agent", "target"} <= set(found)
        assert [f for subject, lines in found.items() if subject not in of_host for f in lines if f["level"] != "ok"] == []
        assert found["target"][0]["text"] == "2 of 2 checks pass at one look"
        assert "answers on" in found["agent"][0]["text"]


def test_lines_are_a_finding_each_and_what_mends_it_below():
    with installed() as agent:
        done = subprocess.run([VITALCTL, "doctor", "-c", agent.config_file, "--socket", agent.socket, "--no-probes"], capture_output=True, text=True,
                              timeout=60)
    lines = done.stdout.splitlines()
    assert done.returncode == 2 and done.stderr == ""
    assert all(re.match(r"(ok|warning|problem) +[a-z]+ +\S|         mend: +\S", line) for line in lines), done.stdout
    for above, below in zip(lines, lines[1:] + [""]):
        assert below.startswith("         mend:") == above.startswith(("warning", "problem")), above


def test_mistakes_of_the_configuration_have_their_place():
    with installed() as agent:
        agent.config_file.write_text("checks:\n  a: {type: tcp, adress: '127.0.0.1:1'}\n  b: {type: nosuch}\n")
        found = doctor(agent)
        texts = [f["text"] for f in found["config"]]
        assert any("vitald.yaml:2:" in t and "adress" in t for t in texts) and any("nosuch" in t for t in texts), texts
        agent.config_file.unlink()
        assert "vitald.yaml" in doctor(agent)["config"][0]["text"]


def test_a_secret_everybody_can_read():
    with installed({"db": {"type": "postgres", "host": "127.0.0.1", "user": "u", "password_file": "db.password"}}, start=False) as agent:
        secret = agent.folder / "db.password"
        secret.write_text("never-shown\n")
        secret.chmod(0o644)
        found = doctor(agent)
        line = only(found, "secrets", "problem")
        assert "db.password can be read by everybody" in line["text"] and "chmod o-r" in line["mend"]
        assert "never-shown" not in json.dumps(found)
        secret.chmod(0o600)
        assert "secrets" not in doctor(agent)


def test_a_configuration_everybody_can_write():
    with installed() as agent:
        agent.config_file.chmod(0o666)
        assert only(doctor(agent), "config", "problem")["mend"] == f"chmod o-w {agent.config_file}"


def test_modules_others_can_write_or_that_are_none():
    folder = temporary_directory("doctor-modules")
    folder.chmod(0o755)
    with installed(module_path=[str(folder)]) as agent:
        (folder / "broken.so").write_text("this is no module")
        (folder / "broken.so").chmod(0o644)
        line = only(doctor(agent), "modules", "problem")
        assert line["text"].startswith("broken: ") and line["mend"]
        (folder / "broken.so").unlink()
        folder.chmod(0o777)
        assert only(doctor(agent), "modules", "problem")["mend"] == f"chmod o-w {folder}"
        folder.rmdir()
        assert "No such file" in only(doctor(agent), "modules", "problem")["text"]


def test_a_worker_that_is_not_there():
    folder = temporary_directory("doctor-alone")
    (folder / "bin").mkdir()
    for program in (VITALD, VITALCTL):
        shutil.copy(program, folder / "bin")
    with installed() as agent:
        found = doctor(agent, program=folder / "bin" / "vitalctl")
        assert "vitald-worker: No such file" in only(found, "worker", "problem")["text"]


def test_a_state_directory_that_is_none_or_is_not_there():
    with installed() as agent:
        agent.write_config({"checks": DISK, "state_dir": str(agent.config_file)})
        assert "is no directory" in only(doctor(agent), "state", "problem")["text"]
        agent.write_config({"checks": DISK, "state_dir": "/nowhere/at/all"})
        assert "make it" in only(doctor(agent), "state", "problem")["mend"]
        agent.write_config({"checks": DISK, "state_dir": str(agent.folder / "later")})
        assert "the agent makes it" in only(doctor(agent), "state", "ok")["text"]
        agent.state_dir.chmod(0o777)
        agent.write_config({"checks": DISK})
        assert only(doctor(agent), "state", "problem")["mend"] == f"chmod o-w {agent.state_dir}"


@ROOT_ONLY
@pytest.mark.parametrize("options, level, said", [
    ("size=8m", "problem", "left"), ("size=200m", "warning", "the journal may grow by"), ("ro,size=1g", "problem", "read-only")])
def test_a_state_directory_with_little_room(options, level, said):
    with installed() as agent:
        mounted = in_mounts(f"mount -t tmpfs -o {options} none {agent.state_dir}")
        assert said in only(doctor(agent, prefix=mounted), "state", level)["text"]


def test_a_port_somebody_else_holds_is_told_with_his_name():
    with Listener() as thief, installed(listen={"health": {"address": thief.address}}) as agent:
        line = only(doctor(agent), "ports", "problem")
        assert line["text"] == f"{thief.address} (health) is held by {pathlib.Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"
        assert "listen.health" in line["mend"]


def test_an_address_that_is_not_of_this_host_and_ports_that_are_free_or_ours():
    port = free_port()
    with installed(listen={"health": {"address": "203.0.113.77:9180"}, "haproxy": {"address": f"127.0.0.1:{port}"}}) as agent:
        found = doctor(agent)
        assert "203.0.113.77:9180 (health) cannot be listened on" in only(found, "ports", "problem")["text"]
        assert only(found, "ports", "ok")["text"] == f"127.0.0.1:{port} (haproxy) is free"
    with installed(listen={"health": {"address": f"127.0.0.1:{port}"}}, start=True) as agent:
        assert only(doctor(agent), "ports", "ok")["text"] == f"127.0.0.1:{port} (health) is the agent's"


def test_an_address_of_the_file_that_the_running_agent_does_not_have():
    with installed(start=True) as agent:
        agent.write_config({"checks": DISK, "listen": {"health": {"address": f"127.0.0.1:{free_port()}"}}})
        line = only(doctor(agent), "ports", "problem")
        assert "nobody listens on 127.0.0.1:" in line["text"] and line["mend"].startswith("vitalctl reload")


def test_no_agent_and_one_that_is_none():
    with installed() as agent:
        assert "systemctl start vitald" in only(doctor(agent), "agent", "problem")["mend"]

        class Stranger(socketserver.StreamRequestHandler):
            def handle(self):
                self.rfile.readline()
                self.wfile.write(b"SSH-2.0-none\r\n")
        with socketserver.ThreadingUnixStreamServer(str(agent.socket), Stranger) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            assert "is not vitald" in only(doctor(agent), "agent", "problem")["text"]
            server.shutdown()
        agent.socket.unlink()


def test_an_agent_of_another_version_that_refused_a_reload():
    class Older(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            body = json.dumps({"version": "0.0.9", "is_stalled": True, "config": {"is_current": False, "problem": "line 3: nonsense"},
                               "journal": {"is_enabled": True, "is_healthy": False, "problem": "disk full"}}).encode()
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    with installed() as agent, socketserver.ThreadingUnixStreamServer(str(agent.socket), Older) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = doctor(agent)
        server.shutdown()
    assert only(found, "agent", "warning")["mend"] == "systemctl restart vitald"
    stands_still, refused, no_journal = [f for f in found["agent"] if f["level"] == "problem"]
    assert "stands still" in stands_still["text"] and "disk full" in no_journal["text"]
    assert refused["mend"] == "correct the file, then vitalctl reload" and "line 3: nonsense" in refused["text"]


def test_a_running_agent_that_refused_its_reload():
    with installed(start=True) as agent:
        good = agent.config_file.read_text()
        agent.config_file.write_text(good.replace('"disk"', '"dsik"'))
        agent.reload()
        found = doctor(agent)
        assert "refused the last reload" in only(found, "agent", "problem")["text"]
        assert "dsik" in found["config"][0]["text"]


UNIT = "LoadState={}\nUnitFileState={}\nActiveState={}\nResult={}\nWatchdogUSec={}\nLimitNOFILE=16384\n"


@ROOT_ONLY
@pytest.mark.parametrize("facts, level, said, mend", [
    (("loaded", "enabled", "active", "success", "15s"), "ok", "enabled and active", None),
    (("loaded", "enabled", "failed", "exit-code", "15s"), "problem", "has failed: exit-code", "journalctl -u vitald"),
    (("loaded", "enabled", "inactive", "success", "15s"), "problem", "is inactive", "systemctl start vitald"),
    (("loaded", "disabled", "active", "success", "15s"), "warning", "not enabled", "systemctl enable vitald"),
    (("loaded", "enabled", "active", "success", "0"), "warning", "no watchdog", "WatchdogSec=15s"),
    (("not-found", "", "inactive", "success", "0"), "warning", "not-found", "install the unit"),
])
def test_what_systemd_says_of_the_unit(facts, level, said, mend):
    folder = temporary_directory("doctor-systemctl")
    (folder / "systemctl").write_text("#!/bin/sh\ncat <<'END'\n" + UNIT.format(*facts) + "END\n")
    (folder / "systemctl").chmod(0o755)
    with installed() as agent:
        booted = in_mounts("mount -t tmpfs none /run\nmkdir -p /run/systemd/system")
        line = only(doctor(agent, prefix=booted, env={"PATH": f"{folder}:{os.environ['PATH']}"}), "unit", level)
        assert said in line["text"] and (mend or "") in (line["mend"] or "")


@pytest.mark.parametrize("state, status, error, level, said", [
    ("TIME_OK", "0", "2000", "ok", "wrong by at most 2 ms"), ("TIME_ERROR", "STA_UNSYNC", "0", "warning", "not synchronised"),
    ("TIME_OK", "0", "4000000", "warning", "may be wrong by 4000 ms")])
def test_a_clock_nobody_sets(state, status, error, level, said, tmp_path):
    (tmp_path / "clock.c").write_text(textwrap.dedent(f"""
        #include <sys/timex.h>
        int adjtimex(struct timex *t) {{ t->status = {status}; t->maxerror = {error}; return {state}; }}
        """))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c"], check=True, timeout=60)
    with installed() as agent:
        line = only(doctor(agent, env={"LD_PRELOAD": str(tmp_path / "clock.so")}), "clock", level)
        assert said in line["text"]


@ROOT_ONLY
def test_a_resolver_that_does_not_answer(tmp_path):
    (tmp_path / "resolv.conf").write_text("# ours\nnameserver 127.9.9.8\nnameserver 127.9.9.9\n")
    mounted = in_mounts(f"mount --bind {tmp_path}/resolv.conf $(readlink -f /etc/resolv.conf)")
    with installed() as agent:
        found = doctor(agent, prefix=mounted)["resolver"]
        assert [f["level"] for f in found] == ["problem", "problem"] and "refused" in found[0]["text"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.9.9.9", 53))

            def answer():
                question, who = server.recvfrom(512)
                server.sendto(question[:2] + b"\x81\x80" + question[4:], who)
            threading.Thread(target=answer, daemon=True).start()
            found = doctor(agent, prefix=mounted)["resolver"]
            assert [f["level"] for f in found] == ["warning", "ok"], "names are found, later"


def test_too_few_files():
    with installed() as agent:
        line = only(doctor(agent, limit=1024), "limits", "warning")
        assert "1024 open files" in line["text"] and "LimitNOFILE" in line["mend"]
    with installed(start=True) as agent:
        assert doctor(agent)["limits"][0]["text"].startswith("the agent may have")


def test_targets_that_cannot_be_reached_are_named_with_what_mends_them():
    with Listener() as up:
        checks = {"app": {"type": "tcp", "address": up.address}, "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}"},
                  "cache": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", "critical": False},
                  "night": {"type": "heartbeat", "max_age": "1h"}}
        with installed(checks) as agent:
            found = doctor(agent, probes=True)
    assert only(found, "target", "problem")["text"].startswith("db: fail/refused")
    assert "start what should listen there" in only(found, "target", "problem")["mend"]
    assert only(found, "target", "warning")["text"].startswith("cache: fail/refused")
    assert only(found, "target", "ok")["text"] == "1 of 3 checks pass at one look"


def test_nothing_is_changed_and_no_worker_stays():
    with installed() as agent:
        before = {p: p.stat().st_mtime_ns for p in agent.folder.rglob("*")}
        doctor(agent, probes=True)
        assert {p: p.stat().st_mtime_ns for p in agent.folder.rglob("*")} == before
        left = subprocess.run(["pgrep", "-f", f"^{BUILD}/src/vitald-worker"], capture_output=True, text=True).stdout.split()
        assert not [pid for pid in left if pathlib.Path(f"/proc/{pid}/stat").exists()
                    and pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1] == "1"]
