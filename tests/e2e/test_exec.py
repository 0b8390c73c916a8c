"""Other people's checks: Nagios plugins through exec, OCF agents through ocf, processes, and the rogues among them."""
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from worker import worker_probe

PLUGINS = pathlib.Path("/usr/lib/nagios/plugins")
OCF = pathlib.Path("/usr/lib/ocf/resource.d/heartbeat")


def shell(script, timeout="2s", **options):
    return worker_probe("exec", {"command": ["/bin/sh", "-c", script], **options}, timeout=timeout)


def living(mark):
    """Processes that carry `mark` in their command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in line:
            found.append(line)
    return found


@pytest.mark.parametrize("code, verdict, cause", [
    (0, "pass", "none"), (1, "warn", "content"), (2, "fail", "content"), (3, "unknown", "agent"),
    (4, "unknown", "protocol"), (126, "unknown", "config"), (127, "unknown", "config"), (255, "unknown", "protocol")])
def test_exit_codes_mean_what_nagios_says(code, verdict, cause):
    probe = shell(f"echo words; exit {code}")
    assert (probe.verdict, probe.cause) == (verdict, cause)
    assert "words" in probe.text


def test_performance_data_becomes_measures():
    probe = shell("echo \"OK - fine | time=250ms;500;1000;0 'disk /'=7%;80;90 size=2KB load=U cnt=3c;@1:5;~:10\"")
    assert probe.text == "OK - fine"
    assert probe.measures["time"] == 0.25
    assert probe.measures["disk /"] == 7
    assert probe.measures["size"] == 2000
    assert probe.measures["cnt"] == 3
    assert "load" not in probe.measures


def test_the_environment_is_clean_and_nothing_else_is_inherited():
    probe = worker_probe("exec", {"command": ["/bin/sh", "-c", "env | sort | tr '\\n' ' '"], "env": {"ONLY": "this"}},
                         environment={"PATH": "/usr/bin:/bin", "AWS_SECRET_ACCESS_KEY": "canary"})
    assert "canary" not in probe.output
    assert "ONLY=this" in probe.text and "HOME=/" in probe.text
    probe = shell("ls -l /proc/self/fd | grep -vc 'fd\\|total\\|pipe\\|null'")
    assert probe.text == "0", probe.output


def test_a_program_that_is_not_there_is_our_mistake():
    probe = worker_probe("exec", {"command": ["/nonexistent/plugin"]})
    assert (probe.verdict, probe.cause) == ("unknown", "config")
    assert "No such file" in probe.text


def test_a_program_that_everybody_can_write_is_not_run(tmp_path):
    plugin, ran = tmp_path / "plugin", tmp_path / "ran"
    plugin.write_text(f"#!/bin/sh\ntouch {ran}\n")
    plugin.chmod(0o757)
    probe = worker_probe("exec", {"command": [plugin]})
    assert (probe.verdict, probe.cause) == ("unknown", "config")
    assert "it can be written by everybody; chmod o-w it" in probe.text and not ran.exists()
    plugin.chmod(0o755)
    assert worker_probe("exec", {"command": [plugin]}).verdict == "pass" and ran.exists()


@pytest.mark.parametrize("kind", ["exec", "exec_lines"])
def test_a_command_line_in_one_word_is_refused_with_the_configuration(tmp_path, kind):
    with pytest.raises(AssertionError, match="command: is one word .* no shell divides it"):
        worker_probe(kind, {"command": "/bin/echo hi"})
    odd = tmp_path / "a plugin"
    odd.write_text("#!/bin/sh\necho well\n")
    odd.chmod(0o755)
    assert worker_probe("exec", {"command": str(odd)}).text == "well"


def test_a_plugin_that_hangs_is_killed_with_all_its_children_also_those_that_called_setsid():
    mark = f"86{os.getpid()}"
    probe = worker_probe("exec", {"command": [
        "/bin/sh", "-c", f"trap '' TERM; echo working; setsid sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' &); sleep {mark}"]},
        timeout="700ms")
    assert (probe.verdict, probe.cause) == ("fail", "timeout")
    assert "working" in probe.text
    assert probe.seconds < 0.7 + 0.2 + 0.2
    assert living(f"sleep {mark}") == []


def test_a_plugin_that_ends_but_leaves_a_daemon_behind_is_judged_at_once_and_the_daemon_is_killed():
    mark = f"87{os.getpid()}"
    probe = shell(f"echo fine; setsid sleep {mark} & exit 0")
    assert probe.verdict == "pass"
    assert probe.seconds < 1
    assert living(f"sleep {mark}") == []


def test_a_fork_storm_ends_with_nothing_left():
    mark = f"88{os.getpid()}"
    probe = shell(f"i=0; while [ $i -lt 300 ]; do setsid sleep {mark} & i=$((i+1)); done; echo forked; exit 2", timeout="20s")
    assert (probe.verdict, probe.text) == ("fail", "forked")
    assert living(f"sleep {mark}") == []


def test_a_hundred_megabytes_of_output_are_thrown_away_beyond_the_cap():
    probe = worker_probe("exec", {"command": ["/bin/sh", "-c", "echo first; head -c 100000000 /dev/zero; exit 1"]}, timeout="9s")
    assert (probe.verdict, probe.text) == ("warn", "first")
    assert probe.facts["output"] == "cut"


def test_a_plugin_that_stops_itself_is_a_timeout():
    probe = worker_probe("exec", {"command": ["/bin/sh", "-c", "kill -STOP $$; echo never"]}, timeout="500ms")
    assert (probe.verdict, probe.cause) == ("fail", "timeout")


def test_a_plugin_killed_by_a_signal_says_which():
    probe = shell("kill -SEGV $$")
    assert (probe.verdict, probe.cause) == ("unknown", "agent")
    assert "signal 11" in probe.text


def test_a_memory_bound_holds():
    probe = worker_probe("exec", {"command": ["/usr/bin/python3", "-S", "-c", "x = bytearray(900 << 20); print('got it')"],
                                  "max_memory": "268435456"}, timeout="5s")
    assert "got it" not in probe.output


def test_markup_and_control_characters_arrive_as_one_clean_line():
    probe = shell("printf 'red \\033[31m<b>bold</b>\\r\\001 end'")
    assert probe.text == "red [31m<b>bold</b> end"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_it_can_run_as_another_user():
    probe = worker_probe("exec", {"command": ["/usr/bin/id", "-un"], "user": "nobody"})
    assert probe.text == "nobody"
    probe = worker_probe("exec", {"command": ["/usr/bin/id", "-un"], "user": "nobody-of-that-name"})
    assert (probe.verdict, probe.cause) == ("unknown", "config")


# What each plugin that can run without a network says when asked for its version or run on this host.
LOOPBACK = [
    (["check_dummy", "0", "hello"], {"pass"}), (["check_dummy", "2"], {"fail"}), (["check_dummy", "3"], {"unknown"}),
    (["check_procs", "-c", "1:"], {"pass"}), (["check_users", "-w", "1000", "-c", "2000"], {"pass"}),
    (["check_load", "-w", "1000,1000,1000", "-c", "2000,2000,2000"], {"pass"}),
    (["check_disk", "-w", "1%", "-c", "0%", "-p", "/"], {"pass", "warn"}),
    (["check_file_age", "-w", "1000000000", "-c", "1000000000", "/etc/passwd"], {"pass"}),
    (["check_tcp", "-H", "127.0.0.1", "-p", "1", "-t", "1"], {"fail"}),
    (["check_http", "-H", "127.0.0.1", "-p", "1", "-t", "1"], {"fail"}),
    (["check_smtp", "-H", "127.0.0.1", "-p", "1", "-t", "1"], {"fail"}),
    (["check_ssh", "-p", "1", "-t", "1", "127.0.0.1"], {"fail"}),
]


@pytest.mark.parametrize("command, verdicts", LOOPBACK, ids=lambda value: value[0] if isinstance(value, list) else "")
def test_monitoring_plugins_run_unchanged(command, verdicts):
    plugin = PLUGINS / command[0]
    if not plugin.exists():
        pytest.skip(f"{plugin} is not installed")
    probe = worker_probe("exec", {"command": [str(plugin), *command[1:]]}, timeout="10s")
    assert probe.verdict in verdicts, probe.output


def test_every_installed_plugin_ends_in_time_and_means_something():
    plugins = sorted(p for p in PLUGINS.glob("check_*") if p.is_file()) if PLUGINS.exists() else []
    if not plugins:
        pytest.skip("monitoring-plugins are not installed")
    for plugin in plugins:
        probe = worker_probe("exec", {"command": [str(plugin)]}, timeout="1500ms")
        assert probe.verdict in ("pass", "warn", "fail", "unknown"), plugin
        assert probe.seconds < 2, plugin
        assert probe.text, plugin


def test_a_secret_can_be_read_from_its_descriptor_once_and_stands_nowhere_else(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary-42")
    probe = worker_probe("exec", {
        "command": ["/bin/sh", "-c", "read s <&5; echo \"$(echo $s | rev) $(env | grep -c canary) $(tr '\\0' ' ' </proc/$$/cmdline | grep -c 'canary-[4]2') $(cat <&5 | wc -c)\""],
        "secret_file": str(secret), "secret_fd": 5})
    assert probe.text == "24-yranac 0 0 0", probe.output
    probe = worker_probe("exec", {"command": ["/bin/sh", "-c", "ls /proc/self/fd | tr '\\n' ' '"], "secret_file": str(secret), "secret_fd": 3})
    assert probe.text in ("0 1 2 3 4", "0 1 2 3"), probe.text  # 4 is ls's own
    with pytest.raises(AssertionError, match="cannot both have the secret"):
        worker_probe("exec", {"command": ["/bin/true"], "secret_file": str(secret), "secret_fd": 3, "secret_env": "X"})


def test_a_secret_that_the_plugin_repeats_goes_no_further(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary-42")
    probe = worker_probe("exec", {"command": ["/bin/sh", "-c", "read s; echo \"login with $s failed\"; echo \"it was $s\"; exit 2"],
                                  "secret_file": str(secret)})
    assert (probe.verdict, probe.text, probe.facts["more"]) == ("fail", "login with *** failed", "it was ***"), probe.output
    assert "canary" not in probe.output


def test_a_file_of_variables_is_read_for_each_run(tmp_path):
    path = tmp_path / "env"
    path.write_text("# of the orders\nQUEUE=orders=all\n\nLIMIT=5\n")
    show = {"command": ["/bin/sh", "-c", "echo $QUEUE $LIMIT"], "env_file": str(path)}
    assert worker_probe("exec", show).text == "orders=all 5"
    path.write_text("QUEUE canary\n")
    wrong = worker_probe("exec", show)
    assert (wrong.verdict, wrong.cause) == ("unknown", "config")
    assert "line 1 is not NAME=VALUE" in wrong.text and "canary" not in wrong.output
    path.unlink()
    assert worker_probe("exec", show).cause == "config"
    with pytest.raises(AssertionError, match="absolute path"):
        worker_probe("exec", {**show, "env_file": "relative"})


def test_limits_bind_the_command_and_what_it_starts(tmp_path):
    assert worker_probe("exec", {"command": ["/bin/sh", "-c", "ulimit -n; :"], "max_files": 17}).text == "17"
    assert worker_probe("exec", {"command": ["/bin/sh", "-c", "ulimit -p; :"], "max_processes": 33}).text == "33"
    grows = worker_probe("exec", {"command": ["/bin/sh", "-c", f"head -c 100000 /dev/zero >{tmp_path}/big; exit 2"],
                                  "max_file_size": "10240"})
    assert grows.verdict == "fail" and (tmp_path / "big").stat().st_size <= 10240


def test_long_output_and_ranges_are_kept():
    probe = shell("printf 'OK | a=5;@1:10;~:20\\nline two\\nline three | b=2\\n'")
    assert (probe.verdict, probe.text) == ("pass", "OK")
    assert probe.facts["more"] == "line two; line three"
    assert probe.facts["warn_range.a"] == "@1:10" and probe.facts["fail_range.a"] == "~:20"
    assert probe.measures["b"] == 2


# ---- OCF ------------------------------------------------------------------------------------------------------------


def ocf_agent(tmp_path, code, words="words"):
    path = tmp_path / "agent"
    path.write_text(f"#!/bin/sh\n[ \"$1\" = monitor ] || exit 3\necho {words} $OCF_RESKEY_answer $OCF_CHECK_LEVEL\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("code, verdict, cause", [
    (0, "pass", "none"), (1, "fail", "content"), (2, "unknown", "config"), (3, "unknown", "config"), (4, "unknown", "config"),
    (5, "unknown", "config"), (6, "unknown", "config"), (7, "fail", "content"), (8, "pass", "none"), (9, "fail", "content"),
    (190, "warn", "content"), (191, "warn", "content"), (77, "unknown", "protocol")])
def test_ocf_exit_codes_mean_what_pacemaker_says(tmp_path, code, verdict, cause):
    probe = worker_probe("ocf", {"agent": ocf_agent(tmp_path, code)})
    assert (probe.verdict, probe.cause) == (verdict, cause), probe.output


def test_ocf_the_reason_of_resource_agents_stands_without_its_mark(tmp_path):
    probe = worker_probe("ocf", {"agent": ocf_agent(tmp_path, 7, "ocf-exit-reason:no pidfile")})
    assert probe.text.endswith("is not running: no pidfile 0"), probe.text


def test_ocf_parameters_and_the_check_level_go_by_environment(tmp_path):
    probe = worker_probe("ocf", {"agent": ocf_agent(tmp_path, 1), "parameters": {"answer": "42"}, "check_level": 10})
    assert "words 42 10" in probe.text


def test_ocf_a_wanted_role_is_judged(tmp_path):
    probe = worker_probe("ocf", {"agent": ocf_agent(tmp_path, 0), "role": "promoted"})
    assert (probe.verdict, probe.cause) == ("fail", "role")
    probe = worker_probe("ocf", {"agent": ocf_agent(tmp_path, 8), "role": "promoted"})
    assert (probe.verdict, probe.facts["role"]) == ("pass", "promoted")


@pytest.mark.long
def test_every_installed_ocf_agent_with_metadata_answers_monitor_in_time():
    agents = sorted(p for p in OCF.glob("*") if os.access(p, os.X_OK)) if OCF.exists() else []
    if not agents:
        pytest.skip("resource-agents are not installed")
    seen = {}
    for agent in agents:
        probe = worker_probe("ocf", {"agent": f"heartbeat:{agent.name}"}, timeout="1500ms")
        assert probe.seconds < 2, agent
        assert probe.text
        seen[agent.name] = f"{probe.verdict}/{probe.cause}"
    # Nothing is configured here: no agent may claim that its service runs.
    assert seen.get("Dummy") in (None, "fail/content")
    assert seen.get("IPaddr2") in (None, "unknown/config")


# ---- process --------------------------------------------------------------------------------------------------------


def test_a_process_is_found_by_name_pidfile_and_command_line(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "vitald-process-mark"]) as child:
        try:
            time.sleep(0.1)
            comm = pathlib.Path(f"/proc/{child.pid}/comm").read_text().strip()
            assert worker_probe("process", {"name": comm}).verdict == "pass"
            found = worker_probe("process", {"command": "vitald-process-mark$", "max_count": 1})
            assert (found.verdict, found.facts["pid"]) == ("pass", str(child.pid)), found.output
            pidfile = tmp_path / "pid"
            pidfile.write_text(f"{child.pid}\n")
            assert worker_probe("process", {"pidfile": pidfile}).verdict == "pass"
            stale = worker_probe("process", {"pidfile": pidfile, "name": "nginx"})
            assert stale.verdict == "fail" and "stale" in stale.text
            young = worker_probe("process", {"command": "vitald-process-mark$", "min_age": "1000h"})
            assert young.verdict == "warn"
            big = worker_probe("process", {"command": "vitald-process-mark$", "fail_memory": "1KiB"})
            assert big.verdict == "fail"
        finally:
            child.kill()
    gone = worker_probe("process", {"pidfile": pidfile})
    assert (gone.verdict, gone.cause) == ("fail", "content")


def test_too_few_and_too_many_processes_fail():
    assert worker_probe("process", {"name": "no-such-program"}).verdict == "fail"
    assert worker_probe("process", {"command": ".", "max_count": 1}).verdict == "fail"
    assert re.search("at most 1", worker_probe("process", {"command": ".", "max_count": 1}).text)
