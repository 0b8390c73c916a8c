"""The completions of bash, zsh and fish, all from one reading of a program's --help: commands, options, what an option's value and
an operand may be. Names of checks, services and topologies are asked of the running agent (`vitalctl names`); without one there
are none."""
import re
import shlex

NAMED = {"SERVICE": "services", "CHECK": "checks", "TOPOLOGY": "topologies", "TYPE": "types", "FILE": "files", "PATH": "files",
         "FILE.so": "files", "DIRECTORY": "directories"}
ASKED = ("checks", "services", "names", "topologies")


def kind_of(command, word):
    if word == "NAME":
        return "names" if command == "availability" else "checks"
    return NAMED.get(word, "nothing")


def operands(command):
    """What stands where behind the command: ["services"], ["checks", "words:pass,warn,fail,unknown"]; the last may be "files..."."""
    words = command.usage.split(" ", 2)[2] if command.usage.count(" ") > 1 else ""
    words = re.sub(r"-c \S+", "", words.replace("[OPTION]...", ""))
    while (less := re.sub(r"\[(?:-|[^\[\]]*\s-)[^\[\]]*\]", "", words)) != words:
        words = less
    out = []
    for word in re.sub(r"(?<=\w) *\| *(?=\w)", "|", words).split():
        bare = word.strip("[].") if not word.endswith("]...") else word[1:-4]
        if bare.startswith("-") or not bare:
            continue
        kind = "words:" + bare.replace("|", ",") if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", bare) else kind_of(command.name, bare)
        out.append(kind + ("..." if word.endswith("...") else ""))
    return out


def value_of(option):
    if option.value is None:
        return None
    if option.name in ("check", "service"):
        return option.name + "s"
    if option.value == "NAME":
        return "nothing"
    listed = re.match(r"^((?:[a-z]+, )+[a-z]+ or [a-z]+)\b", option.help)
    return "words:" + re.sub(r", | or ", ",", listed[1]) if listed else kind_of("", option.value)


def function_name(program):
    return "_" + program.name


BASH = r"""# Completion of @PROGRAM@ for bash. Made by docs/man/generate.py.
@FUNCTION@_offer() {
  local kind=${1%...} found
  case $kind in
    words:*) found=${kind#words:} && found=${found//,/ } ;;
    files | directories)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen "-${kind:0:1}" -- "$current")
      return
      ;;
    types) found=$(vitald modules 2>/dev/null | cut -d' ' -f1) ;;
    nothing) return ;;
    *) found=$(vitalctl ${socket:+--socket "$socket"} names "$kind" 2>/dev/null) ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current")
}

@FUNCTION@() {
  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' socket='' word i
  local options='@EARLY@' values='@EARLY_VALUES@' operands='' seen=0
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == --socket ]]; then
      socket=${COMP_WORDS[i + 1]}
      ((++i))
    elif [[ $word == -* ]]; then
      [[ " $values " != *" $word="* ]] || ((++i))
    elif [[ -z $command ]]; then
      command=$word
      case $command in
@ARMS@
      esac
    else
      ((++seen))
    fi
  done
  local pair
  for pair in $values; do
    if [[ $before == "${pair%%=*}" ]]; then
      @FUNCTION@_offer "${pair#*=}"
      return
    fi
  done
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W '@COMMANDS@' -- "$current")
  else
    local -a kinds
    read -ra kinds <<<"$operands"
    if ((seen < ${#kinds[@]})); then
      @FUNCTION@_offer "${kinds[seen]}"
    elif ((${#kinds[@]} > 0)) && [[ ${kinds[-1]} == *... ]]; then
      @FUNCTION@_offer "${kinds[-1]}"
    fi
  fi
}
complete -F @FUNCTION@ @PROGRAM@
"""


def flags(option):
    return ([f"-{option.letter}"] if option.letter else []) + [f"--{option.name}"]


def bash_values(options):
    return " ".join(f"{flag}={value_of(o)}" for o in options if o.value for flag in flags(o))


def early(program):
    """Options that may stand before the command."""
    named = {"vitalctl": ["socket"], "vitald": ["config"]}[program.name]
    found = {o.name: o for c in program.commands for o in c.options if o.name in named}
    return list(found.values())


def bash(program):
    arms = []
    for c in program.commands:
        words = " ".join(flag for o in c.options for flag in flags(o))
        arms.append(f"        {c.name}) options='{words}' values='{bash_values(c.options)}' "
                    f"operands='{' '.join(operands(c))}' ;;")
    fill = {"PROGRAM": program.name, "FUNCTION": function_name(program), "ARMS": "\n".join(arms),
            "COMMANDS": " ".join(c.name for c in program.commands), "EARLY_VALUES": bash_values(early(program)),
            "EARLY": " ".join([*(flag for o in early(program) for flag in flags(o)), "--help", "--version"])}
    return re.sub(r"@([A-Z_]+)@", lambda m: fill[m[1]], BASH)


def zsh_text(words):
    return re.sub(r"([\[\]:\\])", r"\\\1", words).replace("'", r"'\''")


def zsh_action(kind, function):
    kind = kind.removesuffix("...")
    if kind.startswith("words:"):
        return f"({kind[6:].replace(',', ' ')})"
    return {"files": "_files", "directories": "_files -/", "nothing": " "}.get(kind, f" {function}_ask {kind}")


