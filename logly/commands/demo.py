"""`python -m logly demo`: logs many lines to a real file, with logly and with the standard library."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from logly._logger import Logger
from logly.config.schema import LoggerConfig, SinkConfig

Worker = Callable[[int], None]
BURST = 5_000


class Result(NamedTuple):
    """The figures of one library."""

    name: str
    calls: int
    call_ns: float
    """Nanoseconds of one call, on an idle logger with room in its ring: what the caller pays."""
    total_s: float
    """From the first call to the last line in the file."""
    lines: int
    """Counted in the file."""
    dropped: int
    path: str


PATH = "logs/async.log"
"""The default file, which is made anew each time. The demo never overwrites another file."""


def run(*, lines: int, threads: int, path: str) -> int:
    """Run the demo; return the exit status: 0 when every line is in the file."""
    if lines < threads or threads < 1:
        print("demo: at least one thread, and a line for each", file=sys.stderr)
        return 2
    per_thread = lines // threads
    is_own = path == PATH
    try:
        path = os.path.abspath(path)
    except OSError as trouble:
        print(
            f"demo: the working directory is gone ({trouble.strerror}): name a file by its whole path", file=sys.stderr
        )
        return 2
    stdlib_path = "{}.stdlib{}".format(*os.path.splitext(path))
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        for name in (path, stdlib_path):
            with open(name, "w" if is_own else "x"):
                pass
    except OSError as trouble:
        print(f"demo: {trouble.filename}: {trouble.strerror}", file=sys.stderr)
        return 2
    print(f"logly: {per_thread * threads:,} lines from {threads} threads to {path}")
    logly = _run_logly(per_thread, threads, path)
    # The standard library needs much longer. A tenth of the lines is enough to measure its speed.
    stdlib_lines = max(per_thread // 10, 1)
    print(f"logging (standard library): {stdlib_lines * threads:,} lines, for comparison")
    stdlib = _run_stdlib(stdlib_lines, threads, stdlib_path)
    print(_table(logly, stdlib))
    return 0 if logly.lines == logly.calls and logly.dropped == 0 else 1


def _run_logly(per_thread: int, threads: int, path: str) -> Result:
    _remove(path)
    call_ns = _logly_call_ns(path + ".warmup")
    logger = Logger(LoggerConfig(auto_sink=False), name="demo")
    logger.add_sink(SinkConfig(path=path))

    def work(number: int) -> None:
        info = logger.info
        for i in range(per_thread):
            info("worker {} message {} value {:.3f}", number, i, i / 7)

    total_s = _timed(work, threads, logger.flush, lambda: logger.stats().written, per_thread * threads)
    stats = logger.stats()
    logger.close()
    return Result("logly", per_thread * threads, call_ns, total_s, _count_lines(path), stats.dropped, path)


def _run_stdlib(per_thread: int, threads: int, path: str) -> Result:
    import logging

    _remove(path)
    handler = logging.FileHandler(path)
    handler.setFormatter(
        logging.Formatter(
            "%(asctime)s.%(msecs)03d | %(levelname)-8s | %(module)s:%(funcName)s:%(lineno)d | %(message)s"
        )
    )
    logger = logging.Logger("demo", logging.INFO)  # noqa: LOG001 -- of no use to anybody after this
    logger.addHandler(handler)
    done = [0] * threads

    def work(number: int) -> None:
        info = logger.info
        for i in range(per_thread):
            info("worker %d message %d value %.3f", number, i, i / 7)
            done[number] = i + 1

    def burst() -> int:
        begun = time.perf_counter_ns()
        for i in range(BURST):
            logger.info("worker %d message %d value %.3f", 0, i, 0.5)
        return time.perf_counter_ns() - begun

    call_ns = _call_ns(burst, lambda: None, 3)
    handler.close()
    _remove(path)
    logger.handlers[:] = [handler]
    total_s = _timed(work, threads, handler.flush, lambda: sum(done), per_thread * threads)
    handler.close()
    return Result("logging", per_thread * threads, call_ns, total_s, _count_lines(path), 0, path)


def _logly_call_ns(path: str) -> float:
    """Nanoseconds of one call on the calling thread, in bursts that fit into the ring, as a service logs."""
    with Logger(LoggerConfig(auto_sink=False), name="demo") as logger:
        logger.add_sink(SinkConfig(path=path))

        def burst() -> int:
            begun = time.perf_counter_ns()
            for i in range(BURST):
                logger.info("worker {} message {} value {:.3f}", 0, i, 0.5)
            return time.perf_counter_ns() - begun

        call_ns = _call_ns(burst, logger.flush, 20)
    _remove(path)
    return call_ns


def _call_ns(burst: Callable[[], int], between: Callable[[], object], times: int) -> float:
    """Nanoseconds of one call: the median of several bursts, without the cost of the loop itself."""
    begun = time.perf_counter_ns()
    for _ in range(BURST):
        pass
    loop_ns = time.perf_counter_ns() - begun
    taken = []
    for _ in range(times):
        taken.append(burst() - loop_ns)
        between()
    return sorted(taken)[times // 2] / BURST


def _timed(work: Worker, threads: int, flush: Callable[[], object], count: Callable[[], int], total: int) -> float:
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(0.25)
            _progress(count(), total)
    flush()
    elapsed = time.perf_counter() - begun
    _progress(total, total)
    return elapsed


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        bar = "#" * (30 * done // total)
        end = "\n" if done == total else ""
        print(f"\r[{bar:<30}] {done:>12,} of {total:,}", end=end, file=sys.stderr, flush=True)


def _count_lines(path: str) -> int:
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _remove(path: str) -> None:
    if os.path.exists(path):
        os.remove(path)


def _table(logly: Result, stdlib: Result) -> str:
    rows = [("", "logly", "logging", "ratio")]

    def row(title: str, ours: float, theirs: float, ratio: float, form: str = ",.0f") -> None:
        rows.append((title, format(ours, form), format(theirs, form), f"{ratio:.0f}x"))

    row("one call, ns", logly.call_ns, stdlib.call_ns, stdlib.call_ns / max(logly.call_ns, 1))
    pace, their_pace = logly.calls / logly.total_s, stdlib.calls / stdlib.total_s
    row("lines a second, end to end", pace, their_pace, pace / their_pace)
    rows.append(("lines counted in the file", f"{logly.lines:,}", f"{stdlib.lines:,}", ""))
    rows.append(("dropped", f"{logly.dropped:,}", f"{stdlib.dropped:,}", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in (1, 2, 3))]).rstrip()
        for row in rows
    ]
    return "\n".join(["", *lines, "", f"the file: {logly.path} ({os.path.getsize(logly.path):,} bytes)"])
