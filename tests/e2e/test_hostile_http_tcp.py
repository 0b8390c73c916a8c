"""http and tcp against every hostile peer of hostile.py: the right verdict and cause, and never later than the timeout
plus 200 ms; the same for many probes, with no descriptor and no memory more than before.
"""
import concurrent.futures
import re
import subprocess

import pytest

import hostile
from hostile import Certificates, Deaf, NameServer, Peer, Refuser
from judging import rounds
from worker import BUILD, WORKER, arguments, worker_probe

pytestmark = pytest.mark.timeout(120)

TIMEOUT = 0.6
GRACE = 0.2


@pytest.fixture(scope="module")
def certificates():
    with Certificates() as made:
        yield made


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text("s3cret-of-the-monitor\n")
    return path


def took(probe):
    """What the worker itself measured, in seconds."""
    amount, unit = re.search(r"^  took (\d+)(us|ms|s)", probe.output, re.M).groups()
    return int(amount) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def judge(kind, options, verdict, cause, says=""):
    probe = worker_probe(kind, options, timeout=f"{TIMEOUT * 1000:.0f}ms")
    assert (probe.verdict, probe.cause) == (verdict, cause), probe.output
    assert took(probe) <= TIMEOUT + GRACE, probe.output
    assert says in probe.text, probe.text
    assert "s3cret" not in probe.output
    return probe


# name -> (behaviour, http: verdict, cause, words; tcp with send and expect: verdict, cause, words)
WORDLESS = {
    "says nothing": (hostile.silent, "timeout", "did not answer", "timeout", "did not answer"),
    "closes at once": (hostile.closes, "protocol", "", "protocol", ""),
    "closes when asked": (hostile.closes_when_asked, "protocol", "without an answer", "protocol", "without a word"),
    "resets at once": (hostile.resets, "protocol", "reset", "protocol", "reset"),
    "resets when asked": (hostile.resets_when_asked, "protocol", "reset", "protocol", "reset"),
    "garbage": (hostile.garbage, "protocol", "HTTP", "content", "answered"),
    "endless garbage": (hostile.endless_garbage, "protocol", "HTTP", "content", "16 KiB"),
    "one byte a second": (hostile.drips(b"HTTP/1.1 200 OK\r\n\r\n", every=0.25), "timeout", "", "timeout", "said only"),
}


@pytest.mark.parametrize("name", WORDLESS)
def test_http_names_what_is_wrong_with_a_peer_that_speaks_no_http(name):
    behaviour, cause, words, _, _ = WORDLESS[name]
    with Peer(behaviour) as peer:
        judge("http", {"url": f"http://{peer.address}/"}, "fail", cause, words)


@pytest.mark.parametrize("name", WORDLESS)
def test_tcp_names_what_is_wrong_with_a_peer_that_does_not_say_what_is_expected(name):
    behaviour, _, _, cause, words = WORDLESS[name]
    with Peer(behaviour) as peer:
        judge("tcp", {"address": peer.address, "send": "PING\\r\\n", "expect": "+PONG"}, "fail", cause, words)


# name -> (more options, verdict, cause, words)
HTTP = {
    "half a header": ({}, "fail", "timeout", "header"),
    "half a header, then closes": ({}, "fail", "protocol", ""),
    "huge header": ({}, "fail", "protocol", "64 KiB"),
    "huge header line": ({}, "fail", "protocol", "64 KiB"),
    "body that never ends": ({}, "pass", "none", "HTTP 200"),
    "body of chunks that never ends": ({"expect.body.contains": "not there"}, "fail", "content", "65536 bytes"),
    "body shorter than said": ({}, "fail", "protocol", "in the middle"),
    "body that stops": ({}, "fail", "timeout", "did not finish its answer"),
    "interim answers for ever": ({}, "fail", "protocol", ""),
    "rejects the password": ({}, "fail", "content", "401"),
    "redirects in a circle": ({"follow_redirects": True}, "fail", "content", "more than 5 redirects"),
    "drips": ({}, "fail", "timeout", ""),
}


