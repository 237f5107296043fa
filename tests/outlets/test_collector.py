"""A real collector gets records of several processes, also when it is ended and started again meanwhile."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.collector import Collector, agent
from tests.support.programs import start_program
from tests.support.waiting import wait_until

pytest.importorskip("urllib3")
pytestmark = pytest.mark.skipif(agent() is None, reason="needs rotel")

PROCESSES = 4
PROGRAM = """
import json, sys
from logly import Logger, SinkConfig
from logly.http import HttpSink

url, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def is_down(error):
    print("down", flush=True)
logger = Logger(name="shop.orders")
logger.configure(on_error=is_down, stall_timeout=3600)
sink = logger.add_sink(SinkConfig(
    batch=HttpSink(url, envelope="otlp"), format="otlp", json_static={"service.name": "shop"},
    batch_bytes="64 KiB", batch_backlog="1 GiB", flush_interval=20,
))
print("ready", flush=True)
for part in range(2):
    for number in range(count // 2):
        logger.warning(
            "{} {}", process, part * (count // 2) + number, price=number + 0.25, number=number, is_new=True,
            tags=["a", number], trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7",
        )
    if part == 0:
        assert sys.stdin.readline() == "go on\\n"
assert logger.flush()
stats = logger.stats()
print(json.dumps([stats.emitted, stats.written, stats.failed, stats.pending]), flush=True)
"""


def test_typed_values_levels_and_traces_arrive_as_they_were_logged(tmp_path: Path) -> None:
    with Collector(tmp_path / "out") as collector:
        processes = start(collector, 1, 10)
        finish(processes, 10)
        wait_until(lambda: len(collector.bodies) == 10)
    for number, record in enumerate(collector.records):
        assert f"Body: Str(0 {number})" in record
        for part in (
            "SeverityText: WARNING",
            "SeverityNumber: SEVERITY_NUMBER_WARN(13)",
            f"-> price: Double({number % 5 + 0.25})",
            f"-> number: Int({number % 5})",
            "-> is_new: Bool(true)",
            f"-> tags: Slice(Str(a), Int({number % 5}))",
            "Trace ID       : 4bf92f3577b34da6a3ce929d0e0e4736",
            "Span ID        : 00f067aa0ba902b7",
        ):
            assert part in record
    text = collector.path.read_text()
    assert "-> service.name: Str(shop)" in text
    assert "InstrumentationScope shop.orders" in text


@pytest.mark.parametrize("count", [8_000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_every_record_arrives_once_where_nothing_fails(tmp_path: Path, count: int) -> None:
    with Collector(tmp_path / "out") as collector:
        processes = start(collector, PROCESSES, count // PROCESSES)
        finish(processes, count // PROCESSES)
        wait_until(lambda: len(collector.bodies) >= count, "all records")
    assert Counter(collector.bodies) == expected(count)


@pytest.mark.parametrize("count", [8_000, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_every_record_arrives_where_the_collector_is_ended_and_started_again(tmp_path: Path, count: int) -> None:
    with Collector(tmp_path / "out") as collector:
        processes = start(collector, PROCESSES, count // PROCESSES)
        wait_until(lambda: len(collector.bodies) > count // 10, "some records")
        collector.stop()
        tell(processes, "go on\n")  # the second half is logged while nobody listens
        for process in processes:
            assert process.stdout.readline() == "down\n"
        collector.start()
        finish(processes, count // PROCESSES, is_told=True)
        found = wait_until(lambda: (bodies := Counter(collector.bodies)).keys() >= expected(count).keys() and bodies)
    assert found.keys() == expected(count).keys()
    assert max(found.values()) <= 2, "a batch that was under way may have arrived twice"


def expected(count: int) -> Counter[str]:
    return Counter(f"{process} {number}" for process in range(PROCESSES) for number in range(count // PROCESSES))


def start(collector: Collector, processes: int, count: int) -> list[Any]:
    started = [
        start_program(PROGRAM, collector.url, process, count, stdin=-1, stderr=sys.stderr.fileno())
        for process in range(processes)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    return started


def tell(processes: list[Any], text: str) -> None:
    for process in processes:
        process.stdin.write(text)
        process.stdin.flush()


def finish(processes: list[Any], count: int, *, is_told: bool = False) -> None:
    """Lets the processes end. Each has sent all of its records."""
    if not is_told:
        tell(processes, "go on\n")
    for process in processes:
        with process:
            lines = [line for line in process.stdout.read().splitlines() if line != "down"]
            assert process.wait(120) == 0
        assert json.loads(lines[-1]) == [count, count, 0, 0]
