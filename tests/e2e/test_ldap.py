"""The ldap check against real slapd servers: working, broken in ways no port check sees, hung, stopped; and against peers
that only pretend to be one. slapd must never see a connection that was lost."""
import os
import re

import pytest

import hostile
from hostile import Certificates as PeerCertificates
from hostile import Peer
from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, rounds, secret
from servers import Certificates, Slapd, wait_until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def slapd():
    with Slapd() as server:
        yield server


@pytest.fixture(scope="module")
def tls():
    return Certificates.shared()


def bind(server, **more):
    return {"uri": server.uri, "bind_dn": server.bind_dn, "password_file": secret(server.bind_password), **more}


def search(server, **more):
    return bind(server, **{"search.base": server.people, "search.filter": "(uid=probe)", **more})


def lost_connections(log):
    return [line for line in log.splitlines() if "connection lost" in line or "error" in line.lower()]


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_bind_and_a_search_that_finds_somebody(slapd):
    probe = judge("ldap", search(slapd), "pass", "none", says=f"bound to ldap://127.0.0.1:{slapd.port} as {slapd.bind_dn}, 1 entry")
    assert probe.measures["entries"] == 1
    assert phases(probe) == ["resolve", "connect", "auth", "exchange"]
    judge("ldap", bind(slapd), "pass", "none")
    judge("ldap", {"uri": slapd.uri}, "pass", "none", says="anonymous")


def test_every_way_to_tls(slapd, tls):
    for options in (search(slapd, uri=slapd.uri_tls), search(slapd, start_tls="true")):
        for mode in ("verify", "require"):
            probe = judge("ldap", {**options, "tls.ca": tls.ca, "tls.mode": mode}, "pass", "none")
            assert probe.facts["tls"].startswith("TLS1.") and "tls" in phases(probe)
    judge("ldap", search(slapd, uri=slapd.uri_unix), "pass", "none")


def test_sasl_external_by_certificate_and_by_unix_socket(slapd, tls):
    external = {"sasl": "external", "search.base": slapd.people, "search.filter": "(uid=probe)"}
    certificate = {"tls.ca": tls.ca, "tls.certificate": tls.client, "tls.key": tls.client_key}
    judge("ldap", {"uri": slapd.uri_tls, **external, **certificate}, "pass", "none", says="as EXTERNAL, 1 entry")
    judge("ldap", {"uri": slapd.uri, "start_tls": "true", **external, **certificate}, "pass", "none")
    judge("ldap", {"uri": slapd.uri_unix, **external}, "pass", "none")
    judge("ldap", {"uri": slapd.uri, **external}, "unknown", "auth")


@pytest.mark.parametrize("more, verdict, says", [
    ({"search.min_entries": "2"}, "fail", "1 entry for (uid=probe)"),
    ({"search.filter": "(uid=nobody)"}, "fail", "0 entries"),
    ({"search.filter": "(uid=nobody)", "search.min_entries": "0"}, "pass", "0 entries"),
    ({"search.filter": "(objectClass=*)", "search.min_entries": "2"}, "pass", "2 entries"),
    ({"search.filter": "(objectClass=*)", "search.scope": "base"}, "pass", "1 entry"),
    ({"search.filter": "(objectClass=*)", "search.scope": "one"}, "pass", "1 entry"),
    ({"search.filter": "(objectClass=*)", "search.scope": "base", "search.min_entries": "2"}, "fail", "expected at least 2"),
    ({"search.attribute": "description", "search.equals": "alive"}, "pass", "1 entry"),
    ({"search.attribute": "description", "search.equals": "dead"}, "fail", "description: dead, but alive"),
    ({"search.attribute": "title", "search.equals": "x"}, "fail", "nor any value"),
    ({"search.attributes": ["cn", "mail"]}, "pass", "1 entry"),
    ({"search.base": "ou=gone,dc=example,dc=jp"}, "fail", "No such object (32)"),
])
def test_what_a_search_must_find(slapd, more, verdict, says):
    judge("ldap", search(slapd, **more), verdict, "none" if verdict == "pass" else "content", says=says)


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_rejected_bind_is_unknown(slapd):
    judge("ldap", bind(slapd, password_file=secret("wrong-one")), "unknown", "auth", says="refused: Invalid credentials (49)")
    judge("ldap", bind(slapd, bind_dn="cn=nobody,dc=example,dc=jp"), "unknown", "auth")
    slapd.change_password("s3cret-new")
    try:
        judge("ldap", bind(slapd), "unknown", "auth")
    finally:
        slapd.change_password(slapd.bind_password)


