"""Names to addresses in the async worker, against a name server of our own, in a network of our own.

The worker reads /etc/resolv.conf and asks port 53, as it does in production; so each case runs in its own mount and
network namespace, where both belong to us. Needs root, as `unshare` does.
"""
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")).resolve()
WORKER = BUILD / "src" / "vitald-worker"
MODULE = BUILD / "tests" / "probe" / "modules" / "resolves.so"
RESOLVED, NOT_FOUND, UNAVAILABLE, TIMEOUT = "0", "1", "2", "3"


# ---- inside the namespaces --------------------------------------------------------------------------------------------

def question_of(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += query[at] + 1
    (kind,) = struct.unpack(">H", query[at + 1:at + 3])
    return ".".join(labels), kind, query[12:at + 5]


def answer_to(query, address):
    """What the server says is in the name: a, aaaa, both, nxdomain, nodata, servfail, refused, garbage, silent, slow."""
    name, kind, question = question_of(query)
    behaviour = name.split(".")[0]
    if behaviour == "silent":
        return None
    if behaviour == "garbage":
        return query[:2] + os.urandom(40)
    if behaviour == "slow":
        time.sleep(0.02)
    code = {"nxdomain": 3, "servfail": 2, "refused": 5}.get(behaviour, 0)
    records = []
    if kind == 1 and behaviour in ("a", "both", "slow"):
        records.append((1, socket.inet_aton(address)))
    if kind == 28 and behaviour in ("aaaa", "both"):
        records.append((28, socket.inet_pton(socket.AF_INET6, "2001:db8::7")))
    head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", k, 1, 60, len(data)) + data for k, data in records)
    return head + question + body


def serve(host, address):
    """A name server on port 53 of `host`, which gives `address`."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((host, 53))

    def run():
        while True:
            query, sender = server.recvfrom(4096)
            answer = answer_to(query, address)
            if answer is not None:
                server.sendto(answer, sender)

    threading.Thread(target=run, daemon=True).start()


def inside(case):
    pathlib.Path(case["resolv"]).write_text("".join(f"nameserver {n}\n" for n in case["servers"]))
    pathlib.Path(case["hosts"]).write_text("192.0.2.99 inhosts\n")
    for ours, theirs in ((case["resolv"], "/etc/resolv.conf"), (case["hosts"], "/etc/hosts")):
        subprocess.run(["mount", "--bind", ours, theirs], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    serve("127.0.0.53", "192.0.2.1")
    serve("127.0.0.54", "192.0.2.2")
    if case.get("then"):
        def change():
            time.sleep(0.5)
            pathlib.Path(case["resolv"]).write_text("".join(f"nameserver {n}\n" for n in case["then"]))
        threading.Thread(target=change, daemon=True).start()
    done = subprocess.run([str(WORKER), "--probe", str(MODULE), "--timeout", "5s", "--repeat", str(case.get("repeat", 1)),
                           *case["options"]], capture_output=True, text=True, timeout=50)
    print(json.dumps({"output": done.stdout + done.stderr}))


# ---- outside ----------------------------------------------------------------------------------------------------------

def look_up(tmp_path, *options, servers=("127.0.0.53",), **more):
    case = {"resolv": str(tmp_path / "resolv.conf"), "hosts": str(tmp_path / "hosts"), "servers": servers,
            "options": options, **more}
    began = time.monotonic()
    done = subprocess.run(["unshare", "--mount", "--net", sys.executable, __file__, json.dumps(case)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)["output"]
    facts = dict(re.findall(r"^  fact (\S+) = (.*)$", output, re.M))
    assert output.startswith("pass/none"), output
    return facts["status"], facts["addresses"].split(), output, time.monotonic() - began


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="unshare needs root")


@needs_root
@pytest.mark.parametrize("name, status, addresses", [
    ("a.test", RESOLVED, ["192.0.2.1"]),
    ("aaaa.test", RESOLVED, ["2001:db8::7"]),
    ("inhosts", RESOLVED, ["192.0.2.99"]),
    ("192.0.2.5", RESOLVED, ["192.0.2.5"]),
    ("2001:db8::5", RESOLVED, ["2001:db8::5"]),
    ("nxdomain.test", NOT_FOUND, []),
    ("nodata.test", NOT_FOUND, []),
    ("a..test", NOT_FOUND, []),
    ("servfail.test", UNAVAILABLE, []),
    ("refused.test", UNAVAILABLE, []),
    ("silent.test", TIMEOUT, []),
    ("garbage.test", TIMEOUT, []),
])
def test_what_the_server_says_is_told_apart(tmp_path, name, status, addresses):
    seen, found, output, _ = look_up(tmp_path, f"name={name}")
    assert (seen, found) == (status, addresses), output


@needs_root
def test_both_families_are_found_and_one_can_be_asked_for(tmp_path):
    assert sorted(look_up(tmp_path, "name=both.test")[1]) == ["192.0.2.1", "2001:db8::7"]
    assert look_up(tmp_path, "name=both.test", "family=4")[1] == ["192.0.2.1"]
    assert look_up(tmp_path, "name=both.test", "family=6")[1] == ["2001:db8::7"]
    assert look_up(tmp_path, "name=192.0.2.5", "family=6")[0] == NOT_FOUND


@needs_root
def test_the_limit_is_kept(tmp_path):
    status, _, output, _ = look_up(tmp_path, "name=silent.test", "limit=200ms")
    assert status == TIMEOUT
    took = re.search(r"took (\d+)ms", output)
    assert took and 200 <= int(took[1]) < 400, output


@needs_root
def test_a_dead_first_server_does_not_keep_the_second_from_answering(tmp_path):
    assert look_up(tmp_path, "name=a.test", "limit=3s", servers=("127.0.0.77", "127.0.0.54"))[1] == ["192.0.2.2"]


@needs_root
def test_without_any_server_it_is_the_resolvers_trouble_never_the_names(tmp_path):
    status, _, output, _ = look_up(tmp_path, "name=a.test", "limit=3s", servers=("127.0.0.77",))
    assert status in (UNAVAILABLE, TIMEOUT), output


@needs_root
def test_a_changed_resolver_is_used_without_a_restart(tmp_path):
    # The addresses of successive answers; the file changes while the worker runs.
    _, found, output, _ = look_up(tmp_path, "name=slow.test", repeat=60, then=("127.0.0.54",))
    assert found == ["192.0.2.2"], output
    assert "slow.test is 192.0.2.1" in output, "it began with the first server"


if __name__ == "__main__":
    inside(json.loads(sys.argv[1]))
