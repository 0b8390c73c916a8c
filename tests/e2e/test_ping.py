"""The ping check in network namespaces of its own: a host with the delays and losses we choose at the other end of a tun device,
one that is gone, a network that is not there, and a host that lets nobody ping."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from judging import judge, refused
from worker import BUILD, WORKER, arguments

pytestmark = [pytest.mark.timeout(60),
              pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/net/tun"), reason="needs root and /dev/net/tun")]
HOST = str(pathlib.Path(__file__).parent / "echo_host.py")
V4, V6, NOBODY = "10.9.0.2", "fd09::2", "10.8.0.1"


def line(delays="0", lose=0, closed=False):
    """For judge(wrap=...): runs the worker at this end of the line."""
    options = ["--delays", delays, "--lose", str(lose), *(["--closed"] if closed else [])]
    return lambda argv: ["unshare", "-n", sys.executable, HOST, *options, "--", *argv]


def ping(host, verdict, cause, says="", wrap=line(), timeout="2s", **options):
    return judge("ping", {"host": host, **options}, verdict, cause, says=says, timeout=timeout, wrap=wrap)


@pytest.mark.parametrize("host", [V4, V6])
def test_a_host_that_answers(host):
    probe = ping(host, "pass", "none", says=f"{host} answers in")
    assert probe.measures["loss"] == 0 and probe.measures["echoes"] == 5
    assert 0 < probe.measures["rtt"] < 0.1 and probe.facts["address"] == host
    ping(host, "pass", "none", count=1, size=0)
    ping(host, "pass", "none", count=2, size=1472 if host == V4 else 1400)


def test_a_round_trip_that_is_long():
    probe = ping(V4, "pass", "none", wrap=line("20"), spacing="50ms")
    assert 0.02 <= probe.measures["rtt"] < 0.2
    ping(V4, "warn", "latency", says="it answers in", wrap=line("20"), spacing="50ms", warn_rtt="10ms", fail_rtt="2s")
    ping(V4, "fail", "latency", says="it answers in", wrap=line("20"), spacing="50ms", fail_rtt="10ms")


def test_a_round_trip_that_varies():
    probe = ping(V4, "warn", "latency", says="the time it takes varies by", wrap=line("0,30"), spacing="60ms", warn_jitter="10ms")
    assert 0.01 < probe.measures["jitter"] < 0.2
    ping(V4, "fail", "latency", says="the time it takes varies by", wrap=line("0,30"), spacing="60ms", fail_jitter="10ms")


def test_echoes_that_are_lost():
    probe = ping(V4, "warn", "timeout", says="25% were lost", wrap=line(lose=4), count=8)
    assert probe.measures["loss"] == 25
    ping(V4, "fail", "timeout", says="25% were lost", wrap=line(lose=4), count=8, fail_loss=20)
    ping(V4, "pass", "none", wrap=line(lose=4), count=8, warn_loss=30)
    probe = ping(V4, "fail", "timeout", says="none of 5 echoes came back", wrap=line(lose=1), timeout="600ms")
    assert probe.measures["loss"] == 100 and "rtt" not in probe.measures


def test_an_echo_that_comes_late_is_not_taken_for_the_next():
    # Each comes back after its share of the time: none of them is the one that is waited for.
    ping(V4, "fail", "timeout", says="none of 5 echoes came back", wrap=line("300"), timeout="600ms")


def test_a_network_that_is_not_there():
    ping(NOBODY, "fail", "unreachable")
    ping("nothing-here.invalid", "unknown", "agent", timeout="600ms")  # no name server in that namespace


def test_a_host_that_lets_nobody_ping_is_our_trouble():
    without_the_right = line(closed=True)
    ping(V4, "unknown", "agent", says="sysctl -w net.ipv4.ping_group_range=",
         wrap=lambda argv: without_the_right(["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", *argv]))


@pytest.mark.parametrize("host", [V4, V6])
def test_with_the_right_to_raw_sockets_it_pings_from_a_host_that_lets_nobody(host):
    probe = ping(host, "pass", "none", says=f"{host} answers in", wrap=line(closed=True))
    assert probe.measures["loss"] == 0 and probe.facts["address"] == host
    ping(host, "pass", "none", count=1, size=0, wrap=line(closed=True))
    ping(host, "pass", "none", count=2, size=1001, wrap=line(closed=True))
    probe = ping(host, "warn", "timeout", says="25% were lost", wrap=line(lose=4, closed=True), count=8)
    assert probe.measures["loss"] == 25
    ping("127.0.0.1" if host == V4 else "::1", "pass", "none", wrap=line(closed=True))  # where requests come back too


def test_hundreds_of_probes_leave_nothing():
    argv = [str(WORKER), "--probe", str(BUILD / "checks" / "ping.so"), "--timeout", "2s", "--repeat", "300",
            *arguments({"host": V4, "count": 1})]
    done = subprocess.run(line()(argv), capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"})
    found = re.search(r"descriptors (\d+) -> (\d+), resident (\d+) -> (\d+) KiB", done.stdout)
    assert found, done.stdout + done.stderr
    numbers = [int(n) for n in found.groups()]
    assert numbers[0] == numbers[1] and numbers[3] - numbers[2] < 1024 and "fail/" not in done.stdout


@pytest.mark.parametrize("options, says", [
    ({}, "host"), ({"host": "a/b"}, "host"), ({"host": "a", "count": 5, "window": 3}, "window"),
    ({"host": "a", "warn_rtt": "2s", "fail_rtt": "1s"}, "warn_rtt"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("ping", options, says)
