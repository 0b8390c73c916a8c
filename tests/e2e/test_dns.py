"""The dns check against unbound and a pair of Knot DNS: records, codes, time to live, TCP where UDP does not do, serials;
broken in ways a port check does not see, hung; and against servers that only pretend."""
import socket
import struct
import threading

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat
from net_servers import Knot, Unbound
from servers import wait_until

pytestmark = pytest.mark.timeout(120)

LONG = ["big 300 TXT " + " ".join(f'"{c * 200}"' for c in "abcdefg"), *(f"many 300 A 192.0.2.{n}" for n in range(1, 100))]
RECORDS = ["www 300 A 192.0.2.10", "www 300 A 192.0.2.11", "www 300 AAAA 2001:db8::10", "alias 60 CNAME www",
           "@ 300 MX 10 mail", "@ 300 TXT \"v=spf1 -all\"", "_sip._tcp 300 SRV 1 2 5060 sip", *LONG]


@pytest.fixture(scope="module")
def knot():
    with Knot(RECORDS) as server:
        yield server


@pytest.fixture(scope="module")
def unbound(knot):
    with Unbound(data=["local.example.jp. 300 IN A 192.0.2.99", "10.2.0.192.in-addr.arpa. 300 IN PTR www.example.jp."],
                 forward=knot.port) as server:
        yield server


def ask(server, name, kind="A", **more):
    return {"port": server.port, "name": name, "record": kind, **{k.replace("__", "."): v for k, v in more.items()}}


# ---- working --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, kind, answers", [
    ("www.example.jp", "A", ["192.0.2.10", "192.0.2.11"]),
    ("WWW.Example.JP.", "A", ["192.0.2.10"]),
    ("www.example.jp", "AAAA", ["2001:DB8:0::10"]),
    ("alias.example.jp", "CNAME", ["www.example.jp."]),
    ("alias.example.jp", "A", ["192.0.2.11"]),
    ("example.jp", "MX", ["10 mail.example.jp"]),
    ("example.jp", "TXT", ["v=spf1 -all"]),
    ("_sip._tcp.example.jp", "SRV", ["1 2 5060 sip.example.jp"]),
    ("example.jp", "NS", ["ns1.example.jp"]),
    ("example.jp", "SOA", ["ns1.example.jp host.example.jp 1 3600 600 86400 60"]),
])
def test_every_type_of_record(knot, name, kind, answers):
    probe = judge("dns", ask(knot, name, kind, recursion=False, expect__answers=answers, expect__authoritative=True), "pass", "none")
    assert probe.facts["rcode"] == "NOERROR" and probe.facts["transport"] == "udp"
    assert probe.measures["ttl"] == (60 if name.startswith("alias") else 300)


def test_a_resolver(unbound):
    judge("dns", ask(unbound, "local.example.jp", expect__answers=["192.0.2.99"]), "pass", "none", says="local.example.jp A is 192.0.2.99")
    judge("dns", ask(unbound, "192.0.2.10", "PTR", expect__answers=["www.example.jp"]), "pass", "none")
    judge("dns", ask(unbound, "www.example.jp", expect__answers=["192.0.2.10"]), "pass", "none")
    judge("dns", ask(unbound, "local.example.jp", host="localhost"), "pass", "none")


def test_what_does_not_fit_comes_over_tcp(knot):
    for name, kind in (("big.example.jp", "TXT"), ("many.example.jp", "A")):
        probe = judge("dns", ask(knot, name, kind), "pass", "none")
        assert probe.facts["transport"] == "tcp"
    assert probe.measures["answers"] == 99
    assert judge("dns", ask(knot, "www.example.jp", transport="tcp"), "pass", "none").facts["transport"] == "tcp"


def test_codes_that_are_expected(knot):
    judge("dns", ask(knot, "nothing.example.jp", expect__rcode="NXDOMAIN"), "pass", "none", says="as expected")
    judge("dns", ask(knot, "elsewhere.example", expect__rcode="REFUSED"), "pass", "none")
    judge("dns", ask(knot, "www.example.jp", "MX", expect__min_answers=0), "pass", "none", says="no answer, as expected")


# ---- broken in ways a port check does not see ----------------------------------------------------------------------------

