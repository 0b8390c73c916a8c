"""What an operator sees of a recovery and says in it, and what comes between: a reload, a fence that fails, an etcd that is gone, many
failures at once. The servers are on paper (paper_pairs.py), the agents and etcd are real."""
import time

import pytest

from agent import wait_for
from paper_pairs import PaperPairs

pytestmark = pytest.mark.timeout(120)

WHOLE = ["fence one", "promote two", "move two"]


def test_a_declined_recovery_is_parked_and_one_that_was_acknowledged_is_asked_for_anew():
    with PaperPairs(mode="assist") as pairs:
        pairs.set("main", "one", "down")
        recovery = pairs.wait_state("awaiting")["recovery"]
        assert f"vitalctl failover approve {recovery} --to two" in pairs.ctl("status")
        assert pairs.ctl("decline", recovery) == "declined\n"
        pairs.wait_state("parked")
        said = pairs.ctl("status")
        assert f"parked: {recovery}; look at the servers, then vitalctl failover acknowledge {recovery}" in said, said
        assert "awaiting to parked: declined" in pairs.ctl("explain", recovery)
        late = pairs.agent.ctl("failover", "approve", recovery, "--to", "two")
        assert late.returncode != 0 and "nothing is asked for now: it is parked" in late.stderr, late
        time.sleep(1)  # a human's pace: the record shows that it is parked, and nothing was done
        assert pairs.diary() == []
        assert pairs.ctl("acknowledge", recovery) == "acknowledged\n"
        again = pairs.wait_state("awaiting")["recovery"]
        assert again != recovery
        assert pairs.ctl("approve", again, "--to", "two") == "approved\n"
        pairs.wait_done()
        assert pairs.diary() == WHOLE
        assert "approved" in pairs.ctl("explain", again) and pairs.ctl("replay", again)
        history = pairs.ctl("history")
        assert "one" in history and "two" in history and "it is down" in history
        # The id that the history shows leads to what was decided, too.
        record = wait_for(lambda: next((f for f in pairs.agent.admin("/api/v1/failovers").json()["failovers"] if f["to"] == "two"), None), 10)
        story = pairs.ctl("explain", record["id"])
        assert "one handed over to two" in story and "fencing to confirming" in story, story
        assert "fencing to confirming" in pairs.ctl("replay", record["id"])
        nothing = pairs.agent.ctl("failover", "acknowledge", again)
        assert nothing.returncode != 0 and f"no recovery {again} is parked" in nothing.stderr, nothing


def test_a_fence_that_fails_parks_it_until_somebody_has_looked():
    with PaperPairs() as pairs:
        pairs.refuse("fence")
        pairs.set("main", "one", "down")
        parked = pairs.wait_state("parked")
        assert set(pairs.diary()) == {"fence one"} and pairs.get("main", "two") == "standby"
        said = pairs.ctl("explain", parked["recovery"])
        assert "fencing to undoing: failed: " in said and "undoing to parked: failed: " in said, said
        assert "told to refuse; what was done is taken back" in said, said
        assert "told to refuse; what was done is taken back; a human must look" in pairs.ctl("status")
        time.sleep(1)  # it does not try again by itself
        assert pairs.policy()["state"] == "parked"
        pairs.refuse("fence", False)
        pairs.ctl("acknowledge", parked["recovery"])
        pairs.wait_done()
        assert pairs.diary()[-3:] == WHOLE
        assert "parked" not in pairs.ctl("status")


def test_an_agent_that_is_killed_between_two_steps_ends_what_it_began():
    with PaperPairs() as pairs:
        pairs.delay("fence")
        pairs.set("main", "one", "down")
        recovery = pairs.wait_state("fencing")["recovery"]
        wait_for(lambda: pairs.diary() == ["fence one"], 10, "the fence is under way")
        time.sleep(2)  # what it knows is saved by then
        pairs.agent.kill9()
        pairs.let("fence")
        pairs.agent.start()
        assert wait_for(lambda: pairs.agent.events("failover_interrupted"), 10)[0]["recovery"] == recovery
        seen = wait_for(lambda: (t := pairs.agent.admin("/api/v1/failovers").json()["topologies"][0])["status"] == "no_primary" and t, 10)
        assert seen["primary"] == "one", "who was primary is not forgotten"
        # It asks until a pre-flight is green, and that needs a primary that is well: an operator says yes.
        asked = pairs.wait_state("awaiting", timeout=40)["recovery"]
        assert "nobody took over yet" in pairs.ctl("status")
        pairs.ctl("approve", asked, "--to", "two")
        pairs.wait_done()
        assert pairs.diary().count("promote two") == 1 and pairs.diary()[-3:] == WHOLE
        # The mode that was in effect then is kept with each decision.
        assert pairs.ctl("replay", recovery) and pairs.ctl("replay", asked)


