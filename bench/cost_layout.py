"""What do layouts, fields and further sinks cost, and how fast is JSON end to end?

Goals: a JSON sink and a second sink cost the caller nothing (equal within 5 %); a bound logger with four fields at
most 15 ns more than the plain call, four fields of the context at most 30 ns more; three keyword fields at most 3.5x
an empty compiled method with that signature, and 30x less than structlog with orjson; JSON with four fields end to end
at least 15x structlog with orjson.

What is compared takes turns in one process (`turns.py`), with a flush (not timed) after each burst; ratios are formed
within a round. Run it with an interpreter that has Cython, structlog and orjson.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import turns
from core_cost import ASLEEP_MS, BURST, THREE, TWO, compile_loop, lines_in
from floor import load_floor

BENCH = Path(__file__).resolve().parent
sys.path.insert(1, str(BENCH.parent))

TEXT, JSON = {"json": False}, {"json": True}
FOUR = "logger.info('order filled', order=i, price=x, symbol='ABCD', live=True)"
FIELDS = {"order": 42, "price": 1234.5678, "symbol": "ABCD", "live": True}
RECORDS = {"logly": 40_000, "structlog": 1_000}
"""Records of one end-to-end value: several rings full, and short enough to be left in peace now and then."""

# Name: (sinks, how the fields are given, statement).
CALLS: dict[str, tuple[list[dict[str, bool]], str, str]] = {
    "text sink": ([TEXT], "", TWO),
    "JSON sink": ([JSON], "", TWO),
    "text and JSON sinks": ([TEXT, JSON], "", TWO),
    "text sink, again": ([TEXT], "", TWO),
    "bound, four fields": ([TEXT], "bind", TWO),
    "context, four fields": ([TEXT], "context", TWO),
    "context left again": ([TEXT], "left", TWO),
    "three fields": ([JSON], "", THREE),
}


class Subject:
    """One kind of call, ready to run; `finish()` counts its lines."""

    def __init__(self, name: str, folder: str) -> None:
        from logly import Logger, LoggerConfig, SinkConfig

        sinks, fields, statement = CALLS[name]
        self.name, self.calls = name, 0
        self.logger = Logger(LoggerConfig(auto_sink=False, async_flush_interval=ASLEEP_MS))
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

    def value(name: str) -> float:
        loop, flush = sides[name]
        took = end_to_end(loop, flush, RECORDS[name])
        if lines_in(paths[name]) != RECORDS[name]:
            raise SystemExit(f"{name}: {lines_in(paths[name])} lines, {RECORDS[name]} were logged")
        os.truncate(paths[name], 0)
        return took

    found = turns.take_turns({f"{name}, end to end": (lambda name=name: value(name)) for name in sides}, rounds)
    logger.close()
    session.close()
    return found


def measure(rounds: int) -> turns.Rounds:
    with tempfile.TemporaryDirectory() as folder:
        subjects: list[Any] = [Floor("loop", "pass"), Floor("floor, three fields", THREE)]
        subjects += [Subject(name, folder) for name in CALLS]
        subjects.append(Structlog("structlog, three fields", THREE, folder))
        bursts = {subject.name: (lambda subject=subject: subject.burst(BURST)) for subject in subjects}
        turns.take_turns(bursts, 3)
        found = turns.take_turns(bursts, rounds)
        for subject in subjects:
            subject.finish()
        return found | end_to_end_both(folder, max(3, rounds // 4))


def main() -> None:
    chosen = turns.options(__doc__ or "", rounds=200, processes=5)
    rounds = turns.joined(turns.run(chosen, measure))
    whole = {name: rounds.pop(name) for name in list(rounds) if name.endswith("end to end")}
    report(turns.Net(rounds, "loop"), whole)


def report(net: turns.Net, whole: turns.Rounds) -> None:
    print(f"\n{'median of all rounds':28}{'ns':>9}")
    for name in net.values:
        print(f"{name:28}{net.ns(name):9.1f}")
    text = "text sink"
    print("\nmedian of the rounds' ratios (goal)")
    print(f"the same measured twice           {net.ratio('text sink, again', text):7.3f}   (the noise)")
    print(f"JSON sink / text sink             {net.ratio('JSON sink', text):7.3f}   (0.95 to 1.05)")
    print(f"two sinks / one                   {net.ratio('text and JSON sinks', text):7.3f}   (0.95 to 1.05)")
    print(f"bound, four fields: more ns       {net.more('bound, four fields', text):7.1f}   (15)")
    print(f"context, four fields: more ns     {net.more('context, four fields', text):7.1f}   (30)")
    print(f"context left again: more ns       {net.more('context left again', text):7.1f}")
    print(f"three fields / floor              {net.ratio('three fields', 'floor, three fields'):7.2f}   (3.5)")
    print(f"structlog / three fields          {net.ratio('structlog, three fields', 'three fields'):7.1f}   (30)")
    ours, theirs = whole["logly, end to end"], whole["structlog, end to end"]
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(f"end to end, structlog / logly     {ratio:7.1f}   (15)")
    print(f"end to end, lines a second        {1e9 / statistics.median(ours):9,.0f}")


if __name__ == "__main__":
    main()