@pytest.mark.parametrize("name, kind, more, says", [
    ("nothing.example.jp", "A", {}, "answered with NXDOMAIN"),
    ("elsewhere.example", "A", {}, "answered with REFUSED"),
    ("www.example.jp", "MX", {}, "0 answers, expected at least 1"),
    ("www.example.jp", "A", {"expect__min_answers": 3}, "2 answers, expected at least 3"),
    ("www.example.jp", "A", {"expect__answers": ["192.0.2.12"]}, "expected 192.0.2.12 among them"),
    ("www.example.jp", "A", {"expect__answers": ["192.0.2.10"], "expect__exact": True}, 'is also "192.0.2.11"'),
    ("www.example.jp", "A", {"expect__rcode": "NXDOMAIN"}, "answered with NOERROR, expected NXDOMAIN"),
    ("alias.example.jp", "A", {"expect__min_ttl": "2m"}, "may be kept for 60 s only"),
    ("www.example.jp", "A", {"expect__authenticated": True}, "not authenticated"),
])
def test_answers_that_are_not_the_ones_expected(knot, name, kind, more, says):
    judge("dns", ask(knot, name, kind, **more), "fail", "content", says=says)


def test_a_resolver_that_is_told_nothing(unbound):
    judge("dns", ask(unbound, "elsewhere.example"), "fail", "content", says="answered with SERVFAIL")
    judge("dns", ask(unbound, "elsewhere.example", expect__rcode="SERVFAIL"), "pass", "none")


def test_an_answer_that_is_not_authoritative(unbound):
    judge("dns", ask(unbound, "www.example.jp", expect__authoritative=True), "fail", "role", says="not authoritative")


def test_a_secondary_that_falls_behind(knot):
    with Knot(["www 300 A 192.0.2.10"], serial=5) as primary, Knot(primary=primary) as secondary:
        def soa(**more):
            return ask(secondary, "example.jp", "SOA", primary=f"127.0.0.1:{primary.port}", **more)
        wait_until(lambda: secondary.zone_path.exists(), what="the zone is transferred")
        probe = judge("dns", soa(), "pass", "none")
        assert probe.facts["serial"] == probe.facts["primary_serial"] == "5" and probe.measures["serials_behind"] == 0
        primary.write_zone(7)
        primary.knotc("zone-reload", "example.jp")
        wait_until(lambda: "7" in judge("dns", ask(primary, "example.jp", "SOA"), "pass", "none").facts["serial"])
        probe = judge("dns", soa(), "warn", "content", says="has the serial 5, the primary")
        assert probe.measures["serials_behind"] == 2
        judge("dns", soa(fail_behind="0s"), "fail", "content", says="behind for")
        secondary.knotc("zone-retransfer", "example.jp")
        wait_until(lambda: judge("dns", ask(secondary, "example.jp", "SOA"), "pass", "none").facts["serial"] == "7")
        judge("dns", soa(fail_behind="0s"), "pass", "none")
        primary.hang()
        judge("dns", soa(), "warn", "content", says="gives no serial to compare with: no answer came", timeout="1s")
        primary.resume()


# ---- hung, stopped ------------------------------------------------------------------------------------------------------

def test_a_hung_server_is_a_timeout_and_a_stopped_one_refuses(unbound):
    with Unbound(data=["local.example.jp. 300 IN A 192.0.2.99"]) as server:
        server.hang()
        for transport in ("udp", "tcp"):
            judge("dns", ask(server, "local.example.jp", transport=transport), "fail", "timeout", says="no answer came", timeout=HUNG)
        server.resume()
        judge("dns", ask(server, "local.example.jp"), "pass", "none")
        server.stop()
        for transport in ("udp", "tcp"):
            judge("dns", ask(server, "local.example.jp", transport=transport), "fail", "refused")
    judge("dns", {"host": hostile.NO_SUCH_NAME, "name": "a.example"}, "fail", "dns")


def test_hundreds_of_probes_leave_nothing(knot, unbound):
    marks = knot.log_mark(), unbound.log_mark()
    leaves_nothing(repeat("dns", ask(knot, "www.example.jp", "AAAA"), 500), "pass/none", 500)
    leaves_nothing(repeat("dns", ask(knot, "big.example.jp", "TXT"), 300), "pass/none", 300)
    leaves_nothing(repeat("dns", ask(unbound, "local.example.jp", transport="tcp"), 300), "pass/none", 300)
    assert knot.log_since(marks[0]) == ""
    assert [line for line in unbound.log_since(marks[1]).splitlines() if "start of service" not in line] == []
    leaves_nothing(repeat("dns", {"port": 1, "name": "a.example"}, 200), "fail/refused", 200)


# ---- servers that only pretend ---------------------------------------------------------------------------------------------

