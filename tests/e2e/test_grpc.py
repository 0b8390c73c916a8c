"""gRPC health (grpc.health.v1) with a real client: Check and Watch, in the clear and over TLS, and what is not gRPC."""
import contextlib
import os
import queue
import socket
import struct
import subprocess
import threading
import time

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # its handlers abort a process that forks while a channel ends
import grpc
import pytest

from agent import Agent, wait_for
from serving import Certificates
from threads import FrozenThread, loop_thread

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


class Stub:
    """grpc.health.v1.Health by hand: the request is one string, the answer one number."""

    def __init__(self, address, credentials=None, options=None):
        self.channel = (grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "localhost")])
                        if credentials else grpc.insecure_channel(address, options))

    @staticmethod
    def request(service):
        name = service.encode()
        return b"\x0a" + bytes([len(name)]) + name if name else b""

    @staticmethod
    def status(message):
        assert message[:1] == b"\x08" and len(message) == 2, message
        return message[1]

    def check(self, service="", timeout=10):
        call = self.channel.unary_unary("/grpc.health.v1.Health/Check", self.request, self.status)
        return call(service, timeout=timeout)

    def watch(self, service=""):
        return self.channel.unary_stream("/grpc.health.v1.Health/Watch", self.request, self.status)(service)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


def config(tmp_path, **grpc_listener):
    return {"listen": {"grpc": {"address": "127.0.0.1:0", **grpc_listener}, "health": {"address": "127.0.0.1:0"}},
            "checks": {"flag": {"type": "heartbeat", "max_age": "1h"}}, "services": {"web": {"all": ["flag"]}}}


def report(agent, verdict):
    done = agent.ctl("report", "flag", verdict)
    assert done.returncode == 0, done.stdout + done.stderr


def address(agent):
    return agent.addresses("grpc")[-1]


def test_check_says_what_the_service_is_and_an_unknown_one_is_not_found(tmp_path):
    with Agent(config(tmp_path)) as agent, Stub(address(agent)) as stub:
        assert stub.check() == NOT_SERVING  # nothing is known yet
        report(agent, "pass")
        wait_for(lambda: stub.check() == SERVING, 10, "the node serves")
        assert stub.check("web") == SERVING
        report(agent, "warn")
        wait_for(lambda: agent.health().headers["x-health-status"] == "warn", 10, "the warning")
        assert stub.check("web") == SERVING
        report(agent, "fail")
        wait_for(lambda: stub.check("web") == NOT_SERVING, 10, "the service does not serve")
        with pytest.raises(grpc.RpcError) as error:
            stub.check("mail")
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError) as error:
            stub.channel.unary_unary("/grpc.health.v1.Health/List", stub.request, bytes)("", timeout=10)
        assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as error:
            stub.channel.unary_unary("/grpc.health.v1.Health/Check", lambda _: b"\x0a\xff", bytes)("", timeout=10)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as error:
            stub.channel.unary_unary("/grpc.health.v1.Health/Check", lambda _: b"\x0a\x80\x20" + b"x" * 4096, bytes)("", timeout=10)
        assert error.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)
        metrics = agent.health("/metrics").text
        assert "vitald_grpc_unknown_services_total 1\n" in metrics
        seen = [c for c in agent.admin("/api/v1/consumers").json()["consumers"] if c["path"].endswith("Health/Check:web")]
        assert seen and seen[0]["kind"] == "grpc" and seen[0]["last_word"] == "NOT_SERVING"


def follow(call):
    """The statuses of a Watch as they come."""
    seen = queue.Queue()

    def read():
        try:
            for status in call:
                seen.put(status)
        except grpc.RpcError as error:
            seen.put(error.code())
    threading.Thread(target=read, daemon=True).start()
    return seen


def test_watch_says_the_state_at_once_and_then_each_change(tmp_path):
    with Agent(config(tmp_path)) as agent, Stub(address(agent)) as stub:
        report(agent, "pass")
        wait_for(lambda: stub.check() == SERVING, 10, "the node serves")
        web, unknown = follow(stub.watch("web")), follow(stub.watch("nope"))
        assert web.get(timeout=10) == SERVING
        assert unknown.get(timeout=10) == SERVICE_UNKNOWN
        report(agent, "fail")
        assert web.get(timeout=10) == NOT_SERVING
        report(agent, "pass")
        assert web.get(timeout=10) == SERVING
        assert agent.ctl("drain", "--reason", "test").returncode == 0
        assert web.get(timeout=10) == NOT_SERVING
        assert agent.ctl("resume").returncode == 0
        assert web.get(timeout=10) == SERVING
        assert "vitald_grpc_watches_open 2\n" in agent.health("/metrics").text
        # A service that comes with a reload is known to who waits for it.
        more = config(tmp_path)
        more["listen"]["grpc"]["address"] = address(agent)
        more["listen"]["health"]["address"] = agent.health_address
        more["services"]["nope"] = {"all": ["flag"]}
        agent.reload(more)
        assert unknown.get(timeout=10) in (SERVING, NOT_SERVING)
        assert web.empty()
        assert agent.end() == 0
        last = web.get(timeout=10)
        if last == NOT_SERVING:  # told in time that the agent stops
            last = web.get(timeout=10)
        assert last == grpc.StatusCode.UNAVAILABLE