@pytest.mark.parametrize("name", HTTP)
def test_http_names_what_is_wrong_with_an_answer(name):
    options, verdict, cause, words = HTTP[name]
    with Peer(hostile.http_misbehaviours()[name]) as peer:
        judge("http", {"url": f"http://{peer.address}/", **options}, verdict, cause, words)


def test_a_rejected_password_is_our_trouble_and_never_the_servers(secret):
    with Peer(hostile.http_misbehaviours()["rejects the password"]) as peer:
        options = {"url": f"http://{peer.address}/", "user": "monitor", "password_file": secret}
        judge("http", options, "unknown", "auth", "rejects our credentials")
        assert b"Basic bW9uaXRvcjpzM2NyZXQtb2YtdGhlLW1vbml0b3I=" in peer.last_request
        # Somebody may want to know that the door is locked.
        judge("http", {**options, "expect.status": 401}, "pass", "none")


def test_what_is_found_early_in_an_endless_body_is_found():
    behaviour = hostile.repeats(b"all is well, ", head=b"HTTP/1.1 200 OK\r\n\r\n")
    with Peer(behaviour) as peer:
        url = f"http://{peer.address}/"
        judge("http", {"url": url, "expect.body.contains": "well"}, "pass", "none")
        judge("http", {"url": url, "expect.body.matches": "well, all"}, "pass", "none")
        judge("http", {"url": url, "expect.body.matches": "(all.*)*never"}, "fail", "content", "does not match")
        judge("http", {"url": url, "expect.body.json.pointer": "/a"}, "fail", "content", "max_body")


@pytest.mark.parametrize("kind,options", [("http", {"url": "http://%s/"}), ("tcp", {"address": "%s"})])
def test_a_refused_unrouted_unanswered_or_unknown_peer_is_told_apart(kind, options):
    def probe(target, *expected):
        judge(kind, {key: value % target for key, value in options.items()}, "fail", *expected)

    with Refuser() as nobody:
        probe(nobody.address, "refused", "refused")
    with Refuser("::1") as nobody:
        probe(f"[::1]:{nobody.port}", "refused", "refused")
    probe(f"{hostile.UNROUTABLE}:80", "unreachable", "unreachable")
    with Deaf() as deaf:
        probe(deaf.address, "timeout", "nobody answered")


needs_names = pytest.mark.skipif(not NameServer.is_possible(),
                                 reason="a name server of our own needs root and mount namespaces")
BY_NAME = pytest.mark.parametrize("kind,key,form", [("http", "url", "http://%s/"), ("tcp", "address", "%s")])


def ask_by_name(dns, kind, options, timeout=f"{TIMEOUT}s"):
    """The output of a probe that sees `dns` as its only name server."""
    argv = [str(WORKER), "--probe", str(BUILD / "checks" / f"{kind}.so"), "--timeout", timeout, *arguments(options)]
    done = subprocess.run(dns.wrap(argv), capture_output=True, text=True, timeout=30)
    assert done.stdout, done.stderr
    return done.stdout


@needs_names
@BY_NAME
def test_a_name_that_is_not_there_is_the_targets_fault_and_a_resolver_that_is_down_is_ours(kind, key, form):
    with NameServer({"target.example": ["127.0.0.1"], "empty.example": []}) as dns, Refuser() as nobody:
        def ask(name):
            return ask_by_name(dns, kind, {key: form % f"{name}:{nobody.port}"})

        assert ask("target.example").startswith("fail/refused")
        assert ask("target.example.").startswith("fail/refused")
        assert ask("nowhere.example").startswith("fail/dns")
        assert ask("empty.example").startswith("fail/dns")
        dns.mood = "servfail"
        assert ask("target.example").startswith("unknown/agent")
        dns.mood = "silent"
        said = ask("target.example")
        assert said.startswith("unknown/agent") and "no name server answered" in said
        assert dns.questions >= 5


