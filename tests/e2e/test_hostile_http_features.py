"""What the http and tcp checks do with well-behaved peers: what they send, what they accept, how they leave, what they
keep. The peers are those of hostile.py; the probes run in the real worker.
"""
import re
import resource
import subprocess

import pytest

import hostile
from hostile import Certificates, Peer
from worker import BUILD, WORKER, arguments, worker_probe

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        yield made


def ok(body=b"ok", headers=()):
    return hostile.http(hostile.http_answer(200, body, headers))


def echo():
    """Answers with the request it got."""
    return hostile.http(lambda request: hostile.http_answer(200, request))


def probe(kind, options, verdict="pass", cause="none"):
    found = worker_probe(kind, options, timeout="3s")
    assert (found.verdict, found.cause) == (verdict, cause), found.output
    return found


def repeat(kind, count, options):
    argv = [str(WORKER), "--probe", str(BUILD / "checks" / f"{kind}.so"), "--timeout", "3s", "--repeat", str(count),
            *arguments(options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL)
    return done.stdout


def test_the_request_is_plain_and_says_who_asks():
    with Peer(echo()) as peer:
        probe("http", {"url": f"http://{peer.address}/a?b=c"})
        lines = peer.last_request.decode().split("\r\n")
        assert lines[0] == "GET /a?b=c HTTP/1.1"
        head = dict(line.split(": ", 1) for line in lines[1:] if line)
        assert head["Host"] == peer.address
        assert re.fullmatch(r"vitald/\d+\.\d+\.\d+", head["User-Agent"])
        assert head["Connection"] == "close"
        assert "Expect" not in head and "Content-Type" not in head and "Accept-Encoding" not in head


def test_method_headers_and_body_are_sent_as_written():
    body = "{\"ping\": true}"

    def answer(request):
        return hostile.http_answer(200, request)

    def behaviour(talk):
        request = talk.receive_until(body.encode())
        talk.peer.last_request = request
        talk.send(answer(request))

    with Peer(behaviour) as peer:
        probe("http", {"url": f"http://{peer.address}/", "method": "POST", "body": body,
                       "headers": {"Host": "app.example", "Content-Type": "application/json", "X-Empty": ""}})
        said = peer.last_request.decode()
        assert said.startswith("POST / HTTP/1.1\r\n") and said.endswith("\r\n\r\n" + body)
        assert "\r\nHost: app.example\r\n" in said and "\r\nContent-Type: application/json\r\n" in said
        assert f"\r\nContent-Length: {len(body)}\r\n" in said and "\r\nX-Empty:" in said and "Expect" not in said
    for method in ("HEAD", "OPTIONS", "DELETE", "PUT"):
        with Peer(hostile.http(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as peer:
            probe("http", {"url": f"http://{peer.address}/", "method": method})
            assert peer.last_request.startswith(method.encode() + b" / HTTP/1.1\r\n")


def test_a_token_goes_to_its_own_server_and_nowhere_else(tmp_path):
    token = tmp_path / "api.token"
    token.write_text("t0ken-of-the-api\n")
    token.chmod(0o600)
    with Peer(ok()) as elsewhere:
        away = hostile.http(hostile.http_answer(302, b"", [f"Location: http://{elsewhere.address}/"]))
        with Peer(away) as peer:
            probe("http", {"url": f"http://{peer.address}/", "token_file": str(token), "follow_redirects": True})
            assert b"\r\nAuthorization: Bearer t0ken-of-the-api\r\n" in peer.last_request
        assert elsewhere.last_request and b"t0ken" not in elsewhere.last_request
    with Peer(hostile.http(hostile.http_answer(401, b"t0ken-of-the-api"))) as peer:
        found = probe("http", {"url": f"http://{peer.address}/", "token_file": str(token)}, "unknown", "auth")
        assert "t0ken" not in found.output


def test_no_proxy_of_the_environment_is_used():
    with Peer(ok()) as peer, hostile.Refuser() as nobody:
        environment = {name: f"http://{nobody.address}" for name in ("http_proxy", "ALL_PROXY", "all_proxy")}
        found = worker_probe("http", {"url": f"http://{peer.address}/"}, environment=environment)
        assert found.verdict == "pass", found.output


def test_status_header_body_and_json_decide():
    body = b'{"status": "UP", "checks": [{"state": 1}]}'
    with Peer(ok(body, ["Content-Type: application/json; charset=utf-8", "X-Role: primary"])) as peer:
        def ask(verdict="pass", cause="none", **options):
            options = {name.replace("__", "."): value for name, value in options.items()}
            return probe("http", {"url": f"http://{peer.address}/", **options}, verdict, cause)

        ask(expect__status=["204", "200-201"])
        found = ask("fail", "content", expect__status="201")
        assert "HTTP 200, expected 201" in found.text
        ask(expect__header={"x-role": "primary", "Content-Type": "~^application/json", "Content-Length": "*"})
        found = ask("fail", "content", expect__header={"X-Role": "standby"})
        assert 'header x-role is "primary", expected "standby"' in found.text
        assert "no header x-nope" in ask("fail", "content", expect__header={"X-Nope": "*"}).text
        ask(expect__body__json__pointer="/checks/0/state", expect__body__json__equals=1, expect__body__contains="UP",
            expect__body__matches=r'"status":\s+"(UP|WARN)"')
        found = ask("fail", "content", expect__body__json__pointer="/status", expect__body__json__equals="DOWN")
        assert '"/status" is "UP", expected "DOWN"' in found.text
        found = ask()
        assert found.measures["status"] == 200 and found.measures["bytes"] == len(body)
        assert 0 < found.measures["latency"] < 3
        assert found.facts["address"] == peer.address


def test_a_long_body_ends_no_matcher():
    body = b"a" * 65536
    with Peer(ok(body)) as peer:
        for pattern in ("(a|b)*c", "(a*)*b", "^(a+)+$b", "(.|a)*z"):
            found = probe("http", {"url": f"http://{peer.address}/", "expect.body.matches": pattern}, "fail", "content")
            assert found.measures["latency"] < 1
        probe("http", {"url": f"http://{peer.address}/", "expect.body.matches": "^a*$"})


def test_redirects_are_followed_when_asked_and_take_no_secrets_elsewhere(tmp_path):
    password = tmp_path / "password"
    password.write_text("s3cret")
    with Peer(echo()) as other:
        def answer(request):
            path = request.split(b" ")[1]
            if path == b"/start":
                return hostile.http_answer(302, b"gone", ["Location: next"])
            if path == b"/next":
                assert b"Authorization: Basic" in request and b"X-Token: t" in request
                return hostile.http_answer(307, b"gone", [f"Location: http://{other.address}/end?token=x"])
            return hostile.http_answer(404)

        with Peer(hostile.http(answer)) as first:
            options = {"url": f"http://{first.address}/start", "user": "u", "password_file": password,
                       "headers": {"X-Token": "t"}}
            assert "follow_redirects is off" in probe("http", options, "fail", "content").text
            found = probe("http", {**options, "follow_redirects": True})
            assert found.facts["address"] == other.address
            assert b"Authorization" not in other.last_request and b"X-Token" not in other.last_request
            assert other.last_request.startswith(b"GET /end?token=x HTTP/1.1\r\n")
    for location in ("file:///etc/passwd", "gopher://127.0.0.1/", "http://"):
        with Peer(hostile.http(hostile.http_answer(302, b"", [f"Location: {location}"]))) as peer:
            probe("http", {"url": f"http://{peer.address}/", "follow_redirects": True}, "fail", "content")


def test_an_address_can_be_pinned_for_any_host():
    with Peer(echo()) as peer:
        found = probe("http", {"url": f"http://app.example:{peer.port}/", "resolve": "127.0.0.1"})
        assert f"Host: app.example:{peer.port}".encode() in peer.last_request
        assert found.facts["address"] == peer.address and "phase resolve" not in found.output
        probe("http", {"url": f"http://app.example:{peer.port}/", "resolve": [f"other.example:1:192.0.2.1",
                                                                               f"App.Example:{peer.port}:127.0.0.1"]})


def test_the_server_name_is_sent_and_verified_while_the_host_header_stays(certificates):
    names = []
    context = certificates.server("wrong_name")
    context.sni_callback = lambda _, name, __: names.append(name)
    with Peer(echo(), tls=context) as peer:
        probe("http", {"url": f"https://127.0.0.1:{peer.port}/x", "tls.ca": certificates.ca,
                       "tls.server_name": "other.example"})
        assert f"Host: 127.0.0.1:{peer.port}".encode() in peer.last_request
        probe("tcp", {"address": peer.address, "tls.mode": "verify", "tls.ca": certificates.ca,
                      "tls.server_name": "other.example"})
    assert names == ["other.example", "other.example"]


def test_both_leave_in_order(certificates):
    with Peer(ok(), backlog=256) as peer:
        repeat("http", 50, {"url": f"http://{peer.address}/"})
        repeat("http", 50, {"url": f"http://{peer.address}/", "expect.body.contains": "o"})
        repeat("http", 50, {"url": f"http://{peer.address}/", "expect.status": 204})
        assert peer.ended(150) == {"fin": 150}
    # A server that greets, to a check that does not listen: still no reset.
    with Peer(hostile.says(b"220 hello\r\n")) as peer:
        repeat("tcp", 50, {"address": peer.address})
        repeat("tcp", 50, {"address": peer.address, "expect": "~^220 "})
        assert peer.ended(100) == {"fin": 100}
    with Peer(ok(), tls=certificates.server("good")) as peer:
        tls = {"tls.mode": "verify", "tls.ca": certificates.ca}
        repeat("http", 20, {"url": f"https://localhost:{peer.port}/", **tls})
        repeat("tcp", 20, {"address": f"localhost:{peer.port}", **tls})
        assert peer.ended(40) == {"fin": 40}


def test_a_connection_is_kept_when_asked_and_replaced_when_it_dies(certificates):
    with Peer(ok()) as peer:
        said = repeat("http", 100, {"url": f"http://{peer.address}/", "reuse_connection": True})
        assert "pass/none" in said and peer.connections == 1
        assert "fact connection = reused" in said
    with Peer(ok()) as peer:
        repeat("http", 100, {"url": f"http://{peer.address}/"})
        assert peer.connections == 100
    with Peer(ok(), tls=certificates.server("good")) as peer:
        said = repeat("http", 50, {"url": f"https://localhost:{peer.port}/", "reuse_connection": True,
                                   "tls.ca": certificates.ca})
        assert "pass/none" in said and peer.connections == 1 and "certificate_days_left" in said

    def once(talk):  # says it will keep the connection, and does not
        talk.receive_until(b"\r\n\r\n")
        talk.send(hostile.http_answer(200, b"ok"))

    with Peer(once) as peer:
        said = repeat("http", 50, {"url": f"http://{peer.address}/", "reuse_connection": True})
        assert re.findall(r"\d+ x (\w+/\w+)", said) and set(re.findall(r"\d+ x (\w+/\w+)", said)) == {"pass/none"}
        assert peer.connections == 50


def test_tcp_speaks_and_listens():
    def redis(talk):
        while request := talk.receive():
            talk.send(b"+PONG\r\n" if request == b"PING\r\n" else b"-ERR\r\n")

    with Peer(redis) as peer:
        probe("tcp", {"address": peer.address, "send": "PING\\r\\n", "expect": "+PONG\\r\\n"})
        probe("tcp", {"host": "127.0.0.1", "port": peer.port, "send": "PING\\r\\n", "expect": r"~^\+PONG"})
        found = worker_probe("tcp", {"address": peer.address, "send": "QUIT\\r\\n", "expect": "+OK"}, timeout="300ms")
        assert (found.verdict, found.cause) == ("fail", "content") and r'"-ERR\r\n"' in found.text
    # The answer may come in pieces, and what is expected may be its end.
    with Peer(hostile.drips(b"220 mail ready", every=0.01)) as peer:
        probe("tcp", {"address": peer.address, "expect": "mail ready"})
    with Peer(hostile.says(b"220 mail ready", then=lambda talk: None)) as peer:
        probe("tcp", {"address": peer.address, "expect": "~^220 .*ready$"})


@pytest.mark.skipif(hostile.is_sanitized(WORKER), reason="a sanitizer's cost is not ours")
def test_no_probe_costs_the_loop_more_than_ten_milliseconds(certificates):
    """Measured as processor time, which a busy machine does not change: what a whole probe costs, which comes in several
    pieces of which each must be shorter."""
    with Peer(ok(b"x" * 60000)) as plain, Peer(ok(), tls=certificates.server("good")) as secured:
        for options in ({"url": f"http://{plain.address}/", "expect.body.matches": "(x|y)*z$"},
                        {"url": f"https://localhost:{secured.port}/", "tls.ca": certificates.ca}):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            repeat("http", 200, options)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            assert spent / 200 < 0.010, (options, spent)
