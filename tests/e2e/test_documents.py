"""What the documents show works: every configuration passes check-config, every module example builds, is contained in its
page, and runs; what is shown of HAProxy and Prometheus is accepted by them."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

import pytest

from agent import ROOT, VITALD, BUILD, Agent
from servers import program, temporary_directory

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def blocks(page):
    """Everything a page shows as code: between fences, or indented by four."""
    text = page.read_text()
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    indented = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", plain, re.M)
    return [*re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S),
            *(re.sub(r"^ {4}", "", b, flags=re.M).lstrip("\n") for b in indented)]


def configs():
    for page in PAGES:
        shown = [b for b in blocks(page) if re.search(r"^checks:", b, re.M)]
        for number, block in enumerate(shown):
            yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")


def block_of(page, beginning):
    return next(b for b in blocks(ROOT / page) if b.startswith(beginning))


@pytest.fixture(scope="module")
def modules():
    """The example modules, built as their page says."""
    directory = temporary_directory("modules")
    directory.chmod(0o755)
    source = ROOT / "docs/examples/module"
    for compiler, standard, name in (("g++", "c++17", "spool.cpp"), ("g++", "c++17", "banner.cpp"), ("g++", "c++17", "depth.cpp"),
                                     ("gcc", "c99", "uptime.c")):
        out = directory / (name.split(".")[0] + ".so")
        subprocess.run([compiler, f"-std={standard}", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                        f"-I{ROOT}/include", "-o", out, source / name], check=True, timeout=120)
        out.chmod(0o644)
    return directory


@pytest.mark.parametrize("text", configs())
def test_a_configuration_that_is_shown_is_valid(text, tmp_path, modules):
    def secret(found):
        path = tmp_path / pathlib.Path(found[1]).name
        path.write_text("a-secret-long-enough-for-a-token\n")
        path.chmod(0o600)
        return f"_file: {path}"

    text = re.sub(r"(?<!\bwrite)_file: ([^\s,}]+)", secret, text)
    text = text.replace("/usr/local/lib/vitald/modules", str(modules))
    for wanted in re.findall(r"^include: \[(.*?)\]", text, re.M):
        (tmp_path / pathlib.Path(wanted).parent).mkdir(exist_ok=True)
    for key in ("ca", "certificate", "key", "client_ca"):
        text = re.sub(rf"\b{key}: (/[^\s,}}]+)", rf"{key}: /dev/null", text)
    file = tmp_path / "vitald.yaml"
    file.write_text(text)
    done = subprocess.run([VITALD, "check-config", "-c", file], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr + text


@pytest.mark.parametrize("source", ["spool.cpp", "uptime.c", "banner.cpp", "depth.cpp"])
def test_the_page_shows_the_example_as_it_is(source):
    assert (ROOT / "docs/examples/module" / source).read_text() in (ROOT / "docs/writing-a-module.md").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="a module must belong to root")
def test_the_example_modules_run_in_the_agent(modules, tmp_path):
    for n in range(12):
        (tmp_path / f"{n}").touch()
    with Agent({"module_path": [str(modules)], "profile": "strict",
                "checks": {"outgoing": {"type": "spool", "path": str(tmp_path), "warn": 10, "fail": 500},
                           "booted": {"type": "uptime", "at_least": "1s"}}}) as agent:
        agent.wait_ready()
        agent.wait_for(lambda: agent.check("outgoing")["state"] == "warn")
        assert "12 files wait" in agent.check("outgoing")["output"]
        assert agent.check("outgoing")["measures"][0]["value"] == 12
        assert agent.check("booted")["state"] == "pass"


def test_an_async_example_greets_a_server_and_counts_with_a_command(modules):
    with socket.create_server(("127.0.0.1", 0)) as greeter:
        def greet():
            with contextlib.suppress(OSError):
                while True:
                    connection = greeter.accept()[0]
                    connection.sendall(b"220 mail.example.jp ready\r\n")
                    connection.close()
        threading.Thread(target=greet, daemon=True).start()
        with Agent({"module_path": [str(modules)], "profile": "strict", "checks": {
                "mail": {"type": "banner", "host": "127.0.0.1", "port": greeter.getsockname()[1]},
                "wrong": {"type": "banner", "host": "127.0.0.1", "port": greeter.getsockname()[1], "expect": "SSH-"},
                "jobs": {"type": "depth", "command": ["/bin/echo", "1200"]}}}) as agent:
            agent.wait_ready()
            agent.wait_for(lambda: agent.check("jobs")["state"] == "fail" and agent.check("wrong")["state"] == "fail")
            assert agent.check("mail")["state"] == "pass" and "220 mail.example.jp ready" in agent.check("mail")["output"]
            assert agent.check("wrong")["cause"] == "content"
            assert agent.check("jobs")["output"] == "1200 jobs wait"
        greeter.shutdown(socket.SHUT_RDWR)


def test_what_the_constructor_refuses_is_a_config_error_with_its_place(modules, tmp_path):
    file = tmp_path / "vitald.yaml"
    file.write_text(f"module_path: [{modules}]\nchecks:\n  q:\n    type: spool\n    path: /tmp\n    warn: 9\n    fail: 3\n")
    done = subprocess.run([VITALD, "check-config", "-c", file], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 78
    assert re.search(r"vitald.yaml:7:\d+: checks.q.fail: .*at least 9", done.stdout + done.stderr)


def test_the_worker_tries_a_module_by_hand(modules):
    worker = BUILD / "src/vitald-worker"
    described = subprocess.run([worker, "--describe", modules / "spool.so"], capture_output=True, text=True, timeout=30)
    assert described.returncode == 0 and "how many files wait" in described.stdout
    probed = subprocess.run([worker, "--probe", modules / "spool.so", "path=/etc", "--repeat", "200"], capture_output=True,
                            text=True, timeout=30)
    assert "200 probes" in probed.stdout


def test_each_check_has_a_page_that_shows_its_options_as_the_program_knows_them():
    done = subprocess.run([ROOT / "scripts/docs", "--check", BUILD], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"build, then run scripts/docs and commit what it writes:\n{done.stdout}{done.stderr}"


def test_a_check_without_a_page_and_a_page_without_its_table_are_told_in_one_line(tmp_path):
    for part in ("scripts/docs", "scripts/lib.sh", "docs/configuration.md", "docs/actions.md"):
        (tmp_path / part).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    shutil.copytree(ROOT / "docs/checks", tmp_path / "docs/checks")
    (tmp_path / "docs/checks/load.md").unlink()
    page = tmp_path / "docs/checks/disk.md"
    page.write_text(page.read_text().replace("| `path` |", "| `paht` |"))
    check = subprocess.run([tmp_path / "scripts/docs", "--check", BUILD], capture_output=True, text=True, timeout=120)
    assert check.returncode == 1
    told = check.stdout.splitlines()
    assert len(told) == 2 and told[0] == "docs/checks/disk.md does not show the options as they are: run scripts/docs"
    assert told[1].startswith("docs/checks/load.md is missing: write what load proves")
    subprocess.run([tmp_path / "scripts/docs", BUILD], capture_output=True, timeout=120)
    assert page.read_text() == (ROOT / "docs/checks/disk.md").read_text()


def test_haproxy_accepts_what_the_readme_shows(tmp_path):
    for page, beginning in (("README.md", "backend web"), ("docs/scenarios/two-web-servers.md", "backend web"),
                            ("docs/scenarios/ldap-behind-ports.md", "backend ldap")):
        file = tmp_path / "haproxy.cfg"
        backend = block_of(page, beginning)
        file.write_text("defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
                        f"frontend f\n  bind 127.0.0.1:1\n{'  mode tcp' if 'mode tcp' in backend else ''}\n"
                        f"  default_backend {backend.split()[1]}\n{backend}")
        done = subprocess.run([program("haproxy"), "-c", "-f", file], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr


def test_prometheus_accepts_what_the_readme_shows(tmp_path):
    file = tmp_path / "prometheus.yml"
    file.write_text(block_of("README.md", "scrape_configs"))
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_the_endpoint_page_names_exists():
    with Agent({"profile": "strict", "checks": {"root": {"type": "disk", "path": "/"}}}) as agent:
        agent.wait_ready()
        metrics = agent.health("/metrics").text
        exposed = set(re.findall(r"^# TYPE (\S+)", metrics, re.M))
    page = (ROOT / "docs/endpoint.md").read_text()
    named = {n for n in re.findall(r"`(vitald_[a-z_]+)[`{]", page)}
    with_tls = {"vitald_listener_certificate_not_after_timestamp_seconds"}  # tested with listeners that speak it
    assert with_tls < named and named - exposed == with_tls
    lint = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=30)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")


def test_every_field_the_endpoint_page_names_exists():
    with Agent({"profile": "strict", "checks": {"root": {"type": "disk", "path": "/"}}}) as agent:
        agent.wait_ready()
        fields = set(agent.check("root"))
    table = (ROOT / "docs/endpoint.md").read_text().partition("## `/api/v1/checks`")[2].partition("\n## ")[0]
    named = {f for row in re.findall(r"^\| (`.*?) \|", table, re.M) for f in re.findall(r"`(\w+)`", row)}
    assert json.dumps(sorted(named)) == json.dumps(sorted(fields))


TRANSLATIONS = {"README.ja.md": "README.md", **{f"docs/ja/{p.name}": f"docs/{p.name}" for p in (ROOT / "docs/ja").glob("*.md")}}


@pytest.mark.parametrize("page", sorted(TRANSLATIONS))
def test_a_translation_keeps_step_with_its_page(page):
    """The same headings, the same tables, the same things to type; only what follows a # in an example is translated. Tables that
    the program writes stand in the English page alone."""
    def shape(text):
        lines = text.partition("\n### Top level\n")[0].splitlines()
        return ([line.partition(" ")[0] for line in lines if line.startswith("#")],
                [line.split("|")[1] for line in lines if line.startswith("| `")],
                [line.partition("  #")[0].rstrip() for line in lines if line.startswith("    ")])

    assert shape((ROOT / page).read_text()) == shape((ROOT / TRANSLATIONS[page]).read_text())
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
        assert ((ROOT / page).parent / target).exists(), f"{page} points at {target}"
