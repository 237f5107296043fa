"""A process that replaces itself, as servers do that restart."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, os.execv starts another process")

PROGRAM = """
import os, sys
from logly import Logger, LoggerConfig, SinkConfig
folder, spool, flushes = sys.argv[1:4]
logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=60_000, flush_level=None, spool=spool or None))
logger.add_sink(SinkConfig(path=folder + "/app.log", format="{message}"))
if sys.argv[4:]:
    logger.info("after")
    sys.exit()
for i in range(600):
    logger.info("line {}", i)
    if flushes and i == 99:
        logger.flush()
if flushes == "last":
    logger.flush()
os.execv(sys.executable, [sys.executable, "-c", PROGRAM, *sys.argv[1:4], "again"])
"""
LINES = [f"line {i}" for i in range(600)]


def lines_after(tmp_path: Path, *, spool: str = "", flushes: str = "") -> list[str]:
    run_program(f"PROGRAM = {PROGRAM!r}\n{PROGRAM}", tmp_path, spool, flushes)
    return (tmp_path / "app.log").read_text().splitlines()


def test_what_was_flushed_before_an_exec_is_there(tmp_path: Path) -> None:
    assert lines_after(tmp_path, flushes="last") == [*LINES, "after"]


def test_without_a_flush_an_exec_loses_what_is_in_memory(tmp_path: Path) -> None:
    assert lines_after(tmp_path, flushes="first") == [*LINES[:100], "after"]


def test_with_a_spool_it_loses_nothing(tmp_path: Path) -> None:
    assert lines_after(tmp_path, spool=str(tmp_path / "spool")) == [*LINES, "after"]
