"""The ldap check's replication and write probe, against a real pair of slapd with syncrepl."""
import subprocess

import pytest

from judging import HUNG, judge, leaves_nothing, refused, repeat, rounds, secret
from servers import Slapd, wait_until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def pair():
    with Slapd(server_id=1) as provider:
        touch(provider, "first")  # until something was written there is no contextCSN
        with Slapd(consumer_of=provider) as consumer:
            wait_until(lambda: csn(provider) and csn(consumer) == csn(provider), what="the consumer has everything")
            yield provider, consumer


def touch(server, text):
    server.modify(f"dn: uid=probe,{server.people}\nchangetype: modify\nreplace: description\ndescription: {text}\n")


def csn(server):
    done = subprocess.run(["ldapsearch", "-x", "-LLL", "-H", server.uri, "-D", server.root_dn, "-w", server.root_password,
                           "-s", "base", "-b", server.suffix, "contextCSN"], capture_output=True, text=True, check=False)
    return sorted(line for line in done.stdout.splitlines() if line.startswith("contextCSN: "))


def bound(server, **more):
    return {"uri": server.uri, "bind_dn": server.bind_dn, "password_file": secret(server.bind_password), **more}


def compared(pair, **more):
    provider, consumer = pair
    return bound(consumer, provider=provider.uri, sync_base=provider.suffix, **more)


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_pair(pair):
    probe = judge("ldap", compared(pair, warn_lag="5s", syncrepl=True), "pass", "none")
    assert probe.measures["lag"] == 0 and probe.measures["last_contact"] < 60
    assert probe.facts["sync_phase"] == "Persist" and probe.facts["address"] == "127.0.0.1"


def test_a_change_that_is_on_its_way_is_no_lag(pair):
    for i in range(5):
        touch(pair[0], f"on its way {i}")
        judge("ldap", compared(pair, fail_lag="1ms"), "pass", "none")


def test_a_value_is_written_by_a_monitor_that_may_write_nothing_else(pair):
    provider, consumer = pair
    probe = judge("ldap", bound(provider, write_dn=provider.canary), "pass", "none")
    assert probe.measures["write"] < 5
    judge("ldap", bound(provider, search={"base": provider.canary, "scope": "base", "filter": "(description=vitald 20*)"}),
          "pass", "none")
    judge("ldap", bound(consumer, write_dn=provider.canary), "fail", "role", says="takes no writes")
    judge("ldap", bound(provider, write_dn=f"uid=probe,{provider.people}"), "unknown", "auth", says="(50)")
    judge("ldap", bound(provider, write_dn=f"cn=gone,{provider.suffix}"), "fail", "content", says="there is no such entry")


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_consumer_that_stopped_following(pair):
    provider, consumer = pair
    with Slapd(server_id=1) as other:
        touch(other, "a life of its own")
        wait_until(lambda: csn(other))
        # The consumer has never heard of this one's newest change.
        judge("ldap", bound(consumer, provider=other.uri, sync_base=other.suffix), "warn", "content", says="behind")
        judge("ldap", bound(consumer, provider=other.uri, sync_base=other.suffix, fail_lag="1ms"), "fail", "content",
              says="of changes behind")
        judge("ldap", bound(consumer, provider=other.uri, sync_base=other.suffix, fail_lag="1h"), "pass", "none")


def test_a_silently_dead_syncrepl_on_an_idle_directory(pair):
    provider, _ = pair
    with Slapd(server_id=1) as origin:
        touch(origin, "all there is")
        with Slapd(consumer_of=origin) as consumer:
            wait_until(lambda: csn(origin) and csn(consumer) == csn(origin))
            judge("ldap", bound(consumer, syncrepl=True), "pass", "none")
            origin.stop()
            wait_until(lambda: "is not connected" in quiet(consumer).text, what="the consumer notices")
            # Equal contextCSN would say nothing here: nothing was written that could be missing.
            judge("ldap", bound(consumer, syncrepl=True), "fail", "content", says="is not connected")
            judge("ldap", bound(consumer), "pass", "none")
            # The one that cannot be asked is the provider; this server may be what is left.
            judge("ldap", bound(consumer, provider=origin.uri, sync_base=origin.suffix), "warn", "refused",
                  says="its provider cannot be compared with")
    judge("ldap", bound(provider, syncrepl=True), "unknown", "config", says="shows no syncrepl")


