"""The ntp check against chrony, and against servers that only pretend: synchronised or not, near or far, hung, gone."""
import os
import struct
import time

import pytest

import hostile
from judging import HUNG, judge, leaves_nothing, refused, repeat
from net_servers import Chrony
from test_dns import Pretender

pytestmark = pytest.mark.timeout(60)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="chronyd wants to be started by root")
NTP_EPOCH = 2208988800


@pytest.fixture(scope="module")
def chrony():
    with Chrony() as server:
        yield server


@needs_root
def test_a_server_that_is_synchronised(chrony):
    probe = judge("ntp", {"port": chrony.port}, "pass", "none", says="is synchronised, stratum 3")
    assert probe.measures["stratum"] == 3 and abs(probe.measures["offset"]) < 0.1 and probe.facts["synchronised"] == "yes"
    judge("ntp", {"port": chrony.port, "max_stratum": 2}, "fail", "content", says="its stratum is 3, expected at most 2")


@needs_root
def test_a_server_that_is_not_synchronised_answers_all_the_same():
    with Chrony(stratum=None) as server:
        judge("ntp", {"port": server.port}, "fail", "content", says="it is not synchronised")


@needs_root
def test_a_hung_server_is_a_timeout_and_a_stopped_one_refuses():
    with Chrony() as server:
        server.hang()
        judge("ntp", {"port": server.port}, "fail", "timeout", says="no answer came", timeout=HUNG)
        server.resume()
        judge("ntp", {"port": server.port}, "pass", "none")
        server.stop()
        judge("ntp", {"port": server.port}, "fail", "refused")
    judge("ntp", {"host": hostile.NO_SUCH_NAME}, "fail", "dns")


@needs_root
def test_hundreds_of_probes_leave_nothing(chrony):
    mark = chrony.log_mark()
    many = repeat("ntp", {"port": chrony.port, "warn_offset": "1s"}, 300)
    assert many.descriptors[0] == many.descriptors[1] and many.growth_kib < 1024 and "fail/" not in many.output
    assert chrony.log_since(mark) == ""
    leaves_nothing(repeat("ntp", {"port": 1}, 200), "fail/refused", 200)


def answer(query, ahead=0.0, first=0x24, stratum=2, reference=b"\x0a\0\0\x05", cookie=None):
    now = time.time() + ahead + NTP_EPOCH
    stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
    return (struct.pack("!BBbb", first, stratum, 3, -20) + bytes(8) + reference + stamp + (cookie or query[40:48]) + stamp + stamp)


PRETENDERS = {
    "right": (lambda q: [answer(q)], "pass", "none", "synchronised"),
    "half a second ahead": (lambda q: [answer(q, 0.5)], "warn", "content", "ahead of this host's"),
    "an hour behind": (lambda q: [answer(q, -3600)], "fail", "content", "behind this host's"),
    "asks for patience": (lambda q: [answer(q, first=0xe4, stratum=0, reference=b"RATE")], "warn", "protocol", "RATE"),
    "denies": (lambda q: [answer(q, first=0xe4, stratum=0, reference=b"DENY")], "unknown", "auth", "DENY"),
    "another's answer first": (lambda q: [answer(q, cookie=bytes(8)), answer(q)], "pass", "none", ""),
    "only others' answers": (lambda q: [answer(q, cookie=bytes(8))] * 10, "fail", "protocol", "nobody asked"),
    "the question itself": (lambda q: [q] * 10, "fail", "protocol", "no NTP"),
    "garbage": (lambda q: [bytes(range(256))] * 10, "fail", "protocol", "no NTP"),
    "too short": (lambda q: [answer(q)[:47]] * 10, "fail", "protocol", "no NTP"),
    "nothing": (lambda q: [], "fail", "timeout", "no answer came"),
}


@pytest.mark.parametrize("name", PRETENDERS)
def test_servers_that_only_pretend(name):
    reply, verdict, cause, says = PRETENDERS[name]
    with Pretender(reply) as server:
        judge("ntp", {"port": server.port}, verdict, cause, says=says, timeout=HUNG)


def test_a_question_that_was_lost_is_asked_again():
    seen = []
    with Pretender(lambda q: [answer(q)] if len(seen) == 2 else seen.append(q) or []) as server:
        judge("ntp", {"port": server.port}, "pass", "none", timeout="2s")


@pytest.mark.parametrize("options, says", [({"host": "a:1"}, "host"), ({"warn_offset": "2s"}, "warn_offset")])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("ntp", options, says)
