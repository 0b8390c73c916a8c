"""The haproxy output and the real HAProxy: told at once, set right after somebody changed it or it was restarted, two of them at
the same time."""
import socket
import time

import pytest

from agent import wait_for
from outputs_given import Told
from servers import HAProxy, free_port

# agent-check is on, so that `set server ... agent` works; nobody listens there, so that only the socket decides.
SERVER = "s1 127.0.0.1:{app} weight 100 agent-check agent-port 1 agent-inter 1h"


@pytest.fixture(scope="module")
def site():
    app = free_port()
    with HAProxy([SERVER.format(app=app), "plain 127.0.0.1:1"]) as one, HAProxy([SERVER.format(app=app)]) as two:
        with Told([{"type": "haproxy", "service": "web", "sockets": [str(one.socket), str(two.socket)], "servers": ["app/s1"],
                    "interval": "500ms"}]) as told:
            told.wait_for_state("haproxy", "ok")
            yield told, one, two


def agent_is_up(haproxy):
    return haproxy.servers()["s1"] in ("UP", "no check", "no")


def test_a_failure_takes_the_server_out_of_every_haproxy_at_once(site):
    told, one, two = site
    wait_for(lambda: agent_is_up(one) and agent_is_up(two))
    broken = time.monotonic()
    told.fail()
    wait_for(lambda: one.servers()["s1"] == "DOWN" and two.servers()["s1"] == "DOWN")
    print(f"out of both after {time.monotonic() - broken:.2f} s with a check every 0.3 s")
    assert told.wait_for_state("haproxy", "ok")["told"] == "fail"
    told.work()
    wait_for(lambda: agent_is_up(one) and agent_is_up(two))


def test_what_somebody_sets_at_haproxy_itself_is_set_right(site):
    told, one, _ = site
    told.wait_for_state("haproxy", "ok")
    before = told.output("haproxy")["repairs"]
    one.runtime("set server app/s1 state maint;set server app/s1 weight 10%;set server app/s1 agent down")
    assert one.servers()["s1"] == "MAINT"
    wait_for(lambda: agent_is_up(one) and " 100 100 " in one.runtime("show servers state app"))
    wait_for(lambda: told.output("haproxy")["repairs"] == before + 1)
    held = told.agent.events("output_repaired")[-1]["held"]
    assert "app/s1 maint, agent down, weight 10 of 100" in held


def test_a_restarted_haproxy_forgets_and_is_told_again(site):
    told, one, two = site
    told.fail()
    wait_for(lambda: one.servers()["s1"] == "DOWN")
    one.stop()
    error = told.wait_for_state("haproxy", "failing")["error"]
    assert str(one.socket) in error and str(two.socket) not in error, "it says which one"
    wait_for(lambda: two.servers()["s1"] == "DOWN")
    one.start()
    wait_for(lambda: one.servers()["s1"] == "DOWN", what="the word is said again")
    told.wait_for_state("haproxy", "ok")
    told.work()
    wait_for(lambda: agent_is_up(one) and agent_is_up(two))


def test_an_operators_drain_and_maintenance_are_haproxys_own(site):
    told, one, _ = site
    told.agent.ctl("drain", "web")
    wait_for(lambda: one.servers()["s1"] == "DRAIN")
    told.agent.ctl("maintenance", "web")
    wait_for(lambda: one.servers()["s1"] == "MAINT")
    told.agent.ctl("resume", "web")
    wait_for(lambda: agent_is_up(one))
    assert told.output("haproxy")["users"] == 0


def test_a_server_line_without_agent_check_is_pointed_out_and_works_by_its_state(site):
    told, one, _ = site
    told.agent.reload({**told.config, "outputs": [{"type": "haproxy", "sockets": [str(one.socket)], "servers": ["app/plain"]}]})
    error = told.wait_for_state("haproxy", "failing")["error"]
    assert "app/plain has no agent-check" in error and "method: state" in error
    told.agent.reload({**told.config, "outputs": [{"type": "haproxy", "sockets": [str(one.socket)], "servers": ["app/plain"],
                                                   "method": "state"}]})
    told.wait_for_state("haproxy", "ok")
    told.fail()
    wait_for(lambda: one.servers()["plain"] == "MAINT")
    told.work()
    wait_for(lambda: one.servers()["plain"] != "MAINT")
    told.agent.reload({**told.config, "outputs": [{"type": "haproxy", "sockets": [str(one.socket)], "servers": ["app/nobody"]}]})
    assert "there is no server app/nobody" in told.wait_for_state("haproxy", "failing")["error"]
    told.agent.reload(told.config)


def test_a_drain_waits_until_the_last_session_is_gone():
    """A user in the middle of a request keeps the drain waiting; without one it is safe at once."""
    with HAProxy([], sections=f"""
listen slow
  bind 127.0.0.1:{(front := free_port())}
  mode tcp
  server s1 127.0.0.1:{(back := free_port())} weight 100 agent-check agent-port 1 agent-inter 1h
""") as haproxy, socket.create_server(("127.0.0.1", back)) as server, \
            Told([{"type": "haproxy", "service": "web", "sockets": [str(haproxy.socket)], "servers": ["slow/s1"], "interval": "300ms",
                   "timeout": "250ms"}], services={"web": {"all": ["app"], "lb": {"interval": "200ms", "timeout": "100ms"}}}) as told:
        told.wait_for_state("haproxy", "ok")
        user = socket.create_connection(("127.0.0.1", front))
        held, _ = server.accept()
        wait_for(lambda: told.output("haproxy")["users"] == 1)
        done = told.agent.ctl("drain", "web", "--wait", "--timeout", "1s")
        assert done.returncode == 1 and "haproxy still has 1 sessions" in done.stdout, done.stdout + done.stderr
        assert haproxy.runtime("show servers state slow").split("\n")[2].split()[6] == "8", "drained all the same"
        user.close()
        held.close()
        done = told.agent.ctl("drain", "web", "--wait", "--timeout", "10s")
        assert done.returncode == 0 and "it is safe to stop" in done.stdout, done.stdout + done.stderr
