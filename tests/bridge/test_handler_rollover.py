"""Any lines, any `maxBytes`: a served handler's files are those that `logging` would have made."""

from __future__ import annotations

import logging.handlers
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .test_handler_sink import by_logging, by_logly, files_of, rotating, served

LINES = st.lists(st.text("aä€😀\n", max_size=30), max_size=40)


@given(lines=LINES, limit=st.integers(0, 80), backups=st.integers(0, 60), write=st.booleans())
def test_any_lines_and_any_limit(lines: list[str], limit: int, backups: int, write: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        make = rotating(limit, backups)
        found = by_logly(make, Path(folder, "logly"), lines, write=write)
        assert found == by_logging(make, Path(folder, "logging"), lines)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_the_day_on_which_the_clocks_change(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    request.addfinalizer(time.tzset)
    request.addfinalizer(monkeypatch.undo)

    def roll(folder: Path, *, natively: bool) -> tuple[dict[str, bytes], int]:
        folder.mkdir()
        handler = logging.handlers.TimedRotatingFileHandler(folder / "log", "midnight")
        handler.rolloverAt = 1_711_839_600  # 31 March 2024, when Berlin changes its clocks
        with served(handler) as (logger, sink):
            for text in ("one", "two"):
                if natively:
                    logger.info(text)
                    assert sink.drain(5)
                else:
                    handler.handle(logging.LogRecord("n", 20, "p", 1, text, (), None))
                    sink.follow()
            return files_of(folder), handler.rolloverAt

    assert roll(tmp_path / "logly", natively=True) == roll(tmp_path / "logging", natively=False)


def test_a_device_is_not_rolled_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    handler = rotating(10)(tmp_path / "log")
    with served(handler) as (logger, sink):
        for i in range(5):
            logger.info(f"a long line {i}")
        assert sink.drain(5)
    assert os.read(reader, 1000).count(b"\n") == 5
    os.close(reader)
    assert os.listdir(tmp_path) == ["log"]
