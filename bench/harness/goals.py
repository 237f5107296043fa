"""The goals that results of `run.py` can answer, with what this run says to each.

Those that need the floor of an empty compiled method are answered by `core_cost.py` and `cost.py layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.rows import figure

Figures = Callable[..., float]
"""`figures(peer, script, *path)`; raises LookupError where this run has none."""


@dataclass(frozen=True)
class Goal:
    title: str
    goal: str
    value: Callable[[Figures], float]
    is_met: Callable[[float], bool]
    unit: str = "x"


def cheaper(figures: Figures, than: str) -> float:
    loop = figures("floor_loop", "cost_text", "ns")
    return (figures(than, "cost_text", "ns") - loop) / (figures("logly_async", "cost_text", "ns") - loop)


def faster(figures: Figures, peer: str, than: str) -> float:
    return figures(peer, "throughput", "lines_per_s") / figures(than, "throughput", "lines_per_s")


GOALS = [
    Goal(
        "24 characters of text: cheaper for the caller than `logging.FileHandler` (loop taken off)",
        "at least 100x",
        lambda figures: cheaper(figures, "stdlib_file"),
        lambda value: value >= 100,
    ),
    Goal(
        "24 characters of text: cheaper for the caller than picologging's `QueueHandler` (loop taken off)",
        "at least 40x",
        lambda figures: cheaper(figures, "picologging_queue"),
        lambda value: value >= 40,
    ),
    Goal(
        "end to end: lines a second against `logging.FileHandler`",
        "at least 50x",
        lambda figures: faster(figures, "logly_async", "stdlib_file"),
        lambda value: value >= 50,
    ),
    Goal(
        "end to end: asynchronous against `async_write=False`",
        "at least 3x",
        lambda figures: faster(figures, "logly_async", "logly_sync"),
        lambda value: value >= 3,
    ),
    Goal(
        "end to end: `async_write=False` against `logging.FileHandler`",
        "at least 5x",
        lambda figures: faster(figures, "logly_sync", "stdlib_file"),
        lambda value: value >= 5,
    ),
    Goal(
        "one call in a thousand (p99.9) at 100,000 records a second",
        "under 1,000 ns",
        lambda figures: figures("logly_async", "latency", "ns", "p99.9"),
        lambda value: value < 1000,
        " ns",
    ),
    Goal(
        "`import logly`",
        "under 20 ms",
        lambda figures: figures("logly_async", "import_time", "import_ms"),
        lambda value: value < 20,
        " ms",
    ),
    Goal(
        "resident memory with one file sink, the ring of 1 MiB included",
        "under 5 MiB",
        lambda figures: figures("logly_async", "memory", "sink_mib"),
        lambda value: value < 5,
        " MiB",
    ),
    Goal(
        "500 named loggers: resident memory, and no thread more",
        "under 300 KiB",
        lambda figures: figures("logly_async", "memory", "named_kib"),
        lambda value: value < 300,
        " KiB",
    ),
]


def answers(scripts: dict[str, Any], show: Callable[[float], str]) -> Sequence[list[str]]:
    """Rows of measure, goal, this run; without those that this run did not measure."""

    def figures(peer: str, script: str, *path: str) -> float:
        row = scripts[script][peer]
        if row["status"] != "ok":
            raise LookupError(row["status"])
        return figure(row, path)

    rows = []
    for goal in GOALS:
        try:
            value = goal.value(figures)
        except LookupError:
            continue
        text = f"{show(value)}{goal.unit}"
        rows.append([goal.title, goal.goal, text if goal.is_met(value) else f"**{text}: missed**"])
    return rows
