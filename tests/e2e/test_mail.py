"""smtp, imap and pop3 against real Postfix and Dovecot: working, broken in ways a banner does not show, hung; no error in their
logs, no mail sent, none touched; and against peers that only pretend."""
import os
import re

import pytest

import hostile
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, rounds, secret
from net_servers import Dovecot, Postfix
from servers import Certificates, wait_until
from worker import worker_probe

pytestmark = pytest.mark.timeout(120)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Postfix and Dovecot want to be started by root")


@pytest.fixture(scope="module")
def dovecot():
    with Dovecot() as server:
        yield server


@pytest.fixture(scope="module")
def postfix(dovecot):
    with Postfix(dovecot=dovecot) as server:
        yield server


@pytest.fixture(scope="module")
def tls():
    return Certificates.shared()


def login(server, port, **more):
    return {"port": port, "user": server.app_user, "password_file": secret(server.app_password),
            **{k.replace("__", "."): v for k, v in more.items()}}


def smtp(server, **more):
    return {"port": server.port, **{k.replace("__", "."): v for k, v in more.items()}}


# ---- working --------------------------------------------------------------------------------------------------------

@needs_root
def test_a_server_that_would_take_a_mail(postfix, dovecot, tls):
    judge("smtp", smtp(postfix), "pass", "none", says="greets")
    probe = judge("smtp", smtp(postfix, to="postmaster@example.jp", **{"from": "a@example.net"}), "pass", "none",
                  says="would take mail for postmaster@example.jp")
    assert probe.facts["greeting"].startswith("mx.example.jp ESMTP")
    probe = judge("smtp", {**login(dovecot, postfix.port, starttls=True, tls__ca=tls.ca), "to": "postmaster@example.jp"}, "pass", "none",
                  says="lets us log in, would take mail")
    assert phases(probe) == ["connect", "tls", "auth", "exchange"] and probe.facts["tls"].startswith("TLSv1.")


@needs_root
def test_a_mailbox_is_opened_and_stays_as_new_as_it_was(dovecot, tls):
    over = {"tls__ca": tls.ca}
    probe = judge("imap", login(dovecot, dovecot.port), "pass", "none", says="lets us log in and read INBOX, 1 messages")
    assert probe.measures["messages"] == 1 and "auth" in phases(probe)
    judge("imap", login(dovecot, dovecot.port, starttls=True, **over), "pass", "none")
    judge("imap", login(dovecot, dovecot.imaps_port, tls__mode="verify", **over), "pass", "none")
    judge("imap", {"port": dovecot.port}, "pass", "none", says="greets")
    assert judge("pop3", login(dovecot, dovecot.pop3_port), "pass", "none", says="1 messages").measures["mailbox_size"] > 30
    judge("pop3", login(dovecot, dovecot.pop3_port, starttls=True, **over), "pass", "none")
    judge("pop3", login(dovecot, dovecot.pop3s_port, tls__mode="verify", **over), "pass", "none")
    judge("pop3", {"port": dovecot.pop3_port}, "pass", "none", says="greets")
    judge("imap", login(dovecot, dovecot.port, min_messages=2), "fail", "content", says="expected at least 2")


# ---- broken in ways a banner does not show ------------------------------------------------------------------------------

@needs_root
def test_mail_that_is_not_taken(postfix):
    judge("smtp", smtp(postfix, to="nobody@example.jp"), "fail", "content", says="550 5.1.1")
    judge("smtp", smtp(postfix, to="a@elsewhere.example"), "fail", "content", says="554 5.7.1")
    judge("smtp", smtp(postfix, to="later@example.jp"), "fail", "content", says="it takes no mail now")


@needs_root
def test_a_recipient_map_that_is_gone_and_a_queue_that_is_full(postfix):
    for port, says in ((postfix.mapless_port, "451 4.3.0"), (postfix.full_port, "452 4.3.1")):
        judge("smtp", {"port": port}, "pass", "none")  # what others look at
        judge("smtp", {"port": port, "to": "postmaster@example.jp"}, "fail", "content", says=says)


@needs_root
def test_what_they_reject_is_unknown(postfix, dovecot, tls):
    wrong = {"password_file": secret("wrong-one")}
    judge("smtp", {**login(dovecot, postfix.port, starttls=True, tls__ca=tls.ca), **wrong}, "unknown", "auth", says="535 5.7.8")
    judge("smtp", login(dovecot, postfix.port), "unknown", "auth", says="offers neither AUTH PLAIN")  # only over TLS
    judge("imap", {**login(dovecot, dovecot.port), **wrong}, "unknown", "auth", says="AUTHENTICATIONFAILED")
    judge("pop3", {**login(dovecot, dovecot.pop3_port), **wrong}, "unknown", "auth", says="PASS was answered with")


