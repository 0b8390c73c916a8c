"""Every hostile peer at once, as the checks of one agent: each is judged rightly and in time, one worker process does
it all, a healthy check among them never notices, and what was removed from the config leaves nothing behind.
"""
import collections
import contextlib
import os
import pathlib
import time

import pytest

import hostile
from agent import Agent
from hostile import Certificates, Deaf, Peer, Refuser
from worker import WORKER

pytestmark = pytest.mark.timeout(120)

TIMEOUT = 0.5


@pytest.fixture(scope="module")
def neighbourhood():
    """name -> (options of the check, verdict, cause), with the peers behind them running."""
    with contextlib.ExitStack() as stack:
        certificates = stack.enter_context(Certificates())

        def peer(behaviour, **more):
            return stack.enter_context(Peer(behaviour, backlog=512, **more))

        checks = {}
        answer = hostile.http(hostile.http_answer(200, b"ok"))
        wordless = {
            "silent": (hostile.silent, "timeout"), "closes": (hostile.closes_when_asked, "protocol"),
            "resets": (hostile.resets_when_asked, "protocol"), "garbage": (hostile.endless_garbage, "protocol"),
            "drips": (hostile.drips(b"HTTP/1.1 200 OK\r\n\r\n", every=0.25), "timeout")}
        for name, (behaviour, cause) in wordless.items():
            address = peer(behaviour).address
            checks[f"http-{name}"] = ({"type": "http", "url": f"http://{address}/"}, "fail", cause)
            checks[f"tcp-{name}"] = ({"type": "tcp", "address": address, "send": "PING\\r\\n", "expect": "+PONG"}, "fail",
                                     "content" if name == "garbage" else cause)
            checks[f"https-{name}"] = ({"type": "http", "url": f"https://{address}/"}, "fail",
                                       "timeout" if name in ("silent", "drips") else "tls")
        expected = {"half a header": "timeout", "huge header": "protocol", "body that stops": "timeout",
                    "body shorter than said": "protocol", "rejects the password": "content"}
        for name, cause in expected.items():
            address = peer(hostile.http_misbehaviours()[name]).address
            checks["http-" + name.replace(" ", "-")] = ({"type": "http", "url": f"http://{address}/"}, "fail", cause)
        for kind in ("expired", "wrong_name", "self_signed"):
            port = peer(answer, tls=certificates.server(kind)).port
            tls = {"mode": "verify", "ca": certificates.ca}
            checks[f"http-{kind}"] = ({"type": "http", "url": f"https://localhost:{port}/", "tls": tls}, "fail", "tls")
            checks[f"tcp-{kind}"] = ({"type": "tcp", "address": f"localhost:{port}", "tls": tls}, "fail", "tls")
        refuser, deaf = stack.enter_context(Refuser()), stack.enter_context(Deaf())
        for name, address, cause in (("refuses", refuser.address, "refused"), ("deaf", deaf.address, "timeout"),
                                     ("unroutable", f"{hostile.UNROUTABLE}:80", "unreachable")):
            checks[f"http-{name}"] = ({"type": "http", "url": f"http://{address}/"}, "fail", cause)
            checks[f"tcp-{name}"] = ({"type": "tcp", "address": address}, "fail", cause)
        password = pathlib.Path(certificates.folder, "password")
        password.write_text("s3cret-of-the-monitor")
        address = peer(hostile.http_misbehaviours()["rejects the password"]).address
        checks["http-password"] = ({"type": "http", "url": f"http://{address}/", "user": "monitor",
                                    "password_file": str(password)}, "unknown", "auth")
        endless = peer(hostile.http_misbehaviours()["body that never ends"])
        checks["http-endless"] = ({"type": "http", "url": f"http://{endless.address}/"}, "pass", "none")
        well = peer(answer)
        patient = {"type": "http", "url": f"http://{well.address}/", "timeout": "3s", "interval": "3s"}
        checks["well"] = ({**patient, "expect": {"body": {"contains": "ok"}}}, "pass", "none")
        checks["well-kept"] = ({**patient, "reuse_connection": True}, "pass", "none")
        yield checks


def config_of(checks):
    settings = {"retries": 0, "interval": "1s", "edge_interval": "1s", "timeout": f"{TIMEOUT * 1000:.0f}ms"}
    return {"defaults": settings, "checks": {name: dict(row[0]) for name, row in checks.items()}}


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_all_of_them_at_once_are_told_apart_by_one_worker(neighbourhood):
    with Agent(config_of(neighbourhood)) as agent:
        def judged():
            shown = {check["name"]: check for check in agent.admin("/api/v1/checks").json()["checks"]}
            return shown if all(check["verdict"] for check in shown.values()) else None

        agent.wait_for(judged, 20, "every check has a result")
        workers = agent.descendants()
        assert len(workers) == 1, "http and tcp share one worker"
        worker = workers[0]
        memory, seen = [], collections.defaultdict(set)
        for _ in range(12):  # seconds, in which each check is probed about twelve times
            time.sleep(1)
            memory.append(resident_kib(worker))
            for name, check in judged().items():
                seen[name].add((check["verdict"], check["cause"]))
                assert check["duration_ms"] <= (TIMEOUT + 0.2) * 1000 or name.startswith("well"), (name, check)
                assert "s3cret" not in str(check)
        for name, (_, verdict, cause) in neighbourhood.items():
            # An agent that is starved itself says so, rather than blame the peer.
            assert (verdict, cause) in seen[name] and seen[name] <= {(verdict, cause), ("unknown", "agent")}, (name, seen)
        assert agent.descendants() == [worker], "nothing was killed, nothing was started"
        assert memory[-1] - memory[3] <= 1024 or hostile.is_sanitized(WORKER), memory
        assert not [e for e in agent.events("check_state") if e["check"].startswith("well") and e["to"] != "pass"]
        assert "s3cret" not in agent.log()

        # All that is left is what one check needs.
        well = {"well": neighbourhood["well"]}
        agent.reload(config_of(well))
        agent.wait_for(lambda: len(agent.admin("/api/v1/checks").json()["checks"]) == 1)
        agent.wait_for(lambda: agent.check("well")["verdict"] == "pass")
        with Agent(config_of(well)) as fresh:
            fresh.wait_for(lambda: fresh.check("well")["verdict"] == "pass")
            bound = min(open_files(fresh.descendants()[0]) for _ in range(20))
            # A connection kept for a check that is gone is closed when the next check looks for one.
            agent.wait_for(lambda: open_files(worker) <= bound, 10, "the worker's descriptors are back to those of one check")
        assert agent.descendants() == [worker]
