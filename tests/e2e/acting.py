"""One verb of one failover action, by hand: what the agent's worker would make of it.

    promote = Kind("postgres.promote", host=..., user=...)
    assert promote.perform().verdict == "pass"
    assert promote.verify(timeout="2s").verdict == "fail"
    move = Kind("pacemaker.move", inside=node, ...)      # by a worker in a node of nodes.py
"""
from worker import worker_probe


class Kind:
    def __init__(self, kind, inside=None, **options):
        self.prefix = inside.prefix_with_pids if inside else ()
        self.kind = kind
        self.options = {name.replace("__", "."): value for name, value in options.items()}

    def do(self, verb, timeout="5s", **more):
        step = {"step.verb": verb, "step.topology": "main", "step.recovery": "main-1", "step.from": "one", "step.to": "two", "step.token": 42}
        return worker_probe(self.kind, {**self.options, **step, **more}, timeout=timeout, folder="src/failover/actions", prefix=self.prefix)

    def check(self, **more):
        return self.do("check", **more)

    def perform(self, **more):
        return self.do("perform", **more)

    def verify(self, **more):
        return self.do("verify", **more)

    def compensate(self, **more):
        return self.do("compensate", **more)


def outcome(probe):
    return probe.facts.get("outcome", "done" if probe.verdict == "pass" else "failed")
