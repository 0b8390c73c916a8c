"""The public headers stand alone in every dialect a module may be written in, and the checks need nothing else of ours."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLIC = sorted(p.relative_to(ROOT / "include") for p in (ROOT / "include").rglob("*.h"))
FACES = sorted(p.relative_to(ROOT / "include") for p in (ROOT / "include").rglob("*.hpp"))
CHECKS = sorted((ROOT / "checks").rglob("*.cpp"))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-pedantic-errors", "-Werror", "-Wshadow", "-Wcast-qual", "-fsyntax-only"]
COMPILERS = {"c": ["gcc", "clang-19"], "c++": ["g++", "clang++-19"]}
LIBRARIES = ["libpq", "libpqxx", "libcurl", "openssl", "ldap", "libsystemd"]


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


@pytest.mark.parametrize("source", CHECKS, ids=lambda p: str(p.relative_to(ROOT / "checks")))
def test_a_check_compiles_with_the_public_headers_alone(source):
    flags = [flag for name in LIBRARIES for flag in subprocess.run(
        ["pkg-config", "--cflags", name], capture_output=True, text=True, check=False).stdout.split()]
    done = subprocess.run(["g++", "-std=c++20", "-D_GNU_SOURCE", "-fsyntax-only", f"-I{ROOT}/include", *flags, source],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
