"""What `meson install` leaves: everything in its place, and a daemon that finds its parts there."""
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from agent import BUILD, ROOT, Agent, fetch, wait_for


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The root of an installation, and the prefix within it."""
    root = tmp_path_factory.mktemp("root")
    meson = shutil.which("meson") or "/usr/bin/meson"
    done = subprocess.run([meson, "install", "-C", BUILD, "--no-rebuild", "--destdir", root], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    prefix = next(p.parent.parent for p in root.rglob("vitalctl") if p.parent.name == "bin")
    return root, prefix


def find(root, name):
    found = [p for p in root.rglob(name) if p.is_file()]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def test_everything_is_in_its_place(installed):
    root, prefix = installed
    for program in ("bin/vitald", "bin/vitalctl", "libexec/vitald/vitald-worker"):
        assert os.access(prefix / program, os.X_OK), program
    modules = {p.stem for p in find(root, "disk.so").parent.iterdir()}
    assert {"disk", "memory", "load", "tcp"} <= modules and find(root, "disk.so").parent.parts[-2:] == ("vitald", "checks")
    for header in ("module.h", "check.hpp", "child.hpp", "ext/loop.h", "ext/resolve.h", "ext/log.h", "ext/spawn.h"):
        assert (prefix / "include" / "vitald" / header).exists(), header
    assert find(root, "vitald.service").parent == prefix / "lib/systemd/system"
    assert find(root, "vitald.socket").parent == prefix / "lib/systemd/system"
    assert find(root, "vitald.yaml.example").parent.name == "vitald"
    for page in ("man8/vitald.8", "man8/vitalctl.8", "man5/vitald.yaml.5", "man7/vitald-modules.7"):
        assert (prefix / "share/man" / page).exists(), page
    for program in ("vitald", "vitalctl"):
        for place in (f"bash-completion/completions/{program}", f"zsh/site-functions/_{program}", f"fish/vendor_completions.d/{program}.fish"):
            assert (prefix / "share" / place).exists() or (prefix / "share" / place.replace("site-functions", "vendor-completions")).exists(), place
    assert not list(root.rglob("vitald.yaml")), "an upgrade must not touch a configuration"
    for path in root.rglob("*"):
        assert not path.stat().st_mode & 0o022, f"{path} may be written by others"


def test_the_installed_daemon_finds_its_worker_and_modules(installed):
    root, prefix = installed
    agent = Agent({"checks": {"disk": {"type": "disk", "path": "/", "warn_free": "1%", "fail_free": "0%"}}}, start=False)
    process = subprocess.Popen([prefix / "bin/vitald", "run", "-c", agent.config_file], cwd="/",
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: fetch(agent.socket, "/health").status == 200, 20)
        links = [os.readlink(f"/proc/{pid}/exe") for pid in
                 pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        assert str(prefix / "libexec/vitald/vitald-worker") in links
        done = subprocess.run([prefix / "bin/vitalctl", "status", "--socket", agent.socket], capture_output=True, text=True,
                              timeout=20)
        assert done.returncode == 0 and "disk" in done.stdout
    finally:
        process.terminate()
        assert process.wait(15) == 0
        agent.stop()


def test_the_example_configuration_is_valid_there(installed):
    root, prefix = installed
    done = subprocess.run([prefix / "bin/vitald", "check-config", "-c", find(root, "vitald.yaml.example")],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pkg_config_tells_where_modules_go_and_a_module_builds_with_it(installed, tmp_path):
    root, prefix = installed
    package = find(root, "vitald.pc")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(package.parent), "PKG_CONFIG_SYSROOT_DIR": str(root)}

    def ask(*what):
        return subprocess.run(["pkg-config", *what, "vitald"], env=environment, capture_output=True, text=True, check=True,
                              timeout=10).stdout.strip()
    assert re.match(r"\d+\.\d+", ask("--modversion"))
    assert find(root, "disk.so").parent == root / ask("--variable=checksdir").removeprefix(str(root)).lstrip("/")
    flags = ask("--cflags").split() or [f"-I{prefix}/include"]
    for source, compiler, standard in (("uptime.c", "gcc", "c99"), ("spool.cpp", "g++", "c++17")):
        subprocess.run([compiler, f"-std={standard}", "-fPIC", "-shared", *flags, "-o", tmp_path / f"{source}.so",
                        ROOT / "docs/examples/module" / source], check=True, timeout=120)


@pytest.fixture
def stranger(installed, tmp_path):
    """Somebody who has the installation and nothing of our source: where he works, and his environment."""
    root, prefix = installed
    environment = {**os.environ, "PKG_CONFIG_PATH": str(find(root, "vitald.pc").parent), "PKG_CONFIG_SYSROOT_DIR": str(root),
                   "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}
    place = tmp_path / "stranger"
    place.mkdir()
    return place, environment


def run(stranger, *words, timeout=200):
    place, environment = stranger
    done = subprocess.run([str(w) for w in words], cwd=place, env=environment, capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{words}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="a module must belong to root")
def test_from_an_empty_directory_to_a_green_check(installed, stranger, record_property):
    """The ten minutes of docs/writing-a-module.md, with its own commands; the machine's share of them."""
    root, prefix = installed
    place, _ = stranger
    began = time.monotonic()
    example = root / "usr/local/share/doc/vitald/examples/module/spool.cpp"
    shutil.copy(example if example.exists() else find(root, "spool.cpp"), place)
    flags = run(stranger, "pkg-config", "--cflags", "vitald").split()
    run(stranger, "g++", "-std=c++17", "-O2", "-fPIC", "-shared", *flags, "-o", "spool.so", "spool.cpp")
    assert "all is well" in run(stranger, "vitald", "module-test", "--no-valgrind", "./spool.so", "path=/etc")
    modules = place / "modules"
    run(stranger, "install", "-D", "-m", "644", "spool.so", modules / "spool.so")
    place.chmod(0o755)
    (place / "vitald.yaml").write_text(
        f"profile: strict\nmodule_path: [{modules}]\nstate_dir: {place}/state\n"
        f"listen: {{health: {{address: '127.0.0.1:0'}}, admin: {{socket: {place}/admin.sock}}}}\n"
        "checks:\n  outgoing: {type: spool, path: /etc, warn: 5000, fail: 50000}\n")
    assert "ok" in run(stranger, "vitald", "check-config", "-c", "vitald.yaml")
    assert "files wait in /etc" in run(stranger, "vitald", "probe", "-c", "vitald.yaml", "outgoing")
    process = subprocess.Popen([prefix / "bin/vitald", "run", "-c", place / "vitald.yaml"], cwd="/",
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: fetch(place / "admin.sock", "/health/default/outgoing").status == 200, 30)
    finally:
        process.terminate()
        assert process.wait(15) == 0
    record_property("seconds", time.monotonic() - began)
    print(f"from an empty directory to a green check in {time.monotonic() - began:.1f} s")


