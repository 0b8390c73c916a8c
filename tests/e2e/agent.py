"""Agent: a real vitald for the end-to-end tests, in a folder of its own, on ports the kernel chose.

    with Agent(config={"checks": {"app": {"type": "http", "url": url}}}) as agent:
        agent.wait_for(lambda: agent.health().status == 200)
        print(agent.health("/health/web").json())
        agent.ctl("drain", "--reason", "deploy")

`config` is a dict (written as JSON, which is YAML) or YAML text. What it does not say of `listen` and `state_dir` is
filled in: health on 127.0.0.1:0, the admin socket and the state inside the folder. Every wait here has an end. The
build directory is $VITALD_BUILD, or `build` beside the sources.
"""
import copy
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", ROOT / "build")).resolve()
VITALD = BUILD / "src" / "vitald"
VITALCTL = BUILD / "src" / "vitalctl"

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Answer:
    """An HTTP answer: status, headers (a dict with lower-case names), body (bytes)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.text[:500]!r}>"


def wait_for(claim, timeout=15.0, what=""):
    """Calls `claim` until it is true and returns what it said; fails after `timeout` seconds with its last word."""
    end = time.monotonic() + timeout
    while True:
        try:
            said = claim()
            if said:
                return said
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            said = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or claim}; last: {said!r}")
        time.sleep(0.05)


def free_port():
    """A TCP port of 127.0.0.1 that was free a moment ago; for what cannot be told port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(address, path="/", method="GET", body=None, headers=None, timeout=5.0):
    """One request to "host:port", or to a Unix socket if `address` is a path."""
    if isinstance(address, pathlib.Path) or str(address).startswith("/"):
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(address))
    else:
        host, port = address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class Listener:
    """A TCP port that accepts and hangs up, for checks to pass against."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.socket.close()


_FIELD = re.compile(r'([a-z0-9_.]+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_logfmt(line):
    """{'event': 'check_state', 'check': 'db', ...} of one log line."""
    return {key: re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
            for key, value in _FIELD.findall(line)}


class Agent:
    """A running vitald. Use as a context manager, or call stop(): it leaves no process behind."""

    def __init__(self, config, env=None, start=True, timeout=15.0, folder=None, argv_prefix=()):
        # A short path: a Unix socket's may have 107 bytes.
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="vitald-"))
        self.config_file = self.folder / "vitald.yaml"
        self.socket = self.folder / "admin.sock"
        self.log_file = self.folder / "log"
        self.state_dir = self.folder / "state"
        self.state_dir.mkdir(exist_ok=True)
        self.env = env or {}
        self.argv_prefix = list(argv_prefix)
        self.timeout = timeout
        self.process = None
        self._log_from = 0
        self.write_config(config)
        if start:
            try:
                self.start()
            except BaseException:
                self.stop()
                raise

    # -- life

    def write_config(self, config):
        """Writes the config; takes effect at the next start() or reload()."""
        if isinstance(config, dict):
            config = copy.deepcopy(config)
            listen = config.setdefault("listen", {})
            listen.setdefault("health", {"address": "127.0.0.1:0"})
            listen.setdefault("admin", {"socket": str(self.socket)})
            config.setdefault("state_dir", str(self.state_dir))
            text = json.dumps(config, indent=2, ensure_ascii=False)
        else:
            text = config
            if not re.search(r"^listen:", text, re.M):
                text += ("\nlisten:\n  health: {address: \"127.0.0.1:0\"}\n"
                         f"  admin: {{socket: \"{self.socket}\"}}\n")
            if not re.search(r"^state_dir:", text, re.M):
                text += f"state_dir: \"{self.state_dir}\"\n"
        self.config_file.write_text(text)

    def start(self, wait=True):
        """Starts the daemon; with `wait`, returns once its loop answers on /livez."""
        assert self.process is None, "already running"
        self._log_from = self.log_file.stat().st_size if self.log_file.exists() else 0
        environment = {k: v for k, v in os.environ.items() if k not in ("NOTIFY_SOCKET", "JOURNAL_STREAM")}
        environment.update(self.env)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [*self.argv_prefix, str(VITALD), "run", "--config", str(self.config_file)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder, preexec_fn=_die_with_parent)
        if wait:
            self.wait_for(self._is_alive, what="vitald answers")

    def _is_alive(self):
        code = self.process.poll()
        if code is not None:
            raise AssertionError(f"vitald ended with {code}:\n{self.log()}")
        if not self.has_listener("health"):
            return False
        return self.health("/livez").status == 200

    def stop(self, timeout=10.0, sig=signal.SIGTERM):
        """Ends it and gives its exit status; kills it after `timeout`. The folder goes too, if it was ours."""
        code = None
        if self.process is not None:
            code = self.end(sig, timeout)
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def end(self, sig=signal.SIGTERM, timeout=10.0):
        """Signals it (sig=0: only waits), waits for its end, gives its exit status. The folder stays, for a start()."""
        if sig and self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise AssertionError(f"vitald did not end within {timeout} s of {sig}:\n{self.log()}") from None
        self.process = None
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            print(f"--- log of vitald in {self.folder}\n{self.log()}---")
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    # -- what it says

    def log(self, whole=False):
        """The log since the last start, or from the beginning."""
        data = self.log_file.read_bytes() if self.log_file.exists() else b""
        return data[0 if whole else self._log_from:].decode("utf-8", "replace")

    def events(self, name=None):
        """The logged events since the last start, as dicts."""
        lines = [parse_logfmt(line) for line in self.log().splitlines() if "event=" in line]
        return [e for e in lines if name is None or e.get("event") == name]

    def has_listener(self, what):
        return any(e.get("listener") == what for e in self.events("listening"))

    def addresses(self, what="health"):
        """Where it listens now: "health", "haproxy" or "admin", with the real ports."""
        latest = [e["address"] for e in self.events("listening") if e.get("listener") == what]
        assert latest, f"no {what} listener in the log:\n{self.log()}"
        return latest

    @property
    def health_address(self):
        return self.addresses("health")[-1]

    @property
    def haproxy_address(self):
        return self.addresses("haproxy")[-1]

    # -- asking it

    def health(self, path="/health", **how):
        """A request to the health listener."""
        return fetch(self.health_address, path, **how)

    def admin(self, path, method="GET", body=None, **how):
        """A request to the admin socket; `body` may be a dict."""
        if isinstance(body, dict):
            body = json.dumps(body)
        return fetch(self.socket, path, method=method, body=body, **how)

    def haproxy(self, line=None, timeout=5.0):
        """What the agent-check listener says: its one line, without the newline."""
        host, port = self.haproxy_address.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as connection:
            if line is not None:
                connection.sendall(line.encode() + b"\n")
            data = b""
            while chunk := connection.recv(4096):
                data += chunk
        return data.decode().rstrip("\n")

    def check(self, name):
        """One check as /api/v1/checks/NAME shows it."""
        return self.admin(f"/api/v1/checks/{name}").json()

    def ctl(self, *argv, timeout=30.0, env=None):
        """Runs vitalctl against this agent; gives the CompletedProcess with text output."""
        environment = {**os.environ, "VITALD_SOCKET": str(self.socket), **(env or {})}
        return subprocess.run([str(VITALCTL), *argv], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env=environment)

    def wait_for(self, claim, timeout=None, what=""):
        try:
            return wait_for(claim, timeout or self.timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- log\n{self.log()}") from None

    def wait_ready(self, timeout=None):
        """Until every critical check has had a result."""
        self.wait_for(lambda: self.health("/readyz").status == 200, timeout, "every critical check has a result")

    # -- changing it

    def reload(self, config=None, timeout=None):
        """Writes `config` if given, sends SIGHUP, and waits until it was adopted or refused; the event's fields."""
        if config is not None:
            self.write_config(config)
        before = len(self.events("config_adopted")) + len(self.events("config_refused"))
        self.process.send_signal(signal.SIGHUP)

        def done():
            seen = [e for e in self.events() if e.get("event") in ("config_adopted", "config_refused")]
            return seen[-1] if len(seen) > before else None
        return self.wait_for(done, timeout, "the reload is done")

    def kill9(self):
        """As if the power went: kill -9, nothing tidied up."""
        self.process.kill()
        self.process.wait(5)
        self.process = None

    def descendants(self):
        """Processes below it, as pids: its workers and what they started."""
        children = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
        found, todo = [], [self.pid]
        while todo:
            for child in children.get(todo.pop(), []):
                found.append(child)
                todo.append(child)
        return found
