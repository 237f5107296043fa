"""The blocks of README and docs, for the tests that run them."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"# (not run|file|before|after|loguru|logly|recipe): (.*)\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, its line in the page, and what a mark in its first line says."""

    language: str
    text: str
    line: int
    mark: str = ""
    value: str = ""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        mark = MARK.match(fence[2])
        line = text.count("\n", 0, fence.start(2))
        found.append(Block(fence[1], fence[2], line, *(mark.groups() if mark else ())))
    return found


def write_files(page: Path, folder: Path) -> list[str]:
    """The page's blocks that are files of a recipe, in a folder; returns their names."""
    files = [block for block in blocks(page) if block.mark == "file"]
    for block in files:
        (folder / block.value).write_text(block.text, encoding="utf-8")
    return [block.value for block in files]