class Pretender:
    """A UDP server that answers a query with what reply(query) gives, a list of datagrams; TCP on the same port as `tcp` says."""

    def __init__(self, reply, tcp=None):
        self.reply, self.tcp = reply, tcp
        self.peer = hostile.Peer(tcp or hostile.closes)
        self.port = self.peer.port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.settimeout(0.1)
        self.queries = 0
        self.is_over = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while not self.is_over:
            try:
                query, who = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.queries += 1
            for datagram in self.reply(query):
                self.socket.sendto(datagram, who)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join(5)
        self.socket.close()
        self.peer.close()


def question_of(query):
    end = query.index(b"\0", 12) + 5
    return query[12:end]


def answered(query, flags=0x8180, ttl=60, identity=None, question=None):
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, ttl, 4) + bytes([192, 0, 2, 1])
    return ((identity or query[:2]) + struct.pack("!HHHHH", flags, 1, 1, 0, 0) + (question or question_of(query)) + record)


def other(query):
    return bytes([query[0] ^ 255, query[1]])


PRETENDERS = {
    "answers": (lambda q: [answered(q)], "pass", {"none"}),
    "answers twice": (lambda q: [answered(q)] * 2, "pass", {"none"}),
    "another's answer first": (lambda q: [answered(q, identity=other(q)), answered(q)], "pass", {"none"}),
    "only others' answers": (lambda q: [answered(q, identity=other(q))] * 10, "fail", {"protocol"}),
    "another question's answer": (lambda q: [answered(q, question=b"\1x\0\0\1\0\1")] * 10, "fail", {"protocol"}),
    "garbage": (lambda q: [bytes(range(256))], "fail", {"protocol"}),
    "the query itself": (lambda q: [q], "fail", {"protocol"}),
    "a name that points at itself": (lambda q: [q[:2] + struct.pack("!HHHHH", 0x8180, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1"], "fail", {"protocol"}),
    "more records than there are": (lambda q: [q[:2] + struct.pack("!HHHHH", 0x8180, 1, 9999, 0, 0) + question_of(q)], "fail", {"protocol"}),
    "nothing": (lambda q: [], "fail", {"timeout"}),
    "says it does not fit, then closes": (lambda q: [answered(q, flags=0x8380)], "fail", {"protocol"}),
    "authenticated": (lambda q: [answered(q, flags=0x81a0)], "pass", {"none"}),
}


@pytest.mark.parametrize("name", PRETENDERS)
def test_servers_that_only_pretend(name):
    reply, verdict, causes = PRETENDERS[name]
    with Pretender(reply, tcp=hostile.closes_when_asked) as server:
        more = {"expect__authenticated": True} if name == "authenticated" else {}
        for cause in causes:
            judge("dns", ask(server, "www.example.jp", **more), verdict, cause, timeout=HUNG)


def test_a_question_that_was_lost_is_sent_again():
    seen = []
    with Pretender(lambda q: [answered(q)] if len(seen) == 2 else seen.append(q) or []) as server:
        judge("dns", ask(server, "www.example.jp"), "pass", "none", timeout="2s")
        assert server.queries == 3


def test_a_server_whose_name_is_not_found_ends_in_the_phase_that_looked_for_it():
    probe = judge("dns", {"host": "nobody.invalid", "name": "a.example"}, "fail", "dns", says="nobody.invalid does not exist")
    assert phases(probe)[0] == "resolve", probe.output


def test_a_server_that_knows_no_edns_is_asked_without():
    with Pretender(lambda q: [answered(q) if q[10:12] == b"\0\0" else q[:2] + b"\x81\x81" + q[4:6] + bytes(6) + question_of(q)]) as server:
        judge("dns", ask(server, "www.example.jp"), "pass", "none")


@pytest.mark.parametrize("name", WORDLESS)
def test_peers_that_speak_no_protocol_over_tcp(name):
    behaviour, causes = WORDLESS[name]
    if name in ("says garbage", "speaks HTTP"):
        causes = BROKEN | SILENT  # it may look like the length of something long
    judge_hostile("dns", lambda peer: {"port": peer.port, "name": "a.example", "transport": "tcp"}, causes, behaviour)


def test_one_byte_at_a_time_over_tcp():
    judge_hostile("dns", lambda peer: {"port": peer.port, "name": "a.example", "transport": "tcp"}, SILENT,
                  hostile.drips(b"\x01\x00\x00\x00\x81\x80" + bytes(100), every=0.1))


@pytest.mark.parametrize("options, says", [
    ({}, "name"), ({"name": "a..b"}, "name"), ({"name": "a", "host": "b:53"}, "host"),
    ({"name": "a", "expect.exact": True}, "expect.exact"), ({"name": "a", "primary": "127.0.0.1"}, "primary"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("dns", options, says)
