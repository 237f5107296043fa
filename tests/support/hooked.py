"""Programs whose exceptions nothing catches, with a logger that `hook_exceptions` is called on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.programs import run_python

BEGIN = """\
import gc, sys, threading, warnings
from logly import Logger, SinkConfig
from logly.caller import exception_hooks
exception_hooks._PATIENCE_S = 60  # the machine may be slow
logger = Logger(auto_sink=False)
logger.add_sink("app.json", json=True)
"""


class Ran:
    """What a program has left behind."""

    def __init__(self, folder: Path, program: str, *, returncode: int = 0) -> None:
        (folder / "app.py").write_text(BEGIN + program)
        done = run_python("app.py", cwd=folder, returncode=returncode, may_complain=True)
        self.stderr, self.stdout = done.stderr, done.stdout
        self.records = read(folder / "app.json")
        self.program = BEGIN + program

    @property
    def only(self) -> dict[str, Any]:
        assert len(self.records) == 1, self.records
        return self.records[0]

    def line_of(self, text: str) -> int:
        """The number of the line that contains the text."""
        return next(number for number, line in enumerate(self.program.splitlines(), 1) if text in line)


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
