"""One probe of one module, by hand: what `vitald-worker --probe FILE.so` says, read back as a Probe.

    probe = worker_probe("exec", {"command": ["/bin/true"]}, timeout="2s")
    assert (probe.verdict, probe.cause) == ("pass", "none")
"""
import dataclasses
import os
import pathlib
import re
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")).resolve()
WORKER = BUILD / "src" / "vitald-worker"


@dataclasses.dataclass
class Probe:
    verdict: str
    cause: str
    text: str
    measures: dict
    facts: dict
    seconds: float  # wall time of the whole call
    output: str


def arguments(options):
    """The options as the worker's command line wants them: lists repeat the key, maps are key.name=value."""
    out = []
    for key, value in options.items():
        if isinstance(value, dict):
            out += [f"{key}.{name}={item}" for name, item in value.items()]
        elif isinstance(value, (list, tuple)):
            out += [f"{key}={item}" for item in value]
        elif isinstance(value, bool):
            out.append(f"{key}={'true' if value else 'false'}")
        else:
            out.append(f"{key}={value}")
    return out


def worker_probe(kind, options, timeout="2s", environment=None, folder="checks", prefix=()):
    started = time.monotonic()
    done = subprocess.run(
        [*prefix, str(WORKER), "--probe", str(BUILD / folder / f"{kind}.so"), "--timeout", timeout, *arguments(options)],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, errors="replace",
        env=environment or {"PATH": os.environ.get("PATH", "/usr/bin:/bin")})
    seconds = time.monotonic() - started
    head = re.match(r"(\w+)/(\w+): ?(.*)", done.stdout)
    assert head, f"no verdict in {done.stdout!r} {done.stderr!r}"
    measures = {m[0]: float(m[1]) for m in re.findall(r"^  measure (.+?) = (-?[\d.e+-]+)", done.stdout, re.M)}
    facts = dict(re.findall(r"^  fact (\S+) = (.*)$", done.stdout, re.M))
    return Probe(head[1], head[2], head[3], measures, facts, seconds, done.stdout)
