"""The systemd check against a real systemd, PID 1 of namespaces of its own, over its own bus; and against a bus that hangs."""
import shutil
import socket
import time

import pytest

from agent import wait_for
from systemd import Systemd
from worker import worker_probe

UNITS = {
    "good.service": "[Service]\nExecStart=/bin/sleep 1000\n",
    "bad.service": "[Service]\nExecStart=/bin/false\n",
    "killed.service": "[Service]\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n",
    "restarts.service": "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 0.05\nRestart=always\nRestartSec=50ms\n",
    "once.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "slow.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n",
}


@pytest.fixture(scope="module")
def ask():
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    with Systemd(install=False) as machine:
        for name, text in UNITS.items():
            machine.write(f"/etc/systemd/system/{name}", text)
        machine.systemctl("daemon-reload")
        machine.systemctl("start", "dbus.service")
        bus = f"unix:path=/proc/{machine.init}/root/run/dbus/system_bus_socket"

        def probe(unit, timeout="5s", **options):
            return worker_probe("systemd", {"unit": unit, "bus": bus, **options}, timeout=timeout)
        probe.machine = machine
        yield probe


def test_states_sub_states_and_results_are_told_apart(ask):
    ask.machine.systemctl("start", "good.service", "once.service")
    ask.machine.systemctl("start", "--no-block", "bad.service", "killed.service", "slow.service")
    good = ask("good.service")
    assert (good.verdict, good.cause, good.text) == ("pass", "none", "good.service is active (running)")
    assert (good.facts["active"], good.facts["sub"], good.facts["result"]) == ("active", "running", "success")
    wait_for(lambda: ask("bad.service").facts["active"] == "failed", 10)
    bad = ask("bad.service")
    assert (bad.verdict, bad.cause) == ("fail", "content") and "result exit-code" in bad.text
    wait_for(lambda: ask("killed.service").facts["result"] in ("signal", "core-dump"), 10)
    assert ask("slow.service").verdict == "warn"
    assert ask("once.service").verdict == "fail"
    assert ask("once.service", allow_inactive=True).verdict == "pass"
    assert (ask("nobody.service").verdict, ask("nobody.service").cause) == ("unknown", "config")


def test_a_unit_that_keeps_restarting_is_counted(ask):
    ask.machine.systemctl("start", "restarts.service")
    wait_for(lambda: ask("restarts.service").measures["restarts"] >= 3, 20)
    ask.machine.systemctl("stop", "restarts.service")


def test_a_bus_that_does_not_answer_is_our_trouble_and_told_in_time(tmp_path):
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(tmp_path / "bus"))
        bus.listen(8)
        started = time.monotonic()
        probe = worker_probe("systemd", {"unit": "good.service", "bus": f"unix:path={tmp_path}/bus"}, timeout="1s")
        assert (probe.verdict, probe.cause) == ("unknown", "agent"), probe.output
        assert time.monotonic() - started < 1.5
    gone = worker_probe("systemd", {"unit": "good.service", "bus": f"unix:path={tmp_path}/nothing"}, timeout="1s")
    assert (gone.verdict, gone.cause) == ("unknown", "agent")
