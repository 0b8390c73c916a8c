"""The health listener behind TLS, and several listeners that show different things: real certificates, real handshakes,
certificates that are renewed under connections that stay."""
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from agent import BUILD, VITALD, Agent, fetch, wait_for
from serving import Certificates

CHECKS = {"here": {"type": "disk", "path": "/", "warn_free": "0%", "fail_free": "0%", "interval": "1s"}}
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def pki():
    return Certificates.shared()


def context(pki, client=False, **more):
    out = ssl.create_default_context(cafile=str(pki.ca))
    if client:
        out.load_cert_chain(pki.client, pki.client_key)
    for key, value in more.items():
        setattr(out, key, value)
    return out


def dial(address, tls=None, before=b"", timeout=10):
    host, port = address.rsplit(":", 1)
    raw = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
    raw.sendall(before)
    return tls.wrap_socket(raw, server_hostname="localhost") if tls else raw


def ask(connection, path="/health", headers="", close=True):
    """One request; the status, and the whole answer as text."""
    end = "Connection: close\r\n" if close else ""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{end}{headers}\r\n".encode())
    answer = b""
    while True:
        chunk = connection.recv(65536)
        answer += chunk
        if not chunk:
            break
        head, _, body = answer.partition(b"\r\n\r\n")
        if not close and _ and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            break
    return int(answer.split()[1]), answer.decode()


def listen(pki, **more):
    return {"address": "127.0.0.1:0", "tls": {"certificate": str(pki.certificate), "key": str(pki.key)}, **more}


def agent_with(health, **more):
    return Agent({"listen": {"health": health, **more}, "checks": CHECKS}, start=False)


def started(agent):
    """Agent.start() asks /live in the clear; here the log says when it listens."""
    agent.start(wait=False)
    agent.wait_for(lambda: agent.has_listener("admin"), what="it listens")
    agent.wait_for(lambda: agent.admin("/readyz").status == 200, what="it is ready")
    return agent


def metric(agent, name):
    for line in agent.admin("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


def test_health_is_served_over_tls_and_nothing_older_than_1_2(pki):
    with agent_with(listen(pki)) as agent:
        started(agent)
        address = agent.health_address
        with dial(address, context(pki)) as c:
            assert c.version() == "TLSv1.3"
            code, text = ask(c)
            assert code == 200 and '"status":"pass"' in text and "serviceId" in text
        with dial(address, context(pki, maximum_version=ssl.TLSVersion.TLSv1_2)) as c:
            assert c.version() == "TLSv1.2"
            assert [ask(c, "/livez", close=False)[0] for _ in range(3)] == [200, 200, 200]
        old = context(pki)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            dial(address, old)
        # The end is in order: close_notify, then FIN; a reset would be an exception here.
        curl = subprocess.run(["curl", "-fsS", "--cacert", pki.ca, "--resolve", f"localhost:{address.rsplit(':')[-1]}:127.0.0.1",
                               f"https://localhost:{address.rsplit(':')[-1]}/metrics"], capture_output=True, text=True, timeout=20)
        assert curl.returncode == 0 and "vitald_tls_handshakes_total" in curl.stdout, curl.stderr
        # A session is taken up again without the costly half.
        first = context(pki, maximum_version=ssl.TLSVersion.TLSv1_2)
        with dial(address, first) as c:
            ask(c)
            session = c.session
        raw = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=10)
        with first.wrap_socket(raw, server_hostname="localhost", session=session) as c:
            assert c.session_reused
            assert ask(c)[0] == 200
        before = metric(agent, "vitald_tls_handshake_failures_total")
        with dial(address) as c:  # in the clear, by mistake
            c.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            assert c.recv(100) == b""
        assert metric(agent, "vitald_tls_handshake_failures_total") == before + 1


