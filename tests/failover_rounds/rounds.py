"""Rounds: each begins with a pair that is well, has one fault, and ends with a pair that is well again, the other way round if
the standby was promoted. What was measured and what was wrong is in the Round."""
import datetime
import json
import statistics
import time
from dataclasses import dataclass, field

from agent import parse_logfmt
from network_site import wait_for

PATIENCE_S = 90  # for a failover, far more than it takes, for a machine that does other things too


@dataclass
class Round:
    fault: str
    must_move: bool
    times: dict = field(default_factory=dict)  # seconds after the fault: detected, decided, fenced, promoted, written
    acknowledged: int = 0
    lost: int = 0
    wrong: list = field(default_factory=list)


def seconds_of(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


class Logs:
    """What the agents have logged since it was made, as dicts with `at` in seconds."""

    def __init__(self, site):
        self.site = site
        self.marks = {name: a.log_file.stat().st_size for name, a in site.agents.items()}

    def lines(self):
        out = []
        for name, agent in self.site.agents.items():
            with open(agent.log_file, "rb") as log:
                log.seek(self.marks[name])
                for line in log.read().decode(errors="replace").splitlines():
                    if "event=" in line:
                        told = parse_logfmt(line)
                        out.append({**told, "agent": name, "at": seconds_of(told["ts"])})
        return sorted(out, key=lambda line: line["at"])

    def steps(self):
        return [line for line in self.lines() if line["event"] == "failover_step"]


def times_of(lines, since, written_at):
    """What of a failover came when, in seconds after the fault."""
    states = [line for line in lines if line["event"] == "failover_state" and line["at"] >= since]
    done = [line["recovery"] for line in lines if line["event"] == "failover_done"]
    ours = [s for s in states if done and s.get("recovery") == done[-1]]
    first = lambda found: next((s["at"] - since for s in found), None)  # noqa: E731
    return {"detected": first(s for s in states if s["to"] == "suspect"),
            "decided": first(s for s in ours if s["to"] == "leasing"),
            "fenced": first(s for s in ours if s["to"] == "confirming"),
            "promoted": first(s for s in ours if s["to"] == "moving"),
            "written": written_at - since}


class Rows:
    """What the client was told, and which of that a server holds."""

    def __init__(self, site):
        self.site = site
        self.compared = 0  # lines of the writer's

    def first_after(self, moment):
        """When the first row was acknowledged that was begun after this moment, if one was."""
        found = None
        for line in reversed(self.site.writer.lines()):
            _, begun, acknowledged = map(float, line.split())
            if begun < moment:
                break
            found = acknowledged
        return found

    def compare_all(self, server):
        """The same for every row since the beginning."""
        self.compared = 0
        return self.compare(server)

    def compare(self, server):
        """How many rows were acknowledged since the last time, and how many of these the server does not have."""
        lines = self.site.writer.lines()[self.compared:]
        self.compared += len(lines)
        numbers = {int(line.split()[0]) for line in lines}
        if not numbers:
            return 0, 0
        return len(numbers), len(numbers - self.site.pair.rows(server, min(numbers) - 1))


def two_writable(site):
    """Each time that two servers took writes, as (from, until, who)."""
    spans = {}
    for line in map(json.loads, site.witness.lines()):
        if "two" in line:
            spans[line["from"]] = line["from"], line["until"], " and ".join(line["two"])  # it grew since
    return list(spans.values())


def pace_of(site):
    """How often the witness had an answer of the server that answered most, in milliseconds."""
    seconds = [line["answers"] for line in map(json.loads, site.witness.lines()) if "answers" in line]
    most = [max(s.values()) for s in seconds if max(s.values()) > 0]
    return 1000 / statistics.median(most) if most else float("inf")


def play(site, fault, rows):
    out = Round(fault.name, fault.must_move)
    site.wait_ready()
    between = rows.compare(site.old)
    logs, switched, two = Logs(site), site.switched(), len(two_writable(site))
    old, new = site.old, site.standby
    site.fault_at = time.time()
    fault.begin(site)
    try:
        if fault.must_move:
            wait_for(lambda: [s for s in logs.lines() if s["event"] == "failover_done"], PATIENCE_S, lambda: f"{fault.name}: it is done; {site.states()}")
            promoted_at = max(s["at"] for s in logs.steps())
            wait_for(lambda: rows.first_after(promoted_at), 30, f"{fault.name}: rows are written again")
        else:
            time.sleep(fault.lasts_s)
    finally:
        if not fault.must_move:
            fault.end(site)
    if fault.must_move:
        moved = next(s["at"] for s in logs.lines() if s["event"] == "failover_state" and s["to"] == "moving")
        out.times = times_of(logs.lines(), site.fault_at, rows.first_after(moved))
        out.acknowledged, out.lost = rows.compare(new)
        if site.switched() - switched != 1:
            out.wrong.append(f"switched off {site.switched() - switched} times")
        fault.end(site)
        site.primary = site.other(site.primary)
        old.follow(new)
    else:
        time.sleep(3)
        out.wrong += [f"{s['agent']} did {s['verb']}: {s.get('text')}" for s in logs.steps()]
        if site.switched() != switched or not site.pair.is_primary(old) or site.pair.is_primary(new):
            out.wrong.append("the servers are not as they were")
        out.acknowledged, out.lost = rows.compare(old)
    out.acknowledged, out.lost = out.acknowledged + between[0], out.lost + between[1]
    out.wrong += [f"two took writes at once: {who} for {until - begin:.3f} s" for begin, until, who in two_writable(site)[two:]]
    limit = site.pair.may_lose()
    if out.lost > limit:
        out.wrong.append(f"{out.lost} acknowledged rows are lost, and {limit} may be")
    return out


def in_three(values):
    known = [v for v in values if v is not None]
    return "/".join(f"{v:.1f}" for v in (min(known), statistics.median(known), max(known))) if known else "-"


def table(title, rounds):
    """A table for docs/failover.md."""
    lines = [f"| {title} | rounds | detected | decided | promoted | rows again | acknowledged | lost | two writable |", "|---|---|---|---|---|---|---|---|---|"]
    for name in dict.fromkeys(r.fault for r in rounds):
        of = [r for r in rounds if r.fault == name]
        two = sum("two took writes" in w for r in of for w in r.wrong)
        lines.append(f"| {name} | {len(of)} | " + " | ".join(in_three([r.times.get(t) for r in of]) for t in ("detected", "decided", "promoted", "written")) +
                     f" | {sum(r.acknowledged for r in of)} | {sum(r.lost for r in of)} | {two} |")
    return "\n".join(lines)
