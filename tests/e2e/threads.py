"""Stopping one thread of a process, or slowing a process down: trouble that SIGSTOP, which stops all of it, cannot make.

    with FrozenThread(loop_thread(agent.pid)):      # the thread stands, the others go on; needs root, or the right to trace
        ...
    with Quota() as quota, Agent(config, argv_prefix=quota.prefix) as agent:
        with quota.squeezed(percent=5): ...         # the agent's control group has little CPU, and others in it eat that up
"""
import contextlib
import ctypes
import os
import pathlib
import subprocess
import threading
import time

import pytest

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long
_PTRACE_SEIZE, _PTRACE_INTERRUPT, _PTRACE_DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


def loop_thread(pid):
    """The agent's loop is its first thread."""
    return pid


def threads_of(pid):
    return sorted(int(t.name) for t in pathlib.Path(f"/proc/{pid}/task").iterdir())


class FrozenThread:
    """A thread that stands still, held by a tracer: ptrace(2) is done on one thread of ours, which holds it until the end."""

    def __init__(self, tid):
        self.tid = tid
        self._stands, self._release, self._error = threading.Event(), threading.Event(), None

    def __enter__(self):
        self._holder = threading.Thread(target=self._hold, daemon=True)
        self._holder.start()
        assert self._stands.wait(10), "the thread did not stop"
        if self._error:
            self._holder.join(10)
            if self._error == 1:
                pytest.skip("this system does not let us trace a process")
            raise OSError(self._error, os.strerror(self._error))
        return self

    def _hold(self):
        if _LIBC.ptrace(_PTRACE_SEIZE, self.tid, None, None) != 0:
            self._error = ctypes.get_errno()
            self._stands.set()
            return
        _LIBC.ptrace(_PTRACE_INTERRUPT, self.tid, None, None)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                state = pathlib.Path(f"/proc/{self.tid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            except OSError:
                break
            if state == "t":
                break
            time.sleep(0.005)
        self._stands.set()
        # A tracer hears of the thread's end first: nobody else can, its parent included, until it has listened.
        while not self._release.wait(0.02) and not self._has_ended():
            pass
        _LIBC.ptrace(_PTRACE_DETACH, self.tid, None, None)

    def _has_ended(self):
        try:
            pid, status = os.waitpid(self.tid, os.WNOHANG | _WALL)
        except ChildProcessError:
            return True
        return pid != 0 and (os.WIFEXITED(status) or os.WIFSIGNALED(status))

    def __exit__(self, *_):
        self._release.set()
        self._holder.join(10)


class Quota:
    """A control group. What is started with `prefix` runs in it, at full speed until it is squeezed."""

    PERIOD_US = 100_000

    def __init__(self):
        self.group, self._is_v1 = self._own_folder()

    @staticmethod
    def _own_folder():
        name = f"vitald-test-{os.getpid()}-{int(time.monotonic() * 1000)}"
        v1, v2 = pathlib.Path("/sys/fs/cgroup/cpu"), pathlib.Path("/sys/fs/cgroup")
        if os.geteuid() == 0 and (v1 / "cgroup.procs").exists():
            return v1 / name, True
        try:
            if os.geteuid() == 0 and "cpu" in (v2 / "cgroup.subtree_control").read_text().split():
                return v2 / name, False
        except OSError:
            pass
        pytest.skip("needs root and a control group hierarchy with the cpu controller")

    def __enter__(self):
        self.group.mkdir()
        self.prefix = ["/bin/sh", "-c", f'echo $$ > {self.group}/cgroup.procs && exec "$@"', "sh"]
        return self

    @contextlib.contextmanager
    def squeezed(self, percent):
        """While this lasts, the group has so much of one processor, and others in it that eat it up."""
        # One for each processor, or the process runs on the one that is free.
        burners = [subprocess.Popen([*self.prefix, "/usr/bin/python3", "-c", "while True: pass"], start_new_session=True)
                   for _ in range(os.cpu_count())]
        try:
            self._limit(self.PERIOD_US * percent // 100)
            yield
        finally:
            self._limit(None)
            for burner in burners:
                burner.kill()
                burner.wait(10)

    def _limit(self, microseconds):
        if self._is_v1:
            (self.group / "cpu.cfs_period_us").write_text(str(self.PERIOD_US))
            (self.group / "cpu.cfs_quota_us").write_text(str(microseconds or -1))
        else:
            (self.group / "cpu.max").write_text(f"{microseconds or 'max'} {self.PERIOD_US}")

    def __exit__(self, *_):
        end = time.monotonic() + 10
        while True:
            try:
                self.group.rmdir()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
