"""The pages say how to recover a spool by hand: what they say is done, in their words."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.programs import run_program, run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
if not (ROOT / "docs").exists():
    pytest.skip("an installed wheel is tested", allow_module_level=True)


def commands_of(page: Path, heading: str = "") -> list[list[str]]:
    """The words of each `python -m logly recover` in a shell block, in their order."""
    text = page.read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", text[text.index(heading) :], re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block[1].splitlines()]


def killed(folder: Path, text: str) -> None:
    """Runs the page's first example with a SIGKILL in the place of `close`, before the line is written."""
    source = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert source is not None
    code = re.sub(r"logger\.close\(\).*", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", source[1])
    code = code.replace('spool="run/app.spool"', 'spool="run/app.spool", async_flush_interval=3_600_000')
    run_program(code, cwd=folder, returncode=-9)
    assert len(list((folder / "run").iterdir())) == 1


def test_the_commands_of_the_page_print_and_append(tmp_path: Path) -> None:
    page = ROOT / "docs" / "spool.md"
    killed(tmp_path, page.read_text(encoding="utf-8"))
    printing, appending, with_recorder = commands_of(page)
    for words in (printing, with_recorder, printing):
        printed = run_python(*words, cwd=tmp_path, may_complain=True).stdout
        assert "this line survives a kill -9" in printed
        assert "?:?:0" not in printed
        assert (tmp_path / "logs" / "app.log").read_text() == ""
        assert len(list((tmp_path / "run").iterdir())) == 1
    run_python(*appending, cwd=tmp_path, may_complain=True)
    assert (tmp_path / "logs" / "app.log").read_text() == printed
    assert list((tmp_path / "run").iterdir()) == []


def test_an_administrators_commands_are_those_of_the_page(tmp_path: Path) -> None:
    page = ROOT / "docs" / "spool.md"
    killed(tmp_path, page.read_text(encoding="utf-8"))
    (spool,) = (tmp_path / "run").iterdir()
    spool.chmod(0o660)
    for words in commands_of(page, "## Whose spool it is"):
        here = [word.replace("/srv/app/", f"{tmp_path}/") for word in words]
        run_python(*here, cwd=tmp_path, may_complain=True)
    assert "this line survives a kill -9" in (tmp_path / "recovered.log").read_text()
    assert not spool.exists()


def test_no_page_says_that_the_command_alone_writes_the_rest() -> None:
    found = 0
    for page in PAGES:
        for sentence in re.split(r"(?<=[.;|:])\s", page.read_text(encoding="utf-8")):
            if "logly recover" in sentence and "writes" in sentence:
                found += 1
                assert "--append" in sentence, (page.name, sentence)
    assert found
