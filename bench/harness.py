"""What the benchmark scripts share: scenarios, the inner loop, counting, processes, machine facts."""

from __future__ import annotations

import argparse
import importlib
import json
import linecache
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rounds

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parent
# A core built in place is found without installing it; an installed logly wins nowhere else.
if list((REPOSITORY / "logly").glob("_core*.so")):
    sys.path.insert(1, str(REPOSITORY))

#: Every peer, in the order of the report. A name is a module of `bench/peers/`.
PEERS = [
    "logly_async",
    "logly_sync",
    "stdlib_file",
    "stdlib_queue",
    "picologging_file",
    "picologging_queue",
    "loguru_plain",
    "loguru_enqueue",
    "structlog_orjson",
    "logbook_file",
    "logxide_file",
    "floor_loop",
    "floor_fstring",
    "floor_write",
    "floor_buffered",
]
TEXT = "a text of 24 characters."
BURST = 1000
FLUSHING = 4
"""A value takes at most so many times the time of its calls; the rest is flushing."""
MOST_BYTES = 1 << 26
"""Of text in one value: more would measure the disk."""

EXIT_MISSING = 77


@dataclass(frozen=True)
class Scenario:
    """One kind of log call.

    `marker` occurs exactly once in each line it writes, which is how lines are counted: a peer that
    forgets the line break, or repeats one, is counted right. `layout` is what the peer must print:
    "short" (time, level, message), "site" (and module, function, line), "full" (and thread id, file
    and line), "json" (time, level, message, fields).
    """

    name: str
    marker: bytes
    layout: str = "short"
    lines_per_call: int = 1


SCENARIOS = {
    s.name: s
    for s in [
        Scenario("disabled", TEXT.encode(), lines_per_call=0),
        Scenario("text", TEXT.encode()),
        Scenario("args", b"filled at"),
        Scenario("fstring", b"filled at"),
        Scenario("fields", b'"ABCD"', "json"),
        Scenario("exception", b"order failed"),
        Scenario("site", b"filled at", "site"),
        Scenario("full", b"Iteration: ", "full"),
        Scenario("size", b"<size>"),
    ]
}

#: The call in the idiom of a library with `{}` templates, and of one with `%` templates.
BRACE = {
    "disabled": f'logger.debug("{TEXT}")',
    "text": f'logger.info("{TEXT}")',
    "args": 'logger.info("order {} filled at {:.2f}", i, x)',
    "fstring": 'logger.info(f"order {i} filled at {x:.2f}")',
    "fields": 'logger.info("order filled", order=i, price=x, symbol="ABCD", live=True)',
    "exception": 'logger.exception("order failed")',
    "site": 'logger.info("order {} filled at {:.2f}", i, x)',
    "full": 'logger.info("Iteration: {} int: {} double: {}", i, i * 2, i / 2)',
    "size": "logger.info(text)",
}
PERCENT = BRACE | {
    "args": 'logger.info("order %d filled at %.2f", i, x)',
    "fields": 'logger.info("order filled", extra={"order": i, "price": x, "symbol": "ABCD", "live": True})',
    "site": 'logger.info("order %d filled at %.2f", i, x)',
    "full": 'logger.info("Iteration: %d int: %d double: %s", i, i * 2, i / 2)',
}


class Unsupported(Exception):
    """This peer has no such feature; the report says so."""


@dataclass
class Session:
    """A peer that is set up and ready: what `setup(path, scenario)` of a peer module returns."""

    logger: Any
    statements: dict[str, str]
    flush: Callable[[], Any] = lambda: None
    close: Callable[[], Any] = lambda: None


def load(peer: str) -> Any:
    """The adapter module of `peer`. Exits with `EXIT_MISSING` where its library cannot be imported."""
    try:
        return importlib.import_module(f"peers.{peer}")
    except ImportError as error:
        print(f"{peer}: {error}", file=sys.stderr)
        sys.exit(EXIT_MISSING)


def deep_failure() -> None:
    """Three frames of traceback, as a small service would have."""

    def parse() -> None:
        raise ValueError("bad price")

    def handle() -> None:
        parse()

    handle()