def test_who_watches_hears_when_the_agents_loop_stands_still(tmp_path):
    with Agent(config(tmp_path)) as agent, Stub(address(agent)) as stub:
        report(agent, "pass")
        wait_for(lambda: stub.check() == SERVING, 10, "the node serves")
        web = follow(stub.watch("web"))
        assert web.get(timeout=10) == SERVING
        with FrozenThread(loop_thread(agent.pid)):
            assert web.get(timeout=20) == NOT_SERVING
        assert web.get(timeout=20) == SERVING


def test_watches_have_an_end_and_whoever_goes_makes_room(tmp_path):
    with Agent(config(tmp_path)) as agent, contextlib.ExitStack() as stack:
        own = [("grpc.use_local_subchannel_pool", 1)]  # a connection each
        stubs = [stack.enter_context(Stub(address(agent), options=own)) for _ in range(17)]
        watches = [[stub.watch("web") for _ in range(63)] for stub in stubs]

        def first(call):
            try:
                return next(call)
            except grpc.RpcError as error:
                return error.code()
        said = [first(call) for calls in watches for call in calls]
        assert said.count(NOT_SERVING) == 1024 and said.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 17 * 63 - 1024
        stubs[0].channel.close()
        wait_for(lambda: f"vitald_grpc_watches_open {1024 - 63}\n" in agent.health("/metrics").text, 10, "they are gone")
        assert first(stubs[-1].watch("web")) == NOT_SERVING


def test_it_is_spoken_over_tls(tmp_path):
    pki = Certificates.shared()
    tls = {"certificate": str(pki.certificate), "key": str(pki.key), "client_ca": str(pki.ca)}
    with Agent(config(tmp_path, tls=tls)) as agent:
        report(agent, "pass")
        known = grpc.ssl_channel_credentials(pki.ca.read_bytes(), pki.client_key.read_bytes(), pki.client.read_bytes())
        with Stub(address(agent), known) as stub:
            wait_for(lambda: stub.check("web") == SERVING, 10, "it serves")
        with Stub(address(agent), grpc.ssl_channel_credentials(pki.ca.read_bytes())) as stub:
            with pytest.raises(grpc.RpcError) as error:
                stub.check("web", timeout=5)
            assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def dial(agent):
    host, port = address(agent).rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def test_what_is_no_grpc_holds_nothing_up(tmp_path):
    with Agent(config(tmp_path)) as agent, Stub(address(agent)) as stub:
        report(agent, "pass")
        wait_for(lambda: stub.check() == SERVING, 10, "it serves")
        curl = subprocess.run(["curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address(agent)}/health"],
                              capture_output=True, text=True, timeout=20)
        assert curl.stdout == "415", curl.stderr
        with dial(agent) as c:  # HTTP/1.1
            c.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            while c.recv(4096):
                pass
        for attack in (frame(0, 0, 1, b"data on no stream"), frame(4, 0, 0, b"odd"), frame(1, 5, 1, b"\xff" * 400), b"\x00" * 3000,
                       frame(1, 4, 2, b"\x82"), frame(9, 0, 1, b"x" * 16000) * 20):
            with dial(agent) as c:
                try:
                    c.sendall(PREFACE + frame(4, 0, 0) + attack)
                    c.settimeout(20)
                    while c.recv(65536):
                        pass
                except OSError:
                    pass
        with dial(agent) as c:  # rapid resets
            headers = b"\x82\x86\x84\x41\x01x"
            try:
                for i in range(3000):
                    c.sendall((PREFACE + frame(4, 0, 0) if i == 0 else b"") + frame(1, 5, 2 * i + 1, headers) + frame(3, 0, 2 * i + 1, b"\0\0\0\x08"))
            except OSError:
                pass
        idle = [dial(agent) for _ in range(200)]
        start = time.monotonic()
        assert stub.check() == SERVING
        assert time.monotonic() - start < 3
        for c in idle:
            c.close()
