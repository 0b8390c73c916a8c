"""file, cpu, pressure, oom, network and limits on this host, in groups and namespaces made for the purpose."""
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import pytest

from agent import Agent, wait_for
from judging import judge, leaves_nothing, refused, repeat
from servers import temporary_directory
from worker import BUILD, WORKER

pytestmark = pytest.mark.timeout(60)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="groups and namespaces need root")


@pytest.fixture
def folder():
    return temporary_directory("files")


# ---- file ------------------------------------------------------------------------------------------------------------

def test_a_file_is_judged_by_its_age_and_size(folder):
    path = folder / "backup"
    judge("file", {"path": path}, "fail", "content", says="is missing")
    judge("file", {"path": path, "absent": True}, "pass", "none")
    path.write_text("status=ok\nrows=12\n")
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    probe = judge("file", {"path": path}, "pass", "none")
    assert probe.measures["size"] == 18 and 7200 <= probe.measures["age"] < 7260
    judge("file", {"path": path, "absent": True}, "fail", "content", says="must not be")
    judge("file", {"path": path, "warn_age": "1h", "fail_age": "3h"}, "warn", "content", says="it is 2 h old, above warn_age 1h")
    judge("file", {"path": path, "warn_age": "30m", "fail_age": "1h"}, "fail", "content", says="above fail_age 1h")
    judge("file", {"path": path, "fail_size_below": "19"}, "fail", "content", says="below fail_size_below 19")
    judge("file", {"path": path, "warn_size_above": "17"}, "warn", "content", says="above warn_size_above 17")
    judge("file", {"path": path / "below-a-file", "absent": True}, "pass", "none")


def test_a_file_is_judged_by_its_content(folder):
    path = folder / "state"
    path.write_text("status=ok\nrows=12\n")
    judge("file", {"path": path, "contains": "status=ok"}, "pass", "none")
    judge("file", {"path": path, "contains": "status=bad"}, "fail", "content", says='does not contain "status=bad"')
    judge("file", {"path": path, "matches": r"(?m)^rows=\d+$"}, "pass", "none")
    judge("file", {"path": path, "matches": r"^rows"}, "fail", "content", says="does not match")
    judge("file", {"path": path, "rejects": "error|bad"}, "pass", "none")
    judge("file", {"path": path, "rejects": "rows"}, "fail", "content", says="matches the pattern of rejects")
    judge("file", {"path": folder, "contains": "x"}, "unknown", "config", says="no regular file")
    os.mkfifo(folder / "fifo")
    judge("file", {"path": folder / "fifo", "contains": "x"}, "unknown", "config", says="no regular file")
    with open(folder / "large", "wb") as large:
        large.truncate(1 << 30)
    judge("file", {"path": folder / "large", "contains": "x"}, "fail", "content")  # its first MiB, in time
    (folder / "long").write_bytes(b"." * ((1 << 20) - 1) + b"ab")
    judge("file", {"path": folder / "long", "contains": "a"}, "pass", "none")
    judge("file", {"path": folder / "long", "contains": "b"}, "fail", "content")


def test_the_newest_of_many_files_counts(folder):
    for age, name in ((9000, "app-1.dump"), (60, "app-2.dump"), (30000, "app-3.dump")):
        (folder / name).write_text(name)
        os.utime(folder / name, (time.time() - age, time.time() - age))
    (folder / "other").write_text("")
    probe = judge("file", {"path": folder / "app-*.dump", "fail_age": "1h"}, "pass", "none")
    assert probe.facts["newest"].endswith("app-2.dump")
    judge("file", {"path": folder / "app-*.dump", "fail_age": "30s"}, "fail", "content")
    judge("file", {"path": folder / "web-*.dump"}, "fail", "content", says="is missing")
    for name, nanoseconds in (("b-1", 5), ("b-2", 7), ("b-3", 6)):  # of one second
        (folder / name).write_text("")
        os.utime(folder / name, ns=(10**18 + nanoseconds, 10**18 + nanoseconds))
    assert judge("file", {"path": folder / "b-*"}, "pass", "none").facts["newest"].endswith("b-2")