def test_what_the_monitor_may_not_see_is_unknown(slapd):
    judge("ldap", {"uri": slapd.uri, "search.base": slapd.people}, "unknown", "auth", says="Insufficient access (50)")


def test_a_directory_that_forbids_it():
    with Slapd(settings="disallow bind_anon") as server:
        judge("ldap", {"uri": server.uri}, "unknown", "auth", says="anonymous bind disallowed")
    with Slapd(settings="security simple_bind=128") as server:
        judge("ldap", bind(server), "unknown", "auth", says="onfidentiality required")


def test_an_empty_directory_is_found_by_a_monitor_who_is_not_in_it():
    with Slapd() as server:
        root = {"uri": server.uri, "bind_dn": server.root_dn, "password_file": secret(server.root_password),
                "search.base": server.people, "search.filter": "(uid=probe)"}
        judge("ldap", root, "pass", "none")
        server.empty_people()
        judge("ldap", root, "fail", "content", says="0 entries")
        judge("ldap", search(server), "fail", "content", says="0 entries")
        server.empty()
        judge("ldap", root, "fail", "content", says="the directory is empty")
        judge("ldap", {"uri": server.uri, "search.base": server.people}, "fail", "content", says="the directory is empty")
        # Its own entry is gone too: to slapd that is a wrong password.
        judge("ldap", search(server), "unknown", "auth")


@pytest.mark.parametrize("more, says", [
    ({"search.filter": "(uid=probe"}, "Bad search filter"),
    ({"search.base": "people"}, "Invalid DN syntax"),
    ({"bind_dn": "monitor"}, "Invalid DN syntax"),
])
def test_what_is_not_ldap_is_a_mistake_of_the_config(slapd, more, says):
    judge("ldap", search(slapd, **more), "unknown", "config", says=says)


def test_certificates_that_do_not_verify(slapd, tls):
    for way in ({"uri": slapd.uri_tls}, {"start_tls": "true"}):
        judge("ldap", bind(slapd, **way), "fail", "tls", says="an authority that tls.ca does not know")
        judge("ldap", bind(slapd, **way, **{"tls.ca": tls.other_ca}), "fail", "tls", says="an authority")
        judge("ldap", bind(slapd, **way, **{"tls.ca": tls.ca, "tls.server_name": "ldap.example"}), "fail", "tls",
              says="ldap.example")
        judge("ldap", bind(slapd, **way, **{"tls.ca": "/nowhere/ca.pem"}), "unknown", "config", says="tls.ca: /nowhere/ca.pem")
        judge("ldap", bind(slapd, **way, **{"tls.ca": tls.ca, "tls.certificate": tls.client, "tls.key": tls.key}), "unknown",
              "config", says="belong together")
    with Slapd(certificate=tls.expired, key=tls.expired_key) as server:
        judge("ldap", bind(server, uri=server.uri_tls, **{"tls.ca": tls.ca}), "fail", "tls", says="has expired")
        judge("ldap", bind(server, start_tls="true", **{"tls.ca": tls.ca}), "fail", "tls", says="has expired")
        judge("ldap", bind(server, uri=server.uri_tls, **{"tls.mode": "require"}), "pass", "none")
    with Slapd(certificate=tls.wrong_name, key=tls.wrong_name_key) as server:
        judge("ldap", bind(server, uri=server.uri_tls, **{"tls.ca": tls.ca}), "fail", "tls", says="elsewhere.example")
        judge("ldap", bind(server, uri=server.uri_tls, **{"tls.ca": tls.ca, "tls.server_name": "elsewhere.example"}), "pass", "none")


# ---- hung, stopped ------------------------------------------------------------------------------------------------------

