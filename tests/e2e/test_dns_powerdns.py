"""The dns check against PowerDNS, the authoritative server and the recursor: working, broken behind an open port, hung."""
import pytest

from judging import HUNG, judge, leaves_nothing, repeat, rounds
from powerdns import PowerDns, Recursor
from servers import wait_until
from worker import worker_probe

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def pdns():
    with PowerDns(["www 300 IN A 192.0.2.10", "alias 60 IN CNAME www", *(f"many 300 IN A 192.0.2.{n}" for n in range(1, 100))]) as server:
        yield server


def ask(server, name="www.example.jp", kind="A", **more):
    return {"port": server.port, "name": name, "record": kind, **{k.replace("__", "."): v for k, v in more.items()}}


def test_an_authoritative_server(pdns):
    owned = {"recursion": False, "expect__authoritative": True}
    judge("dns", ask(pdns, expect__answers=["192.0.2.10"], **owned), "pass", "none")
    judge("dns", ask(pdns, "alias.example.jp", expect__answers=["192.0.2.10"], **owned), "pass", "none")
    assert judge("dns", ask(pdns, "many.example.jp", **owned), "pass", "none").facts["transport"] == "tcp"
    judge("dns", ask(pdns, expect__answers=["192.0.2.11"], **owned), "fail", "content")
    judge("dns", ask(pdns, "nothing.example.jp", **owned), "fail", "content", says="NXDOMAIN")
    judge("dns", ask(pdns, "elsewhere.example", **owned), "fail", "content", says="REFUSED")


def test_a_zone_that_cannot_be_read_is_seen_behind_an_open_port():
    with PowerDns(["www 300 IN A 192.0.2.10"]) as server:
        judge("dns", ask(server, recursion=False), "pass", "none")
        good = server.zone_path.read_text()
        server.restart_with("this is no zone\n")
        judge("dns", ask(server, recursion=False), "fail", "content", says="SERVFAIL")
        server.restart_with(good)
        judge("dns", ask(server, recursion=False), "pass", "none")


def test_a_recursor_and_the_server_behind_it():
    with PowerDns(["www 1 IN A 192.0.2.10"]) as source, Recursor(source) as recursor:
        judge("dns", ask(recursor, expect__answers=["192.0.2.10"]), "pass", "none")
        source.hang()
        try:  # the recursor answers that it cannot: alive, and of no use
            wait_until(lambda: not has_answer(recursor), what="what it remembered has ended")
            judge("dns", ask(recursor, "other.example.jp"), "fail", "content", says="SERVFAIL")
        finally:
            source.resume()
        wait_until(lambda: has_answer(recursor), what="it asks again")
        recursor.hang()
        try:
            judge("dns", ask(recursor), "fail", "timeout", timeout=HUNG)
        finally:
            recursor.resume()


def has_answer(server):
    return worker_probe("dns", ask(server), timeout="5s").verdict == "pass"


def test_hung_and_stopped(pdns):
    pdns.hang()
    try:
        judge("dns", ask(pdns, recursion=False), "fail", "timeout", timeout=HUNG)
        judge("dns", ask(pdns, recursion=False, transport="tcp"), "fail", "timeout", timeout=HUNG)
    finally:
        pdns.resume()
    judge("dns", ask(pdns, recursion=False), "pass", "none")


def test_probes_leave_nothing(pdns):
    before = {name: pdns.counter(name) for name in ("udp-queries", "tcp-queries", "corrupt-packets", "timedout-packets")}
    mark = pdns.log_mark()
    leaves_nothing(repeat("dns", ask(pdns, recursion=False), 200), "pass/none", 200)
    leaves_nothing(repeat("dns", ask(pdns, recursion=False, transport="tcp"), 100), "pass/none", 100)
    after = {name: pdns.counter(name) - n for name, n in before.items()}
    assert after == {"udp-queries": rounds(200), "tcp-queries": rounds(100), "corrupt-packets": 0, "timedout-packets": 0}
    assert "rror" not in pdns.log_since(mark)