def test_a_reload_in_the_middle_goes_on_with_what_is_configured_now():
    with PaperPairs() as pairs:
        pairs.delay("fence")
        pairs.set("main", "one", "down")
        recovery = pairs.wait_state("fencing")["recovery"]
        wait_for(lambda: pairs.diary() == ["fence one"], 10, "the fence is under way")
        config = pairs.config("a", 1, hold_down="700ms")
        config["failover"]["actions"]["move-main"]["command"][1] = "promote"  # says otherwise in the diary
        assert pairs.agent.reload(config)["event"] == "config_adopted"
        seen = pairs.policy()
        assert (seen["state"], seen["recovery"]) == ("fencing", recovery), seen
        assert f"recovery {recovery}: one to two" in pairs.ctl("status")
        pairs.let("fence")
        wait_for(lambda: pairs.diary() == ["fence one", "promote two", "promote two"], 20, f"the new move is made; {pairs.diary()}")


def test_a_topology_that_only_watches_after_a_reload_is_left_as_it_is():
    with PaperPairs() as pairs:
        pairs.delay("fence")
        pairs.set("main", "one", "down")
        pairs.wait_state("fencing")
        wait_for(lambda: pairs.diary() == ["fence one"], 10, "the fence is under way")
        assert pairs.agent.reload(pairs.config("a", 1, mode="observe"))["event"] == "config_adopted"
        pairs.let("fence")
        assert "recovery" not in pairs.ctl("status")
        time.sleep(1)
        assert pairs.diary() == ["fence one"] and pairs.get("main", "two") == "standby"


@pytest.mark.long
def test_the_brake_stops_what_has_another_cause():
    with PaperPairs(names=["p1", "p2", "p3"]) as pairs:
        for name in pairs.names:
            pairs.set(name, "one", "down")
        is_held = lambda n: pairs.policy(n)["is_brake_on"] and pairs.policy(n)["state"] == "held"  # noqa: E731
        last = wait_for(lambda: next((n for n in pairs.names if is_held(n)), None), 40, "one is held by the brake")
        assert "holds: the brake is on, until an operator releases it" in pairs.ctl("status")
        assert pairs.agent.events("failover_brake")
        time.sleep(1)
        assert pairs.diary(last) == [] and pairs.get(last, "two") == "standby"
        assert pairs.ctl("release-brake") == "the brake is released\n"
        for name in pairs.names:
            pairs.wait_done(name)
            assert pairs.diary(name) == WHOLE


@pytest.mark.long
def test_a_store_that_goes_away_in_the_middle_stops_it_and_it_goes_on_when_it_is_back():
    with PaperPairs() as pairs:
        pairs.delay("fence")
        pairs.set("main", "one", "down")
        recovery = pairs.wait_state("fencing")["recovery"]
        wait_for(lambda: pairs.diary() == ["fence one"], 10, "the fence is under way")
        pairs.etcd.members[0].hang()
        try:
            wait_for(lambda: pairs.policy()["state"] in ("suspect", "held"), 20, "without the lease it stops")
            pairs.let("fence")
            assert "the store of leases is unreachable" in pairs.ctl("status")
            time.sleep(3)
            assert "promote two" not in pairs.diary() and pairs.get("main", "two") == "standby"
        finally:
            pairs.etcd.members[0].resume()
        pairs.wait_done()
        assert pairs.diary()[-3:] == WHOLE and pairs.diary().count("promote two") == 1
        assert "fencing to suspect: the lease" in pairs.ctl("explain", recovery)


@pytest.mark.long
def test_the_leader_of_etcd_may_die_in_the_middle():
    with PaperPairs(agents=2, etcd=3) as pairs:
        pairs.delay("fence")
        pairs.set("main", "one", "down")
        wait_for(lambda: pairs.diary() == ["fence one"], 30, "the fence is under way")
        pairs.etcd.leader().kill()
        time.sleep(0.5)
        pairs.let("fence")
        pairs.wait_done()
        assert pairs.diary()[-3:] == WHOLE and pairs.diary().count("promote two") == 1
