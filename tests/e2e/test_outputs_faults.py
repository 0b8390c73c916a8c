"""Every kind of output with a target that is gone, hangs, answers nonsense or has no room: it says which and why, and neither
the endpoint nor an output with a good target notices. All of them in one agent, at the same time."""
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from agent import Agent, wait_for
from outputs_given import Told
from servers import temporary_directory

HERE = pathlib.Path(__file__).parent


def can_mount():
    return os.geteuid() == 0 and os.path.exists("/dev/fuse") and subprocess.run(
        ["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


class Peer:
    """A TCP port that hangs (says nothing, ever) or answers nonsense."""

    def __init__(self, says=None):
        self.says, self.kept = says, []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.kept.append(connection)
            if self.says is not None:
                try:
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.sendall(self.says)
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.kept:
            connection.close()


def script(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
NO_JSON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n[1,2,3"
LATE = "no answer within 600ms"


def table(folder, hanging, full, hang, ssh, no_json):
    """name -> the output, and what its error must say. The names begin with the kind."""
    slow = script(folder, "slow", "sleep 100\n")
    chatty = script(folder, "chatty", "head -c 3000000 /dev/zero | tr '\\0' 'x'\nexit 3\n")
    nonsense = script(folder, "nonsense", "echo lalala\n")
    refuses = script(folder, "refuses", "echo 'bind() failed' >&2; exit 1\n")
    a_directory = folder / "a-directory"
    a_directory.mkdir()
    members = {"members": [{"server": "127.0.0.1:1", "service": "web"}]}
    haproxy = {"servers": ["app/s1"]}
    etcd, consul = {"key": "/k"}, {"check_id": "service:web"}
    rows = {
        "file-gone": ({"path": "/nowhere/at/all"}, "No such file or directory"),
        "file-hangs": ({"path": f"{hanging}/file"}, LATE),
        "file-full": ({"path": f"{full}/file"}, "No space left on device"),
        "file-nonsense": ({"path": str(a_directory)}, "Is a directory"),
        "keepalived-gone": ({"path": "/nowhere/at/all/either"}, "No such file or directory"),
        "keepalived-hangs": ({"path": f"{hanging}/track"}, LATE),
        "keepalived-full": ({"path": f"{full}/track"}, "No space left on device"),
        "haproxy-gone": ({"sockets": ["/nowhere/haproxy.sock"], **haproxy}, "/nowhere/haproxy.sock: No such file or directory"),
        "haproxy-refuses": ({"sockets": ["127.0.0.1:1"], **haproxy}, "127.0.0.1:1: Connection refused"),
        "haproxy-hangs": ({"sockets": [hang], **haproxy}, LATE),
        "haproxy-nonsense": ({"sockets": [ssh], **haproxy}, "did not answer as HAProxy does: SSH-2.0"),
        "exec-gone": ({"command": ["/nowhere/program"]}, "/nowhere/program"),
        "exec-hangs": ({"command": [slow]}, LATE),
        "exec-nonsense": ({"command": [chatty]}, "chatty ended with 3"),
        "exec-verify-fails": ({"command": ["/bin/true"], "verify": [refuses]}, "refuses ended with 1: bind() failed"),
        "pacemaker-gone": ({"program": "/nowhere/attrd_updater"}, "/nowhere/attrd_updater"),
        "pacemaker-hangs": ({"program": slow, "attribute": "#health-b"}, LATE),
        "pacemaker-refuses": ({"program": refuses}, "refuses ended with 1: bind() failed"),
        "pacemaker-nonsense": ({"program": nonsense}, "was told green and still holds nothing"),
        "webhook-gone": ({"url": "http://127.0.0.1:1/"}, "http://127.0.0.1:1 Failed to connect to 127.0.0.1 port 1: "),
        "webhook-hangs": ({"url": f"http://{hang}/"}, LATE),
        "webhook-nonsense": ({"url": f"http://{ssh}/"}, "HTTP/0.9"),
        "consul-gone": ({"url": "http://127.0.0.1:1", **consul}, "127.0.0.1:1"),
        "consul-hangs": ({"url": f"http://{hang}", **consul}, LATE),
        "consul-nonsense": ({"url": f"http://{no_json}", **consul}, "Consul holds no such check"),
        "etcd-gone": ({"endpoints": ["http://127.0.0.1:1"], **etcd}, "127.0.0.1:1"),
        "etcd-hangs": ({"endpoints": [f"http://{hang}"], **etcd}, LATE),
        "etcd-nonsense": ({"endpoints": [f"http://{no_json}"], **etcd}, "etcd granted no lease"),
        "nginx-gone": ({"path": "/nowhere/web.conf", **members}, "No such file or directory"),
        "nginx-full": ({"path": f"{full}/web.conf", **members}, "No space left on device"),
        "nginx-hangs": ({"path": str(folder / "web-a.conf"), "reload": [slow], **members}, LATE),
        "nginx-refuses": ({"path": str(folder / "web-b.conf"), "reload": [refuses], **members},
                          "the file is written, but refuses ended with 1: bind() failed"),
        "envoy-gone": ({"path": "/nowhere/web.json", "cluster": "web", **members}, "No such file or directory"),
        "envoy-full": ({"path": f"{full}/web.json", "cluster": "web", **members}, "No space left on device"),
        "envoy-hangs": ({"path": f"{hanging}/web.json", "cluster": "web", **members}, LATE),
    }
    return {name: ({"type": name.split("-")[0], "name": name, "service": "web", "interval": "1s", "timeout": "600ms", **output}, error)
            for name, (output, error) in rows.items()}


@pytest.mark.skipif(not can_mount(), reason="needs root and FUSE")
def test_a_bad_target_is_named_and_nobody_else_notices():
    folder = temporary_directory("faults")
    hanging, full = folder / "hanging", folder / "full"
    hanging.mkdir()
    full.mkdir()
    peers = [Peer(), Peer(SSH), Peer(NO_JSON)]
    rows = table(folder, hanging, full, *[p.address for p in peers])
    good = folder / "good"
    outputs = [o for o, _ in rows.values()] + [{"type": "keepalived", "name": "good", "service": "web", "path": str(good),
                                                "interval": "500ms"}]
    kinds = {"file", "keepalived", "haproxy", "exec", "pacemaker", "webhook", "consul", "etcd", "nginx", "envoy"}
    assert {o["type"] for o in outputs} == kinds, "a new kind of output gets its rows here"

    def agent_among_strange_mounts(config, **more):
        return Agent(config, argv_prefix=["unshare", "-m", "--propagation", "private", sys.executable, str(HERE / "strange_mounts.py"),
                                          str(hanging), str(full), "--"], **more)

    try:
        with Told(outputs, agent=agent_among_strange_mounts) as told:
            def errors():
                return {o["name"]: (o["state"], o["error"]) for o in told.agent.admin("/api/v1/outputs").json()["outputs"]}

            seen = {}  # an error may alternate with what a later attempt says: each must be seen once

            def missing():
                for name, (state, error) in errors().items():
                    if state == "failing" and name in rows and rows[name][1] in error:
                        seen[name] = error
                return {n: errors()[n] for n in rows if n not in seen}

            wait_for(lambda: not missing(), 30, "every bad target is named")
            assert errors()["good"] == ("ok", "")
            # What is good is told as fast as ever, and the endpoint answers.
            for word, change in (("0\n", told.fail), ("1\n", told.work)):
                change()
                changed = time.monotonic()
                wait_for(lambda: good.read_text() == word, 5)
                print(f"{word.strip()} after {time.monotonic() - changed:.2f} s")
            slowest = 0.0
            for _ in range(50):
                asked = time.monotonic()
                assert told.agent.health().status == 200
                slowest = max(slowest, time.monotonic() - asked)
                time.sleep(0.02)
            print(f"slowest answer of the endpoint {slowest * 1000:.1f} ms among {len(rows)} failing outputs")
            assert slowest < 1.0
            text = told.agent.health("/metrics").text
            assert 'vitald_output_state{output="haproxy-hangs",type="haproxy",state="failing"} 1' in text
            assert 'vitald_output_timeouts_total{output="file-hangs",type="file"} 1\n' in text, "a stuck look is not repeated"
            table_text = told.agent.ctl("status").stdout
            assert "exec-gone" in table_text and "failing" in table_text
            # Not one program is left of those that hang.
            started = time.monotonic()
            assert told.agent.end() == 0
            print(f"stopped in {time.monotonic() - started:.2f} s")
            left = subprocess.run(["pgrep", "-f", str(folder / "slow")], capture_output=True, text=True, check=False).stdout
            assert left == ""
            told.agent.start()
    finally:
        for peer in peers:
            peer.close()
