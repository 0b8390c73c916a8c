"""The first of the two commands, run as a newcomer runs it."""
import socket
import subprocess

import pytest

from agent import ROOT


@pytest.mark.timeout(900)
def test_quickstart_answers_health_with_200_and_leaves_nothing_running():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9180))
        except OSError:
            pytest.skip("something listens on port 9180 of this machine")
    done = subprocess.run([ROOT / "scripts/quickstart", "--check"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"pass"' in done.stdout or '"status":"warn"' in done.stdout  # a busy machine warns
    assert "answers 200" in done.stdout.splitlines()[-1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 9180)) != 0, "it still listens"
