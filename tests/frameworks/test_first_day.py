"""The tasks of docs/first-day.md with loguru and with logly: both do them, and logly's program has no more lines."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import Block, blocks
from tests.support.programs import environment, run_program

PAGE = ROOT / "docs" / "first-day.md"
PAIRS: dict[str, dict[str, Block]] = {}
for _block in blocks(PAGE) if PAGE.exists() else []:
    if _block.mark in ("loguru", "logly"):
        PAIRS.setdefault(_block.value, {})[_block.mark] = _block

pytestmark = pytest.mark.skipif(not PAIRS, reason="the page is not here")

# What both write, and what neither does.
WRITTEN: dict[str, tuple[list[str], list[str]]] = {
    "First lines": (["INFO", "order 42 filled", "WARNING", "slow query 812 ms"], []),
    "Level from the environment": (["DEBUG", "seen"], []),
    "Rotating file": (["app.log:", "INFO", "into the file"], []),
    "JSON to stdout": (['"message": ?"bought"', '"user": ?"ann"'], []),
    "Console and file": (["stderr:.*for both.*app.log:.*for the file.*for both"], ["stderr:.*for the file.*app.log:"]),
    "Request id in asyncio": (["a1 handled\n", "b2 handled\n"], []),
    "Catch": (["ERROR", "An error has been caught in function", "ZeroDivisionError: division by zero"], []),
    "Uncaught exceptions": (
        ["CRITICAL", "uncaught exception", "print\\(1 / 0\\)", "ZeroDivisionError: division by zero"],
        ["division by zero.*division by zero"],
    ),
    "Library logs": (["WARNING", "from a library"], ["%s"]),
    "Level by module": (["WARNING", "shown"], ["hidden"]),
    "Own template with a field": (["stdout:INFO ann in\n"], []),
    "Custom level": (["NOTICE", "three items left"], []),
    "Redaction": ([r"stdout:in .*password.*\[redacted\]"], ["hunter2"]),
    "Lazy value": (["not computed"], ["stderr:computed"]),
}


def written(block: Block, folder: Path) -> str:
    """Runs the program in a folder of its own; all that it has written, with the name of the place before it."""
    folder.mkdir()
    level = "debug" if block.value == "Level from the environment" else ""
    (folder / "example.py").write_text(block.text)
    done = run_program(
        "import runpy; runpy.run_path('example.py', run_name='__main__')",
        cwd=folder,
        env={**environment(), "LOGLY_LEVEL": level, "APP_LEVEL": level.upper()},
        returncode=1 if block.value == "Uncaught exceptions" else 0,
        may_complain=True,
    )
    files = "".join(f"{file.name}:{file.read_text()}" for file in sorted(folder.glob("app.log")))
    return f"stdout:{done.stdout}stderr:{done.stderr}{files}"


def check(text: str, task: str) -> None:
    present, absent = WRITTEN[task]
    for pattern in present:
        assert re.search(pattern, text, re.DOTALL), pattern
    for pattern in absent:
        assert not re.search(pattern, text, re.DOTALL), pattern


@pytest.mark.parametrize("task", WRITTEN)
def test_logly_does_the_task(task: str, tmp_path: Path) -> None:
    text = written(PAIRS[task]["logly"], tmp_path / "logly")
    check(text, task)
    assert "logly (" not in text  # nothing to tell


@pytest.mark.parametrize("task", WRITTEN)
def test_loguru_does_it_too(task: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("loguru") is None:
        pytest.skip("loguru is not installed")
    check(written(PAIRS[task]["loguru"], tmp_path / "loguru"), task)


@pytest.mark.parametrize("task", WRITTEN)
def test_loglys_program_has_no_more_lines(task: str) -> None:
    lines = {name: list(filter(str.strip, block.text.splitlines())) for name, block in PAIRS[task].items()}
    assert len(lines["logly"]) <= len(lines["loguru"])


def test_the_page_has_all_tasks() -> None:
    assert list(PAIRS) == list(WRITTEN)
    assert all(set(pair) == {"loguru", "logly"} for pair in PAIRS.values())