def compile_loop(session: Session, scenario: Scenario, text: str = TEXT) -> Callable[[int, int], None]:
    """A function `loop(start, stop)` with the peer's own call inline, without a wrapper around it."""
    if scenario.name not in session.statements:
        raise Unsupported(f"no {scenario.name} scenario")
    statement = session.statements[scenario.name]
    body = f"        for i in range(start, stop):\n            {statement}\n"
    if scenario.name == "exception":
        indented = body.replace("\n    ", "\n        ").replace("        for", "            for", 1)
        body = f"        try:\n            fail()\n        except ValueError:\n{indented}"
    source = (
        "def make(logger, text, fail):\n"
        "    def loop(start, stop, logger=logger, text=text, x=1234.5678):\n"
        f"{body}"
        "    return loop\n"
    )
    filename = "<bench>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace: dict[str, Any] = {"__name__": "bench_loop"}
    exec(compile(source, filename, "exec"), namespace)
    return namespace["make"](session.logger, text, deep_failure)


def compile_paced(session: Session, scenario: Scenario) -> Callable[..., int]:
    """A function that makes each call at its due time and notes what it took, the call itself inline.

    `paced(clock, first, gap, calls, taken, limit_ns)` returns how many calls were made.
    """
    if scenario.name not in session.statements:
        raise Unsupported(f"no {scenario.name} scenario")
    source = (
        "def make(logger, text):\n"
        "    def paced(clock, first, gap, calls, taken, limit_ns, logger=logger, text=text, x=1234.5678):\n"
        "        due = first\n"
        "        for i in range(calls):\n"
        "            while clock() < due:\n"
        "                pass\n"
        "            start = clock()\n"
        f"            {session.statements[scenario.name]}\n"
        "            taken[i] = clock() - start\n"
        "            due += gap\n"
        "            if start - first > limit_ns:\n"
        "                return i + 1\n"
        "        return calls\n"
        "    return paced\n"
    )
    namespace: dict[str, Any] = {"__name__": "bench_paced"}
    exec(compile(source, "<bench>", "exec"), namespace)
    return namespace["make"](session.logger, TEXT)