@needs_root
def test_logins_that_nobody_can_check(dovecot):
    dovecot.lock_users(True)
    try:
        # Dovecot looks at its file once a second.
        for kind, options, says in (("imap", login(dovecot, dovecot.port), "UNAVAILABLE"),
                                    ("pop3", login(dovecot, dovecot.pop3_port), "SYS/TEMP")):
            wait_until(lambda k=kind, o=options: worker_probe(k, o).verdict != "pass", what="it cannot look us up")
            wait_until(lambda k=kind, o=options, s=says: s in worker_probe(k, o).text, what=says)
            probe = worker_probe(kind, options)
            assert probe.verdict == "pass" or (probe.verdict, probe.cause) == ("fail", "content"), probe.output
        judge("imap", {"port": dovecot.port}, "pass", "none")  # what others look at
    finally:
        dovecot.lock_users(False)


@needs_root
def test_a_mailbox_that_does_not_exist(dovecot):
    judge("imap", login(dovecot, dovecot.port, mailbox="Gone"), "fail", "content", says="Mailbox doesn't exist")


@needs_root
def test_certificates_that_do_not_verify(postfix, dovecot, tls):
    for kind, port in (("smtp", postfix.port), ("imap", dovecot.port), ("pop3", dovecot.pop3_port)):
        judge(kind, {"port": port, "starttls": True}, "fail", "tls", says="not from an authority we trust")
        judge(kind, {"port": port, "starttls": True, "tls.ca": tls.other_ca}, "fail", "tls")
        judge(kind, {"port": port, "starttls": True, "tls.mode": "require"}, "pass", "none")


# ---- hung, stopped ------------------------------------------------------------------------------------------------------

@needs_root
def test_hung_servers_are_a_timeout(postfix, dovecot):
    for server, kind, port in ((postfix, "smtp", postfix.port), (dovecot, "imap", dovecot.port), (dovecot, "pop3", dovecot.pop3_port)):
        server.hang()
        try:
            judge(kind, {"port": port}, "fail", "timeout", says="no greeting came", timeout=HUNG)
        finally:
            server.resume()
        judge(kind, {"port": port}, "pass", "none")
        judge(kind, {"port": 1}, "fail", "refused")


# ---- hundreds of probes -------------------------------------------------------------------------------------------------

@needs_root
def test_hundreds_of_probes_leave_no_error_and_no_mail(postfix, dovecot, tls):
    marks = postfix.log_mark(), dovecot.log_mark()
    leaves_nothing(repeat("smtp", smtp(postfix, to="postmaster@example.jp"), 150), "pass/none", 150)
    leaves_nothing(repeat("smtp", {**login(dovecot, postfix.port, starttls=True, tls__ca=tls.ca)}, 50), "pass/none", 50)
    leaves_nothing(repeat("smtp", smtp(postfix, to="nobody@example.jp"), 50), "fail/content", 50)
    leaves_nothing(repeat("imap", login(dovecot, dovecot.port, starttls=True, tls__ca=tls.ca), 60), "pass/none", 60)
    leaves_nothing(repeat("imap", {"port": dovecot.port}, 60), "pass/none", 60)
    leaves_nothing(repeat("pop3", login(dovecot, dovecot.pop3_port), 60), "pass/none", 60)

    def ends():
        return len(re.findall(r" disconnect from .* quit=1 ", postfix.log_since(marks[0])))
    wait_until(lambda: ends() == rounds(150) + 2 * rounds(50), what="every end is orderly")
    log = postfix.log_since(marks[0])
    for word in ("lost connection", "timeout after", "improper", "pipelining", "SSL_accept error", "fatal", "qmgr"):
        assert word not in log, [line for line in log.splitlines() if word in line][:3]
    wait_until(lambda: dovecot.log_since(marks[1]).count("Disconnected: Logged out") == 2 * rounds(60), what="every end is orderly")
    log = dovecot.log_since(marks[1])
    for word in ("Error", "Connection closed", "no auth attempts in", "Aborted"):
        found = [line for line in log.splitlines() if word in line and "Aborted login by logging out" not in line]
        assert not found, found[:3]
    assert len(list((dovecot.directory / "mail" / "app").rglob("1.x.y*"))) == 1