@needs_names
@BY_NAME
def test_every_address_of_a_name_is_tried(kind, key, form):
    hosts = "::1 localhost\n127.0.0.1 localhost\n"
    names = {"half-dead.example": ["127.0.0.2", "127.0.0.1"], "dead.example": ["127.0.0.2", "127.0.0.3"]}
    answer = hostile.http(hostile.http_answer(200, b"ok"))
    with NameServer(names, hosts=hosts) as dns:
        def ask(name, port, **more):
            # Below 600 ms libcurl does not divide the time among addresses that do not answer.
            return ask_by_name(dns, kind, {key: form % f"{name}:{port}", **more}, timeout="1500ms")

        with Peer(answer) as four:
            assert f"fact address = 127.0.0.1:{four.port}" in ask("localhost", four.port)
            assert ask("localhost", four.port, family=6).startswith("fail/refused")
            with Deaf("127.0.0.2", four.port):
                assert f"fact address = 127.0.0.1:{four.port}" in ask("half-dead.example", four.port)
        with Peer(answer, host="::1") as six:
            assert f"fact address = [::1]:{six.port}" in ask("localhost", six.port)
            assert ask("localhost", six.port, family=4).startswith("fail/refused")
        with Refuser() as nobody:
            said = ask("dead.example", nobody.port)
            assert said.startswith("fail/refused") and "tried" in said


# name -> (certificate, more options, verdict, cause, words)
TLS = {
    "trusted": ("good", {}, "pass", "none", ""),
    "expired": ("expired", {}, "fail", "tls", "expired"),
    "for another name": ("wrong_name", {}, "fail", "tls", "is for other.example, not for localhost"),
    "for another name that is expected": ("wrong_name", {"tls.server_name": "other.example"}, "pass", "none", ""),
    "self-signed": ("self_signed", {}, "fail", "tls", "self-signed"),
    "self-signed, not verified": ("self_signed", {"tls.mode": "require"}, "pass", "none", ""),
    "expired, not verified": ("expired", {"tls.mode": "require"}, "pass", "none", ""),
    "from an unknown authority": ("good", {"tls.ca": None}, "fail", "tls", "not from an authority we trust"),
    "ends soon": ("soon", {"tls.warn_days": 14}, "warn", "tls", "ends in 2 days"),
    "ends soon enough": ("soon", {"tls.warn_days": 2}, "pass", "none", ""),
}


@pytest.mark.parametrize("name", TLS)
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_certificate_is_judged_and_the_reason_named(certificates, kind, name):
    certificate, more, verdict, cause, words = TLS[name]
    options = {"tls.mode": "verify", "tls.ca": certificates.ca, **more}
    options = {key: value for key, value in options.items() if value is not None}
    with Peer(hostile.http(hostile.http_answer(200, b"ok")), tls=certificates.server(certificate)) as peer:
        target = f"localhost:{peer.port}"
        options |= {"url": f"https://{target}/"} if kind == "http" else {"address": target}
        probe = judge(kind, options, verdict, cause, words)
        days = {"expired": (-1.1, -0.9), "soon": (2.9, 3.1)}.get(certificate, (29, 31))
        assert days[0] < probe.measures["certificate_days_left"] < days[1]
        if verdict == "pass":
            assert "tls" in re.findall(r"phase (\w+)", probe.output)


@pytest.mark.parametrize("kind", ["http", "tcp"])
@pytest.mark.parametrize("behaviour,cause,words", [
    (hostile.silent, "timeout", "TLS handshake"), (hostile.closes, "tls", ""), (hostile.closes_when_asked, "tls", "closed"),
    (hostile.resets_when_asked, "tls", "reset"), (hostile.garbage, "tls", "does not speak TLS"),
    (hostile.says(b"HTTP/1.1 400 Bad Request\r\n\r\n", ask_first=True), "tls", "does not speak TLS"),
    (hostile.drips(b"\x16\x03\x03\x00\x7a" + b"\x02" * 100, every=0.25), "timeout", "TLS handshake")],
    ids=["silent", "closes", "closes-asked", "resets", "garbage", "plain-http", "drips"])
