"""Retries, windows, flapping, dependencies, scope, weights, budgets and shadows, as a client of a real agent sees them. Each
rule's cases are in tests/core, its story in tests/scenarios; here it has to arrive in headers, JSON, metrics and lines."""
import http.server
import subprocess
import threading
import time

import pytest

from agent import VITALD, Agent, Listener, free_port


class Site:
    """A web site that answers what it is told to, and counts."""

    def __init__(self):
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with site.lock:
                    site.requests += 1
                    status = site.status
                    if site.blips > 0:
                        site.blips, status = site.blips - 1, 500
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.lock = threading.Lock()
        self.requests, self.blips, self.status = 0, 0, 200
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


QUICK = {"interval": "300ms", "timeout": "250ms", "edge_interval": "150ms", "retries": 0, "rise": 1, "fall": 1}


@pytest.fixture
def site():
    with Site() as running:
        yield running


def web(site, **more):
    return {"type": "http", "url": site.url, **QUICK, **more}


def metric(agent, line):
    found = [m for m in agent.admin("/metrics").text.splitlines() if m.startswith(line + " ")]
    return float(found[0].rsplit(" ", 1)[1]) if found else 0.0


# ---- a cycle and its state -----------------------------------------------------------------------------------------


def test_a_blip_is_tried_again_within_its_cycle_and_never_becomes_news(site):
    check = web(site, interval="2s", timeout="500ms", edge_interval="500ms", retries=2, retry_delay="50ms")
    with Agent({"checks": {"app": check}}, timeout=30) as agent:
        agent.wait_ready()
        for _ in range(3):
            seen = len(agent.check("app")["history"])
            site.blips = 2  # two bad attempts, the third is good
            agent.wait_for(lambda: len(agent.check("app")["history"]) > seen and site.blips == 0)
        agent.wait_for(lambda: metric(agent, 'vitald_check_probes_total{check="app",verdict="fail",cause="content"}') >= 4)
        assert set(agent.check("app")["history"]) == {"."}
        assert [e["to"] for e in agent.events("check_state")] == ["pass"]


def test_a_rejected_credential_is_never_tried_twice_in_a_cycle(site, tmp_path):
    (tmp_path / "password").write_text("wrong\n")
    site.status = 401
    check = web(site, interval="1s", timeout="200ms", edge_interval="1s", retries=3, retry_delay="10ms", user="mon",
                password_file=str(tmp_path / "password"))
    with Agent({"checks": {"app": check}}) as agent:
        agent.wait_for(lambda: len(agent.check("app")["history"]) >= 3)
        seen = agent.check("app")
        assert seen["cause"] == "auth"
        assert abs(site.requests - len(agent.check("app")["history"])) <= 1


def test_what_cannot_stay_up_is_flapping_held_down_and_shown_so(site):
    check = web(site, flap={"half_life": "2s"}, max_age="1m")
    with Agent({"checks": {"app": check}}, timeout=30) as agent:
        agent.wait_ready()
        for _ in range(4):
            site.status = 500
            agent.wait_for(lambda: agent.check("app")["state"] == "fail")
            site.status = 200
            agent.wait_for(lambda: agent.check("app")["verdict"] == "pass")
            if agent.check("app")["is_flapping"]:
                break
        seen = agent.check("app")
        assert seen["is_flapping"] and seen["state"] == "fail" and set(seen["history"]) <= set(".F")
        assert "flapping, held down" in agent.health().headers["x-health-reason"] or "flapping" in agent.health().json()["output"]
        assert metric(agent, 'vitald_check_flapping{check="app"}') == 1
        agent.wait_for(lambda: agent.check("app")["state"] == "pass")
        assert agent.events("flapping") and agent.events("flapping_over")


def test_a_window_counts_what_never_comes_in_a_row(site):
    checks = {"row": web(site, fall=2, edge_interval="300ms"), "window": web(site, fall={"bad": 3, "of": 6}, edge_interval="300ms")}
    with Agent({"checks": checks}, timeout=30) as agent:
        agent.wait_ready()

        def one_blip_each():
            for name in checks:
                before = agent.check(name)["history"]
                site.status = 500
                agent.wait_for(lambda: agent.check(name)["history"] != before)
            site.status = 200
        # The two checks see the blips at moments of their own; what counts is what each of them saw.
        agent.wait_for(lambda: one_blip_each() or "F.F.F" in agent.check("window")["history"] + "." or
                       agent.check("window")["state"] == "fail")
        agent.wait_for(lambda: one_blip_each() or agent.check("window")["state"] == "fail")
        assert agent.check("window")["history"].count("F") >= 3


def test_a_shadow_is_judged_and_counted_nowhere(site):
    with Listener() as up:
        checks = {"app": {"type": "tcp", "address": up.address, **QUICK}, "trial": web(site, mode="shadow")}
        with Agent({"checks": checks}) as agent:
            agent.wait_ready()
            site.status = 500
            agent.wait_for(lambda: agent.check("trial")["state"] == "fail")
            assert agent.check("trial")["mode"] == "shadow"
            assert agent.health().status == 200 and agent.health().headers["x-health-status"] == "pass"
            assert metric(agent, 'vitald_check_state{check="trial",state="fail"}') == 1


# ---- checks together -----------------------------------------------------------------------------------------------


