"""The scenario check against an application with sessions: log in, look, log out; broken in ways one page does not show."""
import http.server
import json
import secrets
import threading
import urllib.parse

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, secret
from servers import Certificates

pytestmark = pytest.mark.timeout(60)

USER, PASSWORD = "probe", "s3cret & more="
SCRIPT = """
GET /login
  capture csrf: between name="csrf" value="..."
POST /login
  form user: {{user}}
  form password: {{password}}
  form csrf: {{csrf}}
  expect: 302
  capture home: header Location
GET {{home}}
  contains: Welcome {{user}}
  lacks: error
GET /api/token
  capture token: json /auth/token
POST /api/orders
  header Authorization: Bearer {{token}}
  json: {"what": "a {{csrf}}"}
  expect: 201
  matches: "id": \\d+
POST /logout
  always
  expect: 302
"""


class Application(http.server.ThreadingHTTPServer):
    """Sessions in memory, a token for each, orders for whoever has one."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.sessions, self.forms, self.log = {}, set(), []
        self.broken = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def session(self):
        cookies = dict(c.strip().split("=", 1) for c in self.headers.get("Cookie", "").split(";") if "=" in c)
        return self.server.sessions.get(cookies.get("sid"))

    def reply(self, status, body="", **headers):
        data = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        app = self.server
        app.log.append(f"GET {self.path}")
        if self.path == "/base/login":
            form = secrets.token_hex(4) + " <&"
            app.forms.add(form)
            return self.reply(200, f'<input name="csrf" value="{form}">' if "form" not in app.broken else "<h1>hello</h1>")
        if self.path == "/base/home":
            if self.session() is None or "sessions" in app.broken:
                return self.reply(200, "Please log in")  # 200, as so often
            return self.reply(200, f"Welcome {USER}")
        if self.path == "/base/api/token" and self.session() is not None:
            return self.reply(200, json.dumps({"auth": {"token": self.session()}}))
        return self.reply(401 if self.path == "/base/locked" else 404)

    def do_POST(self):
        app = self.server
        app.log.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/base/login":
            form = urllib.parse.parse_qs(body)
            if form.get("csrf", [""])[0] not in app.forms:
                return self.reply(403, "csrf")
            if form.get("user") != [USER] or form.get("password") != [PASSWORD]:
                return self.reply(401, "wrong")
            sid = secrets.token_hex(8)
            app.sessions[sid] = "tok" + sid
            where = "http://evil.invalid/home" if "redirect" in app.broken else "/base/home"
            where = f"{app.url}@evil.invalid/home" if "disguise" in app.broken else where
            return self.reply(302, Set_Cookie=f"sid={sid}; Path=/", Location=where)
        if self.path == "/base/logout" and self.session() is not None:
            app.sessions = {k: v for k, v in app.sessions.items() if v != self.session()}
            return self.reply(302, Location="/base/login")
        if self.path == "/base/api/orders":
            if self.headers.get("Authorization") != f"Bearer {self.session()}" or "orders" in app.broken:
                return self.reply(500, "no")
            assert "what" in json.loads(body)
            return self.reply(201, '{"id": 12}')
        return self.reply(404)


@pytest.fixture(scope="module")
def app():
    with Application() as server:
        yield server


@pytest.fixture(autouse=True)
def mended(app):
    yield
    app.broken.clear()


def visit(app, **more):
    return {"url": app.url + "/base/", "steps": SCRIPT, "user": USER, "password_file": secret(PASSWORD), **more}


def test_a_whole_visit_passes_and_leaves_no_session(app):
    probe = judge("scenario", visit(app), "pass", "none", says="6 steps with http://127.0.0.1")
    assert app.sessions == {}
    assert phases(probe) == ["resolve", "exchange"] and probe.facts["address"] == "127.0.0.1"
    assert {f"step_{i}" for i in range(1, 7)} <= set(probe.measures)


@pytest.mark.parametrize("fault, says", [
    ("form", "step 1 (GET /login): there is no csrf to capture"),
    ("sessions", 'step 3 (GET {{home}}): the answer does not contain "Welcome {{user}}"'),
    ("orders", "step 5 (POST /api/orders): status 500, expected 201"),
    ("redirect", "step 3 (GET {{home}}): leads away from http://127.0.0.1"),
    ("disguise", "step 3 (GET {{home}}): leads away from http://127.0.0.1"),
])
def test_what_one_page_does_not_show(app, fault, says):
    app.broken.add(fault)
    judge("http", {"url": app.url + "/base/login"}, "pass", "none")  # the page itself is there
    judge("scenario", visit(app), "fail", "content", says=says)
    assert app.sessions == {}, "it logged out all the same"
    assert app.log[-1] == "POST /base/logout"


def test_a_rejected_password_is_unknown_and_never_said(app):
    probe = judge("scenario", visit(app, password_file=secret("wrong-one")), "unknown", "auth", says="step 2 (POST /login): status 401")
    assert "wrong-one" not in probe.output


def test_a_login_nobody_gave_us_is_not_rejected(app):
    judge("scenario", {"url": app.url + "/base", "steps": "GET /locked"}, "fail", "content", says="step 1 (GET /locked): status 401")


def test_what_went_wrong_first_is_told(app):
    steps = "GET /nothing\nGET /locked\n  always\n"
    probe = judge("scenario", visit(app, steps=steps), "fail", "content", says="step 1 (GET /nothing): status 404")
    assert app.log[-1] == "GET /base/locked" and "step_2" in probe.measures


def test_tls(app):
    tls = Certificates.shared()
    from servers import Nginx
    with Nginx() as web:
        options = {"url": f"https://localhost:{web.tls_port}", "steps": "GET /\n  contains: ok\n"}
        judge("scenario", {**options, "tls.ca": tls.ca}, "pass", "none")
        judge("scenario", options, "fail", "tls")
        judge("scenario", {**options, "tls.mode": "require"}, "pass", "none")


def test_hung_refused_and_nameless(app):
    judge("scenario", {"url": "http://127.0.0.1:1", "steps": "GET /"}, "fail", "refused")
    judge("scenario", {"url": "http://nothing-here.invalid", "steps": "GET /"}, "fail", "dns")
    with hostile.Peer(hostile.silent) as peer:
        judge("scenario", {"url": f"http://{peer.host}:{peer.port}", "steps": "GET /\nGET /more\n"}, "fail", "timeout",
              says="step 1", timeout=HUNG)


@pytest.mark.parametrize("name", ["says nothing", "closes at once", "resets at once", "says garbage", "says garbage for ever",
                                  "says zeros for ever"])
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    allowed = causes if causes == SILENT else BROKEN | {"content", "timeout"}
    judge_hostile("scenario", lambda peer: {"url": f"http://{peer.host}:{peer.port}", "steps": "GET /"}, allowed, behaviour)


def test_hundreds_of_visits_leave_nothing(app):
    leaves_nothing(repeat("scenario", visit(app), 40), "pass/none", 40)
    assert app.sessions == {}


@pytest.mark.parametrize("options, says", [
    ({"url": "ftp://a", "steps": "GET /"}, "url"),
    ({"url": "http://u:p@a", "steps": "GET /"}, "url"),
    ({"url": "http://a", "steps": "GET /\n  expect: ok"}, "steps: line 2"),
    ({"url": "http://a", "steps": "GET /{{password}}"}, "steps: line 1"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("scenario", options, says)
