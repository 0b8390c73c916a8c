"""Runs inside namespaces of its own (test_evidence.py): a name server that says NXDOMAIN, then nothing at all, and an agent
with a check of each kind. Prints what each check made of it."""
import pathlib
import subprocess
import sys
import threading

import socket

from agent import Agent
from test_evidence import NAMED
from test_resolve import answer_to


def main(folder):
    (folder / "resolv").write_text("nameserver 127.0.0.53\n")
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    (folder / "nsswitch").write_text("hosts: files dns\n")
    for ours, theirs in (("resolv", "/etc/resolv.conf"), ("hosts", "/etc/hosts"), ("nsswitch", "/etc/nsswitch.conf")):
        if pathlib.Path(theirs).exists():
            subprocess.run(["mount", "--bind", folder / ours, theirs], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    is_silent = threading.Event()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.53", 53))

    def serve():
        while True:
            query, sender = server.recvfrom(4096)
            answer = answer_to(query, "192.0.2.1")
            if answer is not None and not is_silent.is_set():
                server.sendto(answer, sender)

    threading.Thread(target=serve, daemon=True).start()
    common = {"interval": "3s", "timeout": "2s", "edge_interval": "3s", "retries": 0, "rise": 1, "fall": 1, "max_age": "2m"}
    checks = {kind: {**make("nxdomain.example"), **common} for kind, make in NAMED.items()}
    with Agent({"checks": checks}, timeout=60) as agent:
        agent.wait_for(lambda: all(agent.check(k)["state"] == "fail" for k in NAMED))
        for kind in NAMED:
            seen = agent.check(kind)
            print(f"nxdomain-{kind} answer={seen['verdict']}/{seen['cause']}", seen["output"] if seen["cause"] != "dns" else "")
        is_silent.set()
        agent.wait_for(lambda: all(agent.check(k)["verdict"] == "unknown" for k in NAMED))
        for kind in NAMED:
            seen = agent.check(kind)
            print(f"silent-{kind} answer={seen['verdict']}/{seen['cause']}", seen["output"] if seen["cause"] != "agent" else "")
            print(f"state-{kind} state={seen['state']}")


main(pathlib.Path(sys.argv[1]))
