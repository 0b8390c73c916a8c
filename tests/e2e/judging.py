"""What the tests of postgres, mysql and ldap share: one probe judged, a thousand probes counted, every hostile peer.

    judge("postgres", {...}, "fail", "role", says="standby")      # the outcome, in time, without the secret
    many = repeat("mysql", {...}, 1000)                           # many.outcomes, .descriptors, .growth_kib
    judge_hostile("ldap", lambda peer: {...}, causes, behaviour)  # for each of WORDLESS, and what a protocol adds
"""
import collections
import dataclasses
import os
import re
import subprocess

import hostile
import servers
from worker import BUILD, WORKER, arguments, worker_probe

GRACE = 0.2
STARTING = 3.0  # of the process around the probe, on a busy machine; the probe's own time is what is judged
HUNG = "600ms"  # the timeout of probes that are meant to run into it

_secrets = {}


def secret(text):
    """The path of a file that holds `text`: for options such as password_file. judge() sees that it stays unsaid."""
    if text not in _secrets:
        path = servers.temporary_directory("secret") / "secret"
        path.write_text(text + "\n")
        _secrets[text] = path
    return _secrets[text]


def seconds(text):
    amount, unit = re.fullmatch(r"(\d+)(ms|s)", text).groups()
    return int(amount) * {"ms": 1e-3, "s": 1}[unit]


def took(probe):
    """What the worker itself measured, in seconds."""
    amount, unit = re.search(r"^  took ([\d.]+)(us|ms|s)", probe.output, re.M).groups()
    return float(amount) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]


def phases(probe):
    return re.findall(r"^  phase (\w+)", probe.output, re.M)


def judge(kind, options, verdict, cause, says="", timeout="5s", wrap=None, environment=None):
    """One probe; its result must be this one, within the timeout plus GRACE, from the module itself and not by force."""
    if wrap is None:
        probe = worker_probe(kind, options, timeout=timeout, environment=environment)
    else:
        probe = _wrapped(kind, options, timeout, wrap)
    assert (probe.verdict, probe.cause) == (verdict, cause), probe.output
    assert says in probe.text, probe.text
    assert "\n" not in probe.text and len(probe.text) < 1024
    for text in _secrets:
        assert text not in probe.output
    assert took(probe) <= seconds(timeout) + GRACE, probe.output
    assert probe.seconds <= seconds(timeout) + GRACE + STARTING
    return probe


def _wrapped(kind, options, timeout, wrap):
    """The same with another program in front, which makes the worker's surroundings."""
    original = subprocess.run
    try:
        subprocess.run = lambda argv, **more: original(wrap(argv), **more)
        return worker_probe(kind, options, timeout=timeout)
    finally:
        subprocess.run = original


def refused(kind, options, says):
    """The module refuses these options, and names the one at fault."""
    done = subprocess.run([str(WORKER), "--probe", str(BUILD / "checks" / f"{kind}.so"), *arguments(options)],
                          capture_output=True, text=True, timeout=20, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 3 and not done.stdout and done.stderr.startswith(says), done.stdout + done.stderr


def rounds(count):
    """How many probes a test repeats: a fifth of `count`, at least 20; with VITALD_POLITE_ROUNDS (scripts/test --long)
    `count`, or that where it is more."""
    asked = int(os.environ.get("VITALD_POLITE_ROUNDS", 0))
    return max(count, asked) if asked else max(count // 5, 20)


@dataclasses.dataclass
class Many:
    outcomes: collections.Counter  # "pass/none: text" -> how often
    descriptors: tuple             # open after a tenth of the probes, and at the end
    growth_kib: int                # of resident memory in between
    output: str


def repeat(kind, options, count, timeout="5s"):
    """rounds(count) probes in one worker."""
    count = rounds(count)
    done = subprocess.run([str(WORKER), "--probe", str(BUILD / "checks" / f"{kind}.so"), "--timeout", timeout, "--repeat",
                           str(count), *arguments(options)], capture_output=True, text=True, timeout=120 + count,
                          stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"})
    found = re.search(r"descriptors (\d+) -> (\d+), resident (\d+) -> (\d+) KiB", done.stdout)
    assert found, done.stdout + done.stderr
    numbers = [int(n) for n in found.groups()]
    outcomes = collections.Counter({text: int(n) for n, text in re.findall(r"^ +(\d+) x (.*)$", done.stdout, re.M)})
    return Many(outcomes, (numbers[0], numbers[1]), numbers[3] - numbers[2], done.stdout)


def leaves_nothing(many, outcome, count):
    """All rounds(count) probes had this outcome, and the worker holds no more than after the first of them."""
    count = rounds(count)
    assert sum(n for text, n in many.outcomes.items() if text.startswith(outcome)) == count, many.output
    assert many.descriptors[0] == many.descriptors[1], many.output
    assert many.growth_kib < 1024, many.output


# Peers that speak no protocol at all: name -> (behaviour, causes that are right). A library may call a connection that
# breaks during the TLS handshake tls or protocol; everything else has one right word.
SILENT = {"timeout"}
BROKEN = {"protocol"}
WORDLESS = {
    "says nothing": (hostile.silent, SILENT),
    "closes at once": (hostile.closes, BROKEN),
    "resets at once": (hostile.resets, BROKEN),
    "says garbage": (hostile.garbage, BROKEN),
    "says garbage for ever": (hostile.endless_garbage, BROKEN),
    "says zeros for ever": (hostile.repeats(b"\0" * 4096), BROKEN),
    "speaks HTTP": (hostile.says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ask_first=True), BROKEN),
    "resets when asked": (hostile.resets_when_asked, BROKEN),
    "closes when asked": (hostile.closes_when_asked, BROKEN),
}


def judge_hostile(kind, options, causes, behaviour, **peer_arguments):
    """One probe of a misbehaving peer: fail, with one of these causes, in time."""
    timeout = HUNG if "timeout" in causes else "5s"
    with hostile.Peer(behaviour, **peer_arguments) as peer:
        probe = worker_probe(kind, options(peer), timeout=timeout)
        assert probe.verdict == "fail" and probe.cause in causes, probe.output
        assert took(probe) <= seconds(timeout) + GRACE, probe.output
        for text in _secrets:
            assert text not in probe.output
        return probe
