"""systemd.start, stop and restart against a real systemd of its own, over its bus."""
import shutil
import socket

import pytest

from acting import Kind, outcome
from systemd import Systemd

UNITS = {
    "db.service": "[Service]\nExecStart=/bin/sleep 1000\n",
    "stubborn.service": "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=60\n",
    "broken.service": "[Service]\nExecStart=/bin/false\n",
}


@pytest.fixture(scope="module")
def machine():
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    with Systemd(install=False) as made:
        for name, text in UNITS.items():
            made.write(f"/etc/systemd/system/{name}", text)
        made.systemctl("daemon-reload")
        made.systemctl("start", "dbus.service")
        made.bus = f"unix:path=/proc/{made.init}/root/run/dbus/system_bus_socket"
        yield made


def job(machine, what, unit="db.service", **options):
    return Kind(f"systemd.{what}", unit=unit, bus=machine.bus, **{"min_uptime": "0s", **options})


def test_a_unit_is_started_stopped_and_restarted(machine):
    start, stop, restart = (job(machine, what) for what in ("start", "stop", "restart"))
    assert start.check().text == "db.service is inactive (dead)"
    assert start.perform().verdict == "pass" and start.verify().verdict == "pass"
    assert "already" in start.perform().text
    assert stop.verify(timeout="1s").verdict == "fail"
    assert restart.perform().verdict == "pass"
    assert stop.perform().verdict == "pass" and stop.verify().verdict == "pass"
    assert start.verify(timeout="1s").verdict == "fail"


def test_what_changed_just_now_is_left_alone(machine):
    assert job(machine, "start").perform().verdict == "pass"
    soon = job(machine, "restart", min_uptime="1h").perform()
    assert outcome(soon) == "vetoed" and "min_uptime" in soon.text


def test_a_unit_that_does_not_stop_or_start_is_not_believed(machine):
    machine.systemctl("start", "stubborn.service")
    slow = job(machine, "stop", "stubborn.service").perform(timeout="1500ms")
    assert slow.verdict == "fail" and "stubborn.service is deactivating" in slow.text
    machine.systemctl("kill", "-s", "KILL", "stubborn.service")
    job(machine, "start", "broken.service").perform(timeout="2s")
    assert job(machine, "start", "broken.service").verify(timeout="1s").verdict == "fail"
    assert outcome(job(machine, "start", "nobody.service").perform()) == "vetoed"


def test_a_bus_that_hangs_costs_the_time_of_the_step_and_no_more(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "bus"))
        listening.listen(8)
        hung = Kind("systemd.stop", unit="db.service", bus=f"unix:path={tmp_path}/bus").perform(timeout="1s")
    assert hung.verdict != "pass" and "does not answer" in hung.text and hung.seconds < 5
