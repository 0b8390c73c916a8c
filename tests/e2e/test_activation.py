"""Sockets that somebody else opened (systemd's socket activation): names, what they take the place of, and that a restart
refuses nobody."""
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from agent import VITALD, Agent, fetch, free_port, wait_for
from systemd import Systemd

CHECKS = {"here": {"type": "disk", "path": "/", "warn_free": "0%", "fail_free": "0%", "interval": "1s"}}


class Handed(Agent):
    """An agent that is given these sockets: {name: socket}, as systemd would."""

    def __init__(self, sockets, *arguments, **more):
        self.sockets = sockets
        super().__init__(*arguments, **more)

    def start(self, wait=True):
        assert self.process is None
        self._log_from = self.log_file.stat().st_size if self.log_file.exists() else 0
        sockets = list(self.sockets.values())
        names = ":".join(self.sockets)

        def place():
            kept = [os.dup(s.fileno()) for s in sockets]
            kept = [os.fdopen(fd, closefd=False).fileno() for fd in kept]
            high = [os.dup2(fd, 100 + i, inheritable=True) for i, fd in enumerate(kept)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
                os.close(fd)
        command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", str(VITALD), "run", "--config", str(self.config_file)]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                            close_fds=False, preexec_fn=place,
                                            env={**os.environ, "LISTEN_FDS": str(len(sockets)), "LISTEN_FDNAMES": names})
        if wait:
            self.wait_for(lambda: self.has_listener("admin"), what="it listens")
            self.wait_for(lambda: self.admin("/livez").status == 200, what="it lives")


def listening(path=None):
    if path is None:
        return socket.create_server(("127.0.0.1", 0), backlog=512)
    out = socket.socket(socket.AF_UNIX)
    out.bind(str(path))
    out.listen(64)
    return out


def address_of(s):
    return "%s:%d" % s.getsockname()


def test_handed_sockets_serve_by_their_names_and_their_files_stay(tmp_path):
    admin_file = tmp_path / "admin.sock"
    sockets = {"health": listening(), "haproxy": listening(), "admin": listening(admin_file)}
    config = {"listen": {"health": {"address": address_of(sockets["health"])}, "admin": {"socket": str(admin_file)}}, "checks": CHECKS}
    agent = Handed(sockets, config, start=False)
    agent.socket = admin_file
    with agent:
        agent.start()
        agent.wait_for(lambda: fetch(address_of(sockets["health"])).status == 200, what="health answers")
        assert agent.addresses("health") == [address_of(sockets["health"])]
        assert agent.haproxy("") == "up ready 100%"  # handed over, though the config has none
        assert agent.admin("/api/v1/status").json()["node"]["answer"] == "pass"
        agent.reload()
        assert fetch(address_of(sockets["health"])).status == 200
        assert agent.end() == 0
        assert admin_file.exists(), "the file belongs to who made the socket"


def test_a_restart_refuses_nobody_and_nobody_hears_of_a_drain():
    sockets = {"health": listening()}
    where = address_of(sockets["health"])
    config = {"listen": {"health": {"address": where}}, "checks": CHECKS}
    with Handed(sockets, config, start=False) as agent:
        agent.start()
        agent.wait_for(lambda: fetch(where).status == 200, what="health answers")
        answers, trouble, is_over = [], [], threading.Event()

        def poll():
            while not is_over.is_set():
                try:
                    answers.append(fetch(where, timeout=30).status)
                except OSError as error:
                    trouble.append(repr(error))
                time.sleep(0.005)
        pollers = [threading.Thread(target=poll) for _ in range(4)]
        for p in pollers:
            p.start()
        try:
            for _ in range(3):
                wanted = len(answers) + 20
                wait_for(lambda: len(answers) >= wanted, 30, "answers before a restart")
                agent.end()
                agent.start()
            wanted = len(answers) + 20
            wait_for(lambda: len(answers) >= wanted, 30, "answers after the last restart")
        finally:
            is_over.set()
            for p in pollers:
                p.join(60)
        assert not trouble
        assert set(answers) == {200}, sorted(set(answers))


def test_a_socket_of_another_name_is_an_error_in_one_line():
    sockets = {"http": listening()}
    with Handed(sockets, {"checks": CHECKS}, start=False) as agent:
        agent.start(wait=False)
        assert agent.process.wait(20) == 1
        agent.process = None
        assert 'a socket named "http" was handed over; FileDescriptorName= is one of health, haproxy' in agent.log()


def test_systemd_socket_activate_starts_it_on_the_first_connection():
    port = free_port()
    with Agent({"listen": {"health": {"address": f"127.0.0.1:{port}"}}, "checks": CHECKS}, start=False,
               argv_prefix=["systemd-socket-activate", "--fdname=health", "-l", f"127.0.0.1:{port}"]) as agent:
        agent.start(wait=False)
        wait_for(lambda: fetch(f"127.0.0.1:{port}", "/livez", timeout=20).status == 200, 30, "the first connection is answered")
        wait_for(lambda: fetch(f"127.0.0.1:{port}").status == 200, 15, "health is served on it")
        assert agent.addresses("health") == [f"127.0.0.1:{port}"]


POLL = r"""
n=0
while [ ! -e /tmp/over ]; do
  curl -sS -m 20 -o /dev/null -w '%{http_code}\n' http://127.0.0.1:9180/health || echo "curl-$?"
  n=$((n+1)); [ $n -lt 2000 ] || break
done
"""


@pytest.mark.timeout(180)
def test_under_systemd_a_restart_of_the_shipped_units_refuses_nobody():
    config = {"listen": {"health": {"address": "0.0.0.0:9180"}}, "checks": CHECKS}
    with Systemd() as machine:
        machine.write("/etc/vitald/vitald.yaml", json.dumps(config))
        machine.write("/tmp/poll", POLL)
        machine.systemctl("start", "vitald.socket")
        assert machine.show("vitald")["ActiveState"] == "inactive"
        wait_for(lambda: machine.fetch("http://127.0.0.1:9180/health")[0] == 200, 30, "the first connection starts it")
        said = []
        poller = threading.Thread(target=lambda: said.append(machine.run("sh", "/tmp/poll", timeout=120).stdout))
        poller.start()
        try:
            for _ in range(3):
                before = machine.show("vitald")["MainPID"]
                machine.systemctl("restart", "vitald")
                assert machine.show("vitald")["MainPID"] != before
        finally:
            machine.write("/tmp/over", "")
            poller.join(120)
        answers = said[0].split()
        # Nobody is refused (7). Who was accepted in the very moment of the end, before he had asked, may find his connection
        # closed in order (52), once a restart at the most; a balancer asks again.
        assert len(answers) > 3 and set(answers) <= {"200", "000", "curl-52"}, answers
        assert answers.count("curl-52") <= 3 and answers[-1] == "200", answers
