"""The http check beyond one request in HTTP/1.1: HTTP/2 against nginx (TLS) and nghttpd (in clear), Unix sockets, limits of
latency, values of a JSON body compared, a cluster's health."""
import json

import pytest

from judging import HUNG, judge, phases, refused, repeat, rounds, secret
from servers import Certificates, HttpApp, Nginx, Server, program

pytestmark = pytest.mark.timeout(60)


class Nghttpd(Server):
    """HTTP/2 in clear, and nothing else."""

    name = "nghttpd"

    def prepare(self):
        (self.directory / "index.html").write_text("ok\n")

    def command(self):
        return [program("nghttpd"), "--no-tls", "-v", "-a", self.host, "-d", str(self.directory), str(self.port)]


@pytest.fixture(scope="module")
def nginx():
    with Nginx(http2=True) as server:
        yield server


@pytest.fixture(scope="module")
def app():
    with HttpApp() as server:
        yield server


def all_pass(options, count):
    """The worker shows ten different texts, failures first; each passing one names its time."""
    many = repeat("http", options, count)
    assert many.outcomes and all(text.startswith("pass/none") for text in many.outcomes), many.output
    assert many.descriptors[0] >= many.descriptors[1] and many.growth_kib < 1024, many.output


# ---- HTTP/2 -------------------------------------------------------------------------------------------------------------

def over_tls(nginx, **more):
    return {"url": f"https://127.0.0.1:{nginx.tls_port}/", "tls.ca": Certificates.shared().ca, "http_version": 2, **more}


def test_http_2_over_tls(nginx):
    probe = judge("http", over_tls(nginx, **{"expect.body.contains": "ok"}), "pass", "none")
    assert probe.facts["http"] == "2" and phases(probe) == ["connect", "tls", "exchange"]
    assert "http" not in judge("http", over_tls(nginx, http_version="1.1"), "pass", "none").facts
    assert judge("http", over_tls(nginx, http_version="auto"), "pass", "none").facts["http"] == "2"


def test_http_2_is_demanded_where_it_is_named():
    with Nginx() as old:
        judge("http", over_tls(old), "fail", "protocol", says="expected HTTP/2")
        judge("http", over_tls(old, http_version="auto"), "pass", "none")
        judge("http", {"url": old.url, "http_version": 2}, "fail", "protocol")


def test_http_2_in_clear():
    with Nghttpd() as server:
        url = f"http://127.0.0.1:{server.port}/"
        assert judge("http", {"url": url, "http_version": 2, "expect.body.contains": "ok"}, "pass", "none").facts["http"] == "2"
        judge("http", {"url": url + "missing", "http_version": 2}, "fail", "content", says="HTTP 404")
        judge("http", {"url": url}, "fail", "protocol")
        mark = server.log_mark()
        all_pass({"url": url, "http_version": 2}, 100)
        said = server.log_since(mark)
        assert said.count(":path: /") >= rounds(100) and "RST_STREAM" not in said and "PROTOCOL_ERROR" not in said
        server.hang()
        try:
            judge("http", {"url": url, "http_version": 2}, "fail", "timeout", timeout=HUNG)
        finally:
            server.resume()


def test_hundreds_of_probes_in_http_2_leave_nothing(nginx):
    mark = nginx.log_mark()
    all_pass(over_tls(nginx), 200)
    all_pass(over_tls(nginx, reuse_connection=True), 200)
    assert nginx.log_since(mark) == ""


# ---- Unix sockets -------------------------------------------------------------------------------------------------------

def test_a_unix_socket(nginx, tmp_path):
    on_socket = {"url": "http://app.example/", "unix_socket": nginx.socket, "expect.body.contains": "ok"}
    probe = judge("http", on_socket, "pass", "none", says=f"from {nginx.socket}")
    assert probe.facts["address"] == str(nginx.socket) and "resolve" not in phases(probe)
    judge("http", {**on_socket, "unix_socket": tmp_path / "none"}, "fail", "refused", says="no such socket")
    all_pass(on_socket, 100)
    all_pass({**on_socket, "reuse_connection": True}, 100)
    nginx.hang()
    try:
        judge("http", on_socket, "fail", "timeout", timeout=HUNG)
    finally:
        nginx.resume()


# ---- latency ------------------------------------------------------------------------------------------------------------

def test_limits_of_latency(app):
    app.answer(delay=0.3)
    try:
        judge("http", {"url": app.url, "warn_latency": "3s"}, "pass", "none")
        judge("http", {"url": app.url, "warn_latency": "100ms", "fail_latency": "4s"}, "warn", "latency", says="above warn_latency 100ms")
        judge("http", {"url": app.url, "warn_latency": "100ms", "fail_latency": "200ms"}, "fail", "latency",
              says="above fail_latency 200ms")
        app.answer(status=500)
        judge("http", {"url": app.url, "warn_latency": "100ms"}, "fail", "content")  # what it says comes first
    finally:
        app.answer(delay=0, status=200)


# ---- JSON ---------------------------------------------------------------------------------------------------------------

