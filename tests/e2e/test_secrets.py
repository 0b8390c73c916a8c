"""Secrets stay where they belong. Every secret option of every module gets a canary, checks pass, fail, hang and are
refused, and then everything the agent shows or leaves behind is searched: arguments and environments of all processes, the
log, every page, error output of every command, the state directory."""
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from agent import VITALD, Agent, wait_for
from etcd_servers import Etcd
from servers import HttpApp, MariaDB, Postgres, Slapd

PAGES = ["/health", "/health?verbose", "/health?format=text&verbose", "/health?format=nagios", "/health?format=prometheus",
         "/health/default", "/livez", "/readyz", "/metrics", "/api/v1/status", "/api/v1/checks", "/api/v1/services",
         "/api/v1/events", "/ui/"]


def canary(name):
    """A text that stands nowhere else; never twice the same."""
    return f"canary-{name}-{os.urandom(6).hex()}"


class Parrot:
    """The worst server to show a secret to: greets as mail servers do, and says back whatever it is told."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def start(self):
        return self

    def serve(self):
        while True:
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(peer,), daemon=True).start()

    @staticmethod
    def talk(peer):
        try:
            with peer:
                peer.settimeout(5)
                peer.sendall(b"+OK * OK 220 ready\r\n")
                while heard := peer.recv(4096):
                    peer.sendall(b"-ERR 535 NO " + heard)
        except OSError:
            pass

    def __exit__(self, *_):
        self.socket.close()


class Searched:
    """What was seen, by where; and which canaries were found in it."""

    def __init__(self, canaries):
        self.canaries, self.places, self.found = canaries, 0, []

    def look(self, where, data):
        self.places += 1
        data = data if isinstance(data, bytes) else str(data).encode()
        for name, text in self.canaries.items():
            if text.encode() in data:
                at = data.index(text.encode())
                self.found.append(f"{where}: {name} in ...{data[max(0, at - 80):at + 60]!r}")


def look_at_processes(searched, pids):
    for pid in pids:
        for file in ("cmdline", "environ"):
            try:
                searched.look(f"/proc/{pid}/{file}", pathlib.Path(f"/proc/{pid}/{file}").read_bytes())
            except OSError:
                pass


def secret_options():
    """type -> names of the secret options it declares, as they are written: password_file. Those of `aws` and a
    token, which exclude a password, are types of their own: http-aws, http-token."""
    listed = json.loads(subprocess.run([VITALD, "modules", "--json"], capture_output=True, text=True, timeout=60,
                                       check=True).stdout)
    modules = listed["modules"] if isinstance(listed, dict) else listed
    found = {}
    for m in modules:
        for name in [o["name"] for o in m["options"] if o.get("secret") or o.get("is_secret")]:
            more = "-aws" if name.startswith("aws.") else "-token" if (m["type"], name) == ("http", "token_file") else ""
            found.setdefault(m["type"] + more, []).append(name)
    return found


# How each module with a secret is made to use it. A module that is new here must say how.
def checks_for(world):
    database = {"host": "127.0.0.1", "user": "app", "database": "app"}
    ldap = {"bind_dn": world["dir"].bind_dn, "search": {"base": world["dir"].people}}
    return {
        "http": {"type": "http", "url": world["app"].url, "user": "app"},
        "postgres": {"type": "postgres", **database, "port": world["pg"].port},
        "mysql": {"type": "mysql", **database, "port": world["my"].port},
        "ldap": {"type": "ldap", "uri": world["dir"].uri, **ldap},
        "exec": {"type": "exec", "command": ["/bin/true"]},
        "exec_lines": {"type": "exec", "protocol": "lines", "command": ["/bin/cat"]},
        "heartbeat": {"type": "heartbeat"},
        "amqp": {"type": "amqp", "port": world["parrot"].port, "user": "app"},
        "smb": {"type": "smb", "port": world["parrot"].port, "share": "app", "user": "app"},
        "scenario": {"type": "scenario", "url": world["app"].url, "steps": "POST /login\n  form password: {{password}}\n"},
        "http-token": {"type": "http", "url": world["app"].url},
        "http-aws": {"type": "http", "url": world["app"].url,
                     "aws": {"region": "us-east-1", "service": "execute-api", "access_key": "AKIDEXAMPLE"}},
        "s3": {"type": "s3", "url": world["app"].url + "/bucket", "access_key": "AKIDEXAMPLE"},
        "etcd": {"type": "etcd", "url": world["etcd"].url, "user": "app"},
        "pgbouncer": {"type": "pgbouncer", "host": "127.0.0.1", "port": world["parrot"].port, "user": "app"},
        **{kind: {"type": kind, "host": "127.0.0.1", "port": world["parrot"].port, "user": "app"}
           for kind in ("imap", "pop3", "smtp", "memcached")},
        "redis": {"type": "redis", "host": "127.0.0.1", "port": world["parrot"].port, "user": "app",
                  "sentinel": {"addresses": [f"127.0.0.1:{world['parrot'].port}"], "master": "main"}},
    }


@pytest.fixture(scope="module")
def world():
    servers = {"app": HttpApp(), "pg": Postgres(), "my": MariaDB(), "dir": Slapd(), "etcd": Etcd(), "parrot": Parrot()}
    try:
        for s in servers.values():
            s.start()
        yield servers
    finally:
        for s in servers.values():
            s.__exit__()


def test_no_secret_is_seen_anywhere(world):
    options = secret_options()
    templates = checks_for(world)
    assert set(options) <= set(templates), "a module with a secret is missing here"
    assert options.get("postgres") == ["password_file"], "the modules say which options are secret"

    canaries, checks, files = {}, {}, {}
    for kind, names in options.items():
        # Twice: once with a secret the server knows, once with one it refuses (http: one that answers 500).
        for version in ("right", "wrong"):
            check = dict(templates[kind])
            for name in names:
                key = f"{kind}-{version}-{name.removesuffix('_file')}"
                canaries[key] = canary(key)
                files[key] = canaries[key]
                *groups, last = name.split(".")
                at = check
                for group in groups:
                    at[group] = dict(at[group])
                    at = at[group]
                at[last] = f"{key}.secret"
            checks[f"{kind}-{version}"] = check
    # Not declared as secrets, but nobody's business either.
    canaries["header"], canaries["environment"] = canary("header"), canary("environment")
    checks["http-right"]["headers"] = {"X-Token": canaries["header"]}
    checks["hangs"] = {**templates["postgres"], "password_file": "postgres-right-password.secret", "query": "SELECT pg_sleep(9)"}

    world["pg"].change_password(canaries["postgres-right-password"])
    world["my"].change_password(canaries["mysql-right-password"])
    world["dir"].change_password(canaries["ldap-right-password"])
    searched = Searched(canaries)
    config = {"profile": "strict", "checks": checks, "workers": {"max": 16},  # many of them wait for the parrot to say more
              "defaults": {"interval": "3s", "timeout": "2s", "edge_interval": "1s"}}
    agent = Agent(config, start=False, env={"SECRET_OF_OUR_USER": canaries["environment"]})
    try:
        for name, text in files.items():
            path = agent.folder / f"{name}.secret"
            path.write_text(text + "\n")
            path.chmod(0o600)
        agent.start()
        agent.wait_ready()
        wait_for(lambda: agent.check("hangs")["cause"] == "timeout" and agent.check("postgres-wrong")["cause"] == "auth", 60)
        for kind in ("postgres", "mysql", "ldap"):
            assert agent.check(f"{kind}-right")["state"] == "pass", agent.check(f"{kind}-right")
            assert agent.check(f"{kind}-wrong")["cause"] == "auth", agent.check(f"{kind}-wrong")
        end = time.monotonic() + 4  # workers come and go
        while time.monotonic() < end:
            look_at_processes(searched, agent.descendants())
            time.sleep(0.02)
        for page in PAGES:
            for how in (agent.health, agent.admin):
                answer = how(page)
                searched.look(f"GET {page}", repr(answer.headers) + answer.text)
        for name in checks:
            searched.look(f"check {name}", agent.admin(f"/api/v1/checks/{name}").text)
        searched.look("cmdline of the agent", pathlib.Path(f"/proc/{agent.pid}/cmdline").read_bytes())
        agent.reload({**config, "checks": {**checks, "hangs": {**checks["hangs"], "query": "SELECT 1"}}}, timeout=40)

        # Commands, with configurations that are right and wrong.
        commands = [["check-config"], ["check-config", "--json"], ["explain"], *[["probe", n] for n in checks]]

        def run(command):
            return command, subprocess.run([VITALD, command[0], "-c", agent.config_file, *command[1:]], capture_output=True,
                                           timeout=60, cwd=agent.folder, stdin=subprocess.DEVNULL)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:  # many of them wait for a parrot
            ran = list(pool.map(run, commands))
        for command, done in ran:
            searched.look(" ".join(["vitald", *command]), done.stdout + done.stderr)
        canaries["inline"] = canary("inline")
        bad = agent.folder / "bad.yaml"
        bad.write_text(f"checks:\n  a: {{type: postgres, user: app, password: {canaries['inline']}}}\n")
        done = subprocess.run([VITALD, "check-config", "-c", bad], capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and "password_file" in done.stdout + done.stderr
        searched.look("error of an inline password", done.stdout + done.stderr)
        for arguments in (["status"], ["status", "--json"]):
            done = agent.ctl(*arguments)
            searched.look("vitalctl", done.stdout + done.stderr)

        agent.end()
        searched.look("log", agent.log(whole=True))
        for path in agent.folder.rglob("*"):
            if path.is_file() and path.suffix != ".secret" and path not in (agent.config_file, bad):
                searched.look(str(path), path.read_bytes())
        state = [p for p in agent.state_dir.rglob("*") if p.is_file()]
        assert state, "something is kept in the state directory"
    finally:
        agent.stop()
    assert searched.places > 100
    assert not searched.found, "\n".join(sorted(set(re.sub(r"/proc/\d+", "/proc/PID", f) for f in searched.found)))


def test_a_secret_that_is_there_would_be_found():
    searched = Searched({"x": "canary-x"})
    child = subprocess.Popen(["sleep", "30"], env={"A": "canary-x"})
    try:
        wait_for(lambda: pathlib.Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"sleep"), 5)
        look_at_processes(searched, [child.pid])
    finally:
        child.kill()
        child.wait()
    assert len(searched.found) == 1 and "environ" in searched.found[0]
