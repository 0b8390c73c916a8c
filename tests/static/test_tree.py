"""What can be seen of the source tree without building it: format, scripts, the papers a project needs."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted(p for d in ("include", "src", "checks", "tests") for e in ("*.cpp", "*.hpp", "*.h", "*.c")
                 for p in (ROOT / d).rglob(e))
SCRIPTS = [*sorted((ROOT / "scripts").iterdir()), ROOT / ".ci/run"]


def names(paths):
    return [str(p.relative_to(ROOT)) for p in paths]


def test_every_source_is_formatted():
    tool = shutil.which("clang-format-14")
    assert tool, "clang-format-14 is not installed; scripts/test installs it"
    done = subprocess.run([tool, "--dry-run", "-Werror", "--ferror-limit=1", *map(str, SOURCES)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    files = sorted({line.split(":")[0].removeprefix(f"{ROOT}/") for line in done.stderr.splitlines() if "error:" in line})
    assert done.returncode == 0, "run clang-format-14 -i on: " + " ".join(files)


def test_no_source_is_longer_than_600_lines():
    long = {n: k for n, p in zip(names(SOURCES), SOURCES) if (k := len(p.read_text().splitlines())) > 600}
    assert not long


def test_nothing_is_left_for_later():
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    found = [f"{n}:{i}" for n, p in zip(names(SOURCES), SOURCES)
             for i, line in enumerate(p.read_text().splitlines(), 1) if word.search(line)]
    assert not found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_a_script_is_valid_shell(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_every_room_says_what_it_is():
    rooms = [d for d in [*(ROOT / "src").iterdir(), ROOT / "checks", ROOT / "include", ROOT / "tests"]
             if d.is_dir() and any(p.is_file() for p in d.rglob("*"))]
    missing = [str(r.relative_to(ROOT)) for r in rooms
               if r.name != "cmd" and not (r / "README.md").exists()]
    assert not missing


def test_links_between_documents_lead_somewhere():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_each_rule_of_safe_failover_names_tests_that_are_there():
    rows = re.findall(r"^\| (R\d+) \|[^|]*\| (.*) \|$", (ROOT / "tests/core/failover/README.md").read_text(), re.M)
    assert [rule for rule, _ in rows] == [f"R{i}" for i in range(1, 37)]
    missing = []
    for rule, tests in rows:
        for path, name in re.findall(r"(tests/\S+\.(?:cpp|py)): ([^;|]+)", tests):
            start = f"def test_{name.strip()}" if path.endswith(".py") else f'TEST_CASE("{name.strip()}'
            if not (ROOT / path).exists() or start not in (ROOT / path).read_text():
                missing.append(f"{rule}: {path}: {name}")
    assert not missing
