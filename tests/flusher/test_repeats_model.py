"""`SinkConfig.dedup` beside a model in Python, with a clock that the test sets."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, note, settings
from hypothesis import strategies as st

from logly import Logger, Record, SinkConfig
from tests.support.hooks import set_repeat_time
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books, make_logger
from tests.support.repeats import short

SECOND = 1_000_000_000


@dataclass
class Model:
    """What a sink's lines should be."""

    dedup: int
    now: int = 1_000
    run: object = None
    begun: int = 0
    due: int = 0
    count: int = 0
    repeated: int = 0
    lines: list[str] = field(default_factory=list)

    def log(self, record: tuple[int, int]) -> None:
        if record == self.run and abs(self.now - self.begun) < self.dedup:
            self.count += 1
            self.repeated += 1
            return
        self.tell()
        self.run, self.begun, self.due = record, self.now, self.now + self.dedup
        self.lines.append(f"text {record[1]}")

    def tell(self) -> None:
        if self.count:
            self.lines.append(f"x{self.count} text {self.lines[-1].split()[-1]}")
            self.count = 0

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        if self.count and self.now >= self.due:
            self.tell()
            self.due = self.now + self.dedup

    def end(self) -> None:
        self.tell()
        self.run = None


def log(logger: Logger, record: tuple[int, int]) -> None:
    level, number = record
    if level:
        logger.error("text {}", number)
    else:
        logger.info("text {}", number)


RECORDS = st.tuples(st.just("log"), st.tuples(st.integers(0, 1), st.integers(0, 1)))
TIMES = st.tuples(st.just("time"), st.sampled_from([1, 2, 3, 5, 9, 30, -1, -4, -30]))
OTHERS = st.tuples(st.sampled_from(["flush", "reopen", "off and on"]), st.none())
STEPS = st.lists(st.one_of(RECORDS, RECORDS, RECORDS, TIMES, OTHERS), max_size=40)


@settings(settings.get_profile("some"))
@given(STEPS, st.sampled_from([1, 4, 5, 10]), st.sampled_from([2, 5, 60]))
def test_lines_and_counts_are_those_of_the_model(
    steps: list[tuple[str, object]], of_file: int, of_function: int
) -> None:
    found: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.log"
        logger = make_logger(level=0, flush_level=None)
        models = {
            logger.add_sink(SinkConfig(path=path, format="{message}", dedup=of_file)): Model(of_file),
            logger.add_sink(SinkConfig(function=found.append, dedup=of_function)): Model(of_function),
        }
        file, function = models.values()
        for sink in models:
            set_repeat_time(logger, sink, file.now * SECOND)
        for what, value in steps:
            run_step(logger, models, what, value)
            assert_books(logger)
        assert logger.flush(30)
        lines = [short(line) for line in lines_of(path)]
        for sink, model in models.items():
            model.tell()
            note(f"{model} {lines} {logger.sink_stats(sink)} {logger.stats()}")
            assert logger.sink_stats(sink).repeated == model.repeated
            assert logger.sink_stats(sink).pending == 0
        assert_books(logger, logger.stats().emitted)
        logger.close()
        assert lines == file.lines
        assert [said(record) for record in found] == function.lines


def run_step(logger: Logger, models: dict[int, Model], what: str, value: object) -> None:
    if what == "log":
        log(logger, value)  # type: ignore[arg-type]
    elif what == "reopen":
        logger.reopen()
    elif what == "flush":
        assert logger.flush(30)
    elif what == "off and on":
        assert logger.flush(30)
        for sink in models:
            logger.disable_sink(sink)
        logger.error("for nobody")
        for sink in models:
            logger.enable_sink(sink)
    for sink, model in models.items():
        if what == "log":
            model.log(value)  # type: ignore[arg-type]
        elif what == "time":
            model.pass_time(value)  # type: ignore[arg-type]
            set_repeat_time(logger, sink, model.now * SECOND)
        else:
            model.tell()
    if what == "reopen":
        next(iter(models.values())).end()


def said(record: Record) -> str:
    return f"x{record.fields['repeated']} {record.message}" if "repeated" in record.fields else record.message
