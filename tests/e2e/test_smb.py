"""The smb check against a real Samba server: working, broken in ways a port check does not see, hung."""
import os
import pathlib
import shutil
import tempfile
import time

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, refused, repeat, secret
from servers import temporary_directory
from share_servers import Samba
from worker import worker_probe

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(os.geteuid() != 0, reason="smbd wants to be started by root")]


@pytest.fixture(scope="module")
def server():
    with Samba() as samba:
        yield samba


def at(server, share="app", password=Samba.app_password, **more):
    return {"host": server.host, "port": server.port, "share": share, "user": server.app_user, "password_file": secret(password), **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_share_is_read_and_written(server):
    probe = judge("smb", at(server, file="canary", expect="alive", write_file="our file"), "pass", "none", says="was written and read back")
    assert (server.share / "our file").read_text().startswith("vitald ")
    assert {"read", "write", "free", "free_percent"} <= probe.measures.keys() and probe.facts["address"] == "127.0.0.1"
    room = os.statvfs(server.share)
    assert abs(probe.measures["free"] / (room.f_bavail * room.f_frsize) - 1) < 0.2
    judge("smb", at(server, dialect="3.1.1", encrypt=True, file="canary", expect="alive"), "pass", "none")


def test_nothing_of_this_machines_own_configuration_gets_in(server):
    home = temporary_directory("home")
    (home / ".smb").mkdir()
    (home / ".smb" / "smb.conf").write_text("[global]\nclient ntlmv2 auth = no\nclient lanman auth = no\nclient min protocol = NT1\n")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    judge("smb", at(server, file="canary", expect="alive"), "pass", "none", environment=environment)
    assert sorted(os.listdir(home)) == [".smb"]


def test_what_a_killed_worker_left_is_swept_after_an_hour(server):
    left = [pathlib.Path(tempfile.mkdtemp(prefix="vitald-smb-")) for _ in range(2)]
    os.utime(left[0], (time.time() - 7200,) * 2)
    try:
        judge("smb", at(server, file="canary", expect="alive"), "pass", "none")
        assert [folder.exists() for folder in left] == [False, True]  # the younger may be in use
    finally:
        for folder in left:
            shutil.rmtree(folder, ignore_errors=True)


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_rejected_password_is_no_evidence_against_the_server(server):
    judge("smb", at(server, password="wrong-smb"), "unknown", "auth", says="login as nobody to")
    server.set_password("another")
    try:
        judge("smb", at(server), "unknown", "auth")
    finally:
        server.set_password(Samba.app_password)


def test_a_share_that_is_gone_or_not_for_us(server):
    judge("smb", at(server, "nowhere"), "fail", "content", says="there is no such share")
    judge("smb", at(server, "gone"), "fail", "content", says="there is no such share")
    judge("smb", at(server, "closed"), "unknown", "auth", says="connect to the share")


def test_a_canary_that_is_missing_or_other(server):
    judge("smb", at(server, file="nobody"), "fail", "content", says="read nobody")
    judge("smb", at(server, file="canary", expect="dead"), "fail", "content", says='canary contains "alive", expected "dead"')


def test_a_share_that_cannot_be_written_or_is_full(server):
    judge("smb", at(server, "readonly", write_file="ours"), "unknown", "auth", says="write ours")
    judge("smb", at(server, warn_free="100%"), "warn", "content", says="below warn_free")


def test_a_server_that_speaks_outdated_dialects_alone():
    with Samba("server max protocol = SMB2") as old:
        judge("smb", at(old, file="canary"), "fail", "protocol", says="does it speak the dialect")
        judge("smb", at(old, file="canary", expect="alive", dialect="2"), "pass", "none")


# ---- hung, and worse ------------------------------------------------------------------------------------------------

def test_a_server_that_does_not_encrypt():
    with Samba("server smb encrypt = off") as plain:
        for dialect in ("3", "3.1.1"):
            judge("smb", at(plain, encrypt=True, dialect=dialect), "fail", "protocol", says="the session is not encrypted")
        judge("smb", at(plain, file="canary", expect="alive"), "pass", "none")
    with Samba("server smb encrypt = off", "server max protocol = SMB3_00") as old:
        judge("smb", at(old, encrypt=True), "fail", "protocol", says="the session is not encrypted")
    with Samba("server max protocol = SMB3_00") as old:
        judge("smb", at(old, encrypt=True, file="canary", expect="alive"), "pass", "none")


def test_a_hung_server_is_a_timeout_and_comes_back(server):
    server.hang()
    try:
        judge("smb", at(server, file="canary"), "fail", "timeout", says="no end of it in time", timeout=HUNG)
    finally:
        server.resume()
    judge("smb", at(server, file="canary", expect="alive"), "pass", "none")


def test_nobody_there():
    options = {"share": "app", "user": "u", "port": 1}
    judge("smb", options, "fail", "refused", says="connection refused")
    judge("smb", {**options, "host": "nobody.invalid"}, "fail", "dns")


ZEROS = "says zeros for ever"  # which are messages without content: the library reads them all


@pytest.mark.parametrize("name", [name for name in WORDLESS if name != ZEROS])
def test_a_peer_that_speaks_no_smb(name):
    behaviour, causes = WORDLESS[name]
    # What is no message may look like the beginning of a long one: then the rest never comes.
    allowed = causes | SILENT if causes == BROKEN else causes
    judge_hostile("smb", lambda peer: {"port": peer.port, "share": "app", "user": "u", "password_file": secret("s3cret-hostile")},
                  allowed, behaviour)


def test_a_peer_that_never_stops_talking_is_ended_by_force_if_need_be():
    with hostile.Peer(WORDLESS[ZEROS][0]) as peer:
        probe = worker_probe("smb", {"port": peer.port, "share": "app", "user": "u"}, timeout="600ms")
        assert (probe.verdict, probe.cause) == ("fail", "timeout"), probe.output


def homes():
    return {name for name in os.listdir("/tmp") if name.startswith("vitald-smb-")}


def test_hundreds_of_probes_leave_nothing(server):
    before = homes()  # of workers that were killed elsewhere
    leaves_nothing(repeat("smb", at(server, file="canary", expect="alive", write_file="ours"), 30), "pass/none", 30)
    leaves_nothing(repeat("smb", at(server, "nowhere"), 20), "fail/content", 20)
    assert homes() <= before


@pytest.mark.parametrize("options, says", [
    ({"share": "a/b", "user": "u"}, "share"),
    ({"share": "a", "user": ""}, "user"),
    ({"share": "a", "user": "u", "host": ""}, "host"),
    ({"share": "a", "user": "u", "dialect": "2", "encrypt": True}, "encrypt"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("smb", options, says)
