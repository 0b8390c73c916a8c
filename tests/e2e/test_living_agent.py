"""The living agent: one vitald beside a PostgreSQL, a MariaDB, a slapd with TLS and an HTTP application, and a HAProxy that
routes by its word. Each server is stopped, hung and broken in turn, and comes back: /health names the right check and
cause, nothing else is blamed, HAProxy takes the node out and in again."""
import http.client
import os
import time

import pytest

from agent import Agent, wait_for
from servers import HAProxy, HttpApp, MariaDB, Postgres, Slapd

INTERVAL = 1.0
# From the fault to the answer: an interval until it is seen, an edge interval and two timeouts until it is believed. The
# rest is for a machine that does other things too.
SOON = 10.0


class World:
    """Everything the tests here share: it takes seconds to start and milliseconds to break and mend."""

    def __init__(self):
        self.app, self.sorry = HttpApp(), HttpApp()
        self.pg, self.my, self.dir = Postgres(), MariaDB(), Slapd()
        self.servers = [self.app, self.sorry, self.pg, self.my, self.dir]
        self.agent = self.haproxy = None

    def __enter__(self):
        try:
            for server in self.servers:
                server.start()
            self.sorry.answer(200, "sorry\n")
            self.agent = Agent(self.config(), start=False)
            for name, server in (("pg", self.pg), ("my", self.my)):
                self.secret(name, server.app_password)
            self.secret("dir", self.dir.bind_password)
            self.agent.start()
            self.agent.wait_ready()
            health, agent_check = (a.rsplit(":", 1)[1] for a in (self.agent.health_address, self.agent.haproxy_address))
            self.haproxy = HAProxy(
                [f"node {self.app.host}:{self.app.port} weight 100 check port {health} inter 200ms fall 1 rise 1 "
                 f"agent-check agent-port {agent_check} agent-inter 200ms agent-send \"web\\n\"",
                 f"sorry {self.sorry.host}:{self.sorry.port} backup"],
                backend=["option httpchk GET /health/web"])
            self.haproxy.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.haproxy:
            self.haproxy.__exit__()
        if self.agent:
            self.agent.stop()
        for server in self.servers:
            server.__exit__()

    def secret(self, name, text):
        path = self.agent.folder / f"{name}.password"
        path.write_text(text + "\n")
        path.chmod(0o600)

    def config(self):
        database = {"host": "127.0.0.1", "user": "app", "database": "app", "role": "primary", "query": "SELECT 1"}
        return {
            "listen": {"health": {"address": "127.0.0.1:0"}, "haproxy": {"address": "127.0.0.1:0"}},
            "profile": "strict",
            "defaults": {"interval": "1s", "timeout": "1s", "edge_interval": "300ms", "rise": 2, "fall": 2,
                         "max_age": "3s"},
            "checks": {
                "app": {"type": "http", "url": self.app.url + "/healthz",
                        "expect": {"status": "200-299", "body": {"contains": "ok"}}},
                "pg": {"type": "postgres", **database, "port": self.pg.port, "password_file": "pg.password",
                       "tls": {"mode": "verify", "ca": str(self.pg.settings["ssl_ca_file"])}},
                "my": {"type": "mysql", **database, "port": self.my.port, "password_file": "my.password"},
                "dir": {"type": "ldap", "uri": self.dir.uri_tls, "bind_dn": self.dir.bind_dn,
                        "password_file": "dir.password", "tls": {"ca": str(self.dir.ca)},
                        "search": {"base": self.dir.people, "filter": "(uid=probe)", "min_entries": 1}},
            },
            "services": {"web": {"all": ["app", "pg", "my", "dir"]}},
        }

    # -- what everybody sees
    def states(self):
        return {c["name"]: c["state"] for c in self.agent.health("/api/v1/checks").json()["checks"]}

    def routed_to(self):
        """Which application a user gets."""
        connection = http.client.HTTPConnection(self.haproxy.host, self.haproxy.port, timeout=5)
        try:
            connection.request("GET", "/")
            body = connection.getresponse().read()
            return {b"ok\n": "node", b"sorry\n": "sorry"}.get(body, body)
        finally:
            connection.close()

    def is_well(self):
        return (self.agent.health().status == 200 and set(self.states().values()) == {"pass"}
                and self.haproxy.servers()["node"] == "UP")

    def wait_well(self):
        wait_for(self.is_well, 20, f"all is well again; now {self.states()}, {self.haproxy.servers()}")


@pytest.fixture(scope="module")
def world():
    with World() as w:
        yield w


@pytest.fixture
def well(world):
    world.wait_well()
    yield world


def set_auth(world, name, is_right):
    server = {"pg": world.pg, "my": world.my, "dir": world.dir}[name]
    right = server.bind_password if name == "dir" else server.app_password
    server.change_password(right if is_right else "another-one")


def set_people(world, are_there):
    if are_there:
        world.dir.modify(f"dn: uid=probe,{world.dir.people}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: probe\n"
                         "cn: Probe\nsn: Probe\n")
    else:
        world.dir.empty_people()


