"""Repeats (`SinkConfig.dedup`) and a process that is killed: lines are kept as ever, only a count may be lost."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.repeats import told
from tests.support.spooling import dies, revive, spools

if TYPE_CHECKING:
    from pathlib import Path

STORMS = """
import random
chance = random.Random({seed})
logger.add_sink(SinkConfig(path=folder / "app.log", format="{{message}}", dedup=3600, flush_interval=1))
for number in range(200):
    for _ in range(chance.randrange(1, 60)):
        logger.info("storm {{}}", number)
    if chance.random() < 0.05:
        logger.flush()
"""


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize("seed", range(3))
def test_each_line_is_there_after_a_kill_and_no_more_is_told_than_was(tmp_path: Path, seed: int, end: str) -> None:
    dies(tmp_path, "logger.remove_all_sinks()\n" + STORMS.format(seed=seed), end)
    assert revive(tmp_path, layout="{message}", dedup=3600) == []
    assert spools(tmp_path) == []
    lines = told(tmp_path / "app.log")
    chance = random.Random(seed)
    counts = []
    for _ in range(200):
        counts.append(chance.randrange(1, 60))
        chance.random()
    for number, count in enumerate(counts):
        own = [line for line in lines if line.endswith(f"storm {number}")]
        assert own[0] == f"storm {number}"
        told_of = sum(int(found) for line in own for found in re.findall(r"^x(\d+) ", line))
        assert told_of + own.count(f"storm {number}") <= count
    order = [int(line.rsplit(" ", 1)[1]) for line in lines]
    assert order == sorted(order)


def test_a_run_does_not_fill_the_ring_of_a_spool(tmp_path: Path) -> None:
    """The spool forgets repeats when they are counted, though no line tells of them for an hour."""
    dies(
        tmp_path,
        """
logger.close()
logger = make(async_buffer_size=8192, stall_timeout=3600)
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", dedup=3600, flush_interval=1))
for number in range(20_000):
    logger.info("storm")
assert logger.stats().dropped == logger.stats().failed == 0
""",
    )
    revive(tmp_path, layout="{message}", dedup=3600)
    assert told(tmp_path / "app.log")[0] == "storm"
    assert len(told(tmp_path / "app.log")) <= 3
