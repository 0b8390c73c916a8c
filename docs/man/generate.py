#!/usr/bin/env python3
"""Makes the manual pages and the shells' completions from what the programs say of themselves.

    generate.py man PAGE OUTPUT BINDIR VERSION            PAGE: vitald.8, vitalctl.8, vitald.yaml.5, vitald-modules.7
    generate.py completion SHELL PROGRAM OUTPUT BINDIR    SHELL: bash, zsh, fish

The commands, options and examples are those of `--help`; the keys those of `vitald check-config --reference`; the checks and
their options those of `vitald modules`. Only what no program says of itself is written by hand, in PAGE.md beside this file.
"""
import json
import pathlib
import re
import subprocess
import sys

import completion
import roff

HERE = pathlib.Path(__file__).resolve().parent
TITLES = {
    "vitald.8": "health-check agent that answers load balancers and cluster managers",
    "vitalctl.8": "what the agent of this host sees, and how to tell it something",
    "vitald.yaml.5": "configuration of vitald",
    "vitald-modules.7": "check types of vitald and their options",
}


def said_by(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"{program.name} {' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


class Option:
    LINE = re.compile(r"^  (?:-(?P<letter>\w), |    )--(?P<name>[\w-]+)(?: (?P<value>[A-Z][A-Z-]*))? +(?P<help>.*)$")

    def __init__(self, line):
        found = self.LINE.match(line)
        if found is None:
            sys.exit(f"this is no option: {line}")
        self.letter, self.name, self.value, self.help = found["letter"], found["name"], found["value"], found["help"]


class Command:
    """One command, read from its --help."""

    def __init__(self, name, summary, text):
        self.name, self.summary = name, summary
        about, _, rest = text.partition("\n\nusage: ")
        usage, _, rest = rest.partition("\n\n")
        options, _, example = rest.partition("\n\nexample: ")
        if not example:
            sys.exit(f"the help of {name} is not as cmd/arguments.cpp prints it:\n{text}")
        self.about, self.usage, self.example = about, " ".join(usage.split()), example.strip()
        self.options = [Option(line) for line in options.splitlines()]


class Program:
    def __init__(self, path):
        self.path, self.name = path, path.name
        text = said_by(path, "--help")
        listed = re.findall(r"^  ([a-z][\w-]*) +(\S.*)$", text, re.M)
        self.commands = [Command(name, summary, said_by(path, name, "--help")) for name, summary in listed]


def command_sections(program):
    out = []
    for command in program.commands:
        out += [f".SS {program.name} {roff.text(command.name)}", f".B {roff.text(command.usage)}", ".PP", roff.text(command.about)]
        for option in command.options:
            if option.name in ("help", "version"):
                continue
            name = (f"-{option.letter}, " if option.letter else "") + f"--{option.name}"
            out += [".TP", rf"\fB{roff.text(name)}\fR" + (rf" \fI{option.value}\fR" if option.value else ""), roff.text(option.help)]
        out += [".PP", "Example:", ".PP", ".RS 4", ".nf", roff.text(command.example), ".fi", ".RE"]
    return out


def synopsis(program):
    out = [".SH SYNOPSIS"]
    for command in program.commands:
        words = command.usage.split(" ", 2)
        out += [rf"\fB{roff.text(' '.join(words[:2]))}\fR {roff.text(words[2] if len(words) > 2 else '')}".rstrip(), ".br"]
    return out[:-1]


def modules_page(vitald):
    out = []
    for module in sorted(json.loads(said_by(vitald, "modules", "--json"))["modules"], key=lambda m: m["type"]):
        if "error" in module:
            sys.exit(f"{module['type']}: {module['error']}")
        out += [f".SS {roff.text(module['type'])}", roff.text(module["summary"][:1].upper() + module["summary"][1:] + ".")]
        if not module["options"]:
            out += [".PP", "It has no options but those every check has."]
        for option in module["options"]:
            facts = [" | ".join(option["choices"]) if option.get("choices") else "path of a file" if option["secret"] else option["type"]]
            facts += ["required"] if option["required"] else []
            facts += [f"default {option['default'] or 'empty'}"] if option["default"] is not None else []
            out += [".TP", rf"\fB{roff.text(option['name'])}\fR ({roff.text(', '.join(facts))})", roff.text(option["help"])]
            if option.get("example"):
                out += [".br", rf"E.g. \fB{roff.text(option['name'])}: {roff.text(option['example'])}\fR"]
    return out


def man(page, bindir, version):
    name, section = page.rsplit(".", 1)
    written = roff.from_markdown((HERE / f"{page}.md").read_text())
    out = [r".\" Made by docs/man/generate.py from what the programs say of themselves.",
           f'.TH {roff.text(name.upper())} {section} "" "vitald {version}" "vitald"', ".SH NAME", rf"{roff.text(name)} \- {TITLES[page]}"]
    if section == "8":
        program = Program(bindir / name)
        out += [*synopsis(program), *written["before"], ".SH COMMANDS", *command_sections(program), *written["after"]]
    elif page == "vitald.yaml.5":
        keys = roff.from_markdown(said_by(bindir / "vitald", "check-config", "--reference"))
        out += [*written["before"], ".SH KEYS", *keys["before"], *written["after"]]
    else:
        out += [*written["before"], ".SH TYPES", *modules_page(bindir / "vitald"), *written["after"]]
    return "\n".join(out) + "\n"


def main(argv):
    if argv[:1] == ["man"] and len(argv) == 5:
        _, page, output, bindir, version = argv
        text = man(page, pathlib.Path(bindir), version)
    elif argv[:1] == ["completion"] and len(argv) == 5:
        _, shell, name, output, bindir = argv
        text = completion.write(shell, Program(pathlib.Path(bindir) / name))
    else:
        sys.exit(__doc__)
    pathlib.Path(output).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
