"""Structs in Cython's files, and which of their fields are read. Judged by the names in the text, not by a compiler."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

STRUCT = re.compile(r"^( *)(?:cdef )?(?:packed )?struct (\w+):\n((?:\1 +.*\n|\s*\n)+)", re.MULTILINE)
FIELD = re.compile(r"^(?:const )?\w+[\s*]+(?:const\s*)?(.+)$")
ACCESS = re.compile(r"\.(\w+)\b(\s*(?:\[[^\]]*\])*\s*=(?!=))?")


def code_of(path: Path) -> str:
    return re.sub("#.*", "", path.read_text())


def structs_of(code: str) -> dict[str, list[str]]:
    """The fields of each struct."""
    found = {}
    for _, name, body in STRUCT.findall(code):
        declared = filter(None, map(FIELD.match, filter(None, map(str.strip, body.splitlines()))))
        found[name] = [re.sub(r"\[.*", "", one).strip(" *") for match in declared for one in match[1].split(",")]
    return found


def variables_of(structs: Iterable[str], code: str) -> dict[str, set[str]]:
    """The structs that variables, parameters and fields of a name are, or point to."""
    kinds: dict[str, set[str]] = defaultdict(set)
    one = r"\w+(?:\[[^\]]*\])?(?: *= *[^,\n]*)?"
    for struct in structs:
        for names in re.findall(rf"\b{struct}\b\s*\**\s*(?:const\s*)?({one}(?:, *\**{one})*)", code):
            for name in names.split(","):
                kinds[re.sub(r"[\[=].*", "", name).strip(" *")].add(struct)
    return kinds


def unread_fields(paths: Iterable[Path]) -> set[str]:
    """ "Struct.field" for each field that is nowhere read. What is only assigned to counts as unread."""
    code = "\n".join(map(code_of, paths))
    structs = structs_of(code)
    kinds = variables_of(structs, code)
    unread = {(struct, field) for struct, fields in structs.items() for field in fields}
    for line in code.splitlines():
        for access in ACCESS.finditer(line):
            if access[2] is None:
                owner = re.search(r"(\w+)(?:\[[^\[\]]*\])?$", line[: access.start()])
                unread -= {(struct, access[1]) for struct in kinds.get(owner[1] if owner else "", ())}
    return {f"{struct}.{field}" for struct, field in unread}