def own(options):
    """Without what every command has."""
    return [o for o in options if o.name not in ("help", "version")]


def zsh_options(options, function):
    for o in own(options):
        value = f":{o.value}:{zsh_action(value_of(o), function)}" if o.value else ""
        names = flags(o)
        exclude = f"({' '.join(names)})"
        for name in names:
            yield f"'{exclude}{name}[{zsh_text(o.help)}]{value}'"


def zsh(program):
    function = function_name(program)
    arms = []
    for c in program.commands:
        lines = [*zsh_options(c.options, function), "'(- *)'{-h,--help}'[this text]'", "'(- *)--version[the version]'"]
        for at, kind in enumerate(operands(c), 1):
            place = "*" if kind.endswith("...") else str(at)
            lines.append(f"'{place}:{zsh_text(kind.removesuffix('...').partition(':')[0])}:{zsh_action(kind, function)}'")
        arms.append(f"    {c.name}) _arguments {' '.join(lines)} ;;")
    commands = "\n".join(f"    '{c.name}:{zsh_text(c.summary)}'" for c in program.commands)
    before = " ".join(zsh_options(early(program), function))
    return f"""#compdef {program.name}
# Completion of {program.name} for zsh. Made by docs/man/generate.py.
{function}_ask() {{
  local -a found
  if [[ $1 == types ]]; then
    found=(${{${{(f)"$(vitald modules 2>/dev/null)"}}%% *}})
  else
    local socket=${{opt_args[--socket]:-$early}}
    found=(${{(f)"$(vitalctl ${{socket:+--socket}} ${{socket:+${{(Q)socket}}}} names $1 2>/dev/null)"}})
  fi
  compadd -a found
}}

{function}() {{
  local -a commands=(
{commands}
  )
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C {before} '(- *)'{{-h,--help}}'[this text]' '(- *)--version[the version]' '1:command:->command' '*::argument:->argument' && return
  if [[ $state == command ]]; then
    _describe command commands
    return
  fi
  local early=$opt_args[--socket]
  case $words[1] in
{chr(10).join(arms)}
  esac
}}

{function} "$@"
"""


def fish_action(kind, function):
    kind = kind.removesuffix("...")
    if kind.startswith("words:"):
        return kind[6:].replace(",", " ")
    if kind == "types":
        return "(command -q vitald; and vitald modules 2>/dev/null | string replace -r ' .*' '')"
    return f"({function}_ask {kind})"


def fish(program):
    name, function = program.name, "_" + function_name(program)
    valued = sorted({flag for c in program.commands for o in c.options if o.value for flag in flags(o)})
    out = [f"# Completion of {name} for fish. Made by docs/man/generate.py.",
           f"# The words before the cursor that are no options and no values of options: the command, then its operands.",
           f"function {function}_words", "  set -l skip 0", "  for word in (commandline -opc)[2..-1]", "    if test $skip = 1",
           "      set skip 0", f"    else if contains -- $word {' '.join(valued)}", "      set skip 1",
           "    else if not string match -q -- '-*' $word", "      echo $word", "    end", "  end", "end", "",
           f"function {function}_at", f"  set -l words ({function}_words)",
           "  test (count $words) -gt 0; and test $words[1] = $argv[1]; or return 1",
           "  test (count $argv) = 1; or test (count $words) = $argv[2]; or begin", "    test (count $argv) = 3; and test (count $words) -ge $argv[2]",
           "  end", "end", "", f"function {function}_ask", "  set -l words (commandline -opc)", "  set -l socket",
           "  if set -l at (contains -i -- --socket $words)", "    set socket --socket $words[(math $at + 1)]", "  end",
           "  command -q vitalctl; and vitalctl $socket names $argv[1] 2>/dev/null", "end", "", f"complete -c {name} -f"]
    none = f"-n 'test (count ({function}_words)) = 0'"

    def option_line(when, option):
        parts = [f"complete -c {name} {when}", f"-s {option.letter}" if option.letter else "", f"-l {option.name}"]
        if option.value:
            kind = value_of(option)
            parts.append("-r -F" if kind in ("files", "directories") else "-x")
            if kind not in ("files", "directories", "nothing"):
                parts.append(f"-a {shlex.quote(fish_action(kind, function))}")
        return " ".join(p for p in [*parts, f"-d {shlex.quote(option.help)}"] if p)

    out += [option_line(none, o) for o in early(program)]
    out += [f"complete -c {name} -s h -l help -d 'this text'", f"complete -c {name} -l version -d 'the version'"]
    for c in program.commands:
        out.append(f"complete -c {name} {none} -a {c.name} -d {shlex.quote(c.summary)}")
        out += [option_line(f"-n '{function}_at {c.name}'", o) for o in own(c.options)]
        for at, kind in enumerate(operands(c), 1):
            when = f"-n '{function}_at {c.name} {at}{' more' if kind.endswith('...') else ''}'"
            if kind.startswith("files"):
                out.append(f"complete -c {name} {when} -F")
            elif not kind.startswith("nothing"):
                out.append(f"complete -c {name} {when} -a {shlex.quote(fish_action(kind, function))}")
    return "\n".join(out) + "\n"


def write(shell, program):
    return {"bash": bash, "zsh": zsh, "fish": fish}[shell](program)
