"""vitalctl on a real terminal, compared with what it should look like (tests/data/ctl/). Numbers that differ each time are written
as <n>, times as <time>; VITALD_WRITE_GOLDEN=1 writes the files anew."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from agent import ROOT, VITALCTL, Agent, Listener, free_port

GOLDEN = ROOT / "tests" / "data" / "ctl"
QUICK = {"interval": "300ms", "timeout": "250ms", "retries": 0, "rise": 1, "fall": 1}
INK = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow"}


class Terminal:
    """A program whose every end is a terminal of 110 columns."""

    def __init__(self, *argv, socket):
        self.parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
        environment = {**os.environ, "TERM": "xterm", "VITALD_SOCKET": str(socket)}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen([VITALCTL, *argv], stdin=child, stdout=child, stderr=child, env=environment,
                                        # Whoever runs the tests in the background ignores interrupts; a terminal does not.
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        os.close(child)
        self.seen = ""

    def read(self, seconds):
        if select.select([self.parent], [], [], seconds)[0]:
            try:
                self.seen += os.read(self.parent, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
                return True
            except OSError:
                return False
        return self.process.poll() is None

    def wait_for(self, pattern, timeout=30):
        end = time.monotonic() + timeout
        while not re.search(pattern, self.seen):
            assert time.monotonic() < end and self.read(0.2) is not None, self.seen
            if self.process.poll() is not None and not select.select([self.parent], [], [], 0.1)[0]:
                assert re.search(pattern, self.seen), self.seen
        return self.seen

    def whole(self, timeout=60):
        end = time.monotonic() + timeout
        while self.read(0.2) and time.monotonic() < end:
            pass
        self.close()
        return self.seen

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        os.close(self.parent)


@pytest.fixture(scope="module")
def agent():
    with Listener() as up:
        config = {"node": {"name": "web-1"},
                  "checks": {"app": {"type": "tcp", "address": up.address, **QUICK},
                             "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}", **QUICK},
                             "slow": {"type": "exec", "command": ["/bin/sleep", "2"], "interval": "1h", "timeout": "4s", "retries": 0}},
                  "services": {"web": ["app"], "api": ["app", "db"]}}
        with Agent(config) as running:
            running.wait_ready()
            running.ctl("drain", "web", "--reason", "new kernel", "--owner", "night shift", "--for", "forever")
            yield running


def steady(text):
    """With names for what differs each time, and without who happens to have asked before."""
    text = re.sub(r"(?m)^\n.*CONSUMER.*\n(.+\n)*", "", text)
    text = re.sub(r"\x1b\[(\d+)m", lambda m: f"<{INK[m[1]]}>" if m[1] != "0" else "</>", text)
    text = re.sub(r", \d+ workers?, \d+ busy, ended by [a-z.]+", ", <workers>", text)
    text = re.sub(r"20\d\d-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d+Z|T\d\d:00Z)", "<time>", text)
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|us|s|m|h)\b( \d+(ms|s|m)\b)?", "<n>", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "<address>", text)
    text = re.sub(r"vitald \d+\.\d+\.\d+", "vitald <version>", text)
    text = re.sub(r"<(?:dim|red|yellow)>\d+</>", "<n>", text)
    text = re.sub(r" lost_ms=\d+", "", re.sub(r"_ms=\d+(?= |$)", "_ms=<n>", text, flags=re.M).replace(" lost_ms=<n>", ""))
    text = re.sub(r"(?<=history=)[.wF?]+|(?<=first: )[.wF?]+", "<outcomes>", text)
    text = re.sub(r"(?<= )\d+(?= |$)", "<n>", text, flags=re.M)
    lines = [re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines()]
    # A second hour has a second row.
    return "\n".join(line for line, before in zip(lines, ["", *lines]) if line != before or not line.startswith("<time>")) + "\n"


def compare(name, text):
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("VITALD_WRITE_GOLDEN"):
        file.write_text(steady(text))
    assert steady(text) == file.read_text(), f"{name}: VITALD_WRITE_GOLDEN=1 writes it anew, if it is better so"


def test_status(agent):
    compare("status", Terminal("status", socket=agent.socket).whole())


def test_history(agent):
    text = Terminal("history", "db", socket=agent.socket).whole()
    compare("history", text)


def test_events(agent):
    text = Terminal("events", "--event", "overlay_laid,check_state", "--limit", "50", socket=agent.socket).whole()
    lines = [line for line in text.splitlines() if "check=slow" not in line]
    compare("events", "\n".join(sorted(lines, key=lambda line: line.split("Z", 1)[1])) + "\n")


@pytest.mark.parametrize("name, words, code", [
    ("unknown-command", ["statsu"], 64), ("unknown-option", ["status", "--jsno"], 3), ("one-too-many", ["status", "web", "api"], 3),
    ("unknown-check", ["check", "dbb"], 3), ("unknown-service", ["drain", "wbe"], 1), ("help", ["drain", "--help"], 0)])
def test_mistakes_and_help(agent, name, words, code):
    terminal = Terminal(*words, socket=agent.socket)
    compare(name, terminal.whole())
    assert terminal.process.returncode == code


def test_who_waits_for_a_probe_sees_that_something_goes_on_and_nothing_of_it_stays(agent):
    terminal = Terminal("check", "slow", socket=agent.socket)
    try:
        terminal.wait_for(r"\rprobing slow \.\.\. 1 s")
        terminal.wait_for(r"slow\S* \(exec\): ")
        assert "\r\x1b[K" in terminal.seen, "the line of progress is wiped before the answer"
        assert terminal.seen.index("\r\x1b[K") < terminal.seen.index("(exec)")
    finally:
        terminal.whole()
    piped = agent.ctl("check", "slow")
    assert "..." not in piped.stdout + piped.stderr


def test_watch_draws_the_screen_anew_until_it_is_interrupted(agent):
    terminal = Terminal("status", "--watch", socket=agent.socket)
    terminal.wait_for(r"(?s)\x1b\[H\x1b\[2J.*\x1b\[H\x1b\[2J.*web-1")
    terminal.close()
    assert terminal.process.returncode == -signal.SIGINT