def test_what_the_agent_may_not_read_is_its_own_trouble(folder):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0o600)
    folder.chmod(0o755)
    build = temporary_directory("module")
    build.chmod(0o755)
    for source in (WORKER, BUILD / "checks" / "file.so"):
        (build / source.name).write_bytes(source.read_bytes())
        (build / source.name).chmod(0o755)
    done = subprocess.run([build / "vitald-worker", "--probe", build / "file.so", "--timeout", "2s", f"path={folder}/secret",
                           "contains=x"], capture_output=True, text=True, timeout=20, user="nobody", cwd="/")
    assert done.stdout.startswith("unknown/config"), done.stdout + done.stderr


# ---- cpu -------------------------------------------------------------------------------------------------------------

class Group:
    """A group of the unified hierarchy with processes that turn in circles."""

    base = next((p for p in (pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup"))
                 if (p / "cgroup.procs").exists()), None)

    def __init__(self, burners=0):
        self.path = self.base / f"vt-{os.getpid()}-{time.monotonic_ns()}"
        self.path.mkdir()
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(burners)]
        for process in self.processes:
            (self.path / "cgroup.procs").write_text(str(process.pid))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        for _ in range(100):
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.02)


def group_or_skip(burners=0):
    if os.geteuid() != 0 or Group.base is None:
        pytest.skip("needs root and a unified hierarchy")
    return Group(burners)


def test_the_processors_of_this_host():
    probe = judge("cpu", {"warn_used": 100, "warn_stolen": 100}, "pass", "none", says="of the processors are used, over 1 s")
    assert 0 <= probe.measures["used"] <= 100 and probe.measures["processors"] == os.cpu_count()


# A kernel of our own making: its files lie over the real ones, in a mount namespace that ends with the probe.
TICKING = """
import subprocess, threading
subprocess.run(["mount", "--bind", FILE, "/proc/stat"], check=True)
stop = threading.Event()
def tick():
    n = 0
    while not stop.wait(0.01):
        n += 1
        line = f"cpu {1000 + 15 * n} 0 {5 * n} {10 * n} {30 * n} 0 0 {40 * n} 0 0"
        with open(FILE, "r+") as file: file.write(line.ljust(100) + chr(10))
threading.Thread(target=tick, daemon=True).start()
probe = [WORKER, "--probe", MODULE, "--timeout", "3s"]
print(subprocess.run([*probe, "warn_stolen=35", "warn_used=30"], capture_output=True, text=True, timeout=20).stdout)
stop.set()
"""


@needs_root
def test_what_the_processors_did_is_told_apart(folder):
    (folder / "stat").write_text("cpu 1000 0 0 0 0 0 0 0 0 0".ljust(100) + "\n")  # where the ticks begin
    said = in_own_mounts(f"FILE = {str(folder / 'stat')!r}; {worker_of('cpu')}\n" + TICKING)
    assert said.startswith("warn/content: this host: 40% of the processors' time is stolen"), said
    for name, percent in (("used", 20), ("waiting_for_io", 30), ("stolen", 40)):
        assert round(float(re.search(rf"measure {name} = ([\d.]+)", said)[1])) == percent, said


def in_own_mounts(script):
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, "-c", script], capture_output=True,
                          text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def worker_of(kind):
    return f"WORKER = {str(WORKER)!r}; MODULE = {str(BUILD / 'checks' / kind) + '.so'!r}"


def test_a_group_that_works_and_one_that_sleeps():
    with group_or_skip(burners=2) as group:
        if not (group / "cpu.stat").exists():
            pytest.skip("no cpu.stat in a group")
        probe = judge("cpu", {"cgroup": group, "fail_used": 1, "warn_used": 1}, "fail", "content", says="above fail_used 1")
        assert probe.measures["used"] > 1
    with Group() as group:
        probe = judge("cpu", {"cgroup": group, "warn_used": 1}, "pass", "none")
        assert probe.measures["used"] == 0
    judge("cpu", {"cgroup": "/sys/fs/cgroup/not-there"}, "fail", "content", says="no such control group")


