"""From the little Markdown that the manual pages are written in to man(7) macros: headings, paragraphs, tables, lists, code."""
import re


def text(words):
    """Plain words as roff takes them literally."""
    out = words.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga").replace("^", r"\(ha").replace("~", r"\(ti")
    # What is not ASCII has a name in every groff; a full stop or quote at the beginning of a line would be a macro.
    out = "".join(c if ord(c) < 128 else rf"\[u{ord(c):04X}]" for c in out)
    return re.sub(r"^(?=[.])", r"\\&", out, flags=re.M)


def inline(words):
    """`code` and **bold** become bold, [a](b) becomes a."""
    words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", words)
    out = []
    for piece in re.split(r"(``.+?``|`[^`]+`|\*\*.+?\*\*)", words):
        marked = re.fullmatch(r"``(.+?)``|`([^`]+)`|\*\*(.+?)\*\*", piece)
        out.append(rf"\fB{text(next(g for g in marked.groups() if g).replace(chr(92) + '|', '|'))}\fR" if marked else text(piece).replace(r"\e|", "|"))
    return re.sub(r"^(?=[.'])", r"\\&", "".join(out))


def cells(row):
    return [c.strip() for c in re.split(r"(?<!\\)\|", row.strip())[1:-1]]


def table(rows):
    """Each row a tagged paragraph: the first column is the tag; the last says what it is; those between stand beside the tag."""
    head, out = [c for c in cells(rows[0])], []
    for row in rows[2:]:
        first, *between, last = cells(row)
        named = [inline(value if name in ("type", "") else f"{name} {value}") for name, value in zip(head[1:-1], between) if value]
        out += [".TP", inline(first) + (f" ({', '.join(named)})" if named else ""), inline(last) or r"\&"]
    return out


def from_markdown(page):
    """{"before": lines, "after": lines}: what stands before and after the line <!-- generated -->."""
    parts = {"before": [], "after": []}
    out = parts["before"]
    for block in re.split(r"\n\s*\n", page.strip("\n")):
        lines = block.split("\n")
        if block.strip() == "<!-- generated -->":
            out = parts["after"]
        elif lines[0].startswith("#"):
            level, _, title = lines[0].partition(" ")
            out.append((".SH " + text(title.upper())) if len(level) <= 2 else f".SS {text(title)}")
            if lines[1:]:
                out += [".PP", inline(" ".join(lines[1:]))]
        elif lines[0].startswith("|"):
            out += table(lines)
        elif lines[0].startswith("    "):
            out += [".PP", ".RS 4", ".nf", *(text(line[4:]) for line in lines), ".fi", ".RE"]
        elif lines[0].startswith("- "):
            for item in re.split(r"\n(?=- )", block):
                out += [r".IP \(bu 2", inline(" ".join(item[2:].split()))]
        else:
            out += [".PP", inline(" ".join(block.split()))]
    return parts
