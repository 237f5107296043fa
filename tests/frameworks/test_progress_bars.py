"""The recipes of docs/console.md: beside a progress bar, lines stand whole above it on a terminal."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.pages import blocks
from tests.support.programs import environment
from tests.support.screen import screen_of
from tests.support.waiting import PATIENCE_S

PAGE = ROOT / "docs" / "console.md"
RECIPES = {block.value: block.text for block in blocks(PAGE) if block.mark == "recipe"} if PAGE.exists() else {}

pytestmark = pytest.mark.skipif(not RECIPES, reason="the page is not here")


def on_terminal(program: Path) -> str:
    """What a program writes to a terminal with 100 columns."""
    master, fd = pty.openpty()
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    more = {"TERM": "xterm"}
    kept = {name: value for name, value in environment(**more).items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, str(program)], stdin=fd, stdout=fd, stderr=fd, env=kept, cwd=program.parent, close_fds=True
    )
    os.close(fd)
    seen = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux: nobody has the other end any more
            break
        if not piece:
            break
        seen += piece
    assert process.wait(PATIENCE_S) == 0, seen.decode()
    os.close(master)
    return seen.decode()


def test_the_page_has_the_recipes() -> None:
    assert sorted(RECIPES) == ["rich", "tqdm"]


@pytest.mark.parametrize("name", RECIPES)
def test_lines_stand_whole_above_the_bar(name: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    # More lines than the recipe has, and each while the bar is shown.
    program = (
        RECIPES[name]
        .replace("number % 20 == 0", "number % 2 == 0")
        .replace(", number)\n", ", number); logger.flush()\n")
    )
    assert program.count("logger.flush()") == 2
    (tmp_path / "recipe.py").write_text(program)
    text = on_terminal(tmp_path / "recipe.py")
    lines = [line for line in screen_of(text) if line]
    rows = [line for line in lines if "row" in line]
    place = r"__main__:<module>:\d+"
    assert [re.sub(r"^[\d-]+ [\d:.]+ \| ", "", row) for row in rows] == [
        re.sub("PLACE", re.search(place, rows[0])[0], f"INFO     | PLACE | row {number} done")  # type: ignore[index]
        for number in range(0, 100, 2)
    ]
    assert [line for line in lines if "row" not in line] == lines[-1:]  # the bar stands below all of them, once
    assert "100%" in lines[-1]
    assert "\x1b[1mrow 0 done\x1b[0m" in text or name == "rich"  # rich has sequences of its own
