"""The programs of docs/migrating.md, before and after: what the other library has written, logly writes too."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import Block, blocks
from tests.support.programs import run_program

PAGE = ROOT / "docs" / "migrating.md"
PATIENCE_S = 60
PAIRS: dict[str, dict[str, Block]] = {}
for _block in blocks(PAGE) if PAGE.exists() else []:
    if _block.mark in ("before", "after"):
        PAIRS.setdefault(_block.value, {})[_block.mark] = _block

pytestmark = pytest.mark.skipif(not PAIRS, reason="the page is not here")


def written(block: Block, folder: Path) -> tuple[str, str]:
    """Runs the program in a folder of its own; the one file that it has left, by name and content."""
    folder.mkdir()
    (folder / "example.py").write_text(block.text)
    done = run_program("import runpy; runpy.run_path('example.py', run_name='__main__')", cwd=folder)
    assert done.stdout == ""
    (file,) = folder.glob("app.*")
    return file.name, file.read_text()


@pytest.mark.parametrize("library", PAIRS)
def test_logly_writes_what_the_other_library_has_written(library: str, tmp_path: Path) -> None:
    name, after = written(PAIRS[library]["after"], tmp_path / "after")
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    other_name, before = written(PAIRS[library]["before"], tmp_path / "before")
    assert name == other_name
    assert before.count("\n") >= 2
    if name.endswith(".json"):
        lines = [[json.loads(line) for line in text.splitlines()] for text in (before, after)]
        for old, new in zip(*lines, strict=True):
            assert {key: new.get(key) for key in old} == old
    else:
        # The two programs are not equally long, so the line numbers in their tracebacks differ.
        assert re.sub(r"line \d+", "line", after) == re.sub(r"line \d+", "line", before)


def test_every_library_has_both_sides() -> None:
    assert set(PAIRS) == {"logging", "loguru", "picologging", "structlog"}
    assert all(set(pair) == {"before", "after"} for pair in PAIRS.values())
