"""vitalctl init: a first configuration from what really listens on this host."""
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from agent import VITALCTL, VITALD, Listener
from net_servers import Memcached, Redis, Unbound
from servers import MariaDB, Nginx, PgBouncer, Postgres, Slapd


def init(*argv, **how):
    return subprocess.run([VITALCTL, "init", *map(str, argv)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **how)


@pytest.fixture(scope="module")
def servers():
    with Postgres() as postgres, MariaDB() as mariadb, Slapd() as slapd, Redis() as redis, Memcached() as memcached, Nginx() as nginx, \
            Unbound() as unbound, PgBouncer(postgres) as pgbouncer:
        yield {"postgres": postgres, "mysql": mariadb, "ldap": slapd, "redis": redis, "memcached": memcached, "http": nginx, "dns": unbound,
               "pgbouncer": pgbouncer}


def test_every_server_that_listens_gets_its_check_and_the_configuration_is_valid(servers, tmp_path):
    file = tmp_path / "vitald.yaml"
    done = init("-c", file, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["is_written"] and said["file"] == str(file)
    config = yaml.safe_load(file.read_text())
    for kind, server in servers.items():
        of_port = [c for c in config["checks"].values() if c.get("port") == server.port or f":{server.port}" in str(c.get("url") or c.get("uri"))]
        assert [c["type"] for c in of_port] == [kind], kind
    assert config["checks"]["disk"]["type"] == "disk"
    checked = subprocess.run([VITALD, "check-config", "-c", file], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert file.stat().st_mode & 0o777 == 0o640 and list(tmp_path.iterdir()) == [file]


def test_checks_that_need_no_login_pass_as_they_are_written(servers, tmp_path):
    file = tmp_path / "vitald.yaml"
    assert init("-c", file).returncode == 0
    config = yaml.safe_load(file.read_text())
    for kind in ("redis", "memcached", "http", "dns", "ldap"):
        name = next(n for n, c in config["checks"].items()
                    if c.get("port") == servers[kind].port or f":{servers[kind].port}" in str(c.get("url") or c.get("uri")))
        done = subprocess.run([VITALD, "probe", "-c", file, name], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_needs_a_password_says_where_it_belongs(servers, tmp_path):
    text = init("--print", "-c", tmp_path / "vitald.yaml").stdout
    assert "# password_file: postgres.password" in text and "# password_file: mysql.password" in text
    assert not (tmp_path / "vitald.yaml").exists()


BESIDE = """
import ctypes, socket, subprocess, sys
ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)  # PR_SET_NAME
kept = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[2].split(",")]
sys.exit(subprocess.run(sys.argv[3:], timeout=60).returncode)
"""


def beside(file, ports, name="server"):
    """What is written in a network of its own, in which one program of that name listens on the ports."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a namespace of its own needs root")
    alone = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh", sys.executable, "-c", BESIDE]
    done = subprocess.run([*alone, name, ",".join(map(str, ports)), VITALCTL, "init", "-c", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return yaml.safe_load(file.read_text())


def test_who_hides_his_name_is_known_by_his_port(tmp_path):
    config = beside(tmp_path / "vitald.yaml", [22, 25, 110, 443, 465, 636, 993, 995, 2379, 9180, 26379])
    by_url = {c.get("url") or c.get("uri"): c for c in config["checks"].values() if "url" in c or "uri" in c}
    by_port = {c["port"]: c for c in config["checks"].values() if "port" in c}
    require = {"mode": "require"}
    assert {url: c["type"] for url, c in by_url.items()} == {
        "https://127.0.0.1:443/": "http", "ldaps://127.0.0.1:636": "ldap", "http://127.0.0.1:2379/health": "http"}
    assert by_url["https://127.0.0.1:443/"]["tls"] == require
    assert {port: (c["type"], c.get("tls")) for port, c in by_port.items()} == {
        25: ("smtp", None), 465: ("smtp", require), 993: ("imap", require), 110: ("pop3", None), 995: ("pop3", require), 26379: ("tcp", None)}
    assert "127.0.0.1:22 " not in (tmp_path / "vitald.yaml").read_text(), "nobody asks for a check of sshd"


@pytest.mark.parametrize("name, ports, checks", [
    ("etcd", [2379, 2380], {2379: "http"}), ("mysqld", [3307, 33060], {3307: "mysql"}), ("named", [53, 953], {53: "dns"}),
    ("dovecot", [110, 1143], {110: "pop3", 1143: "imap"}), ("master", [25, 10025], {25: "smtp"}), ("sshd", [5432], {})])
def test_a_program_with_several_ports_gets_a_check_where_it_serves(name, ports, checks, tmp_path):
    config = beside(tmp_path / "vitald.yaml", ports, name)
    found = {c.get("port") or int(c["url"].split(":")[2].split("/")[0]): c["type"] for key, c in config["checks"].items()
             if key not in ("disk", "memory")}
    assert found == checks


@pytest.mark.parametrize("name, check", [("x\n  e: {a: b}\n", "x-e---a--b-"), ("(squid-1)", "squid-1-"), ("*", "web")])
def test_a_program_may_call_itself_anything(name, check, tmp_path):
    config = beside(tmp_path / "vitald.yaml", [8080, 9999], name)
    assert set(config) == {"listen", "profile", "checks"} and set(config["checks"]) == {"disk", "memory", check}


def test_a_server_nobody_knows_is_a_comment(tmp_path):
    with Listener() as up:
        text = init("--print").stdout
        assert f"#   {up.address} (" in text


def test_a_file_that_is_there_stays_unless_told_otherwise(tmp_path):
    file = tmp_path / "vitald.yaml"
    file.write_text("precious")
    done = init("-c", file)
    assert done.returncode == 1 and "--force" in done.stderr and done.stderr.count("\n") == 1
    assert file.read_text() == "precious"
    assert init("-c", file, "--force").returncode == 0 and "checks:" in file.read_text()
    link = tmp_path / "link.yaml"
    link.symlink_to("/nowhere")
    assert init("-c", link).returncode == 1, "a link is a file that is there"


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_told(tmp_path):
    assert init("-c", tmp_path / "etc" / "vitald" / "vitald.yaml").returncode == 0
    done = init("-c", "/proc/nowhere/vitald.yaml")
    assert done.returncode == 1 and done.stderr.startswith("vitalctl init: /proc/nowhere") and done.stderr.count("\n") == 1


def on_terminal(answer, *argv):
    """What a person sees who answers so, and how it ends."""
    parent, child = pty.openpty()
    process = subprocess.Popen([VITALCTL, "init", *map(str, argv)], stdin=child, stdout=child, stderr=child)
    os.close(child)
    seen, is_answered, end = b"", False, time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if select.select([parent], [], [], 0.2)[0]:
                try:
                    seen += os.read(parent, 65536)
                except OSError:
                    break
            elif process.poll() is not None:
                break
            if b"[Y/n]" in seen and not is_answered:
                os.write(parent, answer.encode() + b"\n")
                is_answered = True
        return process.wait(30), seen.decode()
    finally:
        process.kill()
        process.wait()
        os.close(parent)


def test_on_a_terminal_it_shows_what_it_found_and_asks(tmp_path):
    file = tmp_path / "vitald.yaml"
    code, seen = on_terminal("n", "-c", file)
    assert code == 1 and "nothing was written" in seen and not file.exists()
    code, seen = on_terminal("", "-c", file)
    assert code == 0 and f"write {file}?" in seen and file.exists()
    code, seen = on_terminal("no", "-c", file, "--force")
    assert code == 1 and f"replace {file}" in seen


def test_what_it_wrote_runs(tmp_path):
    """Alone in a network of its own, so that it finds nothing: the agent starts on it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a namespace of its own needs root")
    file = tmp_path / "vitald.yaml"
    alone = ["unshare", "--net", "sh", "-ec", 'ip link set lo up; exec "$@"', "sh"]
    done = subprocess.run([*alone, VITALCTL, "init", "-c", file], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "0 of servers" in done.stdout, done
    script = (f"{VITALD} run -c {file} & trap 'kill $!; wait $!' EXIT; for i in $(seq 100); do "
              "curl -fsS 127.0.0.1:9180/livez && exit 0; sleep 0.2; done; exit 1")
    text = file.read_text() + f"\nstate_dir: {tmp_path}/state\n"
    file.write_text(text.replace("  # haproxy:", f"  admin: {{socket: {tmp_path}/a.sock}}\n  # haproxy:"))
    done = subprocess.run([*alone, "bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
