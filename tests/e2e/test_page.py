"""The page at /ui/ in a real browser: what it shows is true, comes by itself, can be read by everybody, and whatever a
server under watch writes stays text."""
import contextlib
import datetime
import http.server
import json
import os
import pathlib
import re
import socket
import threading
import time

import pytest

from agent import Agent, Listener, fetch, free_port
from servers import Postgres, temporary_directory

webdriver = pytest.importorskip("selenium.webdriver", reason="python3-selenium is not installed")
if not os.path.exists("/usr/bin/chromedriver"):
    pytest.skip("chromium-driver is not installed", allow_module_level=True)

from browser import Browser, axe_source  # noqa: E402

MARKUP = "<img src=x onerror=window.owned=1><script>window.owned=1</script>"
UI = pathlib.Path(__file__).resolve().parents[2] / "src" / "publish" / "ui"


class Says:
    """An HTTP application whose answer can be changed."""

    def __init__(self):
        outer = self
        self.body, self.status = b"ok", 200

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as made:
        yield made


@pytest.fixture(scope="module")
def site():
    says = Says()
    with Postgres() as db:
        agent = Agent({
            "node": {"name": "web-1", "zone": "az-1"}, "profile": "strict",
            "defaults": {"interval": "500ms", "timeout": "500ms", "edge_interval": "200ms"},
            "checks": {
                "app": {"type": "http", "url": says.url, "expect": {"body": {"contains": "ok"}}, "description": "the shop's front page",
                        "labels": {"team": MARKUP}},
                "db": {"type": "postgres", "host": "127.0.0.1", "port": db.port, "user": "app", "database": "app",
                       "password_file": "db.password", "query": "SELECT 1"},
                "memory": {"type": "memory"},
                "night": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", "mode": "shadow"}},
            "services": {"web": {"all": ["app", {"any": ["db", "memory"]}]}, "data": ["db"],
                         "all-of-it": {"quorum": 1, "of": [{"service": "web"}, {"service": "data"}]}},
            "outputs": [{"type": "file", "path": str(temporary_directory("page") / "snapshot.json")}],
            "failover": {"topologies": {"pair": {"members": {"one": "db", "two": "night"}}}}}, start=False)
        (agent.folder / "db.password").write_text(db.app_password)
        try:
            agent.start()
            agent.wait_ready()
            yield agent, db, says
        finally:
            agent.stop()
            says.close()


def opened(browser, agent, more=""):
    browser.complaints()
    browser.open(f"http://{agent.health_address}/ui/{more}")
    browser.wait_for("return document.querySelectorAll('.check').length > 0")
    return browser


def answer_is(browser, word):
    return browser.wait_for("return document.getElementById('answer').textContent === arguments[0]", 30, word)


def state_of(check):
    return f"document.getElementById('check-{check}').dataset.status"


def test_the_first_screen_says_the_answer_and_why(browser, site):
    agent, db, _ = site
    opened(browser, agent)
    answer_is(browser, "pass")
    browser.screenshot("light")
    db.stop()
    try:
        began = time.monotonic()
        agent.wait_for(lambda: agent.check("db")["state"] == "fail")
        flipped = time.monotonic()
        browser.wait_for(f"return {state_of('db')} === 'fail'")
        seen = time.monotonic()
        # Reading every two seconds is the least; with the stream it is at once. A busy machine gets as much again.
        assert seen - flipped < 5, (flipped - began, seen - flipped)
        answer_is(browser, "fail")
        why = browser.text("#reason")
        assert "db" in why and ("refused" in why or "shutting down" in why), why
        assert browser.run("return document.querySelector('.check').id") == "check-db", "the worst stands first"
        assert browser.run("return document.title").startswith("fail")
        browser.screenshot("fail")
    finally:
        db.start()
    answer_is(browser, "pass")


def test_a_service_is_a_tree_with_its_rule(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    cards = browser.wait_for("return [...document.querySelectorAll('.card')].map((c) => c.textContent)")
    tree = next(c for c in cards if c.startswith("web"))
    assert "all of" in tree and "any of" in tree and "memory" in tree
    assert "service web" in next(c for c in cards if c.startswith("all-of-it"))


def test_a_check_opens_to_phases_times_and_measures(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    browser.run("document.querySelector('#check-db button').click()")
    browser.wait_for("return document.querySelector('#check-db .phases') !== null")
    assert "login" in browser.run("return document.querySelector('#check-db .phases').getAttribute('aria-label')")
    assert browser.run("return document.querySelector('#check-db .trend .timeout') !== null")
    assert browser.run("return document.querySelector('#check-db button').getAttribute('aria-expanded')") == "true"
    browser.run("document.querySelector('#check-memory button').click()")
    browser.wait_for("return document.querySelector('#check-memory table') !== null")
    history = browser.run("return document.querySelector('#check-app svg.strip').getAttribute('aria-label')")
    assert re.search(r"The last \d+ results, oldest first: \d+ passed", history)
    browser.screenshot("details")
    # New results do not close it.
    before = agent.check("db")["last_result"]
    agent.wait_for(lambda: agent.check("db")["last_result"] != before)
    browser.wait_for("return document.querySelector('#check-db .phases') !== null")


def test_who_asks_who_is_told_and_who_is_primary_stand_below(browser, site):
    agent, _, _ = site
    for _ in range(4):
        agent.health(headers={"User-Agent": "ELB-HealthChecker/2.0"})
    opened(browser, agent)
    browser.wait_for("return document.getElementById('consumers').textContent.includes('aws-elb')")
    browser.wait_for("return document.getElementById('outputs').textContent.includes('file')")
    browser.wait_for("return document.getElementById('failovers').textContent.includes('one primary')")
    shown = browser.text("#failovers")
    assert "steady" in shown and "two down" in shown, shown
    browser.wait_for("return document.getElementById('link').dataset.link === 'live'")  # changes come by themselves
    browser.run("document.getElementById('failovers').scrollIntoView()")
    browser.screenshot("around")


def test_availability_stands_there_with_planned_time_apart(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    browser.wait_for("return document.getElementById('availability').textContent.includes('service web')")
    rows = browser.run("return [...document.querySelectorAll('#availability tbody tr')].map((r) => [...r.children].map((c) => c.textContent))")
    assert all(len(r) == 8 for r in rows) and any(re.match(r"^(100%|\d\d?\.\d{3}%)$", r[1]) for r in rows), rows


def test_every_section_says_where_its_numbers_come_from(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    links = browser.run("return [...document.querySelectorAll('h2')].map((h) => [h.id, h.querySelector('a.api')?.getAttribute('href')])")
    assert links and all(href and agent.health(href).status == 200 for _, href in links), links


class Forward:
    """What `ssh -L PORT:admin.sock` does: a TCP port of this host that leads to the agent's admin socket."""

    def __init__(self, path):
        self.path, self.server = str(path), socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.server.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.path)
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self.carry, args=(a, b), daemon=True).start()

    @staticmethod
    def carry(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


def click(browser, selector):
    browser.run("document.querySelector(arguments[0]).click()", selector)


def fill(browser, selector, text):
    browser.run("const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}))",
                selector, text)


def test_over_a_health_address_the_page_has_no_buttons(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    answer_is(browser, "pass")
    assert browser.run("return document.querySelectorAll('.action').length") == 0
    assert agent.health("/api/v1/access").json() == {"may_write": False, "node": "web-1"}
    assert agent.health("/api/v1/maintenance", method="POST", body="{}").status == 403


def test_over_the_admin_socket_a_drain_is_laid_once_the_nodes_name_is_typed(browser, site):
    agent, _, _ = site
    with Forward(agent.socket) as forward:
        browser.complaints()
        browser.open(f"http://{forward.address}/ui/")
        browser.wait_for("return document.querySelectorAll('.card .action').length >= 6")
        click(browser, "#node-actions .action")  # Drain
        browser.wait_for("return document.getElementById('confirm').open")
        assert "web-1" in browser.text("#confirm") and browser.run("return document.getElementById('confirm-go').disabled")
        fill(browser, "#confirm-node", "web-2")
        assert browser.run("return document.getElementById('confirm-go').disabled"), "another node's name is no yes"
        fill(browser, "#confirm-reason", MARKUP)
        fill(browser, "#confirm-node", "web-1")
        browser.screenshot("confirm")
        click(browser, "#confirm-go")
        answer_is(browser, "drain")
        browser.wait_for("return !document.getElementById('confirm').open")
        overlay = agent.admin("/api/v1/status").json()["overlays"][0]
        assert (overlay["kind"], overlay["service"], overlay["reason"]) == ("drain", None, MARKUP) and overlay["until"]
        browser.wait_for("return document.querySelectorAll('#node-actions .action').length === 1")
        click(browser, "#node-actions .action")  # Resume
        fill(browser, "#confirm-node", "web-1")
        click(browser, "#confirm-go")
        answer_is(browser, "pass")
        assert agent.admin("/api/v1/status").json()["overlays"] == []
        assert browser.run("return window.owned") is None and browser.complaints() == []


def press(browser, service, label):
    """The button of this service whose word is `label`; and the name of the node, typed."""
    pressed = browser.wait_for("const b = [...document.querySelectorAll('.card .action')].find(b => b.textContent === arguments[1] && "
                               "b.ariaLabel.endsWith(' ' + arguments[0])); if (b) b.click(); return Boolean(b)", 10, service, label)
    assert pressed and service in browser.text("#confirm-what")
    fill(browser, "#confirm-node", "web-1")


def test_one_service_is_laid_up_for_as_long_as_was_chosen_and_resumed_alone(browser, site):
    agent, _, _ = site
    with Forward(agent.socket) as forward:
        browser.open(f"http://{forward.address}/ui/")
        press(browser, "data", "Maintenance")
        fill(browser, "#confirm-for", "4h")
        click(browser, "#confirm-go")
        browser.wait_for("return !document.getElementById('confirm').open")
        overlay, = agent.admin("/api/v1/maintenance").json()["overlays"]
        assert (overlay["kind"], overlay["service"]) == ("maintenance", "data")
        assert datetime.datetime.fromisoformat(overlay["until"]) - datetime.datetime.fromisoformat(overlay["since"]) == datetime.timedelta(hours=4)
        agent.admin("/api/v1/maintenance", "POST", {"kind": "drain"})
        press(browser, "data", "Resume")
        click(browser, "#confirm-go")
        browser.wait_for("return !document.getElementById('confirm').open")
        left, = agent.admin("/api/v1/maintenance").json()["overlays"]
        assert (left["kind"], left["service"]) == ("drain", None), "the node's stays"
        agent.admin("/api/v1/maintenance", "DELETE")
        answer_is(browser, "pass")


def test_another_page_of_the_same_browser_cannot_write(browser, site):
    """As a web site does that knows of the forwarded port: a form's kind of request, which needs no leave of ours to be sent."""
    agent, _, says = site
    with Forward(agent.socket) as forward:
        browser.open(says.url)
        for headers in ({}, {"X-Vitald-Node": "web-1"}):
            browser.driver.execute_async_script("""
                const done = arguments[2];
                fetch('http://' + arguments[0] + '/api/v1/maintenance', {method: 'POST', mode: Object.keys(arguments[1]).length ? 'cors' : 'no-cors',
                  headers: arguments[1], body: '{"kind":"drain"}'}).then(() => done('sent'), () => done('refused'))""", forward.address, headers)
        assert agent.admin("/api/v1/status").json()["overlays"] == []
        said = fetch(forward.address, "/api/v1/maintenance", "POST", "{}", {"Origin": f"http://{forward.address}", "Sec-Fetch-Site": "same-origin"})
        assert said.status == 428 and "web-1" in said.json()["error"]


def test_markup_of_a_server_or_an_operator_is_shown_as_text(browser, site):
    agent, _, says = site
    opened(browser, agent)
    says.body = MARKUP.encode()
    agent.ctl("drain", "data", "--reason", MARKUP, "--for", "1h")
    try:
        browser.wait_for(f"return {state_of('app')} === 'fail'")
        browser.wait_for("return document.getElementById('overlays').textContent.includes('<img src=x')")
        browser.run("document.querySelector('#check-app button').click()")
        browser.wait_for("return document.querySelector('#check-app .details') !== null")
        assert MARKUP in browser.text("#check-app .details")
        browser.wait_for("return document.getElementById('events').textContent.includes('onerror')")
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("return window.owned") is None
        browser.screenshot("markup")
    finally:
        says.body = b"ok"
        agent.ctl("resume", "data")
    browser.wait_for(f"return {state_of('app')} === 'pass'")


def test_the_page_asks_nobody_else_and_breaks_no_rule_of_its_own(browser, site):
    agent, _, _ = site
    browser.driver.get_log("performance")
    opened(browser, agent)
    time.sleep(1)
    asked = set()
    for entry in browser.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    assert asked and all(u.startswith((f"http://{agent.health_address}/", "data:")) for u in asked), asked
    policy = agent.health("/ui/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    # A page that this agent has not got is no error of the page.
    assert [c for c in browser.complaints() if "404" not in c] == []


def test_every_file_a_script_asks_for_is_there_and_all_are_small(site):
    agent, _, _ = site
    total = 0
    for file in UI.iterdir():
        served = agent.health("/ui/" if file.name == "index.html" else f"/ui/{file.name}")
        assert served.status == 200 and served.body == file.read_bytes(), file.name
        total += len(served.body)
        for wanted in re.findall(r"from '\./([\w.]+)'", served.text):
            assert (UI / wanted).exists(), f"{file.name} wants {wanted}"
    assert total < 150_000


def test_the_page_speaks_japanese_to_who_prefers_it(site):
    agent, _, _ = site
    with Browser(language="ja") as browser:
        opened(browser, agent)
        answer_is(browser, "正常")
        assert browser.run("return document.documentElement.lang") == "ja"
        assert browser.text("#checks-title span") == "チェック"
        browser.screenshot("japanese")


def test_both_languages_have_the_same_words():
    words = [set(re.findall(r"(?:^|[ {])(\w+): '", (UI / f"words.{language}.js").read_text(), re.M)) for language in ("en", "ja")]
    assert words[0] == words[1] and len(words[0]) > 80
    used = set(re.findall(r"word\('(\w+)'", "".join(f.read_text() for f in UI.glob("*.js"))))
    used |= set(re.findall(r'data-(?:word|placeholder|label)="(\w+)"', (UI / "index.html").read_text()))
    assert {w for w in used if not w.endswith("_")} <= words[0], used - words[0]


@pytest.mark.parametrize("look", [{"prefers_dark": True}, {"width": 390, "height": 844}, {"width": 2560, "height": 1440}])
def test_it_fits_a_phone_a_wall_and_the_dark(site, look):
    agent, _, _ = site
    with Browser(**look) as browser:
        opened(browser, agent)
        answer_is(browser, "pass")
        browser.run("document.querySelector('#check-db button').click()")
        browser.wait_for("return document.querySelector('#check-db .phases') !== null")
        wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "nothing makes the page scroll sideways"
        browser.screenshot("dark" if look.get("prefers_dark") else f"width-{look['width']}")


def test_nobody_is_kept_out(browser, site):
    """axe-core, the usual checker of accessibility, finds nothing serious; the keyboard reaches what the mouse does."""
    agent, _, _ = site
    axe = axe_source()
    if axe is None:
        pytest.skip("axe-core comes from npm, which is not here")
    opened(browser, agent)
    browser.run("document.querySelector('#check-db button').click()")
    browser.wait_for("return document.querySelector('#check-db .phases') !== null")
    browser.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = browser.driver.execute_async_script("axe.run().then((r) => arguments[0](r.violations))")
    serious = [(v["id"], v["help"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, serious
    assert browser.run("""
        const reachable = (e) => e.matches('a[href], button, input, [tabindex]');
        return [...document.querySelectorAll('main button, main input, main a')].every(reachable)""")


def test_a_restart_of_the_agent_is_survived(browser, site):
    agent, _, _ = site
    opened(browser, agent)
    answer_is(browser, "pass")
    address = agent.health_address
    config = agent.config_file.read_text()
    agent.config_file.write_text(config.replace("127.0.0.1:0", address))
    agent.end()
    browser.wait_for("return !document.getElementById('trouble').hidden")
    assert browser.run("return document.getElementById('node').dataset.status") == "unknown", "what is old is not called well"
    browser.screenshot("lost")
    agent.start()
    assert agent.health_address == address
    browser.wait_for("return document.getElementById('trouble').hidden", 60)
    answer_is(browser, "pass")


def test_five_hundred_checks_are_there_within_a_second(browser):
    with Listener() as target:
        checks = {f"check-{i:03}": {"type": "tcp", "address": target.address} for i in range(500)}
        with Agent({"checks": checks, "defaults": {"interval": "60s", "timeout": "5s"}}) as agent:
            agent.wait_ready(timeout=90)
            opened(browser, agent)
            browser.wait_for("return document.querySelectorAll('.check').length === 500")
            # The script's own work, as the browser's clock of its main thread tells it.
            spent = browser.driver.execute_async_script("""
                const done = arguments[0];
                import('/ui/checks.js').then(async ({showChecks}) => {
                  const body = await (await fetch('/api/v1/checks')).json();
                  document.getElementById('checks').replaceChildren();
                  const copies = body.checks.map((c) => ({...c, output: c.output + ' '}));
                  const began = performance.now();
                  showChecks(copies);
                  document.body.getBoundingClientRect();
                  const first = performance.now() - began;
                  const again = performance.now();
                  showChecks(copies);
                  document.body.getBoundingClientRect();
                  done([first, performance.now() - again]);
                })""")
            assert spent[0] < 1000 and spent[1] < 200, f"all anew {spent[0]:.0f} ms, nothing new {spent[1]:.0f} ms"
