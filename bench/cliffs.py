"""Where does one step cost much more than its neighbour? Walks over lengths, counts and kinds, and prints the cliffs.

    python bench/cliffs.py                      # all walks: about a minute
    python bench/cliffs.py arguments fields     # some of them
    python bench/cliffs.py --all                # every step, not only the cliffs
    LOGLY_BENCH_TREE=../old python bench/cliffs.py

A cliff is a step that costs more than three times as much per unit as the step before it. A unit is a call, or what the
walk says (an argument, a hundred characters); a call itself counts as some units, because it costs something without
any argument, too. Each figure is the median of several bursts. A step that looks like a cliff is measured again, and
the lowest median counts, because on a shared machine a neighbour's load lengthens some of them.

Each walk has a process of its own, because templates and call sites are kept for the life of a process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import harness  # noqa: F401  # decides which logly is measured
from logly import Logger, LoggerConfig, SinkConfig

STEEP = 3.0
BURSTS = 9
AGAIN = 4
"""How often a step that looks like a cliff is measured anew."""
BURST_NS = 300_000
"""About how long a burst takes: long against the clock, short against the time between two losses of the processor."""
RING_BYTES = 1 << 22
BURST_BYTES = RING_BYTES // 8

Run = Callable[[int], object]
"""Makes so many calls."""
Walk = Iterator["Step"]


class Step(NamedTuple):
    label: str
    units: float
    """What the cost of a call is divided by."""
    burst: Callable[[], float]
    """Nanoseconds of a call, from one burst."""


def new_logger(layout: str = "{message}", **settings: Any) -> Logger:
    logger = Logger(LoggerConfig(async_buffer_size=RING_BYTES, auto_sink=False, **settings))
    logger.add_sink(null_sink(layout))
    return logger


def null_sink(layout: str = "{message}") -> SinkConfig:
    return SinkConfig(fd=os.open(os.devnull, os.O_WRONLY), format=layout)


def bursts(logger: Logger, run: Run, record_bytes: int = 100) -> Callable[[], float]:
    """Bursts of calls that fit into the ring; the flusher has emptied it before each of them."""
    most = max(1, BURST_BYTES // (record_bytes + 64))

    def timed(calls: int) -> float:
        logger.flush()
        start = time.perf_counter_ns()
        run(calls)
        return (time.perf_counter_ns() - start) / calls

    for _ in range(3):  # registers the template and the call site, and has CPython specialize the code
        run(1)
    calls = max(1, min(most, int(BURST_NS / max(timed(min(most, 20)), 1.0))))
    return lambda: timed(calls)


def made(body: str, **values: object) -> Run:
    """A function that repeats a statement. What it names are its local variables."""
    names = ", ".join(f"{name}={name}" for name in values)
    space: dict[str, Any] = dict(values)
    exec(f"def run(calls, {names}):\n    for _ in range(calls):\n        {body}\n", space)
    run: Run = space["run"]
    return run


# ---- the walks


def texts(character: str) -> Walk:
    width = {1: 1, 2: 1, 3: 2, 4: 4}[len(character.encode())]
    lengths = [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 257]
    lengths += [round(256 * 1.5**n) for n in range(1, 24)]
    logger = new_logger()
    for length in lengths:
        run = made("logger.info(text)", logger=logger, text=character * length)
        yield Step(f"{length:,} characters", 1 + length / 100, bursts(logger, run, length * width))


COUNTS = [*range(13), 15, 16, 17, 24, 31, 32, 33, 48, *range(62, 69), 96, 127, 128, 129, 192, 254, 255, 256, 257, 384]


def numbered(count: int) -> dict[str, int]:
    return {sys.intern(f"f{i}"): i for i in range(count)}


def arguments() -> Walk:
    logger = new_logger()
    for count in [*COUNTS, 498]:
        template = "{} " * count
        # Not written out: CPython compiles a call with more than 15 names or 30 values in another way.
        run = made("logger.info(template, *given)", logger=logger, template=template, given=tuple(range(count)))
        yield Step(f"{count} arguments", 4 + count, bursts(logger, run, 9 * count))


def fields() -> Walk:
    logger = new_logger()
    for count in [*COUNTS, 512, 1000]:
        run = made("logger.info('text', **given)", logger=logger, given=numbered(count))
        yield Step(f"{count} fields", 4 + count, bursts(logger, run, 20 * count))


def named_placeholders() -> Walk:
    logger = new_logger()
    for count in [count for count in COUNTS if count]:
        template = " ".join(f"{{f{i}}}" for i in range(count))
        run = made("logger.info(template, **given)", logger=logger, template=template, given=numbered(count))
        yield Step(f"{count} placeholders", 4 + count, bursts(logger, run, 20 * count))


def kinds_of_value() -> Walk:
    logger = new_logger()
    values: dict[str, object] = {
        "int": 5,
        "float": 2.5,
        "bool": True,
        "None": None,
        "bytes": b"bytes",
        "int of 63 bits": 2**63 - 1,
    }
    values |= {"int of 64 bits": 2**64 - 1, "ASCII": "text", "Latin-1": "é", "UCS-2": "€", "UCS-4": "😀"}
    for name, value in values.items():
        run = made(f"logger.info('{name} {{}}', value)", logger=logger, value=value)
        yield Step(name, 1, bursts(logger, run))


def field_names(of_json: bool) -> Walk:
    logger = new_logger()
    for length in [*range(1, 25), 31, 32, 33, 63, 64, 65, 128, 255, 256, 1000]:
        name = "n" * length
        given = json.loads(json.dumps({name: 5})) if of_json else {sys.intern(name): 5}
        run = made("logger.info('text', **given)", logger=logger, given=given)
        yield Step(f"a name of {length} characters", 4 + length / 100, bursts(logger, run, length))


def bound_fields() -> Walk:
    parent = new_logger()
    for count in [*COUNTS, 512, 1000]:
        logger = parent.bind(**{f"f{i}": i for i in range(count)})
        run = made("logger.info('text')", logger=logger)
        yield Step(f"{count} bound fields", 8 + count, bursts(logger, run, 20 * count))


NUMBERS = [10, 100, 1000, 2000, 4000, 6000, 8000, 8500, 9000, 10_000, 12_000, 16_000, 17_000, 20_000]


def newest(logger: Logger, statements: list[str]) -> Callable[[], float]:
    """Bursts of calls of these statements, each with a call site of its own."""
    space: dict[str, Any] = {"__name__": "walk"}
    lines = "".join(f"    {statement}\n" for statement in statements)
    exec(f"def run(logger):\n{lines}", space)
    run = space["run"]
    for _ in range(4):
        run(logger)

    def repeated(calls: int) -> None:
        for _ in range(-(-calls // len(statements))):
            run(logger)

    return bursts(logger, repeated)


def in_steps(statement: Callable[[int], str], numbers: list[int], what: str, layout: str = "{message}") -> Walk:
    """So many different statements are run, and the newest 50 of them are measured."""
    logger = new_logger(layout)
    done = 0
    for number in numbers:
        while done < number - 50:
            until = min(number - 50, done + 500)
            newest_of = [statement(i) for i in range(done, until)]
            space: dict[str, Any] = {"__name__": "walk"}
            exec("def run(logger):\n" + "".join(f"    {one}\n" for one in newest_of), space)
            space["run"](logger)
            space["run"](logger)
            logger.flush()
            done = until
        last = [statement(i) for i in range(done, max(done + 1, number))]
        done = max(done + 1, number)
        yield Step(f"{number:,} {what}", 1, newest(logger, last))


def templates() -> Walk:
    return in_steps(lambda i: f"logger.info('template {i} of {{}}', 5)", NUMBERS, "templates")


def sites() -> Walk:
    numbers = [*NUMBERS, 32_000, 48_000, 64_000, 65_400, 65_700, 70_000]
    return in_steps(lambda _: "logger.info('text')", numbers, "call sites", "{lineno} {message}")


def template_of_the_program_beside_texts() -> Walk:
    """Texts that are made per call, with a field, must not drive out the templates of the program."""
    logger = new_logger()
    done = 0
    for number in NUMBERS:
        for i in range(done, number):
            logger.info(f"user {i} did", action="x")  # noqa: G004
        done = number
        logger.flush()
        yield Step(
            f"{number:,} texts", 1, newest(logger, [f"logger.info('new {number} {i}: {{}}', 5)" for i in range(20)])
        )


def names() -> Walk:
    return in_steps(lambda i: f"logger.info('text', name_{i}=5)", NUMBERS, "names of fields")


def modules() -> Walk:
    """One template as a constant of so many modules."""
    logger = new_logger()
    for number in [*range(1, 18), 32, 64, 65, 128]:
        template = " ".join(["one template", "{}"][: number + 2])  # another object each time, as in another module
        run = made("logger.info(template, 5)", logger=logger, template=template)
        yield Step(f"{number} modules", 1, bursts(logger, run))


def sinks_to_add() -> Walk:
    logger = new_logger()
    config = null_sink()
    count = 1
    for number in (2, 5, 10, 20, 50, 100, 200, 300, 500, 700, 900):
        while count < number:
            logger.add_sink(config)
            count += 1

        def burst() -> float:
            start = time.perf_counter_ns()
            added = logger.add_sink(config)
            took = time.perf_counter_ns() - start
            logger.remove_sink(added)
            return took

        yield Step(f"add_sink beside {number} sinks", 1, burst)


def calls_with_sinks() -> Walk:
    for number in (1, 2, 3, 4, 8, 16, 31, 32, 33, 63, 64, 65, 128):
        logger = new_logger()
        for _ in range(number - 1):
            logger.add_sink(null_sink())
        run = made(f"logger.info('{number} sinks {{}}', 5)", logger=logger)
        yield Step(f"a call with {number} sinks", 1, bursts(logger, run))
        logger.close()


def threads() -> Walk:
    """The call of one thread, beside so many others that have logged and wait."""
    logger = new_logger()
    end = threading.Event()
    count = 0
    for number in (0, 1, 2, 3, 4, 8, 16, 32, 64, 128):
        while count < number:
            ready = threading.Event()

            def wait(ready: threading.Event = ready) -> None:
                logger.info("here")
                ready.set()
                end.wait()

            threading.Thread(target=wait, daemon=True).start()
            ready.wait()
            count += 1
        run = made(f"logger.info('{number} threads {{}}', 5)", logger=logger)
        yield Step(f"beside {number} threads", 1, bursts(logger, run))
    end.set()


def levels() -> Walk:
    logger = new_logger(level=0, flush_level=None)  # else a call at ERROR wakes the flusher, which is what it costs
    for number in (0, 1, 5, 10, 20, 21, 25, 30, 31, 40, 45, 50, 51, 100, 1000, 32767):
        run = made(f"logger.log({number}, 'text')", logger=logger)
        yield Step(f"level {number}", 1, bursts(logger, run))


def rotations() -> Walk:
    """The part of a rotation that looks for a name, beside so many rotated files."""
    from logly.files.rotated import RotatedName

    with tempfile.TemporaryDirectory() as folder:
        name = RotatedName(os.path.join(folder, "app.log"), zone=1)
        made_files = 0
        second = 1_800_000_000
        for number in (1, 10, 30, 100, 300, 1000, 3000, 10_000):
            for i in range(made_files, number):
                stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(1_600_000_000 + i))
                Path(folder, f"app_{stamp}.log").touch()
            made_files = number

            def burst() -> float:
                nonlocal second
                second += 1
                start = time.perf_counter_ns()
                chosen = name.choose(second * 1_000_000_000)
                took = time.perf_counter_ns() - start
                Path(chosen).touch()
                return took

            burst()
            yield Step(f"a rotation beside {number:,} files", 1, burst)


WALKS: dict[str, Callable[[], Walk]] = {
    "texts, ASCII": lambda: texts("a"),
    "texts, Latin-1": lambda: texts("é"),
    "texts, UCS-2": lambda: texts("€"),
    "texts, UCS-4": lambda: texts("😀"),
    "arguments": arguments,
    "fields": fields,
    "named placeholders": named_placeholders,
    "kinds of value": kinds_of_value,
    "names, interned": lambda: field_names(False),
    "names, of json.loads": lambda: field_names(True),
    "bound fields": bound_fields,
    "templates": templates,
    "templates beside texts": template_of_the_program_beside_texts,
    "modules": modules,
    "sites": sites,
    "different names": names,
    "sinks to add": sinks_to_add,
    "sinks": calls_with_sinks,
    "threads": threads,
    "levels": levels,
    "rotations": rotations,
}


# ---- measuring


def cost(step: Step) -> float:
    return statistics.median(step.burst() for _ in range(BURSTS))


def take(walk: Walk, shows_all: bool) -> int:
    """Prints the cliffs of a walk, and returns how many there are."""
    before: tuple[Step, float] | None = None
    cliffs = 0
    for step in walk:
        ns = cost(step)
        is_cliff = False
        if before is not None:
            last, last_ns = before
            for _ in range(AGAIN):
                if ns / step.units <= STEEP * last_ns / last.units:
                    break
                ns = min(ns, cost(step))
            is_cliff = ns / step.units > STEEP * last_ns / last.units
            if is_cliff:
                cliffs += 1
                per = f"{last_ns / last.units:,.1f} -> {ns / step.units:,.1f} a unit"
                print(f"  {last.label} -> {step.label}: {last_ns:,.0f} -> {ns:,.0f} ns ({per})", flush=True)
        if shows_all and not is_cliff:
            print(f"  {step.label}: {ns:,.1f} ns ({ns / step.units:,.2f} a unit)", flush=True)
        before = step, ns
    return cliffs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("walks", nargs="*", metavar="WALK", help=f"the beginning of a name: {', '.join(WALKS)}")
    parser.add_argument("--all", action="store_true", help="print every step")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = [name for name in WALKS if not options.walks or any(map(name.startswith, options.walks))]
    if not chosen:
        parser.error(f"no such walk; there are: {', '.join(WALKS)}")
    if options.here:
        sys.exit(min(take(WALKS[options.walks[0]](), options.all), 100))
    total = 0
    for name in chosen:
        print(name, flush=True)
        more = ["--all"] if options.all else []
        status = subprocess.run([sys.executable, __file__, name, "--here", *more], check=False).returncode
        if not 0 <= status <= 100:
            sys.exit(f"{name}: ended with {status}")
        total += status
    print(f"{total} cliffs in {len(chosen)} walks")


if __name__ == "__main__":
    main()
