"""The secrets of outputs stay where they belong, also when the target sends them back: arguments and environments of every
process, the log, every page, vitalctl, explain, the state directory."""
import pathlib
import subprocess
import time

from agent import VITALD
from outputs_given import Receiver, Told
from test_secrets import PAGES, Searched, canary, look_at_processes


def test_no_secret_of_an_output_is_seen_anywhere(tmp_path):
    canaries = {name: canary(name) for name in ("hook", "hook-path", "consul", "etcd")}
    files = {}
    for name, text in canaries.items():
        files[name] = tmp_path / f"{name}.secret"
        files[name].write_text(text + "\n")
        files[name].chmod(0o600)

    def echo(method, path, body, headers):
        """The worst of targets: refuses, and sends back all it was sent."""
        return 403, (path + " " + " ".join(headers.values()) + " ").encode() + body

    with Receiver(echo) as receiver:
        outputs = [{"type": "webhook", "url": f"{receiver.url}/{canaries['hook-path']}", "secret_file": str(files["hook"])},
                   {"type": "consul", "url": receiver.url, "check_id": "service:web", "token_file": str(files["consul"])},
                   {"type": "etcd", "endpoints": [receiver.url], "key": "/k", "user": "vitald", "password_file": str(files["etcd"])}]
        searched = Searched(canaries)
        with Told(outputs) as told:
            for name in ("webhook", "consul", "etcd"):
                assert "403" in told.wait_for_state(name, "failing")["error"]
            assert any(canaries["consul"] in h.get("X-Consul-Token", "") for *_, h in receiver.requests)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                look_at_processes(searched, [told.agent.pid, *told.agent.descendants()])
                told.fail() if int(time.monotonic() * 2) % 2 else told.work()
                time.sleep(0.005)
            for page in [*PAGES, "/api/v1/outputs"]:
                answer = told.agent.admin(page)
                searched.look(page, repr(answer.headers) + answer.text)
            for command in (["status"], ["status", "--json"], ["events"]):
                done = told.agent.ctl(*command)
                searched.look(" ".join(command), done.stdout + done.stderr)
            # The path of a hook stands in the configuration, so explain and check-config may know it; others may not.
            done = subprocess.run([VITALD, "explain", "-c", told.agent.config_file], capture_output=True, text=True, timeout=60)
            searched.look("explain", done.stdout + done.stderr)
            told.agent.end()
            searched.look("log", told.agent.log(whole=True))
            for path in pathlib.Path(told.agent.state_dir).rglob("*"):
                if path.is_file():
                    searched.look(str(path), path.read_bytes())
            told.agent.start()
        assert searched.places > 100 and not searched.found, searched.found