def test_values_of_a_json_body(app):
    app.answer(body=json.dumps({"status": "green", "nodes": 3, "a/b": {"c~d": [0.5, None, True]}, "name": ">x"}))
    rule = "expect.body.json.values"
    good = {"/status": "green", "/nodes": ">= 3", "/a~1b/c~0d/0": "< 1", "/a~1b/c~0d/1": "null", "/a~1b/c~0d/2": "*", "/name": "== >x"}
    judge("http", {"url": app.url, rule: good}, "pass", "none")
    for pointer, condition, says in (("/status", "yellow", '"/status" is "green", expected "yellow"'), ("/nodes", "> 3", '"/nodes" is 3'),
                                     ("/status", "!= green", "is"), ("/status", "~^r", "is"), ("/status", "> 1", "is"),
                                     ("/none", "*", 'has no "/none"'), ("/nodes", "<= 2.5", "is 3"), ("/a~1b", "x", "is an object")):
        judge("http", {"url": app.url, rule: {**good, pointer: condition}}, "fail", "content", says=says)
    app.answer(body="green")
    judge("http", {"url": app.url, rule: {"/status": "green"}}, "fail", "content", says="is not JSON")
    app.answer(body="ok")


# ---- a cluster's health -------------------------------------------------------------------------------------------------

def cluster(status="green", **more):
    """In the shape that Elasticsearch's reference shows."""
    return json.dumps({"cluster_name": "logs", "status": status, "timed_out": False, "number_of_nodes": 3, "number_of_data_nodes": 3,
                       "active_primary_shards": 5, "active_shards": 10, "relocating_shards": 1, "initializing_shards": 2,
                       "unassigned_shards": 4, "delayed_unassigned_shards": 0, "number_of_pending_tasks": 6,
                       "number_of_in_flight_fetch": 0, "active_shards_percent_as_number": 100.0, **more})


def test_the_health_of_an_elasticsearch_cluster(app):
    asked = {"url": app.url + "/es/", "preset": "elasticsearch"}
    try:
        app.answer(body=cluster())
        mark = app.log_mark()
        probe = judge("http", {**asked, "min_nodes": 3}, "pass", "none")
        assert "GET /es/_cluster/health HTTP" in app.log_since(mark)
        assert (probe.facts["cluster"], probe.facts["cluster_status"]) == ("logs", "green")
        names = ("nodes", "unassigned_shards", "relocating_shards", "initializing_shards", "pending_tasks")
        assert [probe.measures[name] for name in names] == [3, 4, 1, 2, 6]
        judge("http", {**asked, "min_nodes": 4}, "fail", "content", says="it has 3 nodes, below min_nodes 4")
        judge("http", {**asked, "expect.body.json.values": {"/unassigned_shards": "0"}}, "fail", "content", says="is 4")
        app.answer(body=cluster("yellow"))
        judge("http", asked, "warn", "content", says="yellow")
        app.answer(body=cluster("red"))
        assert judge("http", asked, "fail", "content", says="red").measures["unassigned_shards"] == 4
        app.answer(body=cluster(timed_out=True))
        judge("http", asked, "fail", "content", says="timed_out")
        app.answer(body="<html>ok</html>")
        judge("http", asked, "fail", "protocol", says="not the health of a cluster")
        app.answer(body=cluster("yellow"), delay=0.2)
        judge("http", {**asked, "warn_latency": "100ms"}, "warn", "content", says="above warn_latency")
        judge("http", {**asked, "fail_latency": "100ms"}, "fail", "latency")
    finally:
        app.answer(body="ok")


def test_an_elasticsearch_cluster_that_answers_no_health(app):
    asked = {"url": app.url, "preset": "elasticsearch"}
    no_master = json.dumps({"error": {"root_cause": [{"type": "master_not_discovered_exception", "reason": None}],
                                      "type": "master_not_discovered_exception", "reason": None}, "status": 503})
    try:
        app.answer(status=503, body=no_master)
        judge("http", asked, "fail", "content", says="HTTP 503, expected 200-299 (master_not_discovered_exception)")
        for status in (401, 403):
            app.answer(status=status, body="{}")
            judge("http", asked, "unknown", "auth", says="it wants a login")
            judge("http", {**asked, "user": "vitald", "password_file": secret("not-his-word")}, "unknown", "auth", says="rejects our credentials")
    finally:
        app.answer(body="ok")


@pytest.mark.parametrize("options, says", [
    ({"unix_socket": "run/app.sock"}, "unix_socket"),
    ({"unix_socket": "/" + "x" * 108}, "unix_socket"),
    ({"unix_socket": "/run/app.sock", "resolve": ["192.0.2.1"]}, "resolve"),
    ({"warn_latency": "2s", "fail_latency": "1s"}, "warn_latency"),
    ({"expect.body.json.values": {"status": "x"}}, "expect.body.json.values"),
    ({"expect.body.json.values": {"/a": ">= three"}}, "expect.body.json.values"),
    ({"expect.body.json.values": {"/a": "~("}}, "expect.body.json.values"),
    ({"min_nodes": 3}, "min_nodes"),
    ({"preset": "elasticsearch", "method": "POST"}, "method"),
])
def test_options_that_make_no_sense_are_refused_by_name(options, says):
    refused("http", {"url": "http://127.0.0.1/", **options}, says)
