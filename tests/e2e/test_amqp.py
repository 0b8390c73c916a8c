"""The amqp check against a real RabbitMQ: working, broken in ways a port check does not see, hung."""
import os

import pytest

from judging import BROKEN, HUNG, SILENT, WORDLESS, judge, judge_hostile, leaves_nothing, phases, refused, repeat, secret
from queue_servers import RabbitMQ
from servers import Certificates, wait_until
from worker import worker_probe

pytestmark = [pytest.mark.timeout(180), pytest.mark.skipif(os.geteuid() != 0, reason="the broker is started as another user")]


@pytest.fixture(scope="module")
def broker():
    with RabbitMQ() as rabbit:
        rabbit.publish(3)
        yield rabbit


def at(broker, user=RabbitMQ.app_user, password=RabbitMQ.app_password, **more):
    return {"host": broker.host, "port": broker.port, "vhost": "app", "user": user, "password_file": secret(password), **more}


def tls(broker, mode="verify", **more):
    return at(broker, **{"port": broker.tls_port, "tls.mode": mode, "tls.ca": Certificates.shared().ca, **more})


# ---- working --------------------------------------------------------------------------------------------------------

def test_a_working_broker_lets_in_knows_the_queue_and_carries_a_message(broker):
    mark = broker.log_mark()
    probe = judge("amqp", at(broker, queue="orders", publish=True, fail_messages=1000), "pass", "none", says="a message came back")
    assert phases(probe) == ["resolve", "connect", "auth", "exchange"]
    assert probe.measures["messages"] == 3 and probe.measures["consumers"] == 0 and probe.measures["round_trip"] > 0
    assert probe.facts["product"] == "RabbitMQ" and probe.facts["version"].startswith("3.") and probe.facts["address"] == "127.0.0.1"
    wait_until(lambda: "closing AMQP connection" in broker.log_since(mark))
    assert "unexpectedly" not in broker.log_since(mark), "the broker saw an orderly end"
    assert "vitald." not in broker.control("list_queues", "-p", "app", "name"), "our own queue is gone"


def test_over_tls(broker):
    probe = judge("amqp", tls(broker, publish=True), "pass", "none")
    assert "tls" in phases(probe)
    judge("amqp", tls(broker, **{"host": "localhost", "family": "4"}), "pass", "none")
    judge("amqp", tls(broker, mode="require"), "pass", "none")


# ---- broken in ways a port check does not see ------------------------------------------------------------------------

def test_a_rejected_login_is_no_evidence_against_the_broker(broker):
    judge("amqp", at(broker, password="wrong-mq"), "unknown", "auth", says="ACCESS_REFUSED")
    judge("amqp", at(broker, vhost="other"), "unknown", "auth", says="refused for user")
    judge("amqp", at(broker, user="blind"), "pass", "none")
    judge("amqp", at(broker, user="blind", publish=True), "unknown", "auth", says="(403)")


def test_a_virtual_host_or_a_queue_that_is_gone(broker):
    judge("amqp", at(broker, vhost="nowhere"), "fail", "content", says="vhost nowhere not found (530)")
    mark = broker.log_mark()
    judge("amqp", at(broker, queue="nobody"), "fail", "content", says="no queue 'nobody' in vhost 'app' (404)")
    wait_until(lambda: "closing AMQP connection" in broker.log_since(mark))
    assert "unexpectedly" not in broker.log_since(mark)


def test_messages_pile_up_and_nobody_consumes(broker):
    judge("amqp", at(broker, queue="orders", warn_messages=2), "warn", "content", says="holds 3 messages, above warn_messages 2")
    judge("amqp", at(broker, queue="orders", fail_messages=2), "fail", "content")
    judge("amqp", at(broker, queue="orders", fail_consumers=1), "fail", "content", says="has 0 consumers, below fail_consumers 1")


def test_a_broker_that_is_short_of_memory_takes_nothing_and_says_why_at_once(broker):
    options = at(broker, publish=True)
    broker.control("set_vm_memory_high_watermark", "0.0001")
    try:
        wait_until(lambda: worker_probe("amqp", options, timeout="5s").verdict == "fail", timeout=30, what="the alarm")
        probe = judge("amqp", options, "fail", "content", says="takes no messages from anybody: low on memory")
        assert probe.seconds < 4, "not after the whole timeout"
        judge("amqp", at(broker, queue="orders"), "pass", "none")  # who does not publish is not told
    finally:
        broker.control("set_vm_memory_high_watermark", "0.6")
    wait_until(lambda: worker_probe("amqp", options, timeout="5s").verdict == "pass", timeout=30, what="the end of the alarm")


def test_tls_that_does_not_fit(broker):
    judge("amqp", tls(broker, **{"tls.ca": Certificates.shared().other_ca}), "fail", "tls", says="self-signed certificate in certificate chain")
    judge("amqp", tls(broker, **{"tls.server_name": "elsewhere.example"}), "fail", "tls", says="ostname mismatch")
    judge("amqp", at(broker, **{"tls.mode": "require"}), "fail", "tls")  # the port in clear
    judge("amqp", tls(broker, **{"tls.ca": "/nowhere.pem"}), "unknown", "config", says="tls.ca")
    judge("amqp", at(broker, port=broker.tls_port), "fail", "protocol")


# ---- hung, and worse ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("is_tls", [False, True], ids=["in clear", "over TLS"])
def test_a_hung_broker_is_a_timeout_and_comes_back(broker, is_tls):
    options = tls(broker) if is_tls else at(broker)
    broker.hang()
    try:
        judge("amqp", options, "fail", "timeout", timeout=HUNG)
    finally:
        broker.resume()
    wait_until(lambda: worker_probe("amqp", options, timeout="5s").verdict == "pass", timeout=30)


def test_nobody_there():
    judge("amqp", {"port": 1, "user": "u"}, "fail", "refused", says="connection refused")
    judge("amqp", {"port": 1, "user": "u", "tls.mode": "require"}, "fail", "refused", says="connection refused")
    judge("amqp", {"host": "nobody.invalid", "user": "u"}, "fail", "dns")


@pytest.mark.parametrize("name", WORDLESS)
def test_a_peer_that_speaks_no_amqp(name):
    behaviour, causes = WORDLESS[name]
    # What is no frame may look like the beginning of a long one: then the rest never comes.
    allowed = causes | SILENT if causes == BROKEN else causes
    judge_hostile("amqp", lambda peer: {"port": peer.port, "user": "u", "password_file": secret("s3cret-hostile")}, allowed, behaviour)


def test_hundreds_of_probes_leave_nothing(broker):
    leaves_nothing(repeat("amqp", at(broker, queue="orders", publish=True), 60), "pass/none", 60)
    leaves_nothing(repeat("amqp", tls(broker), 40), "pass/none", 40)
    leaves_nothing(repeat("amqp", at(broker, vhost="nowhere"), 40), "fail/content", 40)


@pytest.mark.parametrize("options, says", [
    ({"user": "u", "host": ""}, "host"),
    ({"user": "u", "vhost": ""}, "vhost"),
    ({"user": "u", "warn_messages": 1}, "queue"),
    ({"user": "u", "queue": "q", "warn_messages": 2, "fail_messages": 1}, "warn_messages"),
    ({"user": "u", "tls.key": "x"}, "tls.certificate"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("amqp", options, says)