@pytest.mark.long
def test_the_example_project_builds_tests_and_installs_itself_with_what_is_installed(installed, stranger):
    root, prefix = installed
    place, environment = stranger
    for file in find(root, "spool.cpp").parent.iterdir():
        shutil.copy(file, place)
    assert str(root) in run(stranger, "pkg-config", "--cflags", "vitald"), "the headers are the installed ones"
    meson = shutil.which("meson") or "/usr/bin/meson"
    run(stranger, meson, "setup", "build", "-Dwerror=true", "--prefix=/usr/local")
    run(stranger, meson, "compile", "-C", "build")
    run(stranger, meson, "test", "-C", "build", timeout=280)
    run(stranger, meson, "install", "-C", "build", "--no-rebuild", "--destdir", place / "out")
    built = {p.stem for p in (place / "out/usr/local/lib/vitald/modules").iterdir()}
    assert built == {"spool", "uptime", "banner", "depth"}
    listed = run(stranger, "vitald", "modules", "--module-path", place / "out/usr/local/lib/vitald/modules")
    assert all(re.search(rf"^{name} ", listed, re.M) for name in built) and "cannot be used" not in listed


@pytest.fixture
def unit(installed, tmp_path):
    """The installed unit, with the program where it really lies in this test."""
    root, prefix = installed
    text = find(root, "vitald.service").read_text()
    program = re.search(r"^ExecStart=(\S+)", text, re.M).group(1)
    assert root / program.lstrip("/") == prefix / "bin/vitald"
    path = tmp_path / "vitald.service"
    path.write_text(text.replace(program, str(prefix / "bin/vitald")))
    return path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_has_nothing_to_say_against_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_sandbox_of_the_unit_is_tight(unit):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=30", unit], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


def test_a_bad_configuration_does_not_make_systemd_try_for_ever(unit):
    text = unit.read_text()
    assert "RestartPreventExitStatus=78" in text and "Restart=on-failure" in text and "Type=notify" in text
