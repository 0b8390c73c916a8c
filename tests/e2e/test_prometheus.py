"""What is shipped for Prometheus and Grafana is true: a real Prometheus scrapes a real agent, the alerts are its own promtool's
to judge, and every expression of the dashboard finds metrics that exist."""
import json
import pathlib
import re
import subprocess
import urllib.parse

import pytest

from agent import Agent, fetch
from servers import Server, program, wait_until
from serving import Certificates

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTS = ROOT / "conf/prometheus/vitald-alerts.yaml"
DASHBOARD = ROOT / "conf/grafana/vitald.json"


class Prometheus(Server):
    name = "prometheus"
    user = "nobody"

    def __init__(self, target):
        super().__init__()
        self.target = target

    def prepare(self):
        (self.directory / "alerts.yaml").write_text(ALERTS.read_text())
        (self.directory / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": "vitald", "static_configs": [{"targets": [self.target]}]}]}))

    def command(self):
        return [program("prometheus"), f"--config.file={self.directory}/prometheus.yml",
                f"--storage.tsdb.path={self.directory}/data", f"--web.listen-address={self.host}:{self.port}"]

    def is_ready(self):
        try:
            return fetch(f"{self.host}:{self.port}", "/-/ready").status == 200
        except OSError:
            return False

    def ask(self, expression):
        answer = fetch(f"{self.host}:{self.port}", "/api/v1/query?" + urllib.parse.urlencode({"query": expression})).json()
        assert answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]


@pytest.fixture(scope="module")
def scraped():
    """An agent of which one check fails, and a Prometheus that has seen it."""
    pki = Certificates.shared()
    health = [{"address": "127.0.0.1:0", "tls": {"certificate": str(pki.certificate), "key": str(pki.key)}},
              {"address": "127.0.0.1:0"}]
    with Agent({"listen": {"health": health},
                "profile": "strict", "defaults": {"interval": "500ms", "timeout": "250ms", "edge_interval": "250ms"},
                "checks": {"memory": {"type": "memory"}, "gone": {"type": "tcp", "address": "127.0.0.1:1"}},
                "services": {"well": ["memory"], "ill": ["gone"]}}) as agent:
        agent.wait_for(lambda: agent.check("gone")["state"] == "fail")
        with Prometheus(agent.health_address) as prometheus:
            wait_until(lambda: prometheus.ask('vitald_service_answer{service="ill",answer="fail"} == 1'), what="a scrape")
            yield agent, prometheus


def test_the_alerts_are_rules_and_say_what_they_should():
    for command in (["check", "rules", ALERTS], ["test", "rules", ROOT / "tests/data/prometheus/vitald-alerts-test.yaml"]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_service_that_fails_raises_its_alert(scraped):
    _, prometheus = scraped
    raised = wait_until(lambda: prometheus.ask('ALERTS{alertname="VitaldServiceFails"}'), what="an alert")
    assert [a["metric"]["service"] for a in raised] == ["ill"]
    assert raised[0]["metric"]["alertstate"] == "pending", "a minute long it may heal by itself"
    assert not prometheus.ask('ALERTS{alertname="VitaldServiceFailsEverywhere"}'), "one node is not everywhere"
    assert not prometheus.ask('ALERTS{alertname=~"VitaldDown|VitaldStalled|VitaldReloadRefused"}')


def expressions():
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield pytest.param(panel["title"], target["expr"], id=panel["title"])


@pytest.mark.parametrize("title, expression", expressions())
def test_the_dashboard_shows_what_there_is(scraped, title, expression):
    _, prometheus = scraped
    asked = expression.replace("$instance", ".*").replace("$check", ".*")
    found = prometheus.ask(asked)
    for metric in set(re.findall(r"vitald_\w+", asked)):
        assert prometheus.ask(metric), f"{title}: nothing is called {metric}"
    if title == "Services":
        assert {s["metric"]["service"]: s["value"][1] for s in found} == {"well": "0", "ill": "2"}
    if title == "Checks over time":
        assert {s["metric"]["check"]: s["value"][1] for s in found} == {"memory": "0", "gone": "3"}


def test_every_metric_of_the_alerts_exists(scraped):
    _, prometheus = scraped
    for metric in set(re.findall(r"vitald_\w+(?=[{ \[=])", "\n".join(re.findall(r"expr: (.*)", ALERTS.read_text())))):
        assert prometheus.ask(metric), f"nothing is called {metric}"
