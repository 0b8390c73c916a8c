"""Sockets that somebody else opened (systemd's socket activation): names, what they take the place of, and that a restart
loses no request."""
import http.client
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


class Crowd:
    """Balancers that never stop asking: each request is answered, or it is trouble."""

    def __init__(self, where):
        self.where, self.over = where, threading.Event()
        self.answers, self.trouble = [], []
        ways = [self.once] * 3 + [self.kept] * 2 + [self.late] * 3
        self.threads = [threading.Thread(target=self.ask, args=(way,)) for way in ways]

    def ask(self, way):
        while not self.over.is_set():
            try:
                way()
            except (OSError, http.client.HTTPException) as error:
                self.trouble.append(f"{way.__name__}: {error!r}")

    def once(self):
        self.answers.append(fetch(self.where, timeout=30).status)

    def kept(self):
        """On a connection that stays, for as long as the agent wants."""
        connection = http.client.HTTPConnection(self.where, timeout=30)
        try:
            is_open = True
            while is_open and not self.over.is_set():
                connection.request("GET", "/health")
                answer = connection.getresponse()
                answer.read()
                self.answers.append(answer.status)
                is_open = not answer.will_close
                time.sleep(0.002)
        finally:
            connection.close()

    def late(self):
        """Connected some time before the question: the agent has accepted it, and may be told to stop just then."""
        host, port = self.where.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            time.sleep(0.05)
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            if not answer:
                raise OSError("closed without an answer")
            self.answers.append(int(answer.split()[1]))

    def wait(self, more):
        wanted = len(self.answers) + more
        wait_for(lambda: len(self.answers) >= wanted, 60, f"{more} more answers")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)


def test_no_request_is_lost_over_restarts_and_nobody_hears_of_a_drain():
    """A connection that was accepted, but not yet asked on, used to be closed without an answer."""
    sockets = {"health": listening()}
    where = address_of(sockets["health"])
    config = {"listen": {"health": {"address": where}}, "checks": CHECKS}
    with Handed(sockets, config, start=False) as agent:
        agent.start()
        agent.wait_for(lambda: fetch(where).status == 200, what="health answers")
        with Crowd(where) as crowd:
            for _ in range(5):
                crowd.wait(400)
                agent.end()
                agent.start()
            crowd.wait(400)
        assert not crowd.trouble, crowd.trouble
        assert set(crowd.answers) == {200}, sorted(set(crowd.answers))
        print(f"{len(crowd.answers)} requests over 5 restarts")


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
        # Nobody is refused (curl 7), and nobody is closed without an answer (52).
        assert len(answers) > 3 and set(answers) == {"200"}, answers
