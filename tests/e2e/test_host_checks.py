"""disk, memory and load on this host, on filesystems made for the purpose, and on one that never answers."""
import contextlib
import ctypes
import os
import pathlib
import subprocess
import time

import pytest

from agent import Agent, wait_for
from judging import judge, leaves_nothing, refused, repeat
from servers import temporary_directory
from worker import BUILD, WORKER, worker_probe

pytestmark = pytest.mark.timeout(60)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def mounted(options, kind="tmpfs", source="tmpfs"):
    """A filesystem of its own on a temporary directory."""
    path = temporary_directory("mount")
    if LIBC.mount(source.encode(), str(path).encode(), kind.encode(), 0, options.encode()) != 0:
        pytest.skip(f"cannot mount {kind}: {os.strerror(ctypes.get_errno())}")
    try:
        yield path
    finally:
        LIBC.umount2(str(path).encode(), 2)


def fill(path, kib):
    (path / "filler").write_bytes(bytes(kib * 1024))


# ---- disk ------------------------------------------------------------------------------------------------------------

def test_the_root_filesystem_is_measured_as_df_measures_it():
    probe = judge("disk", {"fail_free": "1", "warn_free": "2", "warn_free_inodes": "2", "fail_free_inodes": "1"}, "pass", "none")
    free = int(subprocess.check_output(["df", "-B1", "--output=avail", "/"], text=True).split()[1])
    assert abs(probe.measures["free"] - free) < 1 << 30
    assert probe.facts["mounted_on"] == "/" and probe.facts["read_only"] == "off"


@needs_root
@pytest.mark.parametrize("used_kib, more, verdict, says", [
    (0, {}, "pass", "1.0 MiB free of 1.0 MiB (100%)"),
    (940, {}, "warn", "below warn_free 10%"),
    (1020, {}, "fail", "below fail_free 2%"),
    (512, {"fail_free": "700KiB", "warn_free": "800KiB"}, "fail", "below fail_free 700KiB"),
    (512, {"fail_free": "1KiB", "warn_free": "60%"}, "warn", "below warn_free 60%"),
])
def test_space_that_runs_out(used_kib, more, verdict, says):
    with mounted("size=1m") as path:
        if used_kib:
            fill(path, used_kib)
        judge("disk", {"path": path, **more}, verdict, "none" if verdict == "pass" else "content", says=says)


@needs_root
def test_a_limit_that_fails_may_be_written_alone():
    judge("disk", {"path": "/", "fail_free": "100%"}, "fail", "content", says="below fail_free 100%")
    judge("memory", {"fail_available": "100%"}, "fail", "content", says="below fail_available 100%")
    judge("load", {"fail_5m": "0"}, "fail", "content", says="above fail_5m 0")
    judge("tls", {"host": "127.0.0.1", "port": 1, "fail_days": 30}, "fail", "refused")
    judge("ntp", {"host": "127.0.0.1", "port": 1, "fail_offset": "50ms"}, "fail", "refused")
    refused("disk", {"path": "/", "warn_free": "5%", "fail_free": "50%"}, "warn_free")


def test_inodes_that_run_out():
    with mounted("size=1m,nr_inodes=100") as path:
        for i in range(95):
            (path / str(i)).touch()
        judge("disk", {"path": path}, "warn", "content", says="of the inodes free, below warn_free_inodes 5%")
        for i in range(95, 99):
            (path / str(i)).touch()
        judge("disk", {"path": path}, "fail", "content", says="below fail_free_inodes 1%")


@needs_root
def test_a_filesystem_that_turned_read_only_fails_and_a_sandbox_does_not():
    MS_RDONLY, MS_REMOUNT, MS_BIND = 1, 32, 4096
    with mounted("size=1m") as path:
        LIBC.mount(None, str(path).encode(), None, MS_REMOUNT | MS_BIND | MS_RDONLY, None)  # as ProtectSystem= does it
        assert judge("disk", {"path": path}, "pass", "none").facts["read_only"] == "off"
        LIBC.mount(None, str(path).encode(), None, MS_REMOUNT | MS_RDONLY, None)  # as errors=remount-ro does it
        judge("disk", {"path": path}, "fail", "role", says="the filesystem is read-only")
        judge("disk", {"path": path, "read_only": "true"}, "pass", "none")


@needs_root
def test_writing_finds_what_numbers_do_not_show():
    with mounted("size=1m") as path:
        probe = judge("disk", {"path": path, "write": "true"}, "pass", "none")
        assert 0 <= probe.measures["write"] < 1
        assert list(path.iterdir()) == []
        fill(path, 1024)
        judge("disk", {"path": path, "write": "true", "warn_free": "0%", "fail_free": "0%"}, "fail", "content",
              says="No space left")


@needs_root
def test_paths_that_are_not_what_they_should_be():
    with mounted("size=1m") as path:
        judge("disk", {"path": path, "mount_point": "true"}, "pass", "none")
        (path / "below").mkdir()
        judge("disk", {"path": path / "below", "mount_point": "true"}, "fail", "content", says="nothing is mounted there")
        judge("disk", {"path": path / "gone"}, "fail", "content", says="No such file or directory")
    refused("disk", {"path": "data"}, "path")
    refused("disk", {"warn_free": "1%", "fail_free": "2%"}, "warn_free")
    refused("disk", {"read_only": "true", "write": "true"}, "write")


