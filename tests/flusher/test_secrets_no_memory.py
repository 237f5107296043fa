"""Allocations of the core fail: a record that cannot be redacted is not written, and counts as failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.preloads import compiled
from tests.support.programs import environment, run_program

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_MEMORY = """
import ctypes, os
from logly import Logger, LoggerConfig, SinkConfig

library = ctypes.CDLL(None)
failures = 0
for start in range(0, 24):
    for width in (1, 1000):
        config = LoggerConfig(
            level=0, auto_sink=False, async_flush_interval=10_000, on_error=lambda error: None,
            redact=["password", "é*", "token"], redact_text=True,
        )
        logger = Logger(config)
        fds = [os.memfd_create("x") for _ in range(2)]
        sinks = [logger.add_sink(SinkConfig(fd=fd, json=number == 1)) for number, fd in enumerate(fds)]
        logger.info("warm")
        assert logger.flush(30)
        size = 300 * (start + 1)
        for n in range(3):
            logger.info("one {filler} {password}", password="hunter2", filler="x" * size)
            logger.info("two token={} {filler}", "hunter2", filler="é€" * size)
            logger.info("three", data={"password": "hunter2", "filler": "x" * size, "é\\n": "hunter2"}, éa="hunter2")
            try:
                raise ValueError("token=hunter2" + "y" * size)
            except ValueError:
                logger.exception("four")
        library.fail_allocations(start, start + width)
        logger.flush(0.2)
        library.fail_no_allocation()
        assert logger.flush(30)
        stats = logger.stats()
        assert stats.emitted == stats.written + stats.failed and stats.pending == 0, stats
        failures += stats.failed
        for number, (fd, sink) in enumerate(zip(fds, sinks)):
            text = os.pread(fd, 1 << 24, 0).decode()
            assert "hunter2" not in text.replace('raise ValueError("token=hunter2"', ""), (start, width, text[:3000])
            lines = [line for line in text.split("\\n") if "lost" not in line and ("INFO" in line or "ERROR" in line)]
            assert len(lines) + logger.sink_stats(sink).failed == 13, (start, width, len(lines))
        logger.info("again {password} token=hunter2", password="hunter2")
        assert logger.flush(30)
        assert "again [redacted] token=[redacted]" in os.pread(fds[0], 1 << 24, 0).decode()
        logger.close()
        for fd in fds:
            os.close(fd)
assert failures
"""


def test_nothing_is_shown_for_lack_of_memory(tmp_path: Path) -> None:
    library = compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path)
    run_program(WITHOUT_MEMORY, env=environment(LD_PRELOAD=str(library)), timeout=300)


MEMORY_AGAIN = """
import ctypes, os, sys
from logly import Logger, LoggerConfig, SinkConfig

library = ctypes.CDLL(None)
is_text = sys.argv[1] == "text"
config = LoggerConfig(
    level=0, auto_sink=False, async_flush_interval=10_000, on_error=lambda error: None, redact_text=is_text
)
logger = Logger(config)
fd = os.memfd_create("x")
logger.add_sink(SinkConfig(fd=fd, format="{message}" if is_text else "datadog"))
logger.info("warm {}", 1)
assert logger.flush(30)
for _ in range(2):  # the first message is made by the caller
    if is_text:
        logger.info("made {}", "x" * 30_000)
    else:
        logger.info("made", trace_id="f" * 30_000)
library.fail_allocations(0, 1000)
logger.flush(0.2)
library.fail_no_allocation()
assert logger.flush(30)
failed = logger.stats().failed
assert failed == 2, failed
for _ in range(3):
    if is_text:
        logger.info("plain")
    else:
        logger.info("plain", trace_id="f")
assert logger.flush(30)
assert logger.stats().failed == failed, logger.stats()
assert os.pread(fd, 1 << 20, 0).count(b"plain") == 3
logger.close()
"""


@pytest.mark.parametrize("what", ["text", "json"])
def test_a_line_that_found_no_memory_costs_no_other_line(what: str, tmp_path: Path) -> None:
    library = compiled(ROOT / "tests" / "support" / "nomemory.c", tmp_path)
    run_program(MEMORY_AGAIN, what, env=environment(LD_PRELOAD=str(library)), timeout=60)