def test_a_group_with_a_quota_is_measured_by_it_and_tells_when_it_is_held_back(folder):
    # Files as the kernel writes them; the quota is half a processor.
    started = time.monotonic()

    def write():
        turned = time.monotonic() - started
        periods = int(turned * 10)
        new = folder / "new"
        new.write_text(f"usage_usec {int(turned * 250_000)}\nnr_periods {periods}\nnr_throttled {periods // 2}\nthrottled_usec 0\n")
        new.rename(folder / "cpu.stat")

    (folder / "cpu.max").write_text("50000 100000\n")
    write()
    stop = threading.Event()

    def run():
        while not stop.wait(0.02):
            write()

    threading.Thread(target=run, daemon=True).start()
    try:
        with Agent({"profile": "strict", "defaults": {"interval": "2s", "edge_interval": "500ms", "timeout": "1500ms"},
                    "checks": {"c": {"type": "cpu", "cgroup": str(folder), "warn_throttled": 20}}}) as agent:
            agent.wait_for(lambda: agent.check("c")["state"] == "warn")
            wait_for(lambda: 35 < measures(agent.check("c"))["used"] < 65)  # a quarter of a processor of its half
            assert 35 < measures(agent.check("c"))["throttled"] < 65
            assert measures(agent.check("c"))["processors"] == 0.5
            # Scenario S7: a busy node stays in rotation, and whoever scales reads the number.
            answer = agent.health("/health")
            assert answer.status == 200 and answer.headers["x-health-status"] == "warn"
            assert 'vitald_check_measure{check="c",measure="used",unit="%"}' in agent.health("/metrics").text
    finally:
        stop.set()


def measures(check):
    found = check["measures"]
    return found if isinstance(found, dict) else {m["name"]: m["value"] for m in found}


# ---- pressure --------------------------------------------------------------------------------------------------------

def test_the_pressure_of_this_host():
    probe = judge("pressure", {"warn": {"memory_full_avg300": 100}}, "pass", "none", says="work in this host waits")
    assert {"cpu_some_avg10", "io_full_avg60", "memory_full_avg300"} <= set(probe.measures)


def test_a_group_whose_work_waits():
    with group_or_skip(burners=2 * os.cpu_count()) as group:
        if not (group / "cpu.pressure").exists():
            pytest.skip("no pressure in a group")
        wait_for(lambda: float((group / "cpu.pressure").read_text().split("avg10=")[1].split()[0]) > 1, 20)
        judge("pressure", {"cgroup": group, "fail": {"cpu_some_avg10": 1}}, "fail", "content", says="cpu_some_avg10 is")
        judge("pressure", {"cgroup": group}, "pass", "none")  # its processors are short, its memory is not
    judge("pressure", {"cgroup": "/sys/fs/cgroup/not-there"}, "fail", "content", says="no such control group")


def test_pressure_is_judged_by_the_numbers_written(folder):
    (folder / "memory.pressure").write_text("some avg10=50.00 avg60=20.00 avg300=5.00 total=1\n"
                                            "full avg10=40.00 avg60=11.00 avg300=1.00 total=1\n")
    judge("pressure", {"cgroup": folder}, "warn", "content", says="memory_full_avg60 is 11.0%, above warn 10")
    judge("pressure", {"cgroup": folder, "fail": {"memory_full_avg60": 10}}, "fail", "content")
    judge("pressure", {"cgroup": folder, "fail": {"memory_full_avg60": 11}}, "pass", "none")
    judge("pressure", {"cgroup": folder, "warn": {"memory_full_avg60": 10}, "fail": {"memory_full_avg60": 10}}, "fail", "content")
    judge("pressure", {"cgroup": folder, "warn": {"cpu_full_avg10": 1}}, "unknown", "config", says="does not tell cpu_full_avg10")


# ---- oom -------------------------------------------------------------------------------------------------------------