def test_a_hung_server_is_a_timeout_whatever_the_transport(slapd, tls):
    slapd.hang()
    try:
        probe = judge("ldap", search(slapd), "fail", "timeout", says="bind as", timeout=HUNG)
        assert phases(probe) == ["resolve", "connect", "auth"], "the port accepted, and that is said"
        judge("ldap", search(slapd, uri=slapd.uri_tls, **{"tls.ca": tls.ca}), "fail", "timeout", says="handshake", timeout=HUNG)
        judge("ldap", search(slapd, start_tls="true"), "fail", "timeout", says="StartTLS", timeout=HUNG)
        judge("ldap", search(slapd, uri=slapd.uri_unix), "fail", "timeout", timeout=HUNG)
        # What ldap.conf or the environment says of timeouts makes libldap spin in the handshake; it must not count.
        before = os.times()
        judge("ldap", search(slapd, uri=slapd.uri_tls, **{"tls.ca": tls.ca}), "fail", "timeout", says="handshake", timeout="1s",
              environment={"PATH": "/usr/bin:/bin", "LDAPNETWORK_TIMEOUT": "30"})
        after = os.times()
        assert after.children_user + after.children_system - before.children_user - before.children_system < 0.5
    finally:
        slapd.resume()
    judge("ldap", search(slapd), "pass", "none")


def test_a_stopped_server_refuses():
    with Slapd() as server:
        server.stop()
        for uri in (server.uri, server.uri_tls, server.uri_unix):
            judge("ldap", bind(server, uri=uri), "fail", "refused")
        server.start()
        judge("ldap", search(server), "pass", "none")


def test_names_that_do_not_exist_and_name_servers_that_are_silent():
    judge("ldap", {"uri": "ldap://nothing-here.invalid"}, "fail", "dns", says="nothing-here.invalid")
    if not hostile.NameServer.is_possible():
        pytest.skip("needs root")
    with hostile.NameServer(mood="silent") as names:
        judge("ldap", {"uri": "ldap://dir.example"}, "unknown", "agent", timeout="1s", wrap=names.wrap)


# ---- a thousand probes ------------------------------------------------------------------------------------------------

def test_many_probes_leave_nothing_in_the_worker_and_end_orderly(slapd, tls):
    mark = slapd.log_mark()
    leaves_nothing(repeat("ldap", search(slapd), 1000), "pass/none", 1000)
    leaves_nothing(repeat("ldap", search(slapd, uri=slapd.uri_tls, **{"tls.ca": tls.ca}), 300), "pass/none", 300)
    leaves_nothing(repeat("ldap", search(slapd, start_tls="true", **{"tls.ca": tls.ca}), 300), "pass/none", 300)

    def is_seen_off():
        log = slapd.log_since(mark)
        return log.count(" UNBIND") == many and len(re.findall(r"fd=\d+ closed", log)) == many
    many = rounds(1000) + 2 * rounds(300)
    wait_until(is_seen_off, what="every end is orderly")
    assert lost_connections(slapd.log_since(mark)) == []


def test_probes_that_fail_leave_nothing_either(slapd, tls):
    leaves_nothing(repeat("ldap", bind(slapd, password_file=secret("wrong-one")), 300), "unknown/auth", 300)
    leaves_nothing(repeat("ldap", search(slapd, **{"search.filter": "(uid=nobody)"}), 300), "fail/content", 300)
    leaves_nothing(repeat("ldap", bind(slapd, uri=slapd.uri_tls, **{"tls.ca": tls.other_ca}), 300), "fail/tls", 300)
    leaves_nothing(repeat("ldap", {"uri": "ldap://127.0.0.1:1"}, 300), "fail/refused", 300)
    with Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("ldap", {"uri": f"ldap://{peer.address}"}, 300), "fail/protocol", 300)


# ---- peers that only pretend -------------------------------------------------------------------------------------------

def pretend(scheme="ldap", **more):
    return lambda peer: {"uri": f"{scheme}://{peer.address}", "bind_dn": "cn=x", "password_file": secret("s3cret-pretend"),
                         "search.base": "dc=x", **more}


BOUND = bytes.fromhex("300c02010161070a010004000400")     # bind response to message 1, success
STARTED = bytes.fromhex("300c02010178070a010004000400")   # extended response, success
ENTRY = bytes.fromhex("300a02010264050401783000")         # search entry for message 2: "x", without attributes