def quiet(server):
    from worker import worker_probe
    return worker_probe("ldap", bound(server, syncrepl=True), timeout="5s")


def test_who_is_provider_and_who_consumer_is_a_role_for_topologies(pair):
    provider, consumer = pair
    assert judge("ldap", bound(provider, role="any", syncrepl=True), "pass", "none").facts["role"] == "primary"
    probe = judge("ldap", bound(consumer, role="any", syncrepl=True, write_dn=provider.canary), "pass", "none")
    assert (probe.facts["role"], probe.facts["link"]) == ("standby", "up")
    judge("ldap", bound(provider, role="consumer"), "fail", "role", says="it is a provider, expected a consumer")
    judge("ldap", bound(consumer, role="provider"), "fail", "role", says="it is a consumer of ldap")
    judge("ldap", bound(consumer, role="provider", write_dn=provider.canary), "fail", "role")
    judge("ldap", {"uri": provider.uri, "role": "any"}, "unknown", "config", says="its role cannot be seen")
    assert "role" not in judge("ldap", bound(provider), "pass", "none").facts


def test_a_consumer_whose_provider_is_gone_is_still_a_consumer(pair):
    provider, consumer = pair
    provider.hang()
    try:
        probe = judge("ldap", bound(consumer, role="any"), "pass", "none")
        assert probe.facts["role"] == "standby"
    finally:
        provider.resume()


def test_a_provider_that_hangs_does_not_make_the_consumer_late(pair):
    provider, consumer = pair
    provider.hang()
    try:
        judge("ldap", compared(pair), "warn", "timeout", says="its provider cannot be compared with", timeout="1s")
        judge("ldap", bound(provider), "fail", "timeout", timeout=HUNG)
    finally:
        provider.resume()
    judge("ldap", bound(consumer), "pass", "none")


def test_a_suffix_that_does_not_replicate(pair):
    with Slapd() as alone:
        judge("ldap", bound(alone, provider=pair[0].uri, sync_base=alone.suffix), "unknown", "config", says="shows no contextCSN")


def test_start_tls_is_required_where_it_is_wanted(pair):
    provider, _ = pair
    judge("ldap", bound(provider, start_tls=True, **{"tls.mode": "require"}), "pass", "none")
    provider_without = Slapd(settings="")
    provider_without.prepare()
    path = provider_without.config_path
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("TLS")))
    provider_without._is_prepared = True
    provider_without.is_ready = lambda: "slapd starting" in provider_without.log()
    with provider_without as server:
        probe = judge("ldap", bound(server, start_tls=True, **{"tls.mode": "require"}), "fail", "protocol", says="StartTLS")
        assert "bind" not in probe.text, "nothing is sent in clear instead"


# ---- a thousand probes ----------------------------------------------------------------------------------------------

def test_hundreds_of_probes_leave_nothing(pair):
    provider, _ = pair
    mark = provider.log_mark()
    leaves_nothing(repeat("ldap", compared(pair, syncrepl=True), 150), "pass/none", 150)
    leaves_nothing(repeat("ldap", bound(provider, write_dn=provider.canary), 150), "pass/none", 150)
    assert "connection lost" not in provider.log_since(mark)
    assert provider.log_since(mark).count("UNBIND") == 2 * rounds(150)


@pytest.mark.parametrize("options, says", [
    ({"provider": "ldap://b"}, "sync_base"),
    ({"sync_base": "dc=a"}, "provider"),
    ({"warn_lag": "1s"}, "warn_lag"),
    ({"provider": "http://b", "sync_base": "dc=a"}, "provider"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("ldap", {"uri": "ldap://a", **options}, says)
