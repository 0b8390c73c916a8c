"""Outputs that are files or programs: exec, nginx (the real one, reloaded), Envoy's EDS file, the file for scripts. Debian has no
Envoy: its file is compared with the field names and enumerators of Envoy's v3 API, and replaced by rename as Envoy wants it."""
import json
import os
import time

from agent import fetch, wait_for
from outputs_given import FAST, Told
from servers import HttpApp, Nginx, temporary_directory


def script(folder, name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


def test_a_program_is_run_for_each_change_with_the_word_in_its_environment(tmp_path):
    seen = tmp_path / "seen"
    command = script(tmp_path, "tell", f'env | sort > "$1.new"; mv "$1.new" "$1"; echo "$VITALD_PREVIOUS>$VITALD_STATUS" >> {tmp_path}/all\n')
    with Told([{"type": "exec", "service": "web", "command": [command, str(seen)]}], env={"PRIVATE": "canary"}) as told:
        wait_for(lambda: "VITALD_STATUS=pass" in seen.read_text())
        told.fail()
        wait_for(lambda: "VITALD_STATUS=fail" in seen.read_text())
        environment = dict(line.split("=", 1) for line in seen.read_text().splitlines())
        assert {k for k in environment if not k.startswith("VITALD_")} <= {"PATH", "LC_ALL", "PWD", "_", "SHLVL"}
        assert environment["VITALD_NODE"] == "n1" and environment["VITALD_SERVICE"] == "web"
        assert "503" in environment["VITALD_REASON"] and environment["VITALD_WEIGHT"] == "0"
        assert (tmp_path / "all").read_text() == ">pass\npass>fail\n"


def test_a_program_that_verifies_makes_exec_look_after_its_target(tmp_path):
    target = tmp_path / "target"
    tell = script(tmp_path, "tell", f'echo "$VITALD_STATUS" > {target}\n')
    verify = script(tmp_path, "verify", f'[ "$(cat {target})" = "$VITALD_STATUS" ]\n')
    with Told([{"type": "exec", "command": [tell], "verify": [verify], "interval": "400ms", "timeout": "300ms"}]) as told:
        told.wait_for_state("exec", "ok")
        target.write_text("edited\n")
        wait_for(lambda: target.read_text() == "pass\n")
        wait_for(lambda: told.output("exec")["repairs"] == 1)


def test_a_program_that_fails_is_run_again_until_it_succeeds(tmp_path):
    counter = tmp_path / "count"
    tell = script(tmp_path, "tell", f'echo x >> {counter}; [ $(wc -l < {counter}) -ge 3 ]\n')
    with Told([{"type": "exec", "command": [tell]}]) as told:
        told.wait_for_state("exec", "ok")
        assert counter.read_text() == "x\nx\nx\n"


class Balancer(Nginx):
    """nginx with an upstream whose servers are the agent's to write."""

    def __init__(self, include):
        super().__init__(server_block="location / { proxy_pass http://web; proxy_next_upstream off; }")
        self.include = include

    def prepare(self):
        super().prepare()
        path = self.directory / "nginx.conf"
        path.write_text(path.read_text().replace("http {", f"http {{ upstream web {{ include {self.include}; }}", 1))


def test_nginx_sends_nobody_to_a_server_that_fails():
    folder = temporary_directory("nginx-include")
    include = folder / "web.conf"
    nginx = Balancer(include)
    apps = [HttpApp().start(), HttpApp().start()]
    checks = {f"app{i}": {"type": "http", "url": a.url} for i, a in enumerate(apps)}
    output = {"type": "nginx", "path": str(include), "interval": "1s", "timeout": "900ms",
              "reload": ["/usr/sbin/nginx", "-p", str(nginx.directory), "-c", str(nginx.directory / "nginx.conf"), "-s", "reload"],
              "members": [{"server": f"127.0.0.1:{a.port} max_fails=0", "service": f"app{i}"} for i, a in enumerate(apps)]}
    try:
        with Told([output], checks=checks, services={"app0": ["app0"], "app1": ["app1"]}, defaults=FAST) as told:
            assert "nginx ended with" in told.wait_for_state("nginx", "failing")["error"]  # nobody runs there yet
            with nginx:
                told.wait_for_state("nginx", "ok")
                apps[0].answer(500, "broken\n")
                wait_for(lambda: f"server 127.0.0.1:{apps[0].port} max_fails=0 down;" in include.read_text())
                told.wait_for_state("nginx", "ok")
                wait_for(lambda: all(fetch(f"127.0.0.1:{nginx.port}").status == 200 for _ in range(10)), 10, "users get the other one")
                apps[0].answer(200, "ok\n")
                wait_for(lambda: " down" not in include.read_text())
                include.write_text("server 127.0.0.1:1;\n")
                wait_for(lambda: told.output("nginx")["repairs"] == 1 and "127.0.0.1:1;" not in include.read_text())
    finally:
        for app in apps:
            app.__exit__()


HEALTH = {"UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"}  # envoy.config.core.v3.HealthStatus


def endpoints_of(path):
    """Strictly: a DiscoveryResponse with one ClusterLoadAssignment, and no field Envoy does not know."""
    response = json.loads(path.read_text())
    assert set(response) == {"resources"}
    (assignment,) = response["resources"]
    assert set(assignment) == {"@type", "cluster_name", "endpoints"}
    assert assignment["@type"] == "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
    (locality,) = assignment["endpoints"]
    assert set(locality) == {"lb_endpoints"}
    out = {}
    for entry in locality["lb_endpoints"]:
        assert set(entry) <= {"endpoint", "health_status", "load_balancing_weight"} and entry["health_status"] in HEALTH
        assert entry.get("load_balancing_weight", 1) >= 1
        where = entry["endpoint"]["address"]["socket_address"]
        assert set(where) == {"address", "port_value"} and isinstance(where["port_value"], int)
        out[f"{where['address']}:{where['port_value']}"] = entry["health_status"]
    return assignment["cluster_name"], out


def test_envoys_endpoints_follow_and_the_file_is_always_whole():
    path = temporary_directory("envoy") / "web.json"
    with Told([{"type": "envoy", "path": str(path), "cluster": "web", "interval": "500ms",
                "members": [{"server": "10.0.0.11:8080", "service": "web"}, {"server": "[fd00::1]:8080", "service": "web"}]}]) as told:
        told.wait_for_state("envoy", "ok")
        assert endpoints_of(path) == ("web", {"10.0.0.11:8080": "HEALTHY", "fd00::1:8080": "HEALTHY"})
        inode = os.stat(path).st_ino
        told.fail()
        wait_for(lambda: set(endpoints_of(path)[1].values()) == {"UNHEALTHY"})
        assert os.stat(path).st_ino != inode, "renamed into place, which is what Envoy watches for"
        told.agent.ctl("drain", "web")
        wait_for(lambda: set(endpoints_of(path)[1].values()) == {"DRAINING"})


def test_scripts_read_the_last_snapshot_from_a_file():
    path = temporary_directory("snapshot") / "snapshot.json"
    with Told([{"type": "file", "path": str(path), "on_stop": "withdraw", "interval": "1s"}]) as told:
        wait_for(lambda: json.loads(path.read_text())["node"]["status"] == "pass")
        told.fail()
        seen = wait_for(lambda: (s := json.loads(path.read_text()))["services"][0]["status"] == "fail" and s)
        assert seen["checks"][0]["name"] == "app" and "503" in seen["checks"][0]["output"]
        looked = time.monotonic()
        while time.monotonic() < looked + 1:
            json.loads(path.read_text())  # never half of it
        told.agent.end()
        assert not path.exists()
        told.agent.start()
