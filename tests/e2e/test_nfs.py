"""The nfs check against a real NFS server in user space (NFS-Ganesha), versions 3 and 4: working, broken in ways a port check
does not see, hung."""
import hashlib
import os

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, refused, repeat
from share_servers import Ganesha

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(os.geteuid() != 0, reason="NFS-Ganesha wants to be started by root")]


@pytest.fixture(scope="module")
def server():
    with Ganesha() as ganesha:
        yield ganesha


@pytest.fixture(params=["3", "4"])
def at(request, server):
    """The options that lead to an export, in both versions."""
    ports = {"port": server.port, **({"mount_port": server.mount_port} if request.param == "3" else {})}
    return lambda export="/app", **more: {"host": server.host, "export": export, "version": request.param, **ports, **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_export_is_mounted_read_and_written(server, at):
    probe = judge("nfs", at(file="canary", expect="alive", write_file="ours"), "pass", "none", says="was written and read back")
    assert server.export("app").joinpath("ours").read_text().startswith("vitald ")
    assert {"mount", "read", "write", "free", "free_percent"} <= probe.measures.keys()
    assert probe.facts["address"] == "127.0.0.1" and probe.measures["free"] > 0
    before = server.export("app").joinpath("ours").read_text()
    judge("nfs", at(write_file="ours"), "pass", "none")  # the file is there now, and is written anew
    assert server.export("app").joinpath("ours").read_text() != before


def test_a_file_is_compared_by_its_hash(server, at):
    content = os.urandom(200_000)
    server.export("app").joinpath("large").write_bytes(content)
    right = hashlib.sha256(content).hexdigest()
    judge("nfs", at(file="large", sha256=right), "pass", "none")
    judge("nfs", at(file="large", sha256=right.upper()), "pass", "none")
    judge("nfs", at(file="large", sha256="0" * 64), "fail", "content", says=right)
    server.export("app").joinpath("huge").write_bytes(b"x" * ((1 << 20) + 1))
    judge("nfs", at(file="huge", expect="x"), "unknown", "config", says="more than 1 MiB")


def test_files_are_read_as_the_user_that_is_named(server, at):
    secret = server.export("app") / "secret"
    secret.write_text("alive\n")
    os.chown(secret, 12345, 12345)
    secret.chmod(0o400)
    judge("nfs", at(file="secret", expect="alive", uid=12345, gid=12345), "pass", "none")
    judge("nfs", at(file="secret", expect="alive", uid=54321, gid=54321), "fail", "auth")


def test_the_portmapper_is_asked_where_no_port_is_named():
    with Ganesha(own_network=True) as alone:
        options = {"export": "/app", "version": "3", "file": "canary", "expect": "alive"}
        judge("nfs", options, "pass", "none", wrap=alone.inside)
    judge("nfs", {**options, "host": "127.254.254.254"}, "fail", "refused", says=":111")


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_an_export_that_is_not_there_or_not_for_us(server, at):
    is_3 = at()["version"] == "3"
    judge("nfs", at("/gone"), "fail", "auth" if is_3 else "content", says="mount 127.0.0.1:/gone")
    judge("nfs", at("/closed"), "fail", "auth" if is_3 else "content", says="mount 127.0.0.1:/closed")


def test_a_canary_that_is_missing_other_or_not_for_us(at):
    judge("nfs", at(file="nobody"), "fail", "content", says="read nobody")
    judge("nfs", at(file="canary", expect="dead"), "fail", "content", says='canary contains "alive", expected "dead"')
    judge("nfs", at("/squashed", file="canary"), "fail", "auth", says="read canary")


def test_an_export_that_turned_read_only(at):
    judge("nfs", at("/readonly", file="canary", expect="alive"), "pass", "none")
    judge("nfs", at("/readonly", write_file="ours"), "fail", "role", says="write ours")


def test_space_that_runs_out(at):
    judge("nfs", at(warn_free="100%"), "warn", "content", says="below warn_free")
    judge("nfs", at(fail_free="100%", file="canary"), "fail", "content", says="below fail_free")


# ---- hung, and worse ------------------------------------------------------------------------------------------------

def test_a_hung_server_is_a_timeout_and_comes_back(server, at):
    server.hang()
    try:
        judge("nfs", at(file="canary"), "fail", "timeout", says="NULL call of NFS", timeout=HUNG)
    finally:
        server.resume()
    judge("nfs", at(file="canary", expect="alive"), "pass", "none")


def test_nobody_there():
    judge("nfs", {"host": "127.0.0.1", "export": "/app", "port": 1}, "fail", "refused", says="connection refused")
    judge("nfs", {"host": "nobody.invalid", "export": "/app"}, "fail", "dns")


@pytest.mark.parametrize("name", WORDLESS)
def test_a_peer_that_speaks_no_nfs(name):
    behaviour, causes = WORDLESS[name]
    # What is no record of RPC may look like the beginning of a very long one: then the rest never comes.
    judge_hostile("nfs", lambda peer: {"host": "127.0.0.1", "port": peer.port, "export": "/app"}, causes | SILENT, behaviour)


def test_a_peer_that_promises_a_gigantic_answer():
    judge_hostile("nfs", lambda peer: {"host": "127.0.0.1", "port": peer.port, "export": "/app"}, BROKEN | SILENT,
                  hostile.says(b"\xff\xff\xff\xff" + b"x" * 4096, ask_first=True))


def test_hundreds_of_probes_leave_nothing(at):
    leaves_nothing(repeat("nfs", at(file="canary", expect="alive", write_file="ours"), 200), "pass/none", 200)
    leaves_nothing(repeat("nfs", at("/nowhere"), 100), "fail/", 100)


@pytest.mark.parametrize("options, says", [
    ({"export": "app"}, "export"),
    ({"export": "/app", "host": ""}, "host"),
    ({"export": "/app", "mount_port": 1}, "mount_port"),
    ({"export": "/app", "expect": "x"}, "file"),
    ({"export": "/app", "file": "../x"}, "file"),
    ({"export": "/app", "file": "x", "sha256": "abc"}, "sha256"),
    ({"export": "/app", "file": "x", "write_file": "x"}, "write_file"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("nfs", options, says)
