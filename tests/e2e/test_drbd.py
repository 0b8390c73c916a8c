"""The drbd check with documents in the format of drbd-utils 9, printed by a drbdsetup that refuses any other command line. There is no
DRBD in this kernel: what is proven is how its words are read, not that they are spoken."""
import pytest

from drbd_documents import peer, printed, resource
from judging import HUNG, judge, leaves_nothing, phases, refused, repeat

pytestmark = pytest.mark.timeout(60)

FAKE = """#!/bin/sh
[ "$#" = 2 ] && [ "$1" = status ] && [ "$2" = --json ] || {{ echo "unknown arguments: $*" >&2; exit 20; }}
{before}
cat {document}
"""


@pytest.fixture
def drbd(tmp_path):
    """says(what) makes the options of a check whose drbdsetup prints them."""
    def says(said, before="", **options):
        document, program = tmp_path / "document", tmp_path / "drbdsetup"
        document.write_text(said if isinstance(said, str) else printed(said))
        program.write_text(FAKE.format(before=before, document=document))
        program.chmod(0o755)
        return {"program": program, **options}
    return says


def test_whole_and_connected(drbd):
    probe = judge("drbd", drbd([resource("r0", peers=[peer("b", role="Primary")])]), "pass", "none", says="1 resource, Secondary")
    assert probe.facts["role"] == "secondary" and probe.facts["promotable"] == "no"
    assert probe.facts["not_promotable_because"] == "r0: b is primary"
    assert probe.measures == {"resources": 1, "peers_connected": 1, "out_of_sync": 0, "in_sync": 100}
    assert phases(probe) == ["exchange"]
    probe = judge("drbd", drbd([resource("r0", "Primary", peers=[peer("b"), peer("c")])], role="primary"), "pass", "none")
    assert probe.facts["role"] == "primary" and probe.measures["peers_connected"] == 2
    probe = judge("drbd", drbd([resource("r0", peers=[peer("b")])]), "pass", "none")
    assert probe.facts["promotable"] == "yes" and "not_promotable_because" not in probe.facts


@pytest.mark.parametrize("given, verdict, cause, says", [
    (resource("r0", "Primary", quorum=False, **{"suspended-quorum": True}), "fail", "content", "r0 has its I/O suspended (quorum)"),
    (resource("r0", "Primary", suspended=True), "fail", "content", "suspended (no reason given)"),
    (resource("r0", "Primary", quorum=False), "fail", "content", "r0/0 has no quorum"),
    (resource("r0", "Primary", **{"force-io-failures": True}), "fail", "content", "answers all I/O with errors"),
    (resource("r0", disk="Outdated", peers=[peer("b", "Connecting")]), "fail", "content", "r0/0 is Outdated"),
    (resource("r0", disk="Consistent", peers=[peer("b", "Connecting")]), "fail", "content", "r0/0 is Consistent"),
    (resource("r0", "Primary", disk="Failed", peers=[peer("b")]), "warn", "content", "served from a peer's disk"),
    (resource("r0", "Primary", disk="Diskless", peers=[peer("b", "Connecting")]), "fail", "content", "r0/0 is Diskless"),
    (resource("r0", disk="Diskless", client=True, peers=[peer("b")]), "pass", "none", ""),
    (resource("r0", disk="Diskless", client=True, peers=[peer("b", disk="Outdated")]), "fail", "content", "no peer with its data"),
    (resource("r0", disk="Inconsistent", peers=[peer("b", role="Primary", replication="SyncTarget", out_of_sync=2048, percent=42.5)]),
     "warn", "content", "r0/0 is Inconsistent and filled from b (42.5%)"),
    (resource("r0", "Primary", peers=[peer("b", "Connecting")]), "warn", "content", "not connected to b (Connecting)"),
    (resource("r0", "Primary", peers=[peer("b", "StandAlone")]), "warn", "content", "a split brain, or disconnected by hand"),
    (resource("r0", peers=[peer("b", "StandAlone")]), "fail", "content", "a split brain"),
])
def test_what_is_not_whole(drbd, given, verdict, cause, says):
    probe = judge("drbd", drbd([given]), verdict, cause, says=says)
    assert probe.facts["promotable"] == "no"


def test_roles_and_resources(drbd):
    both = [resource("r0", "Primary", peers=[peer("b")]), resource("r1", peers=[peer("b", role="Primary")])]
    assert judge("drbd", drbd(both), "pass", "none").facts["role"] == "mixed"
    judge("drbd", drbd(both, role="secondary"), "fail", "role", says="r0 is Primary, expected Secondary")
    judge("drbd", drbd(both, role="secondary", resources=["r1"]), "pass", "none")
    judge("drbd", drbd(both, resources=["r0", "r7"]), "fail", "content", says="r7 is not up")
    judge("drbd", drbd([]), "fail", "content", says="no resource is up")


def test_limits(drbd):
    behind = [resource("r0", "Primary", peers=[peer("b", replication="SyncSource", disk="Inconsistent", out_of_sync=2048, percent=99.8)])]
    assert judge("drbd", drbd(behind), "pass", "none").measures["out_of_sync"] == 2 << 20
    judge("drbd", drbd(behind, warn_out_of_sync="1MiB"), "warn", "content", says="2.0 MiB are out of sync")
    judge("drbd", drbd(behind, fail_out_of_sync="1MiB"), "fail", "content")


def test_hung_and_broken(drbd):
    fine = [resource("r0", peers=[peer("b")])]
    judge("drbd", drbd(fine, before="kill -STOP $$"), "fail", "timeout", says="does the kernel's DRBD hang?", timeout=HUNG)
    judge("drbd", drbd(fine, before="echo 'Failed to modprobe drbd' >&2; exit 20"), "unknown", "config", says="this kernel has no drbd")
    judge("drbd", drbd(fine, before="echo 'Operation not permitted' >&2; exit 10"), "unknown", "agent", says="Operation not permitted")
    judge("drbd", drbd(fine, before="kill -SEGV $$"), "unknown", "agent", says="signal 11")
    judge("drbd", drbd("r0 role:Primary\n"), "unknown", "protocol", says="printed no list")
    judge("drbd", drbd("[{]"), "unknown", "protocol")
    judge("drbd", drbd(fine, before="head -c 1100000 /dev/zero | tr '\\0' x"), "unknown", "agent", says="more than 1 MiB")
    judge("drbd", drbd(fine, before="echo 'a warning of no weight' >&2"), "pass", "none")
    judge("drbd", {"program": "/nowhere/drbdsetup"}, "unknown", "config", says="could not be started")


def test_probes_leave_nothing(drbd):
    leaves_nothing(repeat("drbd", drbd([resource("r0", peers=[peer("b")])]), 50), "pass/none", 50)


@pytest.mark.parametrize("options, says", [
    ({"warn_out_of_sync": "2MiB", "fail_out_of_sync": "1MiB"}, "warn_out_of_sync"),
    ({"role": "master"}, "role"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("drbd", options, says)
