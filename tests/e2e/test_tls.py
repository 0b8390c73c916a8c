"""The tls check against real servers: days left of every certificate of the chain, told also when the chain is not
trusted; STARTTLS in five protocols; and peers that only pretend."""
import pytest

import hostile
from chains import Chain
from hostile import Peer
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat
from servers import Certificates, Nginx, Postgres, Slapd

pytestmark = pytest.mark.timeout(120)


class ChainNginx(Nginx):
    """nginx with a certificate of our choice."""

    def __init__(self, certificate, key, settings="ssl_protocols TLSv1.2 TLSv1.3;"):
        super().__init__(server_block=settings + ' location / { return 200 "ok"; }')
        self.pair = certificate, key

    def prepare(self):
        super().prepare()
        path, tls = self.directory / "nginx.conf", Certificates.shared()
        text = path.read_text().replace(f"ssl_certificate {tls.certificate}", f"ssl_certificate {self.pair[0]}")
        path.write_text(text.replace(f"ssl_certificate_key {tls.key}", f"ssl_certificate_key {self.pair[1]}"))


@pytest.fixture(scope="module")
def chain():
    with Chain() as made:
        yield made


@pytest.fixture(scope="module")
def nginx(chain):
    with ChainNginx(chain.file, chain.key) as server:
        yield server


@pytest.fixture(scope="module")
def slapd():
    with Slapd() as server:
        yield server


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        yield server


def at(server, authority, **more):
    more = {k.replace("__", "."): v for k, v in more.items()}
    return {"host": "127.0.0.1", "port": server.tls_port, "tls.ca": authority.ca, **more}


# ---- working --------------------------------------------------------------------------------------------------------

def test_every_certificate_of_the_chain(nginx, chain):
    probe = judge("tls", at(nginx, chain), "pass", "none", says=f"127.0.0.1:{nginx.tls_port}: its certificate ends in 30 days")
    assert phases(probe)[:2] == ["connect", "tls"]
    assert 30 <= probe.measures["certificate_days_left"] < 30.1
    assert 60 <= probe.measures["certificate_1_days_left"] < 60.1
    assert 30 <= probe.measures["chain_days_left"] < 30.1
    assert probe.facts["certificate_0"].startswith("own by Between until ") and "127.0.0.1" in probe.facts["certificate_0"]
    assert probe.facts["certificate_1"].startswith("Between by Root until ")
    assert probe.facts["authority"].startswith("Root until ")
    assert probe.facts["verification"] == "ok" and probe.facts["protocol"] == "TLSv1.3" and "_" in probe.facts["cipher"]


def test_names_and_versions(nginx, chain):
    judge("tls", at(nginx, chain, names=["localhost"], min_version="1.3"), "pass", "none")
    judge("tls", at(nginx, chain, host="localhost"), "pass", "none")
    judge("tls", at(nginx, chain, names=["localhost", "www.example"]), "fail", "tls", says="not for www.example")
    judge("tls", at(nginx, chain, tls__server_name="www.example"), "fail", "tls", says="not for www.example")
    with ChainNginx(chain.file, chain.key, settings="ssl_protocols TLSv1.2;") as old:
        assert judge("tls", at(old, chain), "pass", "none").facts["protocol"] == "TLSv1.2"
        judge("tls", at(old, chain, min_version="1.3"), "fail", "tls", says="speaks TLSv1.2, expected TLSv1.3")


@pytest.mark.parametrize("protocol", ["ldap", "postgres"])
def test_tls_asked_for_in_another_protocol(protocol, slapd, postgres):
    server = {"ldap": slapd, "postgres": postgres}[protocol]
    mark = server.log_mark()
    options = {"host": server.host, "port": server.port, "tls.ca": Certificates.shared().ca, "starttls": protocol}
    judge("tls", options, "warn", "tls", says="its certificate ends in")
    leaves_nothing(repeat("tls", {**options, "warn_days": 5}, 200), "pass/none", 200)
    log = server.log_since(mark).lower()
    assert "lost" not in log and "error" not in log.replace("err=0", "") and "incomplete" not in log, log[-2000:]


# ---- about to end, ended, not trusted -------------------------------------------------------------------------------------

def test_the_end_is_told_of_whichever_ends_first():
    for days, between, verdict, says in ((10, 60, "warn", "its certificate ends in 10 days"),
                                         (2, 60, "fail", "its certificate ends in 2 days"),
                                         (60, 10, "warn", "the certificate Between of its chain ends in 10 days"),
                                         (60, 2, "fail", "the certificate Between of its chain ends in 2 days")):
        with Chain(days=days, between_days=between) as made, ChainNginx(made.file, made.key) as server:
            probe = judge("tls", at(server, made), verdict, "tls", says=says)
            assert min(days, between) <= probe.measures["chain_days_left"] < min(days, between) + 0.1
            judge("tls", at(server, made, warn_days=1, fail_days=1), "pass", "none")


def test_an_authority_about_to_end_counts_too():
    with Chain(days=60, between_days=60, root_days=5) as made, ChainNginx(made.file, made.key) as server:
        judge("tls", at(server, made), "warn", "tls", says="the certificate Root of its chain ends in 5 days")


def test_days_are_told_when_the_chain_is_not_trusted(nginx, chain):
    with Chain() as other:
        probe = judge("tls", at(nginx, other), "fail", "tls", says="not from an authority we trust; its certificate ends in 30 days")
        assert 30 <= probe.measures["chain_days_left"] < 30.1 and "authority" in probe.facts["verification"]
        probe = judge("tls", at(nginx, other, tls__mode="require"), "pass", "none")
        assert "authority" in probe.facts["verification"]
    with ChainNginx(chain.alone, chain.key) as server:  # the classic: the authority between was forgotten
        probe = judge("tls", at(server, chain), "fail", "tls", says="authority")
        assert 30 <= probe.measures["chain_days_left"] < 30.1


