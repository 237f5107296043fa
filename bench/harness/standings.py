"""Who is first in each scenario; and where that is not logly, why, and what the next step is.

The reasons are written by hand, from profiles; each is printed only when the results ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.rows import figure

ENTRANT = "logly_async"
OWN = ("logly_async", "logly_sync")


@dataclass(frozen=True)
class Contest:
    """One figure of one script; less is better unless `more_is_better`."""

    title: str
    script: str
    path: tuple[str, ...] = ("ns",)
    unit: str = "ns"
    more_is_better: bool = False
    tie: float = 1.05
    """Closer than this is not told apart on a shared machine."""
    best_there_is: float = 1e-12
    """What is beyond it is noise: nothing runs faster because somebody logs."""


CONTESTS = [
    Contest("disabled level", "cost_disabled"),
    Contest("24 characters of text", "cost_text"),
    Contest("two arguments", "cost_args"),
    Contest("f-string", "cost_fstring"),
    Contest("four fields as JSON", "cost_fields"),
    Contest("with call site", "cost_site"),
    Contest("exception", "cost_exception"),
    *(Contest(f"message of {size:,} B", "cost_sizes", ("sizes", str(size))) for size in (16, 256, 4096, 16384, 65536)),
    *(Contest(f"{n} thread{'s'[: n > 1]}, a call", "threads", ("threads", str(n), "call_ns")) for n in (1, 2, 4)),
    *(
        Contest(f"{n} thread{'s'[: n > 1]}, end to end", "threads", ("threads", str(n), "lines_per_s"), "lines/s", True)
        for n in (1, 2, 4)
    ),
    Contest("burst, a call", "burst", ("call_ns",)),
    Contest("burst, until in the file", "burst", ("in_file_s",), "s"),
    Contest("sustained, calls", "sustained", ("calls_per_s",), "calls/s", True),
    Contest("sustained, lines", "sustained", ("lines_per_s",), "lines/s", True),
    Contest("end to end", "throughput", ("lines_per_s",), "lines/s", True),
    *(Contest(f"latency, {name}", "latency", ("ns", name)) for name in ("p50", "p99", "p99.9", "max")),
    *(
        Contest(f"computation {when}", "interference", (f"{name}_ratio",), "times", tie=1.1, best_there_is=1.0)
        for when, name in (("over a backlog", "backlog"), ("beside a thread that logs", "beside"))
    ),
    Contest("memory with one file sink", "memory", ("sink_mib",), "MiB"),
    Contest("import", "import_time", ("import_ms",), "ms"),
]

# By script, or script and last part of the path: why, and the next step.
REASONS = {
    "cost_disabled": (
        "Both compare one number; the rest is what the interpreter takes to call a method. `core_cost.py` has the "
        "distance to an empty method.",
        "None that is known: the call is at the floor.",
    ),
    "cost_exception": (
        "The exception's own text, and a look at each entry of its traceback, are the caller's; an error also wakes "
        "the flusher at once (`flush_level`), which is a system call.",
        "None that is known: `cost.py exceptions` has what each part costs.",
    ),
    "cost_sizes": (
        "logly copies the message into the ring, so a large one costs what the memory takes. A queue passes a "
        "reference, and its thread takes the interpreter's lock later.",
        "None planned: a reference would have to be dropped by the flusher, which then needs the interpreter's lock.",
    ),
    "threads": (
        "The threads take turns at the interpreter's lock, and each change of hands moves the ring's cache lines to "
        "another core.",
        "The free-threaded build, where each thread has a ring of its own (`free_threading.py`).",
    ),
    "burst": (
        "100,000 records are several rings of 1 MiB: after the first, a caller goes at the flusher's pace, and queues "
        "without a bound go on into memory.",
        "`async_buffer_size=\"16 MB\"` takes the whole burst; the flusher's pace is the subject of performance.md.",
    ),
    "sustained": (
        "The ring is bounded: a caller goes at the flusher's pace, while a queue without a bound accepts more than is "
        "written and grows.",
        "The flusher's pace per line; performance.md says what limits it.",
    ),
    "throughput": (
        "The caller's loop and the flusher take about the same time per line, and each record's cache lines go to the "
        "other core and back.",
        "Larger, rarer batches, so that the two do not work on neighbouring lines; see performance.md.",
    ),
    "latency": (
        "A call waits for cache lines that the flusher's core holds while it drains; the largest values are the "
        "scheduler's, where the machine has fewer free cores than threads that want to run.",
        "`latency.py --peer logly_async --peer floor_loop --rounds 9` beside the floor, on a machine with idle cores.",
    ),
    "latency max": (
        "The largest of 200,000 values is one event, mostly the scheduler's: the empty loop has such values, too.",
        "None from one figure; p99.9 is the one to compare.",
    ),
    "interference": (
        "The flusher does not take the interpreter's lock for file sinks; a library that writes before the call "
        "returns has no backlog left to write meanwhile. What remains is memory bandwidth, "
        "and processors that are shared.",
        "`interference_gil.py` with more rounds, on a machine with idle cores.",
    ),
    "memory": (
        "The ring (1 MiB) and the sink's buffer are resident once they have been used, and the compiled core is larger "
        "than a few Python modules that the interpreter shares.",
        "A smaller `async_buffer_size` where bursts are small; a ring that is touched only as far as it is used.",
    ),
    "import_time": (
        "Loading the compiled core and reading its tables.",
        '`python -X importtime -c "import logly"` shows what is left.',
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Standing:
    contest: Contest
    ours: float
    best: float
    best_peer: str

    @property
    def behind(self) -> float:
        """How many times better the best other library is; below 1 where logly is first."""
        ours, best = max(self.ours, self.contest.best_there_is), max(self.best, self.contest.best_there_is)
        return best / ours if self.contest.more_is_better else ours / best


def standings(scripts: dict[str, Any], peers: Mapping[str, str]) -> list[Standing]:
    """logly against the best of the other libraries (not the floors), where both have a figure.

    Args:
        peers: the name of each peer in the results, by its module.
    """
    found = []
    for contest in CONTESTS:
        values = {}
        for peer, name in peers.items():
            row = scripts.get(contest.script, {}).get(name, {"status": "not run"})
            if row["status"] == "ok" and not peer.startswith("floor_"):
                values[peer] = figure(row, contest.path)
        ours = values.get(ENTRANT)
        others = {peer: value for peer, value in values.items() if peer not in OWN}
        if ours is None or not others:
            continue
        pick = max if contest.more_is_better else min
        best = pick(others, key=lambda peer: others[peer])
        found.append(Standing(contest, ours, others[best], peers[best]))
    return found


def reason(contest: Contest) -> tuple[str, str]:
    return REASONS.get(f"{contest.script} {contest.path[-1]}") or REASONS[contest.script]


def is_behind(standing: Standing) -> bool:
    return standing.behind > standing.contest.tie


def times(standing: Standing) -> str:
    behind, tie = standing.behind, standing.contest.tie
    if 1 / tie <= behind <= tie:
        return f"equal within {(tie - 1) * 100:.0f} %"
    return f"**{behind:.2f}x behind**" if behind > 1 else f"{1 / behind:.3g}x ahead"
