"""The real programs of Debian are the judges: what each holds of a node that passes, warns, fails, is drained, was stopped,
was killed. The table in docs/consumers.md is what they say; to write it anew:

    VITALD_WRITE_TABLE=1 /usr/bin/python3 -m pytest tests/conformance
"""
import os
import pathlib
import subprocess
import time
from contextlib import ExitStack

import pytest

from agent import Agent, free_port, wait_for
from judges import Apache, GrpcJudge, HAProxyJudge, KeepalivedChecker, NginxAuth, Programs, Prometheus, Varnish, settled
from serving import Certificates

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "consumers.md"
BEGIN, END = "<!-- made by tests/conformance -->\n", "<!-- end -->\n"
MOODS = ["pass", "warn", "fail", "drain", "stopped", "killed"]
HEADS = ["consumer", "pass", "warn", "fail", "drain", "agent stopped", "agent killed"]


class Node:
    """A real agent on ports that stay the same, in the mood that is asked for."""

    def __init__(self):
        pki = Certificates.shared()
        self.where = {"health": f"127.0.0.1:{free_port()}", "tls": f"127.0.0.1:{free_port()}", "agent": free_port(), "grpc": f"127.0.0.1:{free_port()}"}
        self.agent = Agent({"checks": {}}, start=False)
        self.where["unix"] = str(self.agent.folder / "health.sock")
        self.agent.write_config({
            "listen": {"health": [{"address": self.where["health"], "proxy_protocol": ["127.0.0.1"]},
                                  {"address": self.where["tls"], "tls": {"certificate": str(pki.certificate), "key": str(pki.key)}},
                                  {"address": self.where["unix"], "mode": "0666"}],
                       "haproxy": {"address": f"127.0.0.1:{self.where['agent']}", "farewell": "ready"}, "grpc": {"address": self.where["grpc"]},
                       "admin": {"socket": str(self.agent.socket)}},
            "checks": {"app": {"type": "heartbeat", "max_age": "1h"}}, "services": {"web": {"all": ["app"]}}})
        self.agent.folder.chmod(0o755)

    def be(self, mood):
        agent = self.agent
        if agent.process is None:
            agent.start()
        if mood == "stopped":
            assert agent.end() == 0
        elif mood == "killed":
            agent.kill9()
        else:
            agent.ctl("resume")
            assert agent.ctl("report", "app", "pass" if mood == "drain" else mood).returncode == 0
            if mood == "drain":
                assert agent.ctl("drain", "--reason", "conformance").returncode == 0

    def __enter__(self):
        self.be("pass")
        return self

    def __exit__(self, *_):
        self.agent.stop()


def written():
    """The table of the page: consumer -> its words."""
    text = PAGE.read_text()
    rows = [line.strip("|\n ").split(" | ") for line in text.split(BEGIN)[1].split(END)[0].splitlines()[2:]]
    return {row[0]: dict(zip(MOODS, row[1:])) for row in rows}


def write(table):
    lines = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join([consumer, *(words[m] for m in MOODS)]) + " |" for consumer, words in table.items()]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])


@pytest.mark.timeout(240)
def test_every_judge_says_what_the_page_says():
    is_writing = bool(os.environ.get("VITALD_WRITE_TABLE"))
    wanted = {} if is_writing else written()
    table = {}
    start = time.monotonic()
    with ExitStack() as stack:
        node = stack.enter_context(Node())
        where = node.where
        judges = [stack.enter_context(judge) for judge in
                  (HAProxyJudge(where), Varnish(where["health"]), Apache(where["health"]), KeepalivedChecker(where["health"]), NginxAuth(where["health"]), Prometheus(where["health"]),
                   Programs(where["health"]), GrpcJudge(where["grpc"]))]
        for mood in MOODS:
            if mood in ("drain", "stopped", "killed"):  # from a good state, as it is in life
                node.be("pass")
                settled(judges, 12)
            node.be(mood)
            words, patience = {}, time.monotonic() + 25
            while True:
                words = settled(judges, 12)
                missing = {c for c, w in words.items() if not is_writing and wanted.get(c, {}).get(mood) != w}
                if not missing or is_writing or time.monotonic() > patience:
                    break
            for consumer, word in words.items():
                table.setdefault(consumer, {})[mood] = word
    if is_writing:
        write(table)
    assert table == (table if is_writing else wanted), f"after {time.monotonic() - start:.0f} s"


def test_the_metrics_have_nothing_promtool_would_change():
    with Node() as node:
        for mood in ("fail", "drain", "pass"):
            node.be(mood)
            body = wait_for(lambda: node.agent.health("/metrics").text, 10)
            done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True, timeout=30)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