class Run:
    """One peer, one scenario, one temporary file: opens, loops, flushes, counts."""

    def __init__(self, peer: str, scenario_name: str, directory: str | None = None, text: str = TEXT) -> None:
        self.scenario = SCENARIOS[scenario_name]
        self._folder = tempfile.TemporaryDirectory(prefix="logly-bench-", dir=directory)
        self.path = Path(self._folder.name, "bench.log")
        self.session: Session = load(peer).setup(str(self.path), self.scenario)
        self.loop = compile_loop(self.session, self.scenario, text)
        self.flush = self.session.flush
        self.is_floor = peer.startswith("floor_")
        self.expected = 0
        self.written = 0

    def calls_in(self, seconds: float, most: int) -> int:
        """How many calls, written to the file, take about so long; a multiple of 1,000. Makes some to find out."""
        calls, took = BURST, 0.0
        while took < seconds / 20 and calls < most:
            self.settle()
            start = time.perf_counter()
            self.loop(0, calls)
            self.flush()
            took = time.perf_counter() - start
            self.expect(calls)
            calls *= 4
        self.settle()
        fitting = calls / 4 * seconds / max(took, 1e-9)
        return max(BURST, min(most, int(fitting) // BURST * BURST))

    def expect(self, calls: int) -> None:
        self.expected += calls * self.scenario.lines_per_call

    def count(self) -> int:
        """Lines in the file now."""
        if not self.path.exists():
            return 0
        marker, total, tail = self.scenario.marker, 0, b""
        with self.path.open("rb") as file:
            while chunk := file.read(1 << 24):
                total += (tail + chunk).count(marker)
                tail = chunk[-(len(marker) - 1) :]
        return total

    def settle(self) -> None:
        """Flush, count what arrived, and empty the file so that the disk does not fill up."""
        self.flush()
        self.written += self.count()
        if self.path.exists():
            os.truncate(self.path, 0)

    def close(self) -> dict[str, int]:
        """Close the peer and return the books; a record that arrives only now still counts."""
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
    run.loop(0, 10)
    run.expect(10)
    run.settle()
    yield run


def plain_options(description: str) -> argparse.Namespace:
    """Options of the scripts that are plain controlled loops."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each peer, in turns; medians are reported")
    parser.add_argument("--fast", action="store_true", help="a smoke run: too short to quote")
    parser.add_argument("--output", help="append one JSON line per peer to this file")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.peer = options.peer or PEERS
    return options


def main(
    description: str | None,
    measure: Callable[[str, argparse.Namespace], dict[str, Any]],
    headline: Sequence[str],
) -> None:
    """Run `measure(peer, options)` for each peer in a process of its own, in turns; `headline` leads to its figure."""
    options = plain_options(description or "")
    if not options.one:
        rounds.run_peers(options, headline)
        return
    peer = options.peer[0]
    try:
        result = {"peer": peer, "status": "ok"} | measure(peer, options)
    except Unsupported as error:
        result = {"peer": peer, "status": "unsupported", "why": str(error)}
    # A line of its own, whatever the peer has printed before.
    print(f"\n{json.dumps(result)}")
    sys.stdout.flush()
    # A peer whose background thread never ends must not keep its finished measurement.
    os._exit(0)


def main_percall(scenario: str, texts: dict[str, str] | None = None) -> None:
    """A pyperf script: the caller's cost of one call of `scenario`.

    Bursts of 1,000 calls are timed; the flush after each is not. So an asynchronous peer is asked what
    its call costs, not how fast its consumer is; `sustained.py` and `throughput.py` ask that. How many
    bursts make a value is decided here, by time (pyperf's own calibration would wait for 0.1 s of calls,
    and a peer that takes a second to write what it accepted in a millisecond would take for ever).
    """
    import pyperf

    def pass_on(command: list[str], options: argparse.Namespace) -> None:
        for peer in options.peer or []:
            command += ["--peer", peer]
        command += ["--burst", str(options.burst), "--seconds", str(options.seconds)]
        for name in ("ledger", "dir"):
            if getattr(options, name):
                command += [f"--{name}", getattr(options, name)]

    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("--peer", action="append", help="only this one; may be repeated")
    runner.argparser.add_argument("--burst", type=int, default=BURST, help="calls timed at a stretch")
    runner.argparser.add_argument("--seconds", type=float, default=0.05, help="timed calls of one value")
    runner.argparser.add_argument("--ledger", help="file that collects lines expected and written")
    runner.argparser.add_argument("--dir", help="where the log files go")
    runner.argparser.set_defaults(loops=1)
    options = runner.parse_args()
    for peer in options.peer or PEERS:
        for label, text in (texts or {"": TEXT}).items():
            burst = max(4, min(options.burst, (1 << 19) // (len(text) + 64)))
            runner.bench_time_func(
                f"{scenario}/{peer}{label and '/' + label}",
                TimedBursts(peer, scenario, options, text, burst),
                inner_loops=burst,
            )
    # Workers of a peer whose background thread never ends must still end.
    if options.worker:
        sys.stdout.flush()
        os._exit(0)


class TimedBursts:
    """pyperf's time function. The peer is set up at the first call, in the worker that measures it."""

    def __init__(self, peer: str, scenario: str, options: argparse.Namespace, text: str, burst: int) -> None:
        self.peer, self.scenario, self.options, self.text, self.burst = peer, scenario, options, text, burst
        self.run: Run | None = None

    def __call__(self, loops: int) -> float:
        """The median burst, times `loops`, of as many bursts as fit into the time of a value.

        The mean would be that of the few bursts in which a neighbour had the processor.
        """
        if self.run is None:
            self.run = Run(self.peer, self.scenario, self.options.dir, self.text)
        run, burst, timed_s = self.run, self.burst, self.options.seconds
        loop, flush, clock = run.loop, run.flush, time.perf_counter
        most = max(loops, MOST_BYTES // (burst * (len(self.text) + 64)))
        took: list[float] = []
        total, begun = 0.0, clock()
        while len(took) < loops or (len(took) < most and total < timed_s and clock() - begun < FLUSHING * timed_s):
            first = len(took) * burst
            start = clock()
            loop(first, first + burst)
            took.append(clock() - start)
            total += took[-1]
            flush()
        self.count(len(took) * burst)
        return statistics.median(took) * loops

    def count(self, calls: int) -> None:
        """Whether all lines are there; told to the ledger."""
        assert self.run is not None
        run = self.run
        expected, written = run.expected, run.written
        run.expect(calls)
        run.settle()
        if self.options.ledger and not run.is_floor:
            entry = {"expected": run.expected - expected, "written": run.written - written}
            with open(self.options.ledger, "a") as file:
                file.write(json.dumps(entry) + "\n")


def resident_bytes() -> int:
    """Resident memory of this process now (peak, where the platform tells no more)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def percentiles(values: Any) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: float(ordered[round(share * last)]) for name, share in shares.items()}


def machine() -> dict[str, str]:
    """What a reader needs to compare: processor, cores, kernel, Python, clock. No names of hosts or paths."""
    facts = {
        "cpu": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
    }
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                facts["cpu"] = line.split(":", 1)[1].strip()
                break
        memory = Path("/proc/meminfo").read_text().split(None, 2)[1]
        facts["memory"] = f"{int(memory) / 1048576:.0f} GiB"
        source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        facts["clock source"] = source.read_text().strip()
    except OSError:
        pass
    return facts
