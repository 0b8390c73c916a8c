"""dns.update on a real Knot DNS with a TSIG key: a compare-and-swap, read back from the authoritative server."""
import base64
import shutil
import subprocess

import pytest

from acting import Kind, outcome
from net_servers import Knot
from serving import temporary_directory

SECRET = base64.b64encode(b"canary-of-the-key-of-thirty-two-b").decode()
PROGRAMS = [(u, q) for u, q in (("/usr/bin/nsupdate", "/usr/bin/dig"), ("/usr/bin/knsupdate", "/usr/bin/kdig")) if shutil.which(u) and shutil.which(q)]


@pytest.fixture
def knot():
    with Knot(["db 30 A 10.0.0.11", "other 30 A 10.0.0.99"], update_key=("vitald", SECRET)) as server:
        yield server


def update(server, programs=PROGRAMS[0] if PROGRAMS else None, secret=SECRET, **more):
    path = temporary_directory("key") / "key"
    path.write_text(secret)
    return Kind("dns.update", **{"server": server.host, "port": server.port, "zone": "example.jp", "name": "db.example.jp", "ttl": 30,
                                 "values": {"one": "10.0.0.11", "two": "10.0.0.12"}, "key_name": "vitald", "key_file": str(path),
                                 "update_program": programs[0], "query_program": programs[1], **more})


def address(server, name="db.example.jp"):
    return subprocess.run([PROGRAMS[0][1], f"@{server.host}", "-p", str(server.port), "+short", name, "A"], capture_output=True, text=True,
                          timeout=10, check=False).stdout.split()


@pytest.mark.skipif(not PROGRAMS, reason="needs nsupdate and dig")
@pytest.mark.parametrize("programs", PROGRAMS)
def test_the_record_moves_once_and_back_and_never_over_somebody_elses(knot, programs):
    move = update(knot, programs)
    assert move.check().verdict == "pass", move.check().text
    assert "is 10.0.0.11 and not 10.0.0.12" in move.verify(timeout="3s").text
    assert move.perform().verdict == "pass" and address(knot) == ["10.0.0.12"]
    assert move.verify().verdict == "pass"
    assert "already" in move.perform().text
    # A third party moves it elsewhere: nothing is overwritten.
    elsewhere = update(knot, programs, values={"one": "10.0.0.12", "two": "10.0.0.13"})
    assert elsewhere.perform().verdict == "pass" and address(knot) == ["10.0.0.13"]
    refused = move.perform()
    assert outcome(refused) == "vetoed" and "somebody else" in refused.text and address(knot) == ["10.0.0.13"]
    assert move.compensate().facts.get("outcome") == "vetoed"
    assert "is 10.0.0.13 and not" in move.verify(timeout="3s").text
    assert elsewhere.compensate().verdict == "pass" and address(knot) == ["10.0.0.12"]
    assert move.compensate().verdict == "pass" and address(knot) == ["10.0.0.11"]
    assert address(knot, "other.example.jp") == ["10.0.0.99"]


@pytest.mark.skipif(not PROGRAMS, reason="needs nsupdate and dig")
def test_a_wrong_key_changes_nothing_and_is_not_shown(knot):
    wrong = base64.b64encode(b"wrong-canary-of-the-key-of-thirty").decode()
    move = update(knot, secret=wrong)
    for probe in (move.check(), move.perform()):
        assert probe.verdict != "pass" and wrong not in probe.output and SECRET not in probe.output
    assert address(knot) == ["10.0.0.11"]


@pytest.mark.skipif(not PROGRAMS, reason="needs nsupdate and dig")
def test_a_name_server_that_hangs_costs_the_time_of_the_step_and_no_more(knot):
    move = update(knot)
    knot.hang()
    try:
        hung = move.perform(timeout="1s")
    finally:
        knot.resume()
    assert hung.verdict != "pass" and hung.seconds < 5
    assert address(knot) == ["10.0.0.11"]
