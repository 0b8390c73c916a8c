"""A real systemd as PID 1, in namespaces of its own over a throw-away copy of this system, with vitald installed. Needs root.

    with Systemd() as machine:
        machine.write("/etc/vitald/vitald.yaml", text)
        machine.drop_in("vitald.service", "[Service]\\nWatchdogSec=2s\\n")
        machine.systemctl("start", "vitald")
        assert machine.show("vitald")["StatusText"].startswith("pass")
        machine.run("vitalctl", "status")                  # any command, inside
        machine.host_pid(machine.main_pid("vitald"))       # as we see that process

Its root is an overlay on memory over ours: what it writes is gone with it. It has a network (loopback only), processes and
control groups of its own. Two guards keep this system out of its reach: before it starts it is put into a group of its own
in every hierarchy, so that the groups it makes lie below that; and /proc/sys is read-only for it, so that it sets nothing
for this kernel. It dies with the test, and its groups are removed.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from agent import BUILD, wait_for

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1

# Runs in the new namespaces; $1 is a folder of ours, on memory.
_INSIDE = r"""
set -eu
top=$1; root=$top/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"      # systemd mounts its own hierarchies there
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
ip link set lo up
cd "$root"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /                                      # credentials reach a service by propagation
exec env -i container=vitald-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=vitald-test.target </dev/null
"""

_TARGET = """[Unit]
Description=what the tests need of a system
Requires=basic.target systemd-journald.service
After=basic.target systemd-journald.service
AllowIsolate=yes
"""


def require():
    """Skips the test where this cannot work, and says why."""
    if os.geteuid() != 0:
        pytest.skip("needs root: systemd runs as PID 1 of namespaces")
    for tool in (SYSTEMD, "unshare", "nsenter", "ip", "systemctl"):
        if not pathlib.Path(tool).exists() and shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            pytest.skip(f"needs {tool}")
    probe = subprocess.run(["unshare", "-p", "-f", "-m", "-C", "-n", "-i", "-u", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"this system does not let us make the namespaces: {probe.stderr.strip()}")


def _hierarchies():
    """Where each hierarchy of control groups is mounted, with the group we are in."""
    ours = {}
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        ours[controllers] = group
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        kind, _, options = after.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        names = options.split(",")
        for controllers, group in ours.items():
            if (kind == "cgroup2" and not controllers) or (controllers and set(controllers.split(",")) <= set(names)):
                path = pathlib.Path(before.split()[4] + group)
                yield path if path.is_dir() else pathlib.Path(before.split()[4])


class _Groups:
    """A group of our own in every hierarchy: what systemd makes lies below it, and goes with it."""

    def __init__(self):
        name = f"vitald-test-systemd-{os.getpid()}-{int(time.monotonic() * 1000)}"
        self.paths = [h / name for h in _hierarchies()]
        for path in self.paths:
            path.mkdir()
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if (path / setting).exists():
                    (path / setting).write_text((path.parent / setting).read_text())

    def enter(self):
        for path in self.paths:
            (path / "cgroup.procs").write_text("0")

    def remove(self):
        for path in self.paths:
            end = time.monotonic() + 10
            while path.exists():
                for below, _, _ in os.walk(path, topdown=False):
                    try:
                        os.rmdir(below)
                    except OSError:
                        pass
                if path.exists() and time.monotonic() > end:
                    raise RuntimeError(f"{path} is still in use")
                time.sleep(0.02)


class Systemd:
    """A small machine: systemd, the journal, and vitald installed as `meson install` does it."""

    def __init__(self, install=True):
        require()
        self._top = pathlib.Path(tempfile.mkdtemp(prefix="vitald-systemd-"))
        self._process = self._groups = None
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755,size=512m", "tmpfs", self._top], check=True)
            for folder in ("root", "upper", "work"):
                (self._top / folder).mkdir()
            self._prepare(install)
            self._boot()
        except BaseException:
            self.close()
            raise

    def _prepare(self, install):
        upper = self._top / "upper"
        if install:
            meson = shutil.which("meson") or "/usr/bin/meson"
            done = subprocess.run([meson, "install", "-C", BUILD, "--no-rebuild", "--destdir", upper], capture_output=True,
                                  text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
        units = upper / "etc/systemd/system"
        units.mkdir(parents=True)
        (units / "vitald-test.target").write_text(_TARGET)
        # What has no business in a small machine, or would wait for hardware.
        for unit in ("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-logind.service", "getty.target",
                     "systemd-networkd.service", "networking.service", "systemd-resolved.service", "systemd-timesyncd.service",
                     "systemd-random-seed.service", "systemd-update-utmp.service", "apt-daily.timer", "dpkg-db-backup.timer",
                     "e2scrub_all.timer", "fstrim.timer"):
            (units / unit).symlink_to("/dev/null")
        (upper / "etc/fstab").write_text("")
        (upper / "etc/machine-id").write_text("")

    def _boot(self):
        self._groups = _Groups()
        groups = self._groups

        def enter():
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            groups.enter()

        self._console = open(self._top / "console", "wb")
        self._process = subprocess.Popen(
            ["unshare", "-p", "-f", "-m", "-C", "-n", "-i", "-u", "--kill-child", "--propagation", "private",
             "/bin/bash", "-c", _INSIDE, "inside", self._top], stdin=subprocess.DEVNULL, stdout=self._console,
            stderr=self._console, preexec_fn=enter)
        try:
            wait_for(self._is_up, 60, "systemd is up")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.console()}") from None

    def _is_up(self):
        if self._process.poll() is not None:
            raise AssertionError(f"it ended with {self._process.returncode}:\n{self.console()}")
        children = pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children or pathlib.Path(f"/proc/{children[0]}/comm").read_text().strip() != "systemd":
            return False
        self.init = int(children[0])
        return self.run("systemctl", "is-active", "vitald-test.target", check=False).stdout.strip() == "active"

    def console(self):
        return (self._top / "console").read_text(errors="replace")[-4000:]

    def close(self):
        if self._process is not None:
            self._process.kill()  # --kill-child: systemd with it, and the kernel everything below that
            self._process.wait(10)
            self._console.close()
            self._process = None
        if self._groups is not None:
            self._groups.remove()
        subprocess.run(["umount", "-l", self._top], check=False, capture_output=True)
        shutil.rmtree(self._top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.run("journalctl", "--no-pager", "-n", "100", check=False).stdout)
        self.close()

    # -- inside

    def run(self, *command, check=True, timeout=60, **more):
        """A command inside; its output as text."""
        done = subprocess.run(["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "--", *map(str, command)],
                              capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *arguments, **more):
        return self.run("systemctl", *arguments, **more)

    def show(self, unit):
        """The properties of a unit."""
        lines = self.systemctl("show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def main_pid(self, unit):
        """Its main process, as it is numbered inside."""
        return int(self.show(unit)["MainPID"])

    def host_pid(self, pid):
        """A process inside, as it is numbered here."""
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                status = (entry / "status").read_text()
                if os.readlink(entry / "ns/pid") != os.readlink(f"/proc/{self.init}/ns/pid"):
                    continue
            except OSError:
                continue
            numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
            if numbers and int(numbers[-1]) == pid:
                return int(entry.name)
        raise AssertionError(f"no process {pid} inside")

    def journal(self, unit):
        """What a unit has said, as records."""
        lines = self.run("journalctl", "--no-pager", "-o", "json", "-u", unit).stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def path(self, inside):
        """A file inside, as a path here."""
        return pathlib.Path(f"/proc/{self.init}/root") / str(inside).lstrip("/")

    def write(self, path, text, mode=0o644):
        there = self.path(path)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)
        there.chmod(mode)

    def drop_in(self, unit, text, name="test"):
        self.write(f"/etc/systemd/system/{unit}.d/{name}.conf", text)
        self.systemctl("daemon-reload")

    def fetch(self, url):
        """Status and body of a GET from inside."""
        done = self.run("curl", "-sS", "-m", "3", "-w", "\n%{http_code}", url, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return (int(status) if status.isdigit() else 0), body
