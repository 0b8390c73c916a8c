"""Outputs that speak HTTP: webhook, Consul and etcd. etcd is the real one. Debian has no Consul: its stand-in here knows the
three requests that are used, and refuses everything Consul would refuse (another method, an unknown check, a wrong token, a
filter that is none), and lets a check go critical when nobody renews it."""
import hashlib
import hmac
import json
import pathlib
import re
import time
import urllib.parse

import pytest

from agent import wait_for
from etcd_servers import Etcd
from outputs_given import Receiver, Told
from servers import free_port

SECRET = "canary-webhook-secret"


# ---- webhook ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "hook.secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return str(path)


def events(receiver):
    return [json.loads(body) for _, _, body, _ in receiver.requests]


def statuses(receiver):
    """What was said, repetitions of the same message left out."""
    seen = {}
    for event in events(receiver):
        seen.setdefault(event["id"], event["status"])
    return list(seen.values())


def test_every_change_is_a_signed_message_in_order(secret_file):
    with Receiver() as receiver, Told([{"type": "webhook", "service": "web", "url": receiver.url + "/hook",
                                        "secret_file": secret_file}]) as told:
        wait_for(lambda: statuses(receiver) == ["pass"])
        told.fail()
        wait_for(lambda: statuses(receiver) == ["pass", "fail"])
        told.work()
        wait_for(lambda: statuses(receiver) == ["pass", "fail", "pass"])
        method, path, body, headers = receiver.requests[1]
        assert (method, path) == ("POST", "/hook")
        event = json.loads(body)
        assert (event["service"], event["previous"], event["node"]) == ("web", "pass", "n1")
        assert "503" in event["reason"]
        signed = headers["X-Vitald-Timestamp"].encode() + b"." + body
        assert headers["X-Vitald-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert abs(int(headers["X-Vitald-Timestamp"]) - time.time()) < 30
        assert headers["X-Vitald-Id"] == event["id"]
        assert told.wait_for_state("webhook", "ok")["queued"] == 0


def test_no_message_is_lost_while_the_receiver_is_away_and_the_agent_is_killed():
    port = free_port()
    with Told([{"type": "webhook", "url": f"http://127.0.0.1:{port}/"}]) as told:
        told.wait_for_state("webhook", "failing")
        told.fail()
        # A busy machine may make the check fail once more by itself: then there is more to tell, never twice the same.
        wait_for(lambda: told.output("webhook")["queued"] >= 2)
        told.work()
        wait_for(lambda: told.output("webhook")["queued"] >= 3)
        queue = pathlib.Path(told.agent.state_dir) / "output-webhook.queue"
        wait_for(lambda: len(json.loads(queue.read_text())["events"]) >= 3, what="the queue is on disk")
        told.agent.kill9()
        told.agent.start()
        with Receiver(port=port) as receiver:
            wait_for(lambda: statuses(receiver)[:3] == ["pass", "fail", "pass"])
            told.wait_for_state("webhook", "ok")
            # What was told before the restart is no news after it.
            told.agent.end()
            told.agent.start()
            told.wait_for_state("webhook", "ok")
            said = statuses(receiver)
            assert all(before != after for before, after in zip(said, said[1:])), said


def test_a_receiver_in_trouble_is_asked_again_and_a_refusal_is_dropped_and_counted():
    answers = [(500, b"oops"), (429, b"slow down"), (200, b"")]
    with Receiver(lambda *_: answers.pop(0) if answers else (400, b"I never take those")) as receiver, \
            Told([{"type": "webhook", "url": receiver.url, "service": "web"}]) as told:
        wait_for(lambda: len(receiver.requests) == 3)
        assert statuses(receiver) == ["pass"] and len({e["id"] for e in events(receiver)}) == 1
        told.wait_for_state("webhook", "ok")
        told.fail()
        failed = wait_for(lambda: (o := told.output("webhook"))["dropped"] == 1 and o)
        assert "400: I never take those" in failed["error"] and "dropped" in failed["error"]
        told.wait_for_state("webhook", "ok")
        assert len(receiver.requests) == 4, "it is not sent again"


# ---- Consul ---------------------------------------------------------------------------------------------------------------

class Consul(Receiver):
    """The stand-in; see above."""

    token = "canary-consul-token"

    def __init__(self, ttl=3.0):
        self.ttl, self.told_at = ttl, 0.0
        self.check = {"CheckID": "service:web", "Status": "critical", "Output": "", "Type": "ttl"}
        super().__init__(self.serve)

    @property
    def status(self):
        return self.check["Status"] if time.monotonic() - self.told_at < self.ttl else "critical"

    def serve(self, method, path, body, headers):
        if headers.get("X-Consul-Token") != self.token:
            return 403, b"Permission denied"
        path, _, query = path.partition("?")
        query = urllib.parse.parse_qs(query, strict_parsing=bool(query))
        if path == "/v1/agent/checks":
            found = re.fullmatch(r'CheckID == "([^"]+)"', query.get("filter", [""])[0])
            if method != "GET" or not found:
                return 400, b"Failed to create boolean expression evaluator"
            known = {"service:web": {**self.check, "Status": self.status}} if found.group(1) == "service:web" else {}
            return 200, json.dumps(known).encode()
        words = {"pass": "passing", "warn": "warning", "fail": "critical"}
        parts = path.split("/")
        if len(parts) == 6 and path.startswith("/v1/agent/check/") and parts[4] in words:
            if method != "PUT":
                return 405, b"method not allowed"
            if urllib.parse.unquote(parts[5]) != "service:web":
                return 404, b'Unknown check ID "x". Ensure that the check ID is passed, not the check name.'
            self.check.update(Status=words[parts[4]], Output=query.get("note", [""])[0])
            self.told_at = time.monotonic()
            return 200, b""
        return 404, b"Invalid URL path"


def test_consuls_check_follows_and_is_kept_from_expiring(tmp_path):
    token = tmp_path / "consul.token"
    token.write_text(Consul.token)
    token.chmod(0o600)
    with Consul() as consul, Told([{"type": "consul", "service": "web", "url": consul.url, "check_id": "service:web",
                                    "token_file": str(token), "interval": "500ms", "on_stop": "fail"}]) as told:
        wait_for(lambda: consul.status == "passing")
        told.fail()
        wait_for(lambda: consul.status == "critical" and "503" in consul.check["Output"])
        told.work()
        wait_for(lambda: consul.status == "passing")
        told.wait_for_state("consul", "ok")
        before = consul.told_at
        wait_for(lambda: consul.told_at > before + 1, what="the TTL is renewed without a change")
        consul.check["Status"] = "critical"
        wait_for(lambda: told.output("consul")["repairs"] == 1 and consul.status == "passing")
        told.agent.reload({**told.config, "outputs": [{**told.config["outputs"][0], "check_id": "service:nobody"}]})
        assert "Unknown check ID" in told.wait_for_state("consul", "failing")["error"]
        told.agent.reload(told.config)
        told.wait_for_state("consul", "ok")
        told.agent.end()
        assert consul.check["Status"] == "critical" and consul.check["Output"] == "vitald has stopped"
        told.agent.start()


# ---- etcd -----------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def etcd():
    with Etcd() as server:
        yield server


def test_etcds_key_follows_and_goes_away_with_an_agent_that_dies(etcd):
    key = "/health/web/n1"
    with Told([{"type": "etcd", "service": "web", "endpoints": ["http://127.0.0.1:1", etcd.url], "key": key, "ttl": "4s",
                "interval": "1s", "on_stop": "withdraw"}]) as told:
        wait_for(lambda: etcd.value(key) == {"node": "n1", "service": "web", "status": "pass", "weight": 100})
        told.fail()
        wait_for(lambda: etcd.value(key)["status"] == "fail")
        told.work()
        wait_for(lambda: etcd.value(key)["status"] == "pass")
        told.wait_for_state("etcd", "ok")
        etcd.ctl("del", key)
        wait_for(lambda: told.output("etcd")["repairs"] == 1 and etcd.value(key))
        etcd.ctl("put", key, "edited")
        wait_for(lambda: told.output("etcd")["repairs"] == 2 and etcd.value(key)["status"] == "pass")
        time.sleep(4.5)  # longer than the lease: it is kept alive
        assert etcd.value(key)
        told.agent.kill9()
        wait_for(lambda: etcd.value(key) is None, what="the lease runs out")
        told.agent.start()
        wait_for(lambda: etcd.value(key))
        told.agent.end()
        assert etcd.value(key) is None, "withdrawn at once"
        told.agent.start()


def test_etcd_with_authentication_and_after_a_restart_of_etcd(tmp_path):
    password = tmp_path / "etcd.password"
    password.write_text("canary-etcd-password")
    password.chmod(0o600)
    with Etcd() as server:
        for command in (["user", "add", "root:rootpw"], ["user", "grant-role", "root", "root"],
                        ["user", "add", "vitald:canary-etcd-password"], ["role", "add", "health"],
                        ["role", "grant-permission", "health", "readwrite", "--prefix=true", "/health/"],
                        ["user", "grant-role", "vitald", "health"], ["auth", "enable"]):
            server.ctl(*command)
        output = {"type": "etcd", "endpoints": [server.url], "key": "/health/n1", "ttl": "20s", "interval": "1s", "user": "vitald",
                  "password_file": str(password)}
        with Told([output]) as told:
            told.wait_for_state("etcd", "ok")
            server.stop()
            told.wait_for_state("etcd", "failing")
            server.start()
            told.wait_for_state("etcd", "ok", timeout=30)  # with a new token
            told.agent.reload({**told.config, "outputs": [{**output, "key": "/elsewhere"}]})
            # A busy etcd may let the first question wait longer than an interval.
            wait_for(lambda: "permission denied" in (told.output("etcd").get("error") or ""), 30, "etcd denies the key")


def test_the_agent_maps_no_http_library(etcd):
    with Told([{"type": "etcd", "endpoints": [etcd.url], "key": "/maps"}]) as told:
        told.wait_for_state("etcd", "ok")
        maps = pathlib.Path(f"/proc/{told.agent.pid}/maps").read_text()
        assert "libcurl" not in maps and "vitald" in maps