PROTOCOL = {
    "binds, then nothing": (hostile.says(BOUND, ask_first=True), SILENT),
    "binds, then closes": (hostile.says(BOUND, ask_first=True, then=hostile.closes_when_asked), BROKEN),
    "binds, then garbage": (hostile.says(BOUND, ask_first=True, then=hostile.says(b"\xff" * 3000, ask_first=True)), BROKEN),
    "a message that is none": (hostile.says(bytes.fromhex("30050201017f00"), ask_first=True), BROKEN),
    "says how long it will be, and it is long": (hostile.repeats(b"x" * 4096, head=b"\x30\x84\x7f\xff\xff\xff"), BROKEN | SILENT),
    "one byte at a time": (hostile.drips(BOUND * 10, every=0.1), SILENT),
}


@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize("way", ["ldap", "ldaps", "StartTLS"])
def test_peers_that_speak_no_protocol(name, way):
    behaviour, causes = WORDLESS[name]
    if way == "ldaps" and causes == BROKEN:
        causes = {"tls"} if name != "resets at once" else {"tls"} | BROKEN  # it may be faster than our hello
    if way != "ldaps" and name == "speaks HTTP":
        causes = BROKEN | SILENT  # its first bytes announce a message longer than what comes
    options = pretend("ldaps") if way == "ldaps" else pretend(start_tls="true") if way == "StartTLS" else pretend()
    judge_hostile("ldap", options, causes, behaviour)


@pytest.mark.parametrize("name", PROTOCOL)
def test_peers_that_know_some_of_the_protocol(name):
    behaviour, causes = PROTOCOL[name]
    judge_hostile("ldap", pretend(), causes, behaviour)


def test_a_search_that_never_ends_is_cut_at_the_limit_asked_for():
    with Peer(hostile.says(BOUND, ask_first=True, then=hostile.repeats(ENTRY * 100))) as peer:
        judge("ldap", pretend()(peer), "pass", "none", says="2 entries", timeout=HUNG)


def starts_tls(talk):
    talk.receive()
    talk.send(STARTED)


def test_tls_that_never_ends_is_late_and_broken_tls_is_tls():
    judge_hostile("ldap", pretend(start_tls="true"), SILENT, hostile.silent, preface=starts_tls)
    judge_hostile("ldap", pretend(start_tls="true"), {"tls"}, WORDLESS["speaks HTTP"][0], preface=starts_tls)
    judge_hostile("ldap", pretend("ldaps"), SILENT, hostile.drips(b"\x16\x03\x03\x40\x00" + bytes(100), every=0.1))


def test_certificates_of_every_bad_kind():
    with PeerCertificates() as made:
        for kind in ("expired", "wrong_name", "self_signed"):
            judge_hostile("ldap", pretend("ldaps", **{"tls.ca": made.ca}), {"tls"}, hostile.silent, tls=made.server(kind))
            judge_hostile("ldap", pretend(start_tls="true", **{"tls.ca": made.ca}), {"tls"}, hostile.silent,
                          preface=starts_tls, tls=made.server(kind))
        probe = judge_hostile("ldap", pretend("ldaps", **{"tls.ca": made.ca}), SILENT, hostile.silent, tls=made.server("good"))
        assert "bind as" in probe.text  # TLS was fine, then nothing came


def test_an_address_that_cannot_be_reached_and_one_that_does_not_answer():
    judge("ldap", {"uri": f"ldap://{hostile.UNROUTABLE}"}, "fail", "unreachable", timeout=HUNG)
    with hostile.Deaf() as peer:
        judge("ldap", pretend()(peer), "fail", "timeout", says="connect to", timeout=HUNG)


@pytest.mark.parametrize("options, says", [
    ({}, "uri"),
    ({"uri": "http://x"}, "uri"),
    ({"uri": "ldap://a ldap://b"}, "uri"),
    ({"uri": "cldap://a"}, "uri"),
    ({"uri": "ldap://a:99999"}, "uri"),
    ({"uri": "ldaps://a", "start_tls": "true"}, "start_tls"),
    ({"uri": "ldap://a", "bind_dn": "cn=x"}, "password"),
    ({"uri": "ldap://a", "sasl": "external", "bind_dn": "cn=x"}, "sasl"),
    ({"uri": "ldap://a", "search.filter": "(a=b)"}, "search.base"),
    ({"uri": "ldap://a", "search.base": "dc=x", "search.attribute": "cn"}, "search.equals"),
    ({"uri": "ldap://a", "tls.key": "/k"}, "tls.certificate"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("ldap", options, says)