SERVERS = ["app", "pg", "my", "dir"]
# name -> (check, how to break it, how to mend it, state, cause)
FAULTS = {
    **{f"{s} stopped": (s, lambda w, s=s: getattr(w, s).stop(), lambda w, s=s: getattr(w, s).start(), "fail", "refused")
       for s in SERVERS},
    **{f"{s} hung": (s, lambda w, s=s: getattr(w, s).hang(), lambda w, s=s: getattr(w, s).resume(), "fail", "timeout")
       for s in SERVERS},
    # A rejected password is our trouble: it never counts toward `fall`, and grows stale.
    **{f"{s} rejects the password": (s, lambda w, s=s: set_auth(w, s, False), lambda w, s=s: set_auth(w, s, True),
                                     "stale", "auth") for s in SERVERS[1:]},
    "app answers 500": ("app", lambda w: w.app.answer(500, "ok\n"), lambda w: w.app.answer(), "fail", "content"),
    "app answers something else": ("app", lambda w: w.app.answer(200, "login\n"), lambda w: w.app.answer(), "fail",
                                   "content"),
    "pg read-only": ("pg", lambda w: w.pg.set_read_only(), lambda w: w.pg.set_read_only(False), "fail", "role"),
    "my read-only": ("my", lambda w: w.my.set_read_only(), lambda w: w.my.set_read_only(False), "fail", "role"),
    "dir empty": ("dir", lambda w: set_people(w, False), lambda w: set_people(w, True), "fail", "content"),
}


def test_it_starts_well_and_users_get_the_application(well):
    assert well.routed_to() == "node"
    answer = well.agent.health("/health/web")
    assert (answer.status, answer.json()["status"]) == (200, "pass")
    assert answer.headers["x-health-status"] == "pass"
    assert well.agent.health("/health?format=text").body == b"pass\n"
    assert well.agent.haproxy("web") == "up ready 100%"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_users_are_led_elsewhere(well, fault):
    check, break_it, mend_it, state, cause = FAULTS[fault]
    users_are_led_away = check != "app" or state == "fail"
    break_it(well)
    try:
        answer = wait_for(lambda: (a := well.agent.health("/health/web")).status == 503 and a, SOON, "/health answers 503")
        assert check in answer.headers["x-health-reason"] and answer.headers["x-health-status"] == "fail"
        body = answer.json()
        assert body["status"] == "fail" and check in body["output"]
        assert well.agent.health("/health").status == 503  # the node is as well as its worst service
        seen = well.agent.check(check)
        assert (seen["state"], seen["cause"]) == (state, cause), seen
        assert seen["output"] and "s3cret" not in seen["output"]
        others = {n: s for n, s in well.states().items() if n != check}
        assert set(others.values()) == {"pass"}, f"only {check} is broken"
        assert well.agent.haproxy("web").startswith("down ready # ")
        wait_for(lambda: well.haproxy.servers()["node"] == "DOWN", 5, "HAProxy takes the node out")
        if users_are_led_away:
            assert well.routed_to() == "sorry"
    finally:
        mend_it(well)
    wait_for(lambda: well.agent.health("/health/web").status == 200, SOON, "/health answers 200 again")
    wait_for(lambda: well.haproxy.servers()["node"] == "UP", 5, "HAProxy takes the node in again")
    assert well.routed_to() == "node"


def test_a_fault_shorter_than_fall_changes_nothing(well):
    before = well.agent.check("app")["since"]
    seen = well.app.requests()
    well.app.answer(500, "ok\n")
    wait_for(lambda: well.app.requests() > seen, 5, "one probe sees it")
    well.app.answer()
    time.sleep(2 * INTERVAL)
    assert well.agent.check("app")["since"] == before
    assert well.haproxy.servers()["node"] == "UP"


def test_every_change_is_one_line_in_the_log(well):
    count = len(well.agent.events("check_state"))
    well.app.answer(500, "ok\n")
    wait_for(lambda: well.states()["app"] == "fail", SOON)
    well.app.answer()
    wait_for(lambda: well.states()["app"] == "pass", SOON)
    lines = well.agent.events("check_state")[count:]
    assert [(e["check"], e["from"], e["to"]) for e in lines] == [("app", "pass", "fail"), ("app", "fail", "pass")]
    assert lines[0]["cause"] == "content"


def test_the_endpoint_answers_at_once_while_everything_hangs(well):
    hung = [well.app, well.pg, well.my, well.dir]
    for server in hung:
        server.hang()
    try:
        wait_for(lambda: set(well.states().values()) == {"fail"}, SOON, "all are seen to hang")
        slowest = 0.0
        for _ in range(200):
            start = time.monotonic()
            assert well.agent.health("/health").status == 503
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < 0.5
    finally:
        for server in hung:
            server.resume()
    well.wait_well()


def test_it_takes_leave_of_the_servers_politely(well):
    """Probing for a while leaves neither aborted connections nor processes, nor descriptors, behind."""
    aborted, mark = well.my.status("Aborted_clients"), well.pg.log_mark()
    workers, descriptors = len(well.agent.descendants()), len(os.listdir(f"/proc/{well.agent.pid}/fd"))
    probes = {n: well.agent.check(n)["streak"] for n in ("pg", "my")}
    wait_for(lambda: all(well.agent.check(n)["streak"] >= s + 6 for n, s in probes.items()), 20, "six more probes each")
    assert well.my.status("Aborted_clients") == aborted
    assert "unexpected EOF" not in well.pg.log_since(mark)
    assert len(well.agent.descendants()) <= workers + 2
    assert len(os.listdir(f"/proc/{well.agent.pid}/fd")) <= descriptors + 6


def test_the_agent_maps_no_client_library(well):
    maps = open(f"/proc/{well.agent.pid}/maps").read()
    for library in ("libcurl", "libpq", "libmariadb", "libmysqlcppconn", "libldap"):
        assert library not in maps


def test_it_stops_on_sigterm_and_leaves_nothing(well):
    workers = well.agent.descendants()
    assert workers
    assert well.agent.end() == 0
    wait_for(lambda: not [p for p in workers if os.path.exists(f"/proc/{p}/exe")], 5, "the workers are gone")
    # HAProxy cannot ask any more; the port check of its own takes the node out.
    wait_for(lambda: well.haproxy.servers()["node"] == "DOWN", 5)
    well.agent.start()
    # Other ports now, so HAProxy stays with its word: this is the last test here.
