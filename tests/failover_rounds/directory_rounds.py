"""Rounds of scenario S4: two directories that replicate each other, and an address that keepalived holds where the agents say that
users can log in. The first directory hangs or dies, the address goes to the other, and comes back with it."""
import time

from agent import wait_for
from rounds import in_three
from test_scenario_s4 import FAULTS, User, directories

PHASES = ("told", "moved", "users again", "back")


def play(site, number):
    """(fault, seconds after it by phase, what was wrong)."""
    _, slapds, agents, keepers = site
    fault = list(FAULTS)[number % len(FAULTS)]
    break_it, mend_it = FAULTS[fault]
    user, times, wrong = User(site), {}, []
    wait_for(lambda: keepers[0].is_master() and not keepers[1].is_master() and user.login(), 60, "all is well on n1")
    entry = f"round-{number}"
    user.add(entry)
    wait_for(lambda: has(slapds[1], entry), 30, "the other directory has the entry")
    broken_at = time.monotonic()
    break_it(slapds[0])
    try:
        wait_for(lambda: agents[0].output("vip")["told"] == "fail", 30, "the agent says so")
        times["told"] = time.monotonic() - broken_at
        wait_for(keepers[1].is_master, 30, "the address moves")
        times["moved"] = time.monotonic() - broken_at
        wait_for(user.login, 30, "users log in")
        times["users again"] = time.monotonic() - broken_at
        if not user.login(entry):
            wrong.append(f"{entry} is lost")
        if keepers[0].is_master():
            wrong.append("both have the address")
    finally:
        mend_it(slapds[0])
    mended_at = time.monotonic()
    wait_for(keepers[0].is_master, 60, "it comes back when the directory does")
    times["back"] = time.monotonic() - mended_at
    return fault, times, wrong


def has(slapd, entry):
    return f"uid={entry}" in slapd.ask("ldapsearch", "-b", slapd.people, f"(uid={entry})", "dn").stdout


def table(played):
    lines = ["| slapd with keepalived | rounds | " + " | ".join(PHASES) + " | entries lost |", "|---|---|---|---|---|---|---|"]
    for name in dict.fromkeys(fault for fault, _, _ in played):
        of = [(times, wrong) for fault, times, wrong in played if fault == name]
        lost = sum("is lost" in w for _, wrong in of for w in wrong)
        lines.append(f"| the directory {name} | {len(of)} | " + " | ".join(in_three([t.get(p) for t, _ in of]) for p in PHASES) + f" | {lost} |")
    return "\n".join(lines)


def run(rounds):
    """All of it; whether all was right."""
    played = []
    with directories() as site:
        for number in range(rounds or len(FAULTS)):
            fault, times, wrong = play(site, number)
            played.append((fault, times, wrong))
            print(f"{number + 1:3} the directory {fault}: " + " ".join(f"{k} {v:.1f}" for k, v in times.items()) + "".join(f"\n    WRONG: {w}" for w in wrong), flush=True)
    print("\n" + table(played))
    return not any(wrong for _, _, wrong in played)
