"""What do layouts, fields and further sinks cost, and how fast is JSON end to end?

Goals: a JSON sink and a second sink cost the caller nothing (equal within 5 %); a bound logger with four fields at
most 15 ns more than the plain call, four fields of the context at most 30 ns more; three keyword fields at most 3.5x
an empty compiled method with that signature, and 30x less than structlog with orjson; JSON with four fields end to end
at least 15x structlog with orjson. One run measures all (pyperf), then prints the ratios. Run it with an interpreter
that has the peers; `--fast` for a quick look.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyperf

from core_cost import BURST, compile_loop
from floor import load_floor

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))

TEXT, JSON = {"json": False}, {"json": True}
PLAIN = "logger.info('order {} filled at {:.2f}', i, x)"
THREE = "logger.info('order', order=i, price=x, symbol='ABCD')"
FOUR = "logger.info('order filled', order=i, price=x, symbol='ABCD', live=True)"
FIELDS = {"order": 42, "price": 1234.5678, "symbol": "ABCD", "live": True}
END_TO_END = 200_000
"""Records of one end-to-end value; structlog gets a twentieth of them."""

# Name: (sinks, how the fields are given, statement).
CALLS: dict[str, tuple[list[dict[str, bool]], str, str]] = {
    "text sink": ([TEXT], "", PLAIN),
    "JSON sink": ([JSON], "", PLAIN),
    "text and JSON sinks": ([TEXT, JSON], "", PLAIN),
    "text sink, again": ([TEXT], "", PLAIN),
    "bound, four fields": ([TEXT], "bind", PLAIN),
    "context, four fields": ([TEXT], "context", PLAIN),
    "context left again": ([TEXT], "left", PLAIN),
    "three fields": ([JSON], "", THREE),
}


def lines_in(path: str) -> int:
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def timed_floor(loops: int, statement: str) -> float:
    loop = compile_loop(statement, load_floor())
    begun = time.perf_counter()
    loop(0, loops)
    return time.perf_counter() - begun


def timed_call(loops: int, name: str) -> float:
    from logly import Logger, LoggerConfig, SinkConfig

    sinks, fields, statement = CALLS[name]
    with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
        paths = [os.path.join(folder, f"{i}.log") for i in range(len(sinks))]
        for path, sink in zip(paths, sinks, strict=True):
            logger.add_sink(SinkConfig(path=path, **sink))
        if fields == "left":
            with logger.contextualize(**FIELDS):
                pass
        given = logger.bind(**FIELDS) if fields == "bind" else logger
        if fields == "context":
            with logger.contextualize(**FIELDS):
                total = timed_bursts(loops, compile_loop(statement, given), logger)
        else:
            total = timed_bursts(loops, compile_loop(statement, given), logger)
        for path in paths:
            if lines_in(path) != loops + 100:
                raise SystemExit(f"{name}: {lines_in(path)} lines in a file, {loops + 100} were logged")
        return total


def timed_bursts(loops: int, loop: Any, logger: Any) -> float:
    loop(0, 100)
    logger.flush()
    total = 0.0
    for start in range(0, loops, BURST):
        begun = time.perf_counter()
        loop(start, min(start + BURST, loops))
        total += time.perf_counter() - begun
        logger.flush()
    return total


def timed_structlog(loops: int, statement: str) -> float:
    """Until the last line has been handed to the operating system."""
    from harness import SCENARIOS
    from peers import structlog_orjson

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.log")
        session = structlog_orjson.setup(path, SCENARIOS["fields"])
        loop = compile_loop(statement, session.logger)
        begun = time.perf_counter()
        loop(0, loops)
        session.flush()
        total = time.perf_counter() - begun
        session.close()
        if lines_in(path) != loops:
            raise SystemExit(f"structlog: {lines_in(path)} lines, {loops} were logged")
        return total


def timed_end_to_end(loops: int) -> float:
    """One value is `END_TO_END` records, however many loops: what is asked is the steady state."""
    from logly import Logger, LoggerConfig, SinkConfig

    total = 0.0
    for _ in range(loops):
        with tempfile.TemporaryDirectory() as folder, Logger(LoggerConfig(auto_sink=False)) as logger:
            path = os.path.join(folder, "bench.log")
            logger.add_sink(SinkConfig(path=path, json=True))
            loop = compile_loop(FOUR, logger)
            loop(0, 100)
            logger.flush()
            begun = time.perf_counter()
            loop(0, END_TO_END)
            logger.flush()
            total += time.perf_counter() - begun
            if lines_in(path) != END_TO_END + 100:
                raise SystemExit("end to end: lines are missing")
    return total


def main() -> None:
    runner = pyperf.Runner()
    runner.metadata["description"] = "cost of layouts, fields and sinks"
    benches = {
        "loop": runner.bench_time_func("loop", timed_floor, "pass"),
        "floor, three fields": runner.bench_time_func("floor, three fields", timed_floor, THREE),
    }
    for name in CALLS:
        benches[name] = runner.bench_time_func(name, timed_call, name)
    benches["structlog, three fields"] = runner.bench_time_func("structlog, three fields", timed_structlog, THREE)
    benches["structlog, end to end"] = runner.bench_time_func("structlog, end to end", timed_structlog, FOUR)
    benches["logly, end to end"] = runner.bench_time_func("logly, end to end", timed_end_to_end, inner_loops=END_TO_END)
    if not runner.args.worker and all(bench is not None for bench in benches.values()):
        report({name: bench.median() * 1e9 for name, bench in benches.items()})


def report(ns: dict[str, float]) -> None:
    loop = ns["loop"]
    net = {name: value - loop for name, value in ns.items()}
    print(f"\n{'':28}{'ns':>9}")
    for name, value in net.items():
        print(f"{name:28}{value:9.1f}")
    text = min(net["text sink"], net["text sink, again"])
    print("\nratios (goal)")
    print(f"the same measured twice           {net['text sink, again'] / net['text sink']:7.3f}   (the noise)")
    print(f"JSON sink / text sink             {net['JSON sink'] / text:7.3f}   (0.95 to 1.05)")
    print(f"two sinks / one                   {net['text and JSON sinks'] / text:7.3f}   (0.95 to 1.05)")
    print(f"bound, four fields: more ns       {net['bound, four fields'] - text:7.1f}   (15)")
    print(f"context, four fields: more ns     {net['context, four fields'] - text:7.1f}   (30)")
    print(f"context left again: more ns       {net['context left again'] - text:7.1f}")
    print(f"three fields / floor              {net['three fields'] / net['floor, three fields']:7.2f}   (3.5)")
    print(f"structlog / three fields          {net['structlog, three fields'] / net['three fields']:7.1f}   (30)")
    print(f"end to end, structlog / logly     {ns['structlog, end to end'] / ns['logly, end to end']:7.1f}   (15)")
    print(f"end to end, lines a second        {1e9 / ns['logly, end to end']:9,.0f}")


if __name__ == "__main__":
    main()
