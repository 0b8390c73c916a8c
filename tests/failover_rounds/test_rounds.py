"""Each fault once, or VITALD_ROUNDS rounds, as `run` does them. They take minutes: part of scripts/test --long."""
import os
import pathlib
import subprocess
import sys

import pytest

import netns

RUN = str(pathlib.Path(__file__).with_name("run"))
pytestmark = [pytest.mark.timeout(7200),
              pytest.mark.skipif("VITALD_LONG" not in os.environ, reason="takes minutes; scripts/test --long sets VITALD_LONG")]


@pytest.mark.parametrize("what", [["postgres"], ["postgres", "--asynchronous"], ["mariadb", "--faults", "kill -9 of,freeze"], ["ldap"]], ids=lambda what: " ".join(what[:2]))
def test_no_fault_loses_what_was_acknowledged_or_leaves_two_primaries(what):
    netns.require()
    rounds = ["--rounds", os.environ["VITALD_ROUNDS"]] if "VITALD_ROUNDS" in os.environ else []
    done = subprocess.run([sys.executable, "-B", RUN, *what, *rounds], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=7100, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