def test_the_root_cause_leads_and_what_it_explains_says_so():
    gateway = free_port()
    checks = {"app": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", "depends_on": ["gateway"], **QUICK},
              "gateway": {"type": "tcp", "address": f"127.0.0.1:{gateway}", **QUICK}}
    with Agent({"checks": checks}) as agent:
        agent.wait_for(lambda: agent.check("app")["suppressed_by"] == "gateway")
        answer = agent.health()
        assert answer.status == 503 and answer.json()["output"].startswith("gateway: fail/refused")
        assert "app: fail/refused" in answer.json()["output"] and "(because of gateway)" in answer.json()["output"]
        seen = len(agent.check("app")["history"])
        agent.wait_for(lambda: len(agent.check("app")["history"]) > seen, what="it goes on being probed")


def test_a_dependency_cycle_is_refused_with_its_way():
    config = {"checks": {n: {"type": "tcp", "address": "127.0.0.1:1", "depends_on": [d]} for n, d in ("ab", "bc", "ca")}}
    agent = Agent(config, start=False)
    try:
        done = subprocess.run([VITALD, "check-config", "-c", agent.config_file], capture_output=True, text=True, timeout=30)
        assert done.returncode == 78 and "a" in done.stderr + done.stdout
        assert "cycle" in done.stderr + done.stdout or "circle" in done.stderr + done.stdout
    finally:
        agent.stop()


def test_scope_and_criticality_decide_who_is_told_what(site):
    with Listener() as up:
        checks = {"app": {"type": "tcp", "address": up.address, **QUICK}, "db": web(site, scope="shared"),
                  "cache": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", "critical": False, **QUICK}}
        services = {"lenient": {"all": ["app", "db"], "http_codes": {"warn": 429}, "weights": {"warn": 40}},
                    "strict": {"all": ["app", "db"], "on_shared_failure": "fail"},
                    "cached": {"all": ["app", "cache"]}}
        config = {"checks": checks, "services": services, "listen": {"haproxy": {"address": "127.0.0.1:0"}}}
        with Agent(config) as agent:
            agent.wait_ready()
            site.status = 500
            agent.wait_for(lambda: agent.health("/health/strict").status == 503)
            lenient = agent.health("/health/lenient")
            assert lenient.status == 429 and lenient.headers["x-health-status"] == "warn"
            assert lenient.headers["x-load-balancing-endpoint-weight"] == "40"
            assert agent.haproxy("lenient") == "up ready 40%"
            assert agent.health("/health/cached").headers["x-health-status"] == "warn"
            services = {s["name"]: s for s in agent.admin("/api/v1/services").json()["services"]}
            assert services["lenient"]["score"] == 75 and services["strict"]["score"] == 50
            assert metric(agent, 'vitald_service_score{service="lenient"}') == 75


def test_the_weight_climbs_after_a_recovery_and_not_after_a_restart(site):
    config = {"checks": {"app": web(site)}, "services": {"web": {"all": ["app"], "slow_start": "6s"}}}
    weight = lambda: int(agent.health("/health/web").headers["x-load-balancing-endpoint-weight"])
    with Agent(config, timeout=30) as agent:
        agent.wait_ready()
        assert weight() == 100
        site.status = 500
        agent.wait_for(lambda: agent.health("/health/web").status == 503)
        site.status = 200
        agent.wait_for(lambda: agent.health("/health/web").status == 200)
        seen = [weight()]
        while seen[-1] < 100:
            time.sleep(0.1)
            seen.append(weight())
            assert len(seen) < 200
        assert seen[0] < 60 and seen == sorted(seen) and len(set(seen)) > 5, seen
        assert agent.end() == 0
        agent.start()
        assert weight() == 100


def test_a_budget_withholds_shows_and_counts(site):
    config = {"checks": {"app": web(site)}, "services": {"web": {"all": ["app"], "budget": {"ejections": 1, "window": "10m"}}}}
    with Agent(config) as agent:
        agent.wait_ready()
        site.status = 500
        agent.wait_for(lambda: agent.health("/health/web").status == 503)
        site.status = 200
        agent.wait_for(lambda: agent.health("/health/web").status == 200)
        site.status = 500
        agent.wait_for(lambda: agent.health("/health/web").headers["x-health-status"] == "warn")
        answer = agent.health("/health/web")
        assert answer.status == 200 and "fall withheld" in answer.json()["output"]
        seen = agent.admin("/api/v1/services/web").json()
        assert seen["is_withheld"] and seen["withheld"] == 1 and seen["state"] == "fail"
        assert metric(agent, "vitald_ejections_withheld_total") == 1
        assert agent.events("ejection_withheld")


# ---- what is computed ----------------------------------------------------------------------------------------------


def test_timing_computes_the_consumers_part_and_warns_where_a_promise_cannot_be_kept():
    config = {"profile": "lenient", "checks": {"app": {"type": "tcp", "address": "127.0.0.1:1"}},
              "services": {"web": {"all": ["app"], "lb": {"interval": "30s", "timeout": "4s", "fall": 2},
                                   "detect_within": "30s", "budget": {"ejections": 2, "window": "10m"}}}}
    agent = Agent(config, start=False)
    try:
        done = subprocess.run([VITALD, "check-config", "--timing", "-c", agent.config_file], capture_output=True, text=True,
                              timeout=30)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert any(line.startswith("check app: fail after 5s to 40s, pass again after 0s to 20s") for line in lines), done.stdout
        # 40 s of ours, two probes 30 s apart, and the timeout of the last: 1m 44s at worst.
        assert any(line.startswith("service web: ") and "seen by its consumer after 35s to 1m 44s" in line for line in lines)
        warnings = [line for line in lines if line.startswith("warning: ")]
        assert any("the consumer's timeout 4s is below the timeout 5s of check app" in w for w in warnings)
        assert any("detect_within 30s cannot be kept: it may take 1m 44s" in w for w in warnings)
        assert any("ejection budget can withhold" in w for w in warnings)
    finally:
        agent.stop()
