"""NodeAgent: an Agent inside a node of nodes.py. Its ports are the node's own, so it is asked over its admin socket, which is
a file and can be reached from outside."""
import os
import signal
import time

from agent import Agent
from serving import children_of


class _Inside:
    """A process behind nsenter, which waits for it outside its PID namespace: signals go to the process itself."""

    def __init__(self, outer):
        self.outer, self.inner = outer, None

    @property
    def pid(self):
        # The kernel's list of children may miss one while others come and go.
        end = time.monotonic() + 5
        while self.inner is None and self.outer.poll() is None and time.monotonic() < end:
            self.inner = next(iter(children_of(self.outer.pid)), None)
            time.sleep(0 if self.inner else 0.01)
        return self.inner or self.outer.pid

    def send_signal(self, number):
        if self.outer.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def poll(self):
        return self.outer.poll()

    def wait(self, timeout=None):
        return self.outer.wait(timeout)


class NodeAgent(Agent):
    def __init__(self, node, config, **more):
        self.node = node
        super().__init__(config, argv_prefix=node.prefix_with_pids, **more)

    def start(self, wait=True):
        super().start(wait=False)
        self.process = _Inside(self.process)
        if wait:
            self.wait_for(self._is_alive, what="vitald answers")

    def _is_alive(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"vitald ended with {code}:\n{self.log()}")
        return self.has_listener("admin") and self.admin("/livez").status == 200

    def wait_ready(self, timeout=None):
        self.wait_for(lambda: self.admin("/readyz").status == 200, timeout, "every critical check has a result")

    def output(self, name):
        return next(o for o in self.admin("/api/v1/outputs").json()["outputs"] if o["name"] == name)