# ---- peers that only pretend --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize("kind", ["smtp", "imap"])
def test_peers_that_speak_no_protocol(kind, name):
    behaviour, causes = WORDLESS[name]
    waits = "asked" in name or name in ("says zeros for ever", "speaks HTTP")
    judge_hostile(kind, lambda peer: {"port": peer.port}, SILENT if waits else causes, behaviour)


GREETING = {"smtp": b"220 x ESMTP\r\n", "imap": b"* OK x\r\n", "pop3": b"+OK x\r\n"}
KNOWS_SOME = {
    "greets, then nothing": (hostile.silent, SILENT),
    "greets, then closes": (hostile.closes_when_asked, BROKEN),
    "greets, then resets": (hostile.resets_when_asked, BROKEN),
    "greets, then garbage": (hostile.says(b"\xff\xfe\r\n" * 100, ask_first=True), BROKEN),
    "greets, then a line that never ends": (hostile.repeats(b"2" * 4096), BROKEN),
    "greets, then lines that never end": (hostile.repeats(b"250-x\r\n* x\r\n" * 50), BROKEN),
    "greets one byte at a time": (hostile.drips(b"250 aaaaaaaaaaaaaaaa", every=0.1), SILENT),
}


@pytest.mark.parametrize("name", KNOWS_SOME)
@pytest.mark.parametrize("kind", ["smtp", "imap", "pop3"])
def test_peers_that_know_some_of_the_protocol(kind, name):
    behaviour, causes = KNOWS_SOME[name]
    options = {"user": "u", "password_file": secret("s3cret-pretend")} if kind != "smtp" else {}
    judge_hostile(kind, lambda peer: {"port": peer.port, **options}, causes, hostile.says(GREETING[kind], then=behaviour))


@pytest.mark.parametrize("kind, greeting, verdict, cause", [
    ("smtp", b"421 too busy\r\n", "warn", "protocol"), ("smtp", b"450 later\r\n", "warn", "protocol"),
    ("smtp", b"554 go away\r\n", "fail", "protocol"), ("smtp", b"220-a\r\n220-b\r\n", "fail", "timeout"),
    ("imap", b"* BYE too busy\r\n", "warn", "protocol"), ("imap", b"hello\r\n", "fail", "protocol"),
    ("pop3", b"-ERR too busy\r\n", "warn", "protocol"), ("pop3", b"-ERR [SYS/TEMP] no\r\n", "fail", "content"),
])
def test_greetings_that_are_no_welcome(kind, greeting, verdict, cause):
    with hostile.Peer(hostile.says(greeting)) as peer:
        judge(kind, {"port": peer.port}, verdict, cause, timeout=HUNG)


@pytest.mark.parametrize("kind, talk, cause", [
    ("smtp", [b"220 x\r\n", b"250 x\r\n"], "tls"),  # offers none
    ("smtp", [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 no\r\n"], "tls"),
    ("imap", [b"* OK x\r\n", b"v1 NO none\r\n"], "tls"),
    ("pop3", [b"+OK x\r\n", b"-ERR none\r\n"], "tls"),
    ("smtp", [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n"], "timeout"),  # never finishes
    ("imap", [b"* OK x\r\n", b"v1 OK go\r\n"], "timeout"),
    ("pop3", [b"+OK x\r\n", b"+OK go\r\n"], "timeout"),
])
def test_no_password_goes_out_where_tls_does_not_come(kind, talk, cause):
    heard = []

    def behaviour(conversation):
        for number, piece in enumerate(talk):
            if number > 0:
                heard.append(conversation.receive())
            conversation.send(piece)
        while more := conversation.receive():
            heard.append(more)
    with hostile.Peer(behaviour) as peer:
        judge(kind, {"port": peer.port, "starttls": True, "user": "u", "password_file": secret("s3cret-pretend")}, "fail", cause,
              timeout=HUNG)
    assert b"s3cret" not in b"".join(heard) and b"AUTH" not in b"".join(heard)


@pytest.mark.parametrize("kind, options, says", [
    ("smtp", {"host": "mx.example", "user": "u", "password_file": "/etc/hostname"}, "password"),
    ("imap", {"user": "u"}, "password"),
    ("smtp", {"to": "a b"}, "to"), ("smtp", {"to": "a@b\nDATA"}, "to"), ("smtp", {"from": "a@b"}, "to"), ("smtp", {"helo": "a b"}, "helo"),
    ("imap", {"min_messages": 1}, "min_messages"), ("imap", {"mailbox": "a\nb"}, "mailbox"),
    ("pop3", {"tls.ca": "/x"}, "tls.mode"),
])
def test_options_that_make_no_sense_are_refused_by_name(kind, options, says):
    refused(kind, options, says)
