"""A library that is a Meson feature can be left out: what stands in its place still compiles, and nobody else needs it."""
import json
import os
import pathlib
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VITALD_BUILD", ROOT / "build")).resolve()


def test_without_libnghttp2_the_front_has_no_grpc_and_compiles():
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    peer = next(c for c in commands if c["file"].endswith("publish/grpc_peer.cpp"))
    arguments = [a.replace("grpc_peer.cpp", "grpc_absent.cpp") if a.endswith("grpc_peer.cpp") else a for a in shlex.split(peer["command"])]
    for written in ("-o", "-MF", "-MQ"):
        at = arguments.index(written)
        del arguments[at:at + 2]
    arguments = [a for a in arguments if a not in ("ccache", "-MD")]
    done = subprocess.run([*arguments, "-fsyntax-only"], cwd=peer["directory"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    users = [p.name for p in (ROOT / "src").rglob("*.[ch]pp") if "nghttp2/" in p.read_text()]
    assert users == ["grpc_peer.cpp"], "what else includes it would not compile without it"
