"""/api/v1/stream: events as they happen, resumed over a restart of the agent without loss or repetition."""
import http.client
import json
import socket
import subprocess
import threading
import time

from agent import VITALCTL, Agent, Listener

QUICK = {"interval": "200ms", "timeout": "150ms", "retries": 0, "rise": 1, "fall": 1}


class Reader:
    """Reads server-sent events as a browser's EventSource does, over the admin socket: comes back with the last id."""

    def __init__(self, path, last=None):
        self.path, self.last, self.events, self.comments = path, last, [], 0
        self.stopped, self.connection = False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped:
            try:
                self.read()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)

    def read(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.path))
            self.connection = s
            resume = f"Last-Event-ID: {self.last}\r\n" if self.last is not None else ""
            s.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n{resume}\r\n".encode())
            text = s.makefile("r", encoding="utf-8", newline="\n")
            assert " 200 " in text.readline()
            while text.readline() not in ("\r\n", ""):
                pass
            fields = {}
            while line := text.readline():
                line = line.rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    key, _, value = line.partition(": ")
                    fields[key] = value
                elif fields:
                    if "data" in fields:
                        self.events.append({"name": fields.get("event"), **json.loads(fields["data"])})
                        self.last = int(fields["id"])
                        assert self.events[-1]["id"] == self.last
                    fields = {}

    def stop(self):
        self.stopped = True
        if self.connection:
            try:
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(5)


def test_a_reader_resumes_over_restart_and_kill_without_loss_or_repetition():
    with Listener() as up, Agent({"checks": {"app": {"type": "tcp", "address": up.address, **QUICK}}}) as agent:
        agent.wait_ready()
        reader = Reader(agent.socket, last=0)
        try:
            agent.wait_for(lambda: reader.events)
            for life in range(3):
                agent.ctl("drain", "--reason", f"life {life}")
                agent.wait_for(lambda: any(e["fields"].get("reason") == f"life {life}" for e in reader.events))
                # What happens while nobody reads is there when it comes back.
                time.sleep(0.3)
                agent.kill9() if life % 2 else agent.end()
                agent.start()
                agent.wait_ready()
            last = agent.admin("/api/v1/events?limit=1").json()["last_id"]
            agent.wait_for(lambda: reader.last is not None and reader.last >= last)
        finally:
            reader.stop()
        told = [e["id"] for e in reader.events]
        kept = [e["id"] for e in agent.admin("/api/v1/events?after=0&limit=10000").json()["events"]]
        assert told == [i for i in kept if i <= told[-1]] and len(told) > 20
        names = {e["event"]: e["name"] for e in reader.events}
        assert names["check_state"] == "state" and names["starting"] == "event"


def test_vitalctl_follows_over_a_restart():
    with Listener() as up, Agent({"checks": {"app": {"type": "tcp", "address": up.address, **QUICK}}}) as agent:
        agent.wait_ready()
        process = subprocess.Popen([VITALCTL, "--socket", agent.socket, "events", "--follow", "--json", "--since", "1us"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            seen = []
            threading.Thread(target=lambda: [seen.append(json.loads(line)) for line in process.stdout], daemon=True).start()
            agent.wait_for(lambda: agent.health("/metrics").text.find("\nvitald_stream_readers 1\n") > 0)
            agent.ctl("drain", "--reason", "one")
            agent.wait_for(lambda: any(e["fields"].get("reason") == "one" for e in seen))
            agent.end()
            agent.start()
            agent.wait_ready()
            agent.ctl("drain", "--reason", "two")
            agent.wait_for(lambda: any(e["fields"].get("reason") == "two" for e in seen))
            ids = [e["id"] for e in seen]
            assert ids == sorted(set(ids)) and any(e["event"] == "starting" for e in seen)
        finally:
            process.terminate()
            process.wait(5)


def test_a_hundred_readers_do_not_keep_polls_waiting():
    with Listener() as up, Agent({"checks": {"app": {"type": "tcp", "address": up.address, **QUICK}}}) as agent:
        agent.wait_ready()
        readers = [Reader(agent.socket) for _ in range(100)]
        try:
            agent.wait_for(lambda: agent.health("/metrics").text.find("\nvitald_stream_readers 100\n") > 0, timeout=30)
            for i in range(20):
                agent.admin("/api/v1/maintenance", "POST", {"kind": "drain", "reason": f"n{i}"})
                assert agent.health().status in (200, 503)
            agent.wait_for(lambda: all(r.events and r.events[-1]["fields"].get("reason") == "n19" or
                                       any(e["fields"].get("reason") == "n19" for e in r.events) for r in readers), timeout=30)
        finally:
            for r in readers:
                r.stopped = True
            for r in readers:
                r.stop()
