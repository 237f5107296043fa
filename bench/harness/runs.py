"""One library, one scenario, one temporary file: set up, called, flushed, counted."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import lines
from harness.libraries import load
from harness.loops import compile_loop
from harness.scenarios import SCENARIOS, TEXT, Session

BURST = 1000


class Run:
    """Keeps the books: how many lines were logged, and how many arrived in the file."""

    def __init__(self, peer: str, scenario_name: str, directory: str | None = None, text: str = TEXT) -> None:
        self.scenario = SCENARIOS[scenario_name]
        self._folder = tempfile.TemporaryDirectory(prefix="logly-bench-", dir=directory)
        self.path = Path(self._folder.name, "bench.log")
        self.session: Session = load(peer).setup(str(self.path), self.scenario)
        self.statement = self.session.statement(self.scenario)
        self.loop = compile_loop(
            self.statement,
            self.session.logger,
            text,
            fail=self.scenario.fail,
            each_fails=self.scenario.each_fails,
        )
        self.flush = self.session.flush
        self.is_floor = peer.startswith("floor_")
        self.expected = 0
        self.written = 0

    def timed(self, calls: int) -> tuple[float, float]:
        """Makes the calls. Returns the seconds until the last has returned, and until its line is in the file."""
        self.scenario.prepare(calls)
        begun = time.perf_counter()
        self.loop(0, calls)
        called = time.perf_counter()
        self.flush()
        done = time.perf_counter()
        self.expect(calls)
        return called - begun, done - begun

    def calls_in(self, seconds: float, most: int) -> int:
        """How many calls, written to the file, take about so long; a multiple of 1,000. Makes some to find out."""
        calls, took = BURST, 0.0
        while took < seconds / 20 and calls < most:
            self.settle()
            took = self.timed(calls)[1]
            calls *= 4
        self.settle()
        fitting = calls / 4 * seconds / max(took, 1e-9)
        return max(BURST, min(most, int(fitting) // BURST * BURST))

    def expect(self, calls: int) -> None:
        self.expected += calls * self.scenario.lines_per_call

    def count(self) -> int:
        """Lines in the file now."""
        return lines.count(self.path, self.scenario.marker)

    def settle(self) -> None:
        """Flush, count what arrived, and empty the file so that the disk does not fill up."""
        self.flush()
        self.written += self.count()
        if self.path.exists():
            os.truncate(self.path, 0)

    def close(self) -> dict[str, int]:
        """Close the library and return the books; a record that arrives only now still counts."""
        self.session.flush()
        self.session.close()
        self.written += self.count()
        self._folder.cleanup()
        return self.books()

    def books(self) -> dict[str, int]:
        expected = 0 if self.is_floor else self.expected
        return {"expected": expected, "written": 0 if self.is_floor else self.written}


@contextmanager
def opened(peer: str, scenario: str, options: argparse.Namespace, text: str = TEXT) -> Iterator[Run]:
    run = Run(peer, scenario, options.dir, text)
    run.scenario.prepare(10)
    run.loop(0, 10)
    run.expect(10)
    run.settle()
    yield run
