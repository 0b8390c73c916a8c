"""webhook: what a receiver is told and how it is signed, what counts as yes, when it is asked again and when it must not be, and what
nobody can know."""
import hashlib
import hmac
import json
import socket
import threading
import time

import pytest

from acting import Kind, outcome
from outputs_given import Receiver
from servers import free_port

SECRET = "canary-hook-secret"


def hook(receiver, path="/promote", **more):
    return Kind("webhook", url=f"{receiver.url}{path}", retry_delay="100ms", **more)


def test_the_receiver_is_told_what_it_is_about_signed_and_with_the_id_of_the_step(tmp_path):
    secret = tmp_path / "hook.secret"
    secret.write_text(SECRET)
    with Receiver() as receiver:
        done = hook(receiver, "/promote?key=canary-key", secret_file=secret).perform(**{"step.number": 3})
        assert done.verdict == "pass", done.text
        method, path, body, headers = receiver.requests[0]
        assert (method, path, len(receiver.requests)) == ("POST", "/promote?key=canary-key", 1)
        assert json.loads(body) == {"id": "main-1/3/perform", "verb": "perform", "topology": "main", "recovery": "main-1", "from": "one",
                                    "to": "two", "token": "42", "dry_run": False}
        assert (headers["X-Vitald-Id"], headers["X-Vitald-Token"]) == ("main-1/3/perform", "42")
        signed = headers["X-Vitald-Timestamp"].encode() + b"." + body
        assert headers["X-Vitald-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert abs(int(headers["X-Vitald-Timestamp"]) - time.time()) < 30
        assert "canary" not in done.output


@pytest.mark.parametrize("status, said", [(302, "failed"), (400, "failed"), (409, "failed"), (503, "failed"), (500, "timeout"), (504, "timeout")])
def test_what_is_not_2xx_is_no_and_is_not_sent_again(status, said):
    with Receiver(lambda *_: (status, b"not now")) as receiver:
        done = hook(receiver).perform(timeout="3s")
        assert (done.verdict, outcome(done)) == ("fail", said)
        assert f"with {status}: not now" in done.text and len(receiver.requests) == 1


def test_one_that_remembers_ids_is_asked_again_with_the_same():
    answers = [503, 429, 500, 200]
    with Receiver(lambda *_: (answers.pop(0), b"")) as receiver:
        assert hook(receiver, idempotent=True).perform(timeout="10s").verdict == "pass"
        assert len({headers["X-Vitald-Id"] for _, _, _, headers in receiver.requests}) == 1 and len(receiver.requests) == 4
    answers = [400, 200]
    with Receiver(lambda *_: (answers.pop(0), b"")) as receiver:
        assert outcome(hook(receiver, idempotent=True).perform()) == "failed" and len(receiver.requests) == 1


def test_a_veto_forbids_it_and_nobody_who_answers_is_a_veto_too():
    with Receiver(lambda _, path, *__: (409, b"the books are open") if path == "/may" else (200, b"")) as receiver:
        held = hook(receiver, veto_url=f"{receiver.url}/may").perform()
        assert outcome(held) == "vetoed" and "the books are open" in held.text
        assert [path for _, path, _, _ in receiver.requests] == ["/may"]
        silent = hook(receiver, veto_url=f"http://127.0.0.1:{free_port()}/may").perform()
        assert outcome(silent) == "vetoed" and len(receiver.requests) == 1
        allowed = hook(receiver, veto_url=f"{receiver.url}/yes").perform()
        assert allowed.verdict == "pass" and [path for _, path, _, _ in receiver.requests][1:] == ["/yes", "/promote"]


def test_it_is_believed_once_the_receiver_says_that_it_is_so():
    answers = {"/is": [404, 404, 200], "/back": [200]}
    with Receiver(lambda _, path, *__: (answers[path].pop(0) if answers.get(path) else 404, b"")) as receiver:
        known = hook(receiver, verify_url=f"{receiver.url}/is", compensate_url=f"{receiver.url}/back", preflight_url=f"{receiver.url}/could")
        assert known.verify(timeout="10s").verdict == "pass" and len(receiver.requests) == 3
        assert {(path, json.loads(body)["verb"]) for _, path, body, _ in receiver.requests} == {("/is", "verify")}
        assert known.verify(timeout="1s").verdict == "fail"
        assert known.compensate().verdict == "pass"
        assert json.loads(receiver.requests[-1][2])["verb"] == "compensate"
        assert known.check().verdict == "fail" and receiver.requests[-1][1] == "/could"
        plain = hook(receiver)
        before = len(receiver.requests)
        assert plain.check().verdict == "warn" and plain.compensate().verdict == "fail"
        assert plain.verify().verdict == "pass"  # the answer to perform was believed
        late = hook(receiver).perform(**{"step.not_after": 1})
        dry = hook(receiver).perform(**{"step.dry_run": True})
        assert outcome(late) == "too_late" and "dry run" in dry.text and len(receiver.requests) == before


def test_every_question_is_signed_and_a_verification_is_not_believed_for_a_redirect(tmp_path):
    secret = tmp_path / "hook.secret"
    secret.write_text(SECRET)
    with Receiver(lambda _, path, *__: (302 if path == "/moved" else 200, b"")) as receiver:
        urls = {f"{verb}_url": f"{receiver.url}/{verb}" for verb in ("veto", "verify", "compensate", "preflight")}
        asked = hook(receiver, secret_file=secret, **urls)
        for verb in (asked.check, asked.perform, asked.verify, asked.compensate):
            assert verb().verdict == "pass"
        assert [path for _, path, _, _ in receiver.requests] == ["/preflight", "/veto", "/promote", "/verify", "/compensate"]
        for _, _, body, headers in receiver.requests:
            signed = headers["X-Vitald-Timestamp"].encode() + b"." + body
            assert headers["X-Vitald-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert hook(receiver, verify_url=f"{receiver.url}/moved").verify(timeout="1s").verdict == "fail"


def test_what_never_arrived_is_tried_again_and_what_may_have_is_not():
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        hung = Kind("webhook", url=url).perform(timeout="1500ms")
        assert outcome(hung) == "timeout" and hung.seconds < 6
        assert "canary" not in Kind("webhook", url=url + "canary").perform(timeout="1s").output
    gone = Kind("webhook", url=f"http://127.0.0.1:{port}/", retry_delay="100ms").perform(timeout="1s")
    assert (outcome(gone), gone.cause) == ("failed", "refused")
    late = []

    def open_later():
        time.sleep(1)
        late.append(Receiver(port=port))
    opener = threading.Thread(target=open_later)
    opener.start()
    try:
        assert Kind("webhook", url=f"http://127.0.0.1:{port}/", retry_delay="100ms").perform(timeout="10s").verdict == "pass"
    finally:
        opener.join()
        late[0].__exit__()
