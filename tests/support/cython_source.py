"""Reads Cython files as text: which names a file defines, and which it uses.

No Cython parser is at hand that keeps the names of included files apart. This one goes by the house's own style: what
stands at the beginning of a line is a definition of the module, and its body is indented.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

STRING = re.compile(r'"""(?:.|\n)*?"""|"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\\\n]|\\.)*'")
IMPORT = re.compile(r"^(?:from ([\w.]+) )?(c?import) (?:\(([^)]*)\)|(.*))$", re.MULTILINE)
OF_INCLUDED = re.compile(r"^#   ([\w/]+\.pxi): ((?:.|\n#       )*)$", re.MULTILINE)


def _without_strings(code: str) -> str:
    def kept(match: re.Match[str]) -> str:
        # The expressions of an f-string are code.
        text = match.group(0)
        is_formatted = match.start() > 0 and code[match.start() - 1] == "f"
        return '"" ' + " ".join(re.findall(r"\{([^{}]*)\}", text)) if is_formatted else '""'

    return re.sub("#.*", "", STRING.sub(kept, code))


@dataclass
class CythonFile:
    """One file's names.

    Args:
        path: where it is.
    """

    path: Path
    defined: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    cimported: dict[str, str] = field(default_factory=dict)
    """Name as used here -> the module it is cimported or imported from ("" for plain imports)."""
    of_included: dict[str, str] = field(default_factory=dict)
    """Name -> the included file that the head of this one says it is from."""

    def __post_init__(self) -> None:
        text = self.path.read_text()
        for file, names in OF_INCLUDED.findall(text):
            for name in re.findall(r"\w+", names.replace("\n#", " ")):
                self.of_included[name] = file
        code = _without_strings(text)
        for module, _, wrapped, plain in IMPORT.findall(code):
            for part in (wrapped or plain).split(","):
                if part.strip():
                    self.cimported[part.split(" as ")[-1].strip()] = module
        body = IMPORT.sub("", code)
        for block in _blocks(body):
            self.defined |= _defined(block)
        self.used = _used(body)


def _blocks(code: str) -> list[str]:
    """Each definition with its indented body."""
    blocks: list[str] = []
    for line in code.split("\n"):
        if line.startswith((" ", ")")) and blocks:
            blocks[-1] += "\n" + line
        elif line:
            blocks.append(line)
    return blocks


def _defined(block: str) -> set[str]:
    first = block.split("\n", 1)[0]
    members = re.findall(r"^    (\w+)", block, re.MULTILINE)
    if first.startswith("cdef extern"):
        return _declared_elsewhere(block)
    if match := re.match(r"(?:cdef|ctypedef) (?:packed )?(enum|struct|union|class|fused) ?(\w*)", first):
        kind, name = match.groups()
        return ({name} if name else set()) | (set(members) if kind == "enum" else set())
    if match := re.match(r"(?:async )?(?:def|class) (\w+)", first):
        return {match.group(1)}
    if first.startswith("ctypedef"):
        return set(re.findall(r"\(\*(\w+)\)|(\w+)$", first)[0]) - {""}
    if first.startswith(("cdef ", "cpdef ")):
        head = block.split("=", maxsplit=1)[0]
        if match := re.match(r"cp?def\s[^(=]*?(\w+)\s*\(", block) if "(" in head else None:
            return {match.group(1)}
        return set(re.findall(r"(\w+)(?:\[\w*\])?\s*(?:,|$)", head.strip()))
    if match := re.match(r"(\w+)(?:: [^=]+)? = ", first):
        return {match.group(1)}
    return set()


def _declared_elsewhere(block: str) -> set[str]:
    names: set[str] = set()
    for line in block.split("\n")[1:]:
        plain = re.sub(r'\s*""\s*', "", line)
        plain = re.sub(r"\[T\](?=\()", "", plain)
        if (
            match := re.match(r"        ([A-Z_0-9]+)$", plain)
            or re.match(r"    (?:ctypedef )?(?:struct|enum) (\w+)", plain)
        ) or (match := re.match(r"    ctypedef .*?\(\*(\w+)\)", plain) or re.match(r"    \S[^(]*?(\w+)\s*\(", plain)):
            names.add(match.group(1))
        elif match := re.match(r"    (?!    )[\w* ]+?((?:\w+, )*\w+)(?:\[\w*\])?$", plain):
            names |= set(match.group(1).split(", "))
    return names


def _used(code: str) -> set[str]:
    code = re.sub(r"^( +(?:async )?def )\w+", r"\1", code, flags=re.MULTILINE)
    code = re.sub(r"^( +cp?def [^\n(=]*?)\w+(\((?:self|\*))", r"\1\2", code, flags=re.MULTILINE)
    return set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", re.sub(r"\.\s*\w+", "", code)))