def test_days_are_told_when_it_has_ended():
    with Chain(days=-4) as made, ChainNginx(made.file, made.key) as server:
        probe = judge("tls", at(server, made), "fail", "tls", says="expired 3 days ago")
        assert -4.1 < probe.measures["chain_days_left"] <= -3.9 and probe.facts["certificate_0"].startswith("own by")
        judge("tls", at(server, made, tls__mode="require"), "fail", "tls", says="ended 3 days ago")
    with Chain(between_days=-4) as made, ChainNginx(made.file, made.key) as server:
        judge("tls", at(server, made), "fail", "tls", says="a certificate of its chain expired")


def test_a_server_that_wants_a_certificate_from_us(chain):
    with ChainNginx(chain.file, chain.key, settings=f"ssl_client_certificate {chain.ca}; ssl_verify_client on;") as server:
        # nginx asks, and lets us finish: the chain is seen all the same.
        judge("tls", at(server, chain), "pass", "none")


# ---- hung, stopped, pretending --------------------------------------------------------------------------------------------

def test_a_hung_server_and_one_that_is_gone(chain):
    with ChainNginx(chain.file, chain.key) as server:
        server.hang()
        judge("tls", at(server, chain), "fail", "timeout", says="handshake", timeout=HUNG)
        server.resume()
        server.stop()
        judge("tls", at(server, chain), "fail", "refused")
    judge("tls", {"host": hostile.NO_SUCH_NAME}, "fail", "dns")


def test_hundreds_of_probes_leave_nothing(nginx, chain):
    mark = nginx.log_mark()
    leaves_nothing(repeat("tls", at(nginx, chain), 300), "pass/none", 300)
    assert nginx.log_since(mark) == ""
    leaves_nothing(repeat("tls", {"host": "127.0.0.1", "port": 1}, 200), "fail/refused", 200)


@pytest.mark.parametrize("name", WORDLESS)
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    # A reset may come before there is anything of TLS.
    judge_hostile("tls", lambda peer: {"host": peer.host, "port": peer.port}, {"tls", *causes} if causes == BROKEN else causes, behaviour)
    judge_hostile("tls", lambda peer: {"host": peer.host, "port": peer.port, "starttls": "ldap"}, causes, behaviour)
    # Where the server speaks first, one that waits to be asked says nothing.
    waits = "asked" in name or name in ("says zeros for ever", "speaks HTTP")
    judge_hostile("tls", lambda peer: {"host": peer.host, "port": peer.port, "starttls": "smtp"}, SILENT if waits else causes,
                  behaviour)


LINES = {
    "smtp": [b"220 x ESMTP\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"],
    "imap": [b"* OK x\r\n", b"a OK go\r\n"],
    "pop3": [b"+OK x\r\n", b"+OK go\r\n"],
    "ldap": [bytes.fromhex("300c02010178070a010004000400")],
    "postgres": [b"S"],
}


@pytest.mark.parametrize("protocol", LINES)
def test_after_the_yes_comes_nothing_or_something_else(protocol, chain):
    def talks(then):
        def behaviour(talk):
            for number, piece in enumerate(LINES[protocol]):
                if number > 0 or protocol in ("ldap", "postgres"):
                    talk.receive()
                talk.send(piece)
            then(talk)
        return behaviour

    def options(peer):
        return {"host": peer.host, "port": peer.port, "starttls": protocol, "tls.ca": chain.ca}
    judge_hostile("tls", options, SILENT, talks(hostile.silent))
    judge_hostile("tls", options, {"tls"}, talks(hostile.closes_when_asked))
    judge_hostile("tls", options, {"tls"}, talks(hostile.says(b"421 no\r\n", ask_first=True)))
    with hostile.Certificates() as made:
        probe = judge_hostile("tls", lambda peer: {**options(peer), "tls.ca": made.ca}, {"tls"}, hostile.silent,
                              tls=made.server("expired"), preface=talks(lambda talk: None))
        assert "expired" in probe.text and probe.measures["chain_days_left"] < 0


@pytest.mark.parametrize("protocol, says", [
    ("smtp", [b"554 go away\r\n"]), ("smtp", [b"220 x\r\n", b"250 x\r\n"]), ("smtp", [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 no\r\n"]),
    ("imap", [b"* BYE\r\n"]), ("imap", [b"* OK\r\n", b"a BAD\r\n"]), ("pop3", [b"+OK\r\n", b"-ERR\r\n"]),
    ("ldap", [bytes.fromhex("300c02010178070a010204000400")]), ("postgres", [b"N"]),
])
def test_a_no_to_starttls_is_said_as_such(protocol, says):
    def behaviour(talk):
        for number, piece in enumerate(says):
            if number > 0 or protocol in ("ldap", "postgres"):
                talk.receive()
            talk.send(piece)
        talk.hold()
    with Peer(behaviour) as peer:
        judge("tls", {"host": peer.host, "port": peer.port, "starttls": protocol}, "fail", "protocol", says="it said")


@pytest.mark.parametrize("options, says", [
    ({}, "host"),
    ({"host": "a", "tls.mode": "off"}, "tls.mode"),
    ({"host": "a", "warn_days": 1, "fail_days": 2}, "warn_days"),
    ({"host": "a", "tls.warn_days": 2}, "tls.warn_days"),
    ({"host": "a", "tls.key": "/k"}, "tls.key"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("tls", options, says)
