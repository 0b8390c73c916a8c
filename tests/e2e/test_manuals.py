"""The manual pages and the shells' completions say what the programs themselves say, and the real man, bash, zsh and fish take
them."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from agent import BUILD, VITALCTL, VITALD, Agent, Listener, free_port, wait_for

MADE = BUILD / "docs" / "man"
PAGES = ["vitald.8", "vitalctl.8", "vitald.yaml.5", "vitald-modules.7"]
PROGRAMS = {"vitald": VITALD, "vitalctl": VITALCTL}


def said(*argv):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL).stdout


def commands(program):
    return re.findall(r"^  ([a-z][\w-]*) ", said(PROGRAMS[program], "--help"), re.M)


def options(program, command):
    return set(re.findall(r"^  (?:-\w, |    )(--[\w-]+)", said(PROGRAMS[program], command, "--help"), re.M))


def shown(page):
    """As a reader sees it, without bold and on lines of any length."""
    environment = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": "", "GROFF_NO_SGR": "1"}
    text = subprocess.run(["man", "--no-hyphenation", "--no-justification", "-l", MADE / page], capture_output=True, text=True, timeout=60, env=environment).stdout
    return " ".join(re.sub(r".\x08", "", text).replace("\u2010", "-").split())


# ---- the pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_man_has_nothing_to_say_against_a_page(page):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", MADE / page], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")


def test_man_would_say_what_is_wrong(tmp_path):
    page = tmp_path / "wrong.8"
    page.write_text((MADE / "vitald.8").read_text() + ".NOSUCH macro\n")
    done = subprocess.run(["man", "--warnings", "-l", "-Tutf8", "-Z", page], capture_output=True, text=True, timeout=60)
    assert "NOSUCH" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_page_has_every_command_and_option_with_its_help(program):
    page = shown(f"{program}.8")
    for command in commands(program):
        text = said(PROGRAMS[program], command, "--help")
        about = " ".join(text.partition("\n\nusage:")[0].split())
        assert about in page, command
        for option in options(program, command) - {"--help", "--version"}:
            assert option in page, f"{command} {option}"
        assert " ".join(text.rpartition("\nexample: ")[2].split()) in page, command


def test_the_page_of_the_configuration_has_every_key():
    page = shown("vitald.yaml.5")
    keys = re.findall(r"^\| `([\w.-]+)` \|", said(VITALD, "check-config", "--reference"), re.M)
    assert len(keys) > 100 and [k for k in keys if k not in page] == []
    assert "`" not in page and "|" not in page.replace(" | ", "")


def test_the_page_of_the_modules_has_every_type_and_option():
    page = shown("vitald-modules.7")
    for line in said(VITALD, "modules").splitlines():
        name, _, summary = line.partition(" ")
        assert summary.strip()[1:] in page, name
    for option in re.findall(r"^  (\w[\w.]*)  ", said(VITALD, "modules", "http"), re.M):
        assert option in page


# ---- the completions -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def agent():
    with Listener() as up:
        checks = {"app": {"type": "tcp", "address": up.address}, "db": {"type": "tcp", "address": f"127.0.0.1:{free_port()}"}}
        with Agent({"checks": checks, "profile": "strict", "services": {"web": ["app"], "api": ["app", "db"]},
                    "failover": {"topologies": {"pair": {"members": {"one": "app", "two": "db"}}}}}) as running:
            yield running


@pytest.fixture(scope="module")
def environment(agent):
    return {"PATH": f"{VITALD.parent}:/usr/bin:/bin", "HOME": str(agent.folder), "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "VITALD_SOCKET": str(agent.socket)}


def needs(shell):
    if shutil.which(shell) is None:
        pytest.fail(f"{shell} is not installed; scripts/test installs it")


def bash(environment, line):
    needs("bash")
    words = line.split(" ")
    quoted = " ".join(f"'{w}'" for w in words)
    script = (f"source {MADE}/{words[0]}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _{words[0]}; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, timeout=30, cwd="/etc")
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


def fish(environment, line):
    needs("fish")
    script = f"source {MADE}/{line.split(' ')[0]}.fish; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True, timeout=30, cwd="/etc")
    assert done.stderr == "", done.stderr
    return {row.split("\t")[0] for row in done.stdout.splitlines()}


class Zsh:
    """An interactive zsh that writes what stands on its line, after a tab, into a file."""

    def __init__(self, environment, folder):
        needs("zsh")
        self.told = folder / "line"
        functions = folder / "functions"
        functions.mkdir()
        for program in PROGRAMS:
            shutil.copy(MADE / f"_{program}", functions)
        (folder / ".zshrc").write_text(
            f"fpath=({functions} $fpath)\nautoload -Uz compinit && compinit -u -D\nPS1='ready> '\nunsetopt beep\n"
            "zstyle ':completion:*' insert-tab false\n"
            f"tell() {{ print -rn -- \"$BUFFER\" > {self.told}.new; mv {self.told}.new {self.told}; BUFFER=''; zle redisplay }}\n"
            "zle -N tell\nbindkey '^X' tell\nbindkey '^I' complete-word\n")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir("/etc")
            os.execvpe("zsh", ["zsh", "-i"], {**environment, "ZDOTDIR": str(folder)})
        self.wait_for_prompt()

    def wait_for_prompt(self):
        seen, end = b"", time.monotonic() + 30
        while b"ready> " not in seen and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.2)[0]:
                seen += os.read(self.terminal, 65536)
        assert b"ready> " in seen, seen

    def __call__(self, line):
        self.told.unlink(missing_ok=True)
        os.write(self.terminal, line.encode() + b"\t\x18")
        wait_for(self.told.exists, 30)
        while select.select([self.terminal], [], [], 0.05)[0]:
            os.read(self.terminal, 65536)
        return self.told.read_text()

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture(scope="module")
def zsh(environment, tmp_path_factory):
    made = Zsh(environment, tmp_path_factory.mktemp("zsh"))
    yield made
    made.close()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", [bash, fish])
def test_a_shell_offers_every_command_and_every_option(environment, program, shell):
    offered = shell(environment, f"{program} ")
    assert set(commands(program)) <= offered
    for command in commands(program):
        missing = options(program, command) - shell(environment, f"{program} {command} --")
        assert not missing, f"{command}: {missing}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_zsh_knows_every_command_and_every_option(program):
    text = (MADE / f"_{program}").read_text()
    for command in commands(program):
        assert re.search(rf"^    '{command}:", text, re.M), command
        arm = re.search(rf"^    {command}\) (.*)", text, re.M)[1]
        for option in options(program, command) - {"--help"}:
            assert f"{option}[" in arm, f"{command} {option}"


@pytest.mark.parametrize("line, wanted", [
    ("vitalctl check ", {"app", "db"}),
    ("vitalctl status ", {"web", "api"}),
    ("vitalctl drain w", {"web"}),
    ("vitalctl availability ", {"app", "db", "web", "api"}),
    ("vitalctl events --check ", {"app", "db"}),
    ("vitalctl lint --as ", {"haproxy", "keepalived", "nginx", "varnish"}),
    ("vitalctl lint /etc/host", {"/etc/hosts", "/etc/hostname"}),
    ("vitalctl report app p", {"pass"}),
    ("vitalctl names topol", {"topologies"}),
    ("vitald modules htt", {"http"}),
    ("vitald -c /etc/hostn", {"/etc/hostname"}),
])
def test_names_are_those_the_agent_knows_now(environment, line, wanted):
    for shell in (bash, fish):
        offered = shell(environment, line)
        assert wanted <= offered, (shell.__name__, offered)
        if len(wanted) == 2 and line.endswith(" "):
            assert offered == wanted, shell.__name__


@pytest.mark.parametrize("typed, line", [
    ("vitalctl maint", "vitalctl maintenance "),
    ("vitalctl drain --reas", "vitalctl drain --reason "),
    ("vitalctl check ap", "vitalctl check app "),
    ("vitalctl status we", "vitalctl status web "),
    ("vitalctl events --check d", "vitalctl events --check db "),
    ("vitalctl lint --as vdown", "vitalctl lint --as vdown"),
    ("vitalctl lint --as var", "vitalctl lint --as varnish "),
    ("vitald check-c", "vitald check-config "),
    ("vitald modules memc", "vitald modules memcached "),
])
def test_zsh_completes_what_is_typed(zsh, typed, line):
    assert zsh(typed) == line


def test_without_an_agent_a_shell_is_not_held_up(environment):
    alone = {**environment, "VITALD_SOCKET": "/nowhere/admin.sock"}
    began = time.monotonic()
    assert bash(alone, "vitalctl check ") == set() == fish(alone, "vitalctl check ")
    assert time.monotonic() - began < 10


def test_names_are_for_scripts_too(agent):
    assert agent.ctl("names", "checks").stdout == "app\ndb\n"
    assert agent.ctl("names", "services", "--json").stdout.split() == ["{", '"names":', "[", '"web",', '"api"', "]", "}"]
    assert agent.ctl("names", "topologies").stdout == "pair\n"
    wrong = agent.ctl("names", "chekcs")
    assert wrong.returncode == 1 and "checks, services, names and topologies" in wrong.stderr