def test_a_handshake_that_comes_to_nothing_is_named(certificates, kind, behaviour, cause, words):
    with Peer(behaviour) as peer:
        target = {"url": f"https://{peer.address}/"} if kind == "http" else {"address": peer.address}
        judge(kind, {"tls.mode": "verify", "tls.ca": certificates.ca, **target}, "fail", cause, words)


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_client_certificate_is_shown_and_its_lack_is_our_trouble(certificates, kind):
    behaviour = hostile.http(hostile.http_answer(200, b"ok"))
    with Peer(behaviour, tls=certificates.server("good", wants_client=True)) as peer:
        target = {"url": f"https://localhost:{peer.port}/"} if kind == "http" else {
            "address": f"localhost:{peer.port}", "send": "GET / HTTP/1.0\\r\\n\\r\\n", "expect": "200"}
        options = {"tls.mode": "verify", "tls.ca": certificates.ca, **target}
        judge(kind, options, "unknown", "auth", "wants a certificate from us")
        shown = {"tls.certificate": certificates.file("client"), "tls.key": certificates.key("client")}
        judge(kind, options | shown, "pass", "none")
        judge(kind, options | shown | {"tls.key": certificates.key("good")}, "unknown", "config", "no private key")
        judge(kind, options | {"tls.ca": "/nonexistent/ca.pem"}, "unknown", "config", "/nonexistent/ca.pem")


def many(kind, options, count, timeout):
    """Many probes in one worker: the verdicts it had, and how descriptors and memory (KiB) went."""
    argv = [str(WORKER), "--probe", str(BUILD / "checks" / f"{kind}.so"), "--timeout", timeout, "--repeat", str(count),
            *arguments(options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL)
    found = re.search(r"descriptors (\d+) -> (\d+), resident (\d+) -> (\d+) KiB", done.stdout)
    assert found, done.stdout + done.stderr
    assert f"{count} probes" in done.stdout
    said = set(re.findall(r"^\s+\d+ x (\w+/\w+)", done.stdout, re.M))  # the first ten lines of it
    return said, *map(int, found.groups())


@pytest.mark.timeout(900)
def test_many_probes_leave_no_descriptor_and_no_memory_behind(certificates):
    count = rounds(1000)
    plain = {**{name: row[0] for name, row in WORDLESS.items()}, **hostile.http_misbehaviours(),
             "answers": hostile.http(hostile.http_answer(200, b"ok"))}
    secured = {"tls " + kind: certificates.server(kind) for kind in ("good", "expired", "self_signed", "wrong_name")}
    slow = {"says nothing", "one byte a second", "drips", "half a header", "body that stops"}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs, peers = {}, []

        def add(name, kind, peer, options):
            timeout = "20ms" if name in slow else "1s"
            jobs[f"{kind}: {name}"] = pool.submit(many, kind, options, count, timeout)
            peers.append(peer)

        try:
            for name, behaviour in plain.items():
                peer = Peer(behaviour, backlog=1024)
                add(name, "http", peer, {"url": f"http://{peer.address}/", "follow_redirects": True})
                if name in WORDLESS and name != "garbage":  # to tcp that is an answer that may still come: waits
                    add(name, "tcp", peer, {"address": peer.address, "send": "PING\\r\\n", "expect": "+PONG"})
            for name, context in secured.items():
                answer = hostile.http(hostile.http_answer(200, b"ok"))
                peer = Peer(answer, tls=context, backlog=1024)
                tls = {"tls.mode": "verify", "tls.ca": certificates.ca}
                add(name, "http", peer, {"url": f"https://localhost:{peer.port}/", **tls})
                add(name, "tcp", peer, {"address": f"localhost:{peer.port}", **tls})
            results = {name: job.result() for name, job in jobs.items()}
        finally:
            for peer in set(peers):
                peer.close()
    for name, (said, fds_before, fds_after, kib_before, kib_after) in results.items():
        assert len(said) == 1, (name, said)
        assert fds_after <= fds_before, (name, fds_before, fds_after)
        # A sanitizer keeps what is freed, to catch who still uses it.
        assert kib_after - kib_before <= 1024 or hostile.is_sanitized(WORKER), (name, kib_before, kib_after)
