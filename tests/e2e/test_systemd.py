"""The shipped unit under a real systemd 252: what it is told, when it restarts us, what survives that, and what it keeps us
from. See systemd.py for the machine."""
import json
import subprocess
import threading
import time

import pytest

from agent import BUILD, wait_for
from systemd import Systemd
from threads import FrozenThread

CONFIG = {
    "listen": {"health": {"address": "127.0.0.1:9180"}, "haproxy": {"address": "127.0.0.1:9181"}},
    "defaults": {"interval": "500ms", "timeout": "400ms", "edge_interval": "250ms", "retries": 0, "rise": 1, "fall": 2},
    "checks": {"root": {"type": "disk", "path": "/", "warn_free": "0%", "fail_free": "0%"}},
}
HEALTH = "http://127.0.0.1:9180/health"

# A server that wants a password, to see that a credential arrives.
SERVER = """[Service]
ExecStart=/usr/bin/python3 -c "%s"
"""
SERVER_CODE = ("import http.server as h, base64; "
               "H = type('H', (h.BaseHTTPRequestHandler,), {'do_GET': lambda s: (s.send_response(200 if "
               "s.headers.get('Authorization') == 'Basic ' + base64.b64encode(b'mon:s3cret-cred').decode() else 401), "
               "s.end_headers()), 'log_message': lambda *a: None}); "
               "h.HTTPServer(('127.0.0.1', 8081), H).serve_forever()")


@pytest.fixture(scope="module")
def machine():
    with Systemd() as booted:
        booted.drop_in("vitald.service", "[Service]\nWatchdogSec=2s\nRestartSec=200ms\n")
        yield booted


@pytest.fixture
def vitald(machine):
    """The agent under its unit, well, freshly started."""
    machine.write("/etc/vitald/vitald.yaml", json.dumps(CONFIG))
    machine.systemctl("reset-failed", "vitald", check=False)
    machine.systemctl("start", "vitald")
    wait_for(lambda: machine.fetch(HEALTH)[0] == 200, 20, "it is well")
    yield machine
    machine.systemctl("stop", "vitald")
    machine.run("rm", "-rf", "/var/lib/private/vitald", "/etc/systemd/system/vitald.service.d/zz-more.conf")
    machine.systemctl("daemon-reload")


def unit(machine):
    return machine.show("vitald")


def adopted(machine):
    """How many reloads the journal knows of."""
    return sum("event=config_adopted" in str(r.get("MESSAGE")) for r in machine.journal("vitald.service"))


def test_it_is_started_when_it_is_ready_and_says_how_it_is(vitald):
    seen = unit(vitald)
    assert (seen["ActiveState"], seen["SubState"], seen["Type"]) == ("active", "running", "notify")
    wait_for(lambda: unit(vitald)["StatusText"].startswith("pass: 1 checks"), 5)
    vitald.run("vitalctl", "drain", "--reason", "deploy")
    wait_for(lambda: "deploy" in unit(vitald)["StatusText"], 5)
    vitald.run("vitalctl", "resume")


def test_a_reload_is_adopted_or_refused_and_the_status_says_so(vitald):
    before = unit(vitald)["MainPID"]
    more = {**CONFIG, "checks": {**CONFIG["checks"], "memory": {"type": "memory"}}}
    vitald.write("/etc/vitald/vitald.yaml", json.dumps(more))
    vitald.systemctl("reload", "vitald")
    wait_for(lambda: unit(vitald)["StatusText"].startswith("pass: 2 checks"), 5)
    vitald.write("/etc/vitald/vitald.yaml", "checks: {broken: {type: nosuch}}\n")
    vitald.systemctl("reload", "vitald")
    wait_for(lambda: "the last reload was refused" in unit(vitald)["StatusText"], 5)
    seen = unit(vitald)
    assert (seen["ActiveState"], seen["MainPID"], seen["NRestarts"]) == ("active", before, "0")
    assert vitald.fetch(HEALTH)[0] == 200


def test_a_loop_that_stands_is_answered_for_first_and_then_restarted(vitald):
    vitald.drop_in("vitald.service", "[Service]\nWatchdogSec=8s\n", name="zz-more")
    vitald.systemctl("restart", "vitald")
    wait_for(lambda: vitald.fetch(HEALTH)[0] == 200, 20)
    pid = vitald.main_pid("vitald")
    with FrozenThread(vitald.host_pid(pid)):
        wait_for(lambda: vitald.fetch(HEALTH)[0] == 503, 7, "the front says 503 by itself")
        wait_for(lambda: vitald.main_pid("vitald") not in (0, pid), 40, "systemd has restarted it")
    seen = unit(vitald)
    assert seen["NRestarts"] == "1"
    said = " ".join(str(r.get("MESSAGE")) for r in vitald.journal("vitald.service"))
    assert "Watchdog timeout" in said
    wait_for(lambda: vitald.fetch(HEALTH)[0] == 200, 20, "and it is well again")


