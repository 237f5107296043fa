"""What do layouts, fields and further sinks cost, and how fast is JSON end to end?

Goals: a JSON sink and a second sink cost the caller nothing (equal within 5 %); a bound logger with four fields at
most 15 ns more than the plain call, four fields of the context at most 30 ns more; three keyword fields at most 3.5x
an empty compiled method with that signature, and 30x less than structlog with orjson; JSON with four fields end to end
at least 15x structlog with orjson.

What is compared takes turns in one process: burst by burst, `--rounds` times, a flush (not timed) after each. So a busy
neighbour or a changed clock frequency meets all alike, and the fastest burst of each is the one that nothing disturbed.
Medians are shown beside it. Processes are repeated (`--processes`), and the median of their figures is reported.
Run it with an interpreter that has the peers (pyperf, structlog, orjson).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from core_cost import BURST, compile_loop
from floor import load_floor

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))

TEXT, JSON = {"json": False}, {"json": True}
PLAIN = "logger.info('order {} filled at {:.2f}', i, x)"
THREE = "logger.info('order', order=i, price=x, symbol='ABCD')"
FOUR = "logger.info('order filled', order=i, price=x, symbol='ABCD', live=True)"
FIELDS = {"order": 42, "price": 1234.5678, "symbol": "ABCD", "live": True}
RECORDS = {"logly": 40_000, "structlog": 1_000}
"""Records of one end-to-end value: several rings full, and short enough to be left in peace now and then."""

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


class Subject:
    """One kind of call, ready to run; `finish()` counts its lines."""

    def __init__(self, name: str, folder: str) -> None:
        from logly import Logger, LoggerConfig, SinkConfig

        sinks, fields, statement = CALLS[name]
        self.name, self.calls = name, 0
        self.logger = Logger(LoggerConfig(auto_sink=False))
        self.paths = [os.path.join(folder, f"{name} {i}.log") for i in range(len(sinks))]
        for path, sink in zip(self.paths, sinks, strict=True):
            self.logger.add_sink(SinkConfig(path=path, **sink))
        self.context = self.logger.contextualize(**FIELDS) if fields in ("context", "left") else None
        self.stays = fields == "context"
        if fields == "left" and self.context is not None:
            with self.context:
                pass
        self.loop = compile_loop(statement, self.logger.bind(**FIELDS) if fields == "bind" else self.logger)

    def burst(self, calls: int) -> float:
        self.calls += calls
        if self.stays and self.context is not None:
            with self.context:
                return self.timed(calls)
        return self.timed(calls)

    def timed(self, calls: int) -> float:
        begun = time.perf_counter()
        self.loop(0, calls)
        took = time.perf_counter() - begun
        self.logger.flush()
        return took / calls * 1e9

    def finish(self) -> None:
        self.logger.close()
        for path in self.paths:
            if lines_in(path) != self.calls:
                raise SystemExit(f"{self.name}: {lines_in(path)} lines in a file, {self.calls} were logged")


class Floor:
    def __init__(self, name: str, statement: str) -> None:
        self.name = name
        self.loop = compile_loop(statement, load_floor())

    def burst(self, calls: int) -> float:
        begun = time.perf_counter()
        self.loop(0, calls)
        return (time.perf_counter() - begun) / calls * 1e9

    def finish(self) -> None:
        pass


class Structlog(Floor):
    def __init__(self, name: str, statement: str, folder: str) -> None:
        from harness import SCENARIOS
        from peers import structlog_orjson

        self.name, self.calls = name, 0
        self.path = os.path.join(folder, "structlog.log")
        self.session = structlog_orjson.setup(self.path, SCENARIOS["fields"])
        self.loop = compile_loop(statement, self.session.logger)

    def burst(self, calls: int) -> float:
        self.calls += calls // 10
        return super().burst(calls // 10)

    def finish(self) -> None:
        self.session.flush()
        self.session.close()
        if lines_in(self.path) != self.calls:
            raise SystemExit("structlog: lines are missing")


def end_to_end(loop: Any, flush: Any, records: int) -> float:
    """Nanoseconds a record, until the last one has been handed to the operating system."""
    begun = time.perf_counter()
    loop(0, records)
    flush()
    return (time.perf_counter() - begun) / records * 1e9


def end_to_end_both(folder: str, rounds: int) -> dict[str, list[float]]:
    from harness import SCENARIOS
    from logly import Logger, LoggerConfig, SinkConfig
    from peers import structlog_orjson

    paths = {name: os.path.join(folder, f"{name}.json") for name in RECORDS}
    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=paths["logly"], json=True))
    session = structlog_orjson.setup(paths["structlog"], SCENARIOS["fields"])
    sides = {
        "logly": (compile_loop(FOUR, logger), logger.flush),
        "structlog": (compile_loop(FOUR, session.logger), session.flush),
    }
    found: dict[str, list[float]] = {f"{name}, end to end": [] for name in sides}
    for _ in range(rounds):
        for name, (loop, flush) in sides.items():
            found[f"{name}, end to end"].append(end_to_end(loop, flush, RECORDS[name]))
            if lines_in(paths[name]) != RECORDS[name]:
                raise SystemExit(f"{name}: {lines_in(paths[name])} lines, {RECORDS[name]} were logged")
            os.truncate(paths[name], 0)
    logger.close()
    session.close()
    return found


def measure(rounds: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        subjects: list[Any] = [Floor("loop", "pass"), Floor("floor, three fields", THREE)]
        subjects += [Subject(name, folder) for name in CALLS]
        subjects.append(Structlog("structlog, three fields", THREE, folder))
        found: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        for _ in range(rounds):
            for subject in subjects:
                found[subject.name].append(subject.burst(BURST))
        for subject in subjects:
            subject.finish()
        found |= end_to_end_both(folder, max(3, rounds // 2))
    return {name: {"best": min(values), "median": statistics.median(values)} for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of layouts, fields and sinks")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.rounds)))
        return
    command = [sys.executable, __file__, "--worker", "--rounds", str(options.rounds)]
    runs = []
    for _ in range(options.processes):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    for kind in ("best", "median"):
        report(kind, {name: statistics.median(run[name][kind] for run in runs) for name in runs[0]})


def report(kind: str, ns: dict[str, float]) -> None:
    net = {name: value - ns["loop"] for name, value in ns.items()}
    print(f"\n{kind + ' burst':28}{'ns':>9}")
    for name, value in net.items():
        print(f"{name:28}{value:9.1f}")
    text = (net["text sink"] + net["text sink, again"]) / 2
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
