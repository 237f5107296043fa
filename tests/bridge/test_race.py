"""Two threads log while another one changes everything: each record is written once, in the order of its thread."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import logly.bridge.install as bridge
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler
from tests.bridge.oracle import SEES_CHANGES
from tests.support.log_files import check_threads, lines_of
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

THREADS = 2


@pytest.fixture
def switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Race:
    """Loggers "race" (with the handler) and "race.x" (which is logged to)."""

    def __init__(self, kind: str, path: Path) -> None:
        self.logger = Logger(LoggerConfig(auto_sink=False, level=0))
        self.path = path
        self.top = logging.getLogger("race")
        self.log = logging.getLogger("race.x")
        self.top.propagate = False
        self.top.setLevel(logging.INFO)
        if kind == "stdlib":
            self.logger.add_sink(SinkConfig(path=path, format="{message}"))
            self.handler: logging.Handler = StdlibHandler(self.logger)
        else:
            self.handler = logging.FileHandler(path)
        self.top.addHandler(self.handler)
        self.counts = [0] * THREADS
        self.is_over = False

    def work(self, number: int) -> None:
        count = 0
        log = self.log
        while not self.is_over:
            log.info("%d %d", number, count)
            count += 1
        self.counts[number] = count

    def change(self, seconds: float) -> int:
        other = logging.NullHandler()
        before = logging.Logger.callHandlers
        end = time.monotonic() + seconds
        flips = 0
        while time.monotonic() < end:
            self.top.addHandler(other)
            self.top.removeHandler(other)
            self.top.setLevel(logging.DEBUG)
            self.top.setLevel(logging.INFO)
            self.top.handlers = list(self.top.handlers)
            self.log.__dict__ = dict(vars(self.log))
            logging.Logger.callHandlers = lambda log, record: before(log, record)  # type: ignore[method-assign]
            logging.Logger.callHandlers = before  # type: ignore[method-assign]
            self.handler.setFormatter(logging.Formatter("%(message)s"))
            flips += 1
            time.sleep(0.02 if flips % 8 == 0 else 0.0005)
        return flips

    def run(self, seconds: float) -> None:
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            self.change(seconds)
        finally:
            self.is_over = True
            for thread in threads:
                thread.join()

    def close(self) -> None:
        self.top.removeHandler(self.handler)
        self.handler.close()
        assert self.logger.flush(PATIENCE_S)
        self.logger.close()

    def check(self) -> None:
        lines = lines_of(self.path)
        for number, count in enumerate(self.counts):
            check_threads([f"0 {line.split()[1]}" for line in lines if line.startswith(f"{number} ")], 1, count)
        assert len(lines) == sum(self.counts)


def counts_of(name: str) -> tuple[int, int]:
    one: Any = next(one for one in bridge.routes() if one.name == name)
    return one.fast, one.original


@pytest.mark.parametrize("seconds", [1.5, pytest.param(60, marks=[pytest.mark.nightly, pytest.mark.timeout(300)])])
@pytest.mark.parametrize("kind", ["stdlib", "file"])
@pytest.mark.usefixtures("switching")
def test_each_record_is_written_once_and_in_order(kind: str, seconds: float, tmp_path: Path) -> None:
    race = Race(kind, tmp_path / "race.log")
    bridge.install()
    try:
        race.run(seconds)
        counts = counts_of("race.x")
    finally:
        race.close()
        bridge.uninstall()
    race.check()
    if SEES_CHANGES:
        assert counts[0] > 0


@pytest.mark.parametrize("kind", ["stdlib", "file"])
@pytest.mark.usefixtures("switching")
def test_install_and_uninstall_under_load(kind: str, tmp_path: Path) -> None:
    race = Race(kind, tmp_path / "race.log")

    def change(seconds: float) -> int:
        end = time.monotonic() + seconds
        flips = 0
        while time.monotonic() < end:
            bridge.install()
            time.sleep(0.01)
            bridge.uninstall()
            time.sleep(0.002)
            flips += 1
        return flips

    race.change = change  # type: ignore[method-assign]
    try:
        race.run(1.5)
    finally:
        bridge.uninstall()
        race.close()
    race.check()