def test_kill_9_is_a_restart_that_forgets_no_overlay(vitald):
    vitald.run("vitalctl", "drain", "--reason", "kernel update", "--for", "2h")
    vitald.write("/var/lib/vitald/spool/default.maintenance", "new disk\n")
    wait_for(lambda: "new disk" in vitald.run("vitalctl", "status", check=False).stdout, 5)
    pid = vitald.main_pid("vitald")
    vitald.run("kill", "-9", pid)
    wait_for(lambda: vitald.main_pid("vitald") not in (0, pid), 20)
    codes = []

    def up():
        codes.append(vitald.fetch(HEALTH)[0])
        return codes[-1] != 0
    wait_for(up, 20)
    for _ in range(5):
        codes.append(vitald.fetch(HEALTH)[0])
    assert 200 not in codes, "it was never told to be well in between"
    status = vitald.run("vitalctl", "status", check=False).stdout
    assert "kernel update" in status and "new disk" in status
    vitald.run("vitalctl", "resume")
    vitald.run("rm", "/var/lib/vitald/spool/default.maintenance")
    wait_for(lambda: vitald.fetch(HEALTH)[0] == 200, 20)


def test_a_bad_configuration_ends_with_78_and_is_not_tried_again(vitald):
    vitald.write("/etc/vitald/vitald.yaml", "checks: {broken: {type: nosuch}}\n")
    assert vitald.systemctl("restart", "vitald", check=False).returncode != 0
    time.sleep(1.5)  # far more than RestartSec here
    seen = unit(vitald)
    assert (seen["ActiveState"], seen["Result"], seen["ExecMainStatus"]) == ("failed", "exit-code", "78")
    assert seen["NRestarts"] == "0"
    assert any("nosuch" in str(r.get("MESSAGE")) for r in vitald.journal("vitald.service")), "the mistake stands in the journal"


def test_a_secret_comes_by_credential_and_is_seen_nowhere(vitald):
    vitald.write("/etc/systemd/system/guarded.service", SERVER % SERVER_CODE.replace("%", "%%"))
    vitald.write("/etc/vitald/app.password", "s3cret-cred\n", mode=0o600)
    vitald.drop_in("vitald.service", "[Service]\nLoadCredential=app.password:/etc/vitald/app.password\n", name="zz-more")
    vitald.systemctl("start", "guarded")
    config = {**CONFIG, "checks": {"app": {"type": "http", "url": "http://127.0.0.1:8081/", "user": "mon",
                                          "password_file": "app.password"}}}
    vitald.write("/etc/vitald/vitald.yaml", json.dumps(config))
    vitald.systemctl("restart", "vitald")
    wait_for(lambda: vitald.fetch(HEALTH)[0] == 200, 20, "it logs in")
    vitald.systemctl("stop", "guarded")
    wait_for(lambda: vitald.fetch(HEALTH)[0] == 503, 20)
    pid = vitald.main_pid("vitald")
    everything = vitald.run("sh", "-c", f"cat /proc/{pid}/cmdline /proc/{pid}/environ; vitalctl status --json; "
                            "curl -s http://127.0.0.1:9180/metrics; curl -s 'http://127.0.0.1:9180/api/v1/checks'", check=False).stdout
    everything += json.dumps(vitald.journal("vitald.service")) + json.dumps(unit(vitald))
    assert "app" in everything and "s3cret-cred" not in everything


def test_stop_shows_drain_for_as_long_as_the_config_says(vitald):
    before = adopted(vitald)
    vitald.write("/etc/vitald/vitald.yaml", json.dumps({**CONFIG, "shutdown": {"drain": "3s"}}))
    vitald.systemctl("reload", "vitald")
    wait_for(lambda: adopted(vitald) > before, 10, "the reload is adopted")
    began = time.monotonic()
    stopping = threading.Thread(target=lambda: vitald.systemctl("stop", "vitald"))
    stopping.start()
    seen = []
    while stopping.is_alive():
        seen.append((round(time.monotonic() - began, 1), *vitald.fetch(HEALTH)))
        time.sleep(0.1)
    stopping.join()
    took = time.monotonic() - began
    drained = [s for s in seen if s[1] == 503]
    assert drained and drained[-1][0] - drained[0][0] > 1.5, seen
    assert 2.9 < took < 15
    assert unit(vitald)["Result"] == "success" and unit(vitald)["NRestarts"] == "0"


def test_it_runs_as_nobody_in_particular_with_nothing_it_does_not_need(vitald):
    pid = vitald.host_pid(vitald.main_pid("vitald"))
    status = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status").read().splitlines() if ":" in line)
    assert int(status["Uid"].split()[0]) > 60000  # a dynamic user
    assert int(status["CapEff"], 16) == 0 and status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    assert vitald.run("nsenter", "-t", vitald.main_pid("vitald"), "-m", "touch", "/etc/x", check=False).returncode != 0


# ---- the unit by itself: no PID 1 needed ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unit_file(tmp_path_factory):
    """The unit as installed, naming the programs of the build."""
    text = (BUILD / "systemd" / "vitald.service").read_text()
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    path = tmp_path_factory.mktemp("unit") / "vitald.service"
    path.write_text(text.replace(line, f"ExecStart={BUILD / 'src' / 'vitald'} run --config /etc/vitald/vitald.yaml"))
    return path


def test_systemd_finds_nothing_wrong_with_the_unit(unit_file):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit_file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "vitald.service" not in done.stderr, done.stderr


def test_its_exposure_stays_below_the_threshold(unit_file):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", unit_file],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
