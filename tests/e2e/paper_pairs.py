"""Pairs that exist on paper only, for what the agents decide: each server is a file that says primary, standby or down, a check reads
it, actions write it and keep a diary. With a real etcd and real agents.

    with PaperPairs(names=["main"], mode="auto") as pairs:
        pairs.set("main", "one", "down")
        pairs.wait_state("done")
        pairs.diary("main")          # ["fence one", "promote two", "move two"]
        pairs.delay("fence"), pairs.let("fence")
"""
import contextlib
import os

from agent import Agent, wait_for
from etcd_cluster import EtcdCluster
from servers import temporary_directory

# Answers each request with what the file says now; a shell, since a process that starts in a millisecond is there on a busy machine too.
ROLES = r"""
while read -r line; do
  id=${line#*'"id":'}
  read -r role < "$1"
  case $role in
  down) printf '{"id": %s, "verdict": "fail", "cause": "refused", "text": "it is down"}\n' "${id%%[,\}]*}" ;;
  *) printf '{"id": %s, "verdict": "pass", "text": "it is a %s", "facts": {"role": "%s"}}\n' "${id%%[,\}]*}" "$role" "$role" ;;
  esac
done
"""
# act STEP FOLDER NAME, and `act is-STEP FOLDER NAME` reads back. A file late-STEP makes it wait, refuse-STEP makes it fail.
ACT = r"""#!/bin/sh
says() { [ "$(cat "$1")" = "$2" ]; }
write() { echo "$2" > "$1.$$" && mv "$1.$$" "$1"; }
cd "$2" || exit 2
case $1 in
is-fence) says "$3" down; exit ;;
is-promote) says "$3" primary; exit ;;
is-move) says way "$3"; exit ;;
esac
echo "$1 $3" >> diary
while [ -e "late-$1" ]; do sleep 0.05; done
[ ! -e "refuse-$1" ] || { echo "it is told to refuse"; exit 1; }
case $1 in
fence) write "$3" down ;;
promote) write "$3" primary ;;
move) write way "$3" ;;
esac
"""


class PaperPairs:
    def __init__(self, names=("main",), mode="auto", agents=1, etcd=1, **topology):
        self.names, self.mode, self.topology = list(names), mode, topology
        self.parts = contextlib.ExitStack()
        self.folder = temporary_directory("paper")
        self.folder.chmod(0o755)
        (self.folder / "roles").write_text(ROLES)
        (self.folder / "act").write_text(ACT)
        (self.folder / "act").chmod(0o755)
        for name in self.names:
            (self.folder / name).mkdir()
            for member, role in (("one", "primary"), ("two", "standby"), ("way", "one")):
                self.set(name, member, role)
        self.etcd = EtcdCluster(etcd)
        self.agents = {name: Agent(self.config(name, min(2, agents)), start=False) for name in "abc"[:agents]}

    def config(self, node, witnesses, **topology):
        act = str(self.folder / "act")
        checks, topologies, actions = {}, {}, {}
        for name in self.names:
            folder = str(self.folder / name)
            for member in ("one", "two"):
                checks[f"{name}-{member}"] = {"type": "exec", "protocol": "lines", "command": ["/bin/sh", str(self.folder / "roles"), f"{folder}/{member}"]}
            for step, who in (("fence", "{from}"), ("promote", "{to}"), ("move", "{to}")):
                actions[f"{step}-{name}"] = {"type": "exec", "command": [act, step, folder, who], "verify": [act, f"is-{step}", folder, who],
                                             "enabled": True}
            topologies[name] = {"mode": self.mode, "members": {m: f"{name}-{m}" for m in ("one", "two")}, "synchronous": True, "witnesses": witnesses,
                                "hold_down": "500ms", "overload_grace": "1s", "doubt": "1s", "evidence_max_age": "3s", "cool_down": "0s",
                                "fence": [f"fence-{name}"], "promote": [f"promote-{name}"], "move": [f"move-{name}"], **self.topology, **topology}
        return {"node": {"name": node}, "profile": "strict", "defaults": {"interval": "300ms", "timeout": "300ms", "edge_interval": "300ms"},
                "checks": checks,
                "cluster": {"type": "etcd", "endpoints": self.etcd.endpoints, "ttl": "4s", "margin": "1s", "timeout": "500ms", "interval": "200ms"},
                "failover": {"grace": "0s", "actions": actions, "topologies": topologies}}

    def __enter__(self):
        try:
            self.parts.enter_context(self.etcd)
            for agent in self.agents.values():
                self.parts.callback(agent.stop)
                agent.start()
            for agent in self.agents.values():
                wait_for(lambda a=agent: all(t["status"] == "steady" for t in a.admin("/api/v1/failovers").json()["topologies"]), 30, "the pairs are steady")
                wait_for(lambda a=agent: all(p["store"] == "ok" for p in self.policies(a)), 30, "the store answers")
            for agent in self.agents.values():
                # A pre-flight comes by itself, some seconds later; this is one at once.
                wait_for(lambda a=agent: a.ctl("failover", "check").returncode == 0, 30, "the pre-flight is green")
                wait_for(lambda a=agent: all(p["acts_as"] == self.mode for p in self.policies(a)), 10, "all would act")
        except BaseException:
            self.parts.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for name, agent in self.agents.items():
                print(f"--- agent {name}\n{agent.log()[-6000:]}")
        self.parts.close()

    # -- the servers

    def set(self, name, member, role):
        path = self.folder / name / member
        (path.parent / "new").write_text(role + "\n")
        os.rename(path.parent / "new", path)

    def get(self, name, member):
        return (self.folder / name / member).read_text().strip()

    def diary(self, name="main"):
        path = self.folder / name / "diary"
        return path.read_text().splitlines() if path.exists() else []

    def delay(self, step, name="main"):
        (self.folder / name / f"late-{step}").touch()

    def let(self, step, name="main"):
        (self.folder / name / f"late-{step}").unlink()

    def refuse(self, step, is_on=True, name="main"):
        path = self.folder / name / f"refuse-{step}"
        path.touch() if is_on else path.unlink()

    # -- the agents

    @property
    def agent(self):
        return next(iter(self.agents.values()))

    def policies(self, agent):
        return agent.admin("/api/v1/failovers").json()["policies"]

    def policy(self, name="main", agent=None):
        return next(p for p in self.policies(agent or self.agent) if p["topology"] == name)

    def wait_state(self, state, name="main", agent=None, timeout=30):
        return wait_for(lambda: (p := self.policy(name, agent))["state"] == state and p, timeout, f"{name} is {state}; {self.policy(name, agent)}")

    def wait_done(self, name="main", to="two", timeout=40):
        """Until clients are sent there and every agent is at rest."""
        wait_for(lambda: self.get(name, "way") == to, timeout, f"clients of {name} are sent to {to}; {self.policy(name)}")
        for agent in self.agents.values():
            self.wait_state("observing", name, agent)

    def ctl(self, *words, agent=None):
        """What vitalctl failover said, of an agent that took it."""
        done = (agent or self.agent).ctl("failover", *words)
        assert done.returncode == 0, done
        return done.stdout