@needs_root
def test_a_process_that_the_kernel_kills_for_memory_is_seen_for_a_while():
    group = pathlib.Path(f"/sys/fs/cgroup/memory/vt-oom-{os.getpid()}")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("needs the memory controller of the old hierarchy")
    try:
        (group / "memory.limit_in_bytes").write_text("20M")
        with Agent({"profile": "strict", "defaults": {"interval": "500ms", "edge_interval": "200ms", "timeout": "400ms"},
                    "checks": {"oom": {"type": "oom", "window": "4s", "fail_kills": 100}}}) as agent:
            agent.wait_for(lambda: agent.check("oom")["state"] == "pass")
            before = measures(agent.check("oom"))["kills_total"]
            hog = subprocess.run(["sh", "-c", f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c 'x = bytearray(200 << 20)'"],
                                 check=False)
            assert hog.returncode in (-9, 137)
            agent.wait_for(lambda: agent.check("oom")["state"] == "warn")
            assert measures(agent.check("oom"))["kills_total"] > before
            assert "the kernel killed 1 processes" in agent.check("oom")["output"]
            agent.wait_for(lambda: agent.check("oom")["state"] == "pass", what="it is forgotten after the window")
    finally:
        for _ in range(100):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def test_a_groups_kills_are_counted_from_its_events(folder):
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 4\noom_kill 4\n")
    with Agent({"profile": "strict", "defaults": {"interval": "500ms", "edge_interval": "200ms", "timeout": "400ms"},
                "checks": {"oom": {"type": "oom", "cgroup": str(folder), "warn_kills": 0, "fail_kills": 2}}}) as agent:
        agent.wait_for(lambda: agent.check("oom")["state"] == "pass", what="what was before us does not count")
        (folder / "memory.events").write_text("oom 7\noom_kill 7\n")
        agent.wait_for(lambda: agent.check("oom")["state"] == "fail")
        assert measures(agent.check("oom"))["kills"] == 3
    judge("oom", {"cgroup": "/sys/fs/cgroup/not-there"}, "fail", "content", says="no such control group")


def test_a_count_that_goes_back_hides_no_later_kill(folder):
    (folder / "memory.events").write_text("oom_kill 4\n")
    with Agent({"profile": "strict", "defaults": {"interval": "500ms", "edge_interval": "200ms", "timeout": "400ms"},
                "checks": {"oom": {"type": "oom", "cgroup": str(folder)}}}) as agent:
        agent.wait_for(lambda: agent.check("oom")["state"] == "pass")
        (folder / "memory.events").write_text("oom_kill 0\n")  # another group of the same name
        agent.wait_for(lambda: measures(agent.check("oom"))["kills_total"] == 0)
        (folder / "memory.events").write_text("oom_kill 1\n")
        agent.wait_for(lambda: agent.check("oom")["state"] == "warn")


# ---- network ---------------------------------------------------------------------------------------------------------

INSIDE = r"""
import re, socket, subprocess, sys, threading
def ip(*words): subprocess.run(["ip", *words], check=True)
def probe(*options):
    done = subprocess.run([WORKER, "--probe", MODULE, "--timeout", "3s", *options], capture_output=True, text=True, timeout=20)
    print(done.stdout.splitlines()[0])
ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
probe("interface=v0")
ip("link", "set", "v0", "up")
probe("interface=v0")
ip("link", "set", "v1", "up")
probe("interface=v0")
noise = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
noise.bind(("v1", 0))
frame = b"\xff" * 6 + b"\x02\0\0\0\0\1" + b"\x88\xb5" + b"nobody speaks this" * 4
stop = threading.Event()
def shout():
    while not stop.wait(0.002):
        for _ in range(20): noise.send(frame)
threading.Thread(target=shout, daemon=True).start()
probe("interface=v0", "warn_drops=10")
probe("interface=v0", "warn_drops=10", "fail_drops=20")
for interface in "v0", "v1":
    done = subprocess.run([WORKER, "--probe", MODULE, "--timeout", "400ms", "interface=" + interface], capture_output=True, text=True, timeout=20)
    print(*re.findall(r"measure \w+ = ([\d.e+]+)", done.stdout))
stop.set()
probe("interface=gone")
probe("interface=v0", "warn_speed=1000000")
"""


@needs_root
def test_an_interface_is_down_or_has_no_link_or_loses_packets():
    script = f"WORKER = {str(WORKER)!r}; MODULE = {str(BUILD / 'checks' / 'network.so')!r}\n" + INSIDE
    done = subprocess.run(["unshare", "--net", sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    said = done.stdout.splitlines()
    assert done.returncode == 0 and len(said) == 9, done.stdout + done.stderr
    assert said[0].startswith("fail/unreachable: v0 is down"), said
    assert said[1].startswith("fail/unreachable: v0 has no link"), said
    assert said[2].startswith("pass/none: v0 is up"), said
    assert said[3].startswith("warn/content: v0: ") and "above warn_drops 10" in said[3], said
    assert said[4].startswith("fail/content: v0: ") and "above fail_drops 20" in said[4], said
    (_, dropped, received, sent), (_, _, back, shouted) = ([float(n) for n in line.split()] for line in said[5:7])
    assert 0.7 < dropped * 86 / received < 1.4, said  # a second, whatever the time between the looks: all that came was dropped
    assert sent < received / 10 and back < shouted / 10, said
    assert said[7].startswith("fail/content: gone: there is no such interface"), said
    assert said[8].startswith(("warn/content", "unknown/config")), said  # some kernels' veth tells a speed


# ---- limits ----------------------------------------------------------------------------------------------------------

def test_what_is_left_of_files_and_processes():
    probe = judge("limits", {}, "pass", "none", says="of the open files are left")
    assert probe.measures["used_pids"] > 1 and probe.measures["free_files"] > 100
    judge("limits", {"warn_free_pids": "100%"}, "warn", "content", says="below warn_free_pids 100%")
    judge("limits", {"warn_free_pids": "100%", "fail_free_pids": "100%"}, "fail", "content")


LEFT = """
import pathlib, subprocess, sys
proc = pathlib.Path("/proc/sys")
subprocess.run(["mount", "-t", "tmpfs", "none", proc], check=True)
for name, text in (("fs/file-nr", "900 0 1000"), ("kernel/threads-max", "100"), ("kernel/pid_max", "4000"),
                   ("net/netfilter/nf_conntrack_count", "60"), ("net/netfilter/nf_conntrack_max", "80")):
    (proc / name).parent.mkdir(parents=True, exist_ok=True)
    (proc / name).write_text(text + chr(10))
pathlib.Path(FILE).write_text("0.1 0.2 0.3 2/70 12345" + chr(10))
subprocess.run(["mount", "--bind", FILE, "/proc/loadavg"], check=True)
print(subprocess.run([WORKER, "--probe", MODULE, "--timeout", "3s"], capture_output=True, text=True, timeout=20).stdout)
"""


@needs_root
def test_each_supply_is_measured_by_its_own_limit(folder):
    said = in_own_mounts(f"FILE = {str(folder / 'loadavg')!r}; {worker_of('limits')}\n" + LEFT)
    assert said.startswith("warn/content: this host: 10% of the open files are left, below warn_free_files 20%"), said
    for name, left, used in (("files", 100, 900), ("pids", 30, 70), ("conntrack", 20, 60)):
        assert f"measure free_{name} = {left}" in said and f"measure used_{name} = {used}" in said, said


def test_a_groups_processes(folder):
    (folder / "pids.current").write_text("90\n")
    (folder / "pids.max").write_text("100\n")
    judge("limits", {"cgroup": folder}, "warn", "content", says="10% of the processes are left, below warn_free_pids 20%")
    judge("limits", {"cgroup": folder, "warn_free_pids": "11", "fail_free_pids": "11"}, "fail", "content", says="below fail_free_pids 11")
    (folder / "pids.max").write_text("max\n")
    judge("limits", {"cgroup": folder}, "pass", "none", says="no limit of processes")


# ---- all of them -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, options", [("oom", {}), ("pressure", {"warn": {"memory_full_avg300": 100}}), ("limits", {}),
                                           ("file", {"path": "/etc/passwd", "contains": "root"})])
def test_many_probes_leave_nothing(kind, options):
    leaves_nothing(repeat(kind, options, 1000), "pass/none", 1000)


def test_a_thousand_looks_that_compare_leave_nothing():
    leaves_nothing(repeat("network", {"interface": "lo", "warn_errors": 1000000}, 1000), "pass/none", 1000)


@pytest.mark.parametrize("kind, options, says", [
    ("file", {"path": "etc/passwd"}, "path"),
    ("file", {"path": "/a", "absent": True, "contains": "x"}, "contains"),
    ("file", {"path": "/a", "matches": "("}, "matches"),
    ("file", {"path": "/a", "warn_age": "2h", "fail_age": "1h"}, "warn_age"),
    ("cpu", {"warn_throttled": 5}, "warn_throttled"),
    ("cpu", {"warn_used": 95, "fail_used": 80}, "warn_used"),
    ("cpu", {"cgroup": "system.slice"}, "cgroup"),
    ("pressure", {"warn": {"memory.full": 5}}, "warn"),
    ("pressure", {"fail": {"memory_full_avg60": "much"}}, "fail"),
    ("pressure", {"fail": {"memory_full_avg60": 101}}, "fail"),
    ("pressure", {"fail": {"memory_full_avg60": 5}, "warn": {"memory_full_avg60": 6}}, "warn"),
    ("network", {"interface": "a/b"}, "interface"),
    ("network", {}, "interface"),
    ("limits", {"warn_free_pids": "1%", "fail_free_pids": "5%"}, "warn_free_pids"),
])
def test_options_that_make_no_sense_are_refused_by_name(kind, options, says):
    refused(kind, options, says)
