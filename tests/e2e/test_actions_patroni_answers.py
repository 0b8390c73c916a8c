"""patroni.switchover against what Patroni may answer: candidates it must refuse, and what each end of the order means. The real one is in
test_actions_patroni.py."""
import json

import pytest

from acting import Kind, outcome
from outputs_given import Receiver

LEADER = {"name": "p1", "role": "leader", "state": "running"}
REPLICA = {"name": "p2", "role": "replica", "state": "streaming", "lag": 0}


class Rest:
    """Both members' REST interface: `replica` as /cluster shows it, and what an order is answered with."""

    def __init__(self, replica=REPLICA, order=(200, b"done"), primaries=(200, 503)):
        self.replica, self.order, self.primaries = replica, order, primaries
        self.leader, self.orders = LEADER, []
        self.receivers = [Receiver(lambda method, path, body, headers, n=n: self.answer(n, method, path, body)) for n in (0, 1)]

    def answer(self, n, method, path, body):
        if method == "POST":
            self.orders.append((n, path, json.loads(body)))
            return self.order
        if path == "/primary":
            return self.primaries[n], b"{}"
        document = {"patroni": {"scope": "orders"}} if path == "/patroni" else {"members": [m for m in (self.leader, self.replica) if m]}
        return 200, json.dumps(document).encode()

    def kind(self, **more):
        return Kind("patroni.switchover", members={f"p{n + 1}": r.url for n, r in enumerate(self.receivers)},
                    **{"leader": "p1", "candidate": "p2", "scope": "orders", **more})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for receiver in self.receivers:
            receiver.__exit__()


@pytest.mark.parametrize("replica, why", [
    ({**REPLICA, "tags": {"nofailover": True}}, "has the tag nofailover"),
    ({**REPLICA, "lag": 2 * 1024 * 1024}, "is 2097152 bytes behind"),
    ({**REPLICA, "lag": "unknown"}, "how far p2 is behind is not known"),
    ({**REPLICA, "state": "starting"}, 'p2 is "starting"'),
    (None, "knows no member p2")])
def test_a_candidate_that_is_not_fit_is_vetoed_before_anything_is_ordered(replica, why):
    with Rest(replica) as rest:
        done = rest.kind().perform()
        assert outcome(done) == "vetoed" and why in done.text, done.text
        assert rest.kind().check().verdict == "fail" and why in rest.kind().check().text
        assert rest.orders == []


def test_another_leader_another_cluster_and_no_leader_are_left_alone():
    with Rest() as rest:
        for options, why in (({"leader": "p9"}, "Patroni's leader is p1 and not p9"), ({"scope": "invoices"}, "not of invoices")):
            done = rest.kind(**options).perform()
            assert outcome(done) == "vetoed" and why in done.text, done.text
        assert "is the leader already" in rest.kind(leader="p2", candidate="p1").perform().text
        rest.leader = {**LEADER, "role": "replica"}
        assert outcome(rest.kind().perform()) == "vetoed" and "leader is nobody" in rest.kind().perform().text
        assert "no leader" in rest.kind().check().text and rest.orders == []


def test_a_candidate_within_the_bound_is_ordered_once_at_the_leader():
    with Rest({**REPLICA, "lag": 1000}) as rest:
        assert rest.kind(max_lag="1000").perform().verdict == "pass"
        assert rest.orders == [(0, "/switchover", {"leader": "p1", "candidate": "p2"})]
        assert outcome(rest.kind(max_lag="999").perform()) == "vetoed" and len(rest.orders) == 1


@pytest.mark.parametrize("status, said", [(202, "timeout"), (412, "failed"), (400, "failed"), (401, "failed"), (503, "timeout")])
def test_only_200_is_done_and_an_order_that_was_taken_is_not_called_a_failure(status, said):
    with Rest(order=(status, b"as it is")) as rest:
        done = rest.kind().perform()
        assert (done.verdict, outcome(done)) == ("fail", said) and "as it is" in done.text, done.text
        assert len(rest.orders) == 1


@pytest.mark.parametrize("primaries, why", [((200, 200), "p1 is still a primary"), ((503, 503), "p2 is no primary"), ((500, 200), "p1 answered /primary with 500"),
                                            ((503, 200), "Patroni's leader is p1")])
def test_it_is_believed_only_when_the_new_one_alone_is_primary_and_leader(primaries, why):
    with Rest(primaries=primaries) as rest:
        seen = rest.kind().verify(timeout="1s")
        assert seen.verdict == "fail" and why in seen.text, seen.text