@needs_root
def test_the_agent_calls_a_filesystem_that_never_answers_a_timeout_and_goes_on():
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        with mounted(f"fd={device},rootmode=40000,user_id=0,group_id=0", kind="fuse", source="dead") as path:
            with Agent({"profile": "strict", "defaults": {"interval": "1s", "timeout": "500ms", "edge_interval": "500ms"},
                        "checks": {"dead": {"type": "disk", "path": str(path)}, "alive": {"type": "memory"}}}) as agent:
                def state(check):
                    return next(c for c in agent.health("/api/v1/checks").json()["checks"] if c["name"] == check)

                wait_for(lambda: state("dead")["state"] == "fail" and state("dead")["cause"] == "timeout", timeout=15)
                assert state("alive")["verdict"] in ("pass", "warn")
    finally:
        os.close(device)


@needs_root
def test_a_filesystem_that_never_answers_holds_its_worker_and_nobody_else():
    """FUSE with nobody behind it, as NFS with a dead server: every question waits for ever. The agent's kill must end it."""
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        with mounted(f"fd={device},rootmode=40000,user_id=0,group_id=0", kind="fuse", source="dead") as path:
            worker = subprocess.Popen([WORKER, "--probe", BUILD / "checks" / "disk.so", f"path={path}", "--timeout", "300ms"],
                                      stdout=subprocess.PIPE, text=True)
            time.sleep(0.7)
            assert worker.poll() is None  # it waits in the kernel, where no timer reaches it
            worker.kill()
            worker.wait(5)
    finally:
        os.close(device)


# ---- memory -----------------------------------------------------------------------------------------------------------

def test_memory_of_this_host():
    probe = judge("memory", {"cgroup": "off"}, "pass", "none", says="available of")
    total = next(int(line.split()[1]) * 1024 for line in pathlib.Path("/proc/meminfo").read_text().splitlines()
                 if line.startswith("MemTotal"))
    assert probe.measures["total"] == pytest.approx(total, rel=1e-4)
    assert 0 < probe.measures["available"] <= total
    judge("memory", {"cgroup": "off", "warn_available": "100%", "fail_available": "0%"}, "warn", "content",
          says="below warn_available 100%")
    judge("memory", {"cgroup": "off", "warn_available": "100%", "fail_available": "100%"}, "fail", "content",
          says="below fail_available 100%")


def test_a_control_group_with_a_limit_counts_instead_of_the_host():
    group = temporary_directory("cgroup")
    (group / "memory.max").write_text("104857600\n")
    (group / "memory.current").write_text("103000000\n")
    (group / "memory.stat").write_text("anon 100000000\ninactive_file 1000000\n")
    probe = judge("memory", {"cgroup": group}, "warn", "content", says=f"in {group}, below warn_available 5%")
    assert probe.measures["total"] == 104857600 and probe.facts["limit"] == str(group)
    (group / "memory.stat").write_text("anon 3000000\ninactive_file 90000000\n")
    judge("memory", {"cgroup": group}, "pass", "none")
    (group / "memory.max").write_text("max\n")
    assert judge("memory", {"cgroup": group}, "pass", "none").facts["limit"] == "this host"
    judge("memory", {"cgroup": "/sys/fs/cgroup/gone"}, "fail", "content", says="no such control group")
    refused("memory", {"cgroup": "app"}, "cgroup")


# ---- load ---------------------------------------------------------------------------------------------------------------

def test_load_is_per_processor():
    probe = judge("load", {"warn_5m": "9000", "fail_5m": "9999"}, "pass", "none", says="load per processor")
    one = float(pathlib.Path("/proc/loadavg").read_text().split()[0])
    assert probe.measures["load_1m"] * os.cpu_count() == pytest.approx(one, abs=2)
    assert probe.facts["processors"] == str(os.cpu_count())
    if one > 0.1:
        judge("load", {"warn_1m": "0", "warn_5m": "9000", "fail_5m": "9999"}, "warn", "content", says="above warn_1m 0")
        judge("load", {"fail_1m": "0", "warn_5m": "9000", "fail_5m": "9999"}, "fail", "content", says="above fail_1m 0")
    refused("load", {"warn_5m": "20"}, "warn_5m")
    refused("load", {"warn_15m": "4", "fail_15m": "2"}, "warn_15m")  # only the default of warn_5m gives way


# ---- all ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["disk", "memory", "load"])
def test_many_probes_leave_nothing(kind):
    options = {"disk": {"path": "/", "warn_free": "0%", "fail_free": "0%", "warn_free_inodes": "0%", "fail_free_inodes": "0%"},
               "memory": {}, "load": {"warn_5m": "9000", "fail_5m": "9999"}}[kind]
    leaves_nothing(repeat(kind, options, 1000), "pass/none", 1000)


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_the_defaults_let_a_small_healthy_machine_pass(kind):
    assert worker_probe(kind, {}).verdict in ("pass", "warn")
