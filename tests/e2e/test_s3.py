"""The s3 check, and the http check's signatures, against a stand-in that verifies every signature with botocore."""
import json
import pathlib
import re
import sys

import pytest

import hostile
from judging import HUNG, WORDLESS, judge, judge_hostile, leaves_nothing, refused, repeat, secret
from servers import Server

pytestmark = pytest.mark.timeout(60)
pytest.importorskip("botocore", reason="python3-botocore is not installed")

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class S3(Server):
    name = "s3"

    def prepare(self):
        self.set()

    def set(self, **more):
        new = self.directory / "settings.new"
        new.write_text(json.dumps({"keys": {KEY: SECRET}, "region": "ap-northeast-1", **more}))
        new.rename(self.directory / "settings")

    def command(self):
        return [sys.executable, str(pathlib.Path(__file__).with_name("s3_stand_in.py")), str(self.port), str(self.directory / "settings")]

    def objects(self):
        """How many it holds after the last request."""
        return int(["0", *re.findall(r'^"[A-Z]+ .*" \d+ - (\d+)$', self.log(), re.M)][-1])


@pytest.fixture(scope="module")
def running():
    with S3() as server:
        yield server


@pytest.fixture
def s3(running):
    yield running
    running.set()


def bucket(s3, **more):
    return {"url": f"http://127.0.0.1:{s3.port}/bucket", "region": "ap-northeast-1", "access_key": KEY, "secret_key_file": secret(SECRET),
            **more}


def test_an_object_is_stored_and_comes_back(s3):
    probe = judge("s3", bucket(s3), "pass", "none", says="stores an object and gives it back")
    assert set(probe.measures) == {"put", "get", "delete"} and s3.objects() == 0
    judge("s3", bucket(s3, write_prefix="日本 (a)+~/&?=*"), "pass", "none")


def test_an_object_that_must_be_there(s3):
    judge("s3", bucket(s3, object="none.txt", write=False), "fail", "content", says="HEAD none.txt: HTTP 404")


@pytest.mark.parametrize("fault, cause, says", [
    ("forgets", "content", "GET"), ("corrupts", "content", "it is not what was put there"), ("overloaded", "content", "SlowDown"),
])
def test_what_a_port_does_not_show(s3, fault, cause, says):
    s3.set(fault=fault)
    judge("s3", bucket(s3), "fail", cause, says=says)
    assert s3.objects() == 0  # deleted all the same


def test_no_bucket(s3):
    judge("s3", {**bucket(s3), "url": f"http://127.0.0.1:{s3.port}/other"}, "fail", "content", says="NoSuchBucket")


def test_our_own_trouble_is_no_evidence(s3):
    s3.set(fault="keeps")
    judge("s3", bucket(s3), "unknown", "auth", says="DELETE")
    s3.set()
    judge("s3", bucket(s3, secret_key_file=secret("not-the-secret")), "unknown", "auth", says="SignatureDoesNotMatch")
    judge("s3", bucket(s3, access_key="AKIDOTHER"), "unknown", "auth", says="InvalidAccessKeyId")
    judge("s3", bucket(s3, region="us-east-1"), "unknown", "config", says="look at url and region")
    s3.set(clock=3600)
    judge("s3", bucket(s3), "unknown", "auth", says="its clock and ours differ")


def test_temporary_keys(s3):
    s3.set(session="canary-session-token")
    judge("s3", bucket(s3), "unknown", "auth", says="InvalidToken")
    judge("s3", bucket(s3, session_token_file=secret("canary-session-token")), "pass", "none")


def test_hung_and_stopped(s3):
    s3.hang()
    try:
        judge("s3", bucket(s3), "fail", "timeout", timeout=HUNG)
    finally:
        s3.resume()
    judge("s3", {**bucket(s3), "url": "http://127.0.0.1:1/bucket"}, "fail", "refused")


@pytest.mark.parametrize("name", ["says nothing", "closes at once", "says garbage", "resets when asked"])
def test_peers_that_speak_no_protocol(name):
    behaviour, causes = WORDLESS[name]
    judge_hostile("s3", lambda peer: {"url": f"http://{peer.address}/b", "access_key": "a", "secret_key_file": secret("whatever")}, causes,
                  behaviour)


def test_an_address_of_ipv6():
    with hostile.Peer(hostile.http(hostile.http_answer(503)), host="::1") as peer:
        options = {"url": f"http://{peer.address}/b", "access_key": "a", "secret_key_file": secret("whatever")}
        assert judge("s3", options, "fail", "content", says="HTTP 503").facts["address"] == "::1"


def test_probes_leave_nothing(s3):
    before = s3.objects()
    leaves_nothing(repeat("s3", bucket(s3), 100), "pass/none", 100)
    assert s3.objects() == before
    with hostile.Peer(hostile.resets_when_asked) as peer:
        leaves_nothing(repeat("s3", {**bucket(s3), "url": f"http://{peer.address}/b"}, 100), "fail/protocol", 100)


# ---- signatures of the http check ---------------------------------------------------------------------------------------

def signed(**more):
    return {"aws.region": "ap-northeast-1", "aws.service": "execute-api", "aws.access_key": KEY, "aws.secret_key_file": secret(SECRET),
            **more}


def test_a_signed_request(s3):
    url = f"http://127.0.0.1:{s3.port}/execute-api/a%20b/c"
    judge("http", {"url": url, **signed()}, "pass", "none")
    judge("http", {"url": url + "?z=1&a=2&a=1&b", **signed()}, "pass", "none")
    judge("http", {"url": url, "method": "POST", "body": '{"a": 1}',
                   "headers": {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Some.Operation"}, **signed()}, "pass", "none")
    judge("http", {"url": url}, "fail", "content", says="HTTP 403")
    judge("http", {"url": url, **signed(**{"aws.secret_key_file": secret("not-the-secret")})}, "unknown", "auth")
    judge("http", {"url": url, **signed(**{"aws.region": "us-east-1"})}, "fail", "content", says="HTTP 400")


@pytest.mark.parametrize("kind, options, says", [
    ("s3", {"url": "http://a/b", "access_key": "a"}, "secret_key"),
    ("s3", {"url": "http://a/b", "access_key": "a", "secret_key_file": secret("whatever"), "write": False}, "object"),
    ("http", {"url": "http://a/", "aws.region": "x"}, "aws.service"),
    ("http", {"url": "http://a/", "user": "u", "aws.region": "x", "aws.service": "s", "aws.access_key": "a",
              "aws.secret_key_file": secret("whatever")}, "user"),
])
def test_options_that_make_no_sense_are_refused_by_name(kind, options, says):
    refused(kind, options, says)
