"""The public headers stand alone in every dialect a module may be written in, and the checks need nothing else of ours."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLIC = sorted(p.relative_to(ROOT / "include") for p in (ROOT / "include").rglob("*.h"))
FACES = sorted(p.relative_to(ROOT / "include") for p in (ROOT / "include").rglob("*.hpp"))
BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", ROOT / "build")).resolve()
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-pedantic-errors", "-Werror", "-Wshadow", "-Wcast-qual", "-fsyntax-only"]
COMPILERS = {"c": ["gcc", "clang-19"], "c++": ["g++", "clang++-19"]}


def compile_text(compiler, language, standard, text, *arguments):
    if shutil.which(compiler) is None:
        pytest.fail(f"{compiler} is not installed; scripts/test installs it")
    done = subprocess.run([compiler, "-x", language, f"-std={standard}", *STRICT, *arguments, "-"], input=text,
                          capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def cases(headers, language, standards):
    return [pytest.param(compiler, standard, header, id=f"{compiler}-{standard}-{header}")
            for compiler in COMPILERS[language] for standard in standards for header in headers]


@pytest.mark.parametrize("compiler, standard, header", cases(PUBLIC, "c", ["c99", "c11"]))
def test_a_c_header_compiles_alone_as_c(compiler, standard, header):
    code, errors = compile_text(compiler, "c", standard, f"#include <vitald/{header.relative_to('vitald')}>\n"
                                "typedef int not_an_empty_file;\n", f"-I{ROOT}/include")
    assert code == 0, errors


@pytest.mark.parametrize("compiler, standard, header", cases(PUBLIC + FACES, "c++", ["c++17", "c++20"]))
def test_a_header_compiles_alone_as_cpp(compiler, standard, header):
    code, errors = compile_text(compiler, "c++", standard, f"#include <{header}>\n", f"-I{ROOT}/include")
    assert code == 0, errors


def test_a_header_that_is_not_c99_would_be_seen():
    code, errors = compile_text("gcc", "c", "c99", "struct s { int a; struct { int b; }; };\n")
    assert code != 0 and "unnamed" in errors


FUNCTION = re.compile(r"\(\*(\w+)\)\(|\b(vital_module_entry)\(")
THREAD = re.compile(r"\[(control|worker|loop|any)\]")


def functions(text):
    """Every function of a C header with the comment that stands before it. Its first is the function, others its callbacks."""
    comments = re.findall(r"/\*.*?\*/", text, re.S)
    count = iter(range(len(comments)))
    bare = re.sub(r"/\*.*?\*/", lambda _: f"@{next(count)}@", text, flags=re.S)
    comment = ""
    for statement in re.split(r"[;{}]", re.sub(r"^#.*", "", bare, flags=re.M)):
        found = FUNCTION.search(statement)
        before = re.findall(r"@(\d+)@", statement[:found.start()] if found else "")
        if before:
            comment = comments[int(before[-1])]
        if found:
            yield found[1] or found[2], comment


@pytest.mark.parametrize("header", PUBLIC, ids=str)
def test_every_function_says_which_thread_calls_it(header):
    silent = [name for name, comment in functions((ROOT / "include" / header).read_text()) if not THREAD.search(comment)]
    assert not silent


def test_the_functions_of_the_headers_are_found():
    found = [name for header in PUBLIC for name, _ in functions((ROOT / "include" / header).read_text())]
    assert {"create", "destroy", "probe", "cancel", "finish", "service", "write", "watch", "timer", "resolve", "start",
            "give_up", "now", "vital_module_entry"} <= set(found)


def test_frozen_headers_are_never_edited():
    """They are what strangers have built with. A digest is not edited by accident."""
    told = (ROOT / "tests/modules/frozen/0.1/sha256").read_text().split("\n")
    for line in filter(None, told):
        digest, name = line.split()
        content = (ROOT / "tests/modules/frozen/0.1" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, f"{name} was published and may not change"


def test_the_checks_see_only_the_public_headers_of_ours():
    """Asks ninja which files the compiler really opened for each object of checks/."""
    listing = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"], capture_output=True, text=True, timeout=60).stdout
    opened = {}
    for block in listing.split("\n\n"):
        target, *files = block.splitlines() or [""]
        if target.startswith("checks/"):
            files = [(BUILD / f.strip()).resolve() for f in files]
            opened[target.split(":")[0]] = [f.relative_to(ROOT) for f in files if f.is_relative_to(ROOT)]
    sources = [str(p.relative_to(ROOT)) for p in (ROOT / "checks").rglob("*.cpp")]
    compiled = {str(f) for files in opened.values() for f in files}
    assert compiled >= set(sources), "every source of checks/ is built"
    foreign = {t: f for t, files in opened.items() for f in files if f.parts[0] not in ("include", "checks")}
    assert not foreign
