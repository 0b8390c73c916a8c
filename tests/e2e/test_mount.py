"""The mount check, on real mounts in a mount namespace: a filesystem in memory, and FUSE in the part of a network filesystem whose
server is in trouble. (Kernels of test machines often cannot mount NFS or SMB; what the check calls is the same.)"""
import os
import pathlib
import sys

import pytest

from agent import Agent
from judging import judge, leaves_nothing, refused, repeat
from servers import temporary_directory

pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/fuse"), reason="it mounts")]

HERE = pathlib.Path(__file__).parent
ALONE = ["unshare", "-m"]


@pytest.fixture
def place():
    return temporary_directory("mount")


def in_memory(place, options="size=4m", then=""):
    """Runs the worker where a filesystem in memory is mounted at `place`, with a canary in it."""
    script = f"mount -t tmpfs -o {options} nfs1:/srv/app {place} && echo alive >{place}/canary; {then}\nexec \"$@\""
    return lambda argv: [*ALONE, "sh", "-c", script, "sh", *argv]


def in_trouble(place, error):
    return lambda argv: [*ALONE, sys.executable, str(HERE / "fuse_mount.py"), str(place), error, "--", *argv]


# ---- working --------------------------------------------------------------------------------------------------------

def test_what_is_mounted_is_looked_at_read_and_written(place):
    options = {"path": place, "filesystem": ["nfs4", "tmpfs"], "source": "nfs1:/srv/app", "file": "canary", "expect": "alive",
               "write_file": "ours"}
    probe = judge("mount", options, "pass", "none", says="ours was written and read back", wrap=in_memory(place))
    assert probe.facts == {"filesystem": "tmpfs", "source": "nfs1:/srv/app"}
    assert {"read", "write", "free", "free_percent"} <= probe.measures.keys()
    judge("mount", {**options, "path": f"{place}/"}, "pass", "none", wrap=in_memory(place))


def test_a_path_with_spaces_and_the_upper_of_two_mounts(place):
    odd = place / "a b\\c"
    odd.mkdir()
    twice = f"mount -t tmpfs lower '{odd}'; mount -t tmpfs upper '{odd}'"
    probe = judge("mount", {"path": odd}, "pass", "none", wrap=in_memory(place, then=f"mkdir '{odd}'; {twice}"))
    assert probe.facts["source"] == "upper"


# ---- broken in ways that a look at the directory does not show ------------------------------------------------------

def test_nothing_is_mounted_and_the_directory_below_looks_fine(place):
    (place / "canary").write_text("alive\n")
    judge("mount", {"path": place, "file": "canary", "expect": "alive"}, "fail", "content", says="nothing is mounted at")


@pytest.mark.parametrize("options, verdict, cause, says", [
    ({"filesystem": ["nfs", "nfs4"]}, "fail", "content", "expected a filesystem nfs or nfs4"),
    ({"source": "nfs2:/srv/app"}, "fail", "content", "expected nfs2:/srv/app"),
    ({"file": "nobody"}, "fail", "content", "read nobody: No such file"),
    ({"file": "canary", "expect": "dead"}, "fail", "content", 'expected "dead"'),
    ({"warn_free": "5MiB"}, "warn", "content", "below warn_free"),
])
def test_another_filesystem_or_another_canary(place, options, verdict, cause, says):
    judge("mount", {"path": place, **options}, verdict, cause, says=says, wrap=in_memory(place))


def test_a_full_and_a_read_only_filesystem(place):
    full = in_memory(place, options="size=8k", then=f"head -c 9999 /dev/zero >{place}/filler 2>/dev/null")
    judge("mount", {"path": place, "write_file": "ours"}, "fail", "content", says="write ours: No space left", wrap=full)
    read_only = in_memory(place, then=f"mount -o remount,ro {place}")
    judge("mount", {"path": place}, "fail", "role", says="is read-only", wrap=read_only)
    judge("mount", {"path": place, "read_only": True, "file": "canary"}, "pass", "none", wrap=read_only)


@pytest.mark.parametrize("error, cause, says", [
    ("ESTALE", "unreachable", "unmount it and mount it anew"),
    ("ENOTCONN", "unreachable", ""),
    ("EIO", "content", "Input/output error"),
])
def test_a_mount_whose_server_has_nothing_for_us(place, error, cause, says):
    judge("mount", {"path": place, "file": "canary"}, "fail", cause, says=says, wrap=in_trouble(place, error))


# ---- hung -----------------------------------------------------------------------------------------------------------

def test_a_mount_that_never_answers_is_a_timeout_and_holds_nobody_else_up(place):
    fine = temporary_directory("mount")
    # Bound to itself, a directory is a mount of its own.
    bound = ["/bin/sh", "-c", f'mount --bind {fine} {fine} && exec "$@"', "sh"]
    prefix = in_trouble(place, "silence")(bound)
    checks = {"hung": {"type": "mount", "path": str(place), "file": "canary"}, "fine": {"type": "mount", "path": str(fine)}}
    with Agent({"defaults": {"interval": "600ms", "timeout": "400ms", "retries": 0, "edge_interval": "300ms"}, "checks": checks},
               argv_prefix=prefix) as agent:
        agent.wait_for(lambda: (agent.check("hung")["state"], agent.check("hung")["cause"]) == ("fail", "timeout"), what="a timeout")
        # The worker that touched it cannot even be killed. It is told, and no second one is sent after it.
        agent.wait_for(lambda: "hangs in the kernel" in agent.check("hung")["output"], what="the worker is written off")
        agent.wait_for(lambda: agent.check("fine")["state"] == "pass", what="the other check passes")
        assert agent.health("/livez").status == 200


def test_hundreds_of_probes_leave_nothing():
    leaves_nothing(repeat("mount", {"path": "/proc", "file": "version"}, 300), "pass/none", 300)


@pytest.mark.parametrize("options, says", [
    ({"path": "srv"}, "path"),
    ({"path": "/srv", "read_only": True, "write_file": "x"}, "write_file"),
    ({"path": "/srv", "sha256": "0" * 64}, "file"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("mount", options, says)