def test_with_client_ca_only_known_clients_come_in_and_they_see_details(pki):
    tls = {"certificate": str(pki.certificate), "key": str(pki.key), "client_ca": str(pki.ca)}
    health = [{"address": "127.0.0.1:0", "details": "authorized", "tls": tls},
              {"address": "127.0.0.1:0", "details": "authorized", "tls": {**tls, "client": "optional"}}]
    with agent_with(health) as agent:
        started(agent)
        strict, optional = agent.addresses("health")
        with dial(strict, context(pki, client=True)) as c:
            assert ask(c, "/api/v1/status")[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with dial(strict, context(pki)) as c:  # TLS 1.3 tells on the first read
                ask(c)
                raise ConnectionError("closed without an answer")
        with dial(optional, context(pki)) as c:
            code, text = ask(c, "/api/v1/status")
            assert code == 401 and "WWW-Authenticate: Bearer" in text
        with dial(optional, context(pki)) as c:
            assert ask(c)[1].endswith('{"status":"pass"}\n')
        with dial(optional, context(pki, client=True)) as c:
            assert "serviceId" in ask(c)[1]


def test_a_token_opens_the_details_and_a_wrong_one_does_not(pki):
    with agent_with({"address": "127.0.0.1:0", "details": "authorized", "token_file": "token"}) as agent:
        (agent.folder / "token").write_text(TOKEN + "\n")
        (agent.folder / "token").chmod(0o600)
        started(agent)
        address = agent.health_address
        seen = {}
        for what, header in {"right": f"Authorization: Bearer {TOKEN}\r\n", "lower": f"authorization: bearer {TOKEN}\r\n",
                             "wrong": f"Authorization: Bearer {TOKEN[:-1]}0\r\n", "short": "Authorization: Bearer 0\r\n",
                             "longer": f"Authorization: Bearer {TOKEN}{TOKEN}\r\n", "basic": f"Authorization: Basic {TOKEN}\r\n",
                             "none": ""}.items():
            seen[what] = ask(dial(address), "/api/v1/checks", header)[0]
        assert seen == {"right": 200, "lower": 200, "wrong": 401, "short": 401, "longer": 401, "basic": 401, "none": 401}
        assert "serviceId" in ask(dial(address), "/health", f"Authorization: Bearer {TOKEN}\r\n")[1]
        assert "serviceId" not in ask(dial(address), "/health")[1]
        assert TOKEN not in agent.log() and TOKEN not in agent.admin("/metrics").text


def test_renewed_certificates_are_taken_without_a_signal_and_connections_stay(pki):
    folder = pathlib.Path(Certificates.shared().directory) / "renewed"
    folder.mkdir(exist_ok=True)
    shutil.copy(pki.certificate, folder / "c.pem")
    shutil.copy(pki.key, folder / "k.pem")
    tls = {"certificate": str(folder / "c.pem"), "key": str(folder / "k.pem")}
    with agent_with({"address": "127.0.0.1:0", "tls": tls}) as agent:
        started(agent)
        address = agent.health_address
        no_names = context(pki, check_hostname=False)
        before = dial(address, no_names)
        assert ask(before, close=False)[0] == 200
        assert before.getpeercert()["subject"][0][0][1] == "server"

        # Half of a renewal is nothing to serve with: the one before stays, and the log says why.
        shutil.copy(pki.wrong_name, folder / "c.new")
        (folder / "c.new").rename(folder / "c.pem")
        agent.wait_for(lambda: agent.events("certificates_refused"), 20, "half a renewal is refused")
        assert "does not belong" in agent.events("certificates_refused")[0]["reason"]
        with dial(address, no_names) as c:
            assert c.getpeercert()["subject"][0][0][1] == "server"
        shutil.copy(pki.wrong_name_key, folder / "k.new")
        (folder / "k.new").rename(folder / "k.pem")
        agent.wait_for(lambda: agent.events("certificates_adopted"), 20, "the renewal is adopted")
        with dial(address, no_names) as c:
            assert c.getpeercert()["subject"][0][0][1] == "elsewhere.example"
        assert ask(before, close=False)[0] == 200  # as if nothing had been

        # By SIGHUP, too; and a reload with a key that does not fit is refused whole.
        shutil.copy(pki.certificate, folder / "c.pem")
        refused = agent.reload()
        assert refused["event"] == "config_refused" and "does not belong" in refused["first"], refused
        shutil.copy(pki.key, folder / "k.pem")
        assert agent.reload()["event"] == "config_adopted"
        with dial(address, no_names) as c:
            assert c.getpeercert()["subject"][0][0][1] == "server"
        assert ask(before)[0] == 200


def self_signed(folder, days):
    """A certificate that ends in so many days, in the place of the one before; the end in seconds since the epoch."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=server",
                    "-days", str(days), "-keyout", folder / "k.pem", "-out", folder / "c.pem"], check=True, capture_output=True)
    said = subprocess.run(["openssl", "x509", "-in", folder / "c.pem", "-noout", "-enddate"], check=True, capture_output=True, text=True)
    return ssl.cert_time_to_seconds(said.stdout.strip().split("=")[1])


def test_a_certificate_of_ours_that_is_about_to_end_is_said_once_and_a_renewed_one_no_more(tmp_path):
    end = self_signed(tmp_path, 3)
    tls = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")}
    with agent_with({"address": "127.0.0.1:0", "tls": tls}, grpc={"address": "127.0.0.1:0", "tls": tls}) as agent:
        started(agent)
        name = 'vitald_listener_certificate_not_after_timestamp_seconds{listener="%s",address="127.0.0.1:0"}'
        for listener in ("health", "grpc"):
            assert metric(agent, name % listener) == end
        agent.wait_for(lambda: len(agent.events("certificate_expiring")) == 2, 10, "both listeners are named")
        said = agent.events("certificate_expiring")[0]
        assert said["listener"] == "health" and said["address"] == "127.0.0.1:0" and said["level"] == "warning", said
        assert [c["is_expiring"] for c in agent.admin("/api/v1/status").json()["certificates"]] == [True, True]
        assert "the certificate of health 127.0.0.1:0 ends" in agent.ctl("status").stdout
        # The same one after a reload is no news, a renewed one ends the matter.
        agent.reload()
        end = self_signed(tmp_path, 90)
        agent.wait_for(lambda: agent.events("certificates_adopted"), 20, "the renewal is adopted")
        agent.wait_for(lambda: metric(agent, name % "health") == end, 10, "and is what is shown")
        assert [c["is_expiring"] for c in agent.admin("/api/v1/status").json()["certificates"]] == [False, False]
        assert "ends" not in agent.ctl("status").stdout
        assert len(agent.events("certificate_expiring")) == 2


def test_who_dawdles_in_the_handshake_is_ended_and_holds_nobody_up(pki):
    with agent_with([listen(pki), {"address": "127.0.0.1:0"}]) as agent:
        started(agent)
        secure, plain = agent.addresses("health")
        silent = [dial(secure) for _ in range(600)]
        for c in silent[:300]:
            c.sendall(b"\x16\x03\x01\x00\xff\x01")  # the begin of a hello
        start = time.monotonic()
        for _ in range(20):
            assert ask(dial(plain), "/livez")[0] == 200
        with dial(secure, context(pki)) as c:
            assert ask(c)[0] == 200
        assert time.monotonic() - start < 4, "asked among 600 half handshakes"
        # No more than 512 are under way: the oldest have given way already; the others end after 5 s.
        silent[-1].settimeout(30)
        assert silent[0].recv(10) == b""
        assert silent[-1].recv(10) == b""
        wait_for(lambda: metric(agent, "vitald_http_connections_open") <= 1, 20, "all of them are gone")
        assert metric(agent, "vitald_tls_handshake_failures_total") >= 400


def test_a_proxy_header_stands_before_the_handshake(pki):
    with agent_with(listen(pki, proxy_protocol=["127.0.0.1"])) as agent:
        started(agent)
        address = agent.health_address
        local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
        for before, is_detailed in ((b"", True), (b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n", False), (local, True),
                                    (b"PROXY UNKNOWN\r\n", True)):
            with dial(address, context(pki), before=before) as c:
                assert ("serviceId" in ask(c)[1]) == is_detailed, before
        with pytest.raises((ssl.SSLError, ConnectionError)):
            dial(address, context(pki), before=b"PROXY TCP4 nonsense\r\n")


def test_several_listeners_show_different_things_and_a_reload_changes_them_at_once(pki):
    with agent_with([{"address": "127.0.0.1:0", "details": "never"}, {"address": ["127.0.0.1:0", "[::1]:0"], "details": "always"}]) as agent:
        started(agent)
        never, always, six = agent.addresses("health")
        assert fetch(never).json() == {"status": "pass"}
        assert "serviceId" in fetch(always).json() and "serviceId" in fetch(six).json()
        assert fetch(never, "/api/v1/status").status == 403

        file = str(agent.folder / "health.sock")
        agent.reload({"listen": {"health": [{"address": always, "details": "always"}, {"address": file, "mode": "0666"}]}, "checks": CHECKS})
        held = dial(always)
        assert "serviceId" in ask(held, close=False)[1]
        assert "serviceId" in fetch(file).json()
        assert pathlib.Path(file).stat().st_mode & 0o777 == 0o666
        curl = subprocess.run(["curl", "-fsS", "--unix-socket", file, "http://x/health?format=text"], capture_output=True, text=True, timeout=10)
        assert curl.stdout == "pass\n"
        agent.reload({"listen": {"health": {"address": always, "details": "never"}}, "checks": CHECKS})
        wait_for(lambda: "serviceId" not in ask(held, close=False)[1], 5, "who is connected sees less, too")
        assert not pathlib.Path(file).exists()


def check_config(folder, pki, **tls):
    config = folder / "c.yaml"
    config.write_text(json.dumps({"listen": {"health": {"address": "127.0.0.1:0", "tls": {k: str(v) for k, v in tls.items()}}}, "checks": CHECKS}))
    done = subprocess.run([str(VITALD), "check-config", "-c", str(config)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_check_config_reads_the_certificates(pki, tmp_path):
    good = {"certificate": pki.certificate, "key": pki.key}
    code, said = check_config(tmp_path, pki, **good, client_ca=pki.ca)
    assert code == 0 and "10 days" not in said
    code, said = check_config(tmp_path, pki, certificate=pki.certificate, key=pki.client_key)
    assert code == 78 and len([line for line in said.splitlines() if "warning" not in line]) == 1
    assert f"listen.health.tls.key: {pki.client_key} does not belong to the certificate {pki.certificate}" in said
    code, said = check_config(tmp_path, pki, certificate=pki.expired, key=pki.expired_key)
    assert code == 0 and f"warning: {pki.expired} expired on 2020-02-01" in said
    code, said = check_config(tmp_path, pki, certificate=pki.key, key=pki.key)
    assert code == 78 and "listen.health.tls.certificate" in said and "holds no certificate in PEM form" in said
    code, said = check_config(tmp_path, pki, certificate=pki.certificate, key=pki.certificate)
    assert code == 78 and "holds no private key in PEM form without a passphrase" in said
    code, said = check_config(tmp_path, pki, **good, client_ca=pki.key)
    assert code == 78 and "listen.health.tls.client_ca" in said
    code, said = check_config(tmp_path, pki, certificate=tmp_path / "none.pem", key=pki.key)
    assert code == 78 and "none.pem is not there" in said
    locked = tmp_path / "locked.pem"
    subprocess.run(["openssl", "pkey", "-in", pki.key, "-aes256", "-passout", "pass:xyzzy", "-out", locked], check=True, capture_output=True)
    code, said = check_config(tmp_path, pki, certificate=pki.certificate, key=locked)
    assert code == 78 and "without a passphrase" in said  # and nobody was asked for one
