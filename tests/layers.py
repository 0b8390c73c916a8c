#!/usr/bin/env python3
"""Prints every #include edge that breaks the order of the rooms, and exits 1 if there is one.

The table says what each room may include. A new room adds a row here and a line in meson.build.
"""
import pathlib
import re
import sys

MAY_INCLUDE = {
    "base": set(),
    "core": {"base"},
    "loop": {"base", "core"},
    "modules": {"base", "core", "loop"},
    "outputs": {"base", "core", "loop"},
    "config": {"base", "core", "modules", "outputs", "cluster", "failover"},
    "probe": {"base", "core", "loop", "modules"},
    "trial": {"base", "core", "loop", "modules", "config"},
    "store": {"base", "core", "loop"},
    "cluster": {"base", "core", "loop"},
    "failover": {"base", "core", "loop", "modules"},
    "publish": {"base", "core", "loop"},
    "agent": {"base", "core", "loop", "modules", "config", "probe", "store", "cluster", "failover", "publish",
              "outputs"},
    "ctl": {"base", "core", "loop"},
}
# Third-party headers and the only rooms that may see them.
LIBRARIES = {
    "ev.h": {"loop"},
    "systemd/": {"loop"},
    "yaml-cpp": {"config"},
    "dlfcn.h": {"probe"},
    "httplib.h": {"publish", "ctl"},
    "sqlite3.h": {"store"},
    "curl/": {"cluster", "outputs"},
    "pqxx": set(),
    "ldap.h": set(),
    "mysql": set(),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def broken_edges(root):
    for path in sorted((root / "src").rglob("*.[ch]pp")):
        if path.relative_to(root).parts[:3] == ("src", "failover", "actions"):
            continue  # modules like those of checks/: see below
        room = path.relative_to(root / "src").parts[0]
        if room not in MAY_INCLUDE:
            continue  # main programs at the top of src/ may include every room
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            kind, target = found.groups()
            where = f"{path.relative_to(root)}:{number}"
            if kind == '"':
                other = target.split("/")[0]
                if other in MAY_INCLUDE and other != room and other not in MAY_INCLUDE[room]:
                    yield f"{where}: {room} may not include {other} ({target})"
                if not (root / "src" / target).exists():
                    yield f"{where}: write includes from src/, as in \"base/time.hpp\" ({target})"
            else:
                for library, rooms in LIBRARIES.items():
                    if target.startswith(library) and room not in rooms:
                        yield f"{where}: {room} may not see {library}, only {sorted(rooms) or 'a check module'} may"
    for path in sorted((root / "checks").rglob("*.[ch]pp")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if found and found.group(1) == '"' and not (path.parent / found.group(2)).exists():
                yield f"{path.relative_to(root)}:{number}: a check sees only <vitald/...> and its own folder ({found.group(2)})"


    for path in sorted((root / "src/failover/actions").glob("*.[ch]pp")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found or found.group(1) != '"' or (path.parent / found.group(2)).exists():
                continue
            if not found.group(2).startswith("checks/") or not (root / found.group(2)).exists():
                yield f"{path.relative_to(root)}:{number}: an action sees <vitald/...>, its own folder and checks/ ({found.group(2)})"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    broken = list(broken_edges(root))
    print("\n".join(broken) or "every include follows the order of the rooms")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
