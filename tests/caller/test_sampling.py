"""Sampling of a whole logger: the first records of a kind in each second, then each one after so many others."""

import collections
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import ConfigError, Level, Logger, LoggerConfig, Record, SinkConfig, StdlibHandler
from tests.support.forks import children_end_well, fork
from tests.support.hooks import recent_clock
from tests.support.loggers import assert_books, counting_logger, file_logger, make_logger, records_of
from tests.support.programs import run_python
from tests.support.threads import run_threads


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(sampling=(2, 3))


@pytest.fixture
def records(logger: Logger) -> list[Record]:
    return records_of(logger)


@pytest.fixture
def set_clock() -> Iterator[Callable[[float], None]]:
    with recent_clock() as set_to:
        yield set_to


def passed(logger: Logger, records: list[Record]) -> list[str]:
    assert logger.flush(30)
    return [record.message for record in records]


class Shown:
    def __str__(self) -> str:
        return "shown"


@pytest.mark.usefixtures("set_clock")
class TestInOneSecond:
    """With (2, 3): the numbers 0 and 1, then 4, 7, 10 ..."""

    PASSED = (0, 1, 4, 7, 10)

    @pytest.mark.parametrize(
        "call",
        [
            lambda logger, i: logger.info("{}", i),
            lambda logger, i: logger.info("{i}", i=i),
            lambda logger, i: logger.info("{}", str(i)),
            lambda logger, i: logger.info("{} {}", i, Shown()),
            lambda logger, i: logger.info(f"{i}"),
            lambda logger, i: logger.info(f"{i}", a=1),
            lambda logger, i: logger.info(f"{i}", a=Shown()),
            lambda logger, i: logger.info(i),
            lambda logger, i: logger.info("{}", i, stack_info=True),
            lambda logger, i: logger.bind(a=1).info("{}", i),
            lambda logger, i: logger.named(f"n{i}").info("{}", i),
            lambda logger, i: logger.log("info", "{}", i),
            lambda logger, i: logger.log("info", f"{i}"),
        ],
    )
    def test_a_template_counts_and_else_the_call_site(
        self, logger: Logger, records: list[Record], call: Callable[[Logger, int], None]
    ) -> None:
        for i in range(12):
            call(logger, i)
        assert [int(text.split()[0]) for text in passed(logger, records)] == list(self.PASSED)
        assert [record.fields.get("suppressed") for record in records] == [None, None, 2, 2, 2]
        assert logger.stats().suppressed == 7
        assert_books(logger, 5)

    def test_two_call_sites_of_one_template_are_one_kind(self, logger: Logger, records: list[Record]) -> None:
        for i in range(3):
            logger.info("{}", 2 * i)
            logger.info("{}", 2 * i + 1)
        assert passed(logger, records) == ["0", "1", "4"]

    def test_two_call_sites_without_a_template_are_two(self, logger: Logger, records: list[Record]) -> None:
        for _ in range(4):
            logger.info("one")
            logger.info("one")
        assert passed(logger, records) == ["one"] * 4

    def test_each_level_is_a_kind(self, logger: Logger, records: list[Record]) -> None:
        for _ in range(4):
            for level in ("info", "warning"):
                logger.log(level, "{}", 1)
        assert passed(logger, records) == ["1"] * 4

    @pytest.mark.parametrize(
        ("level", "count"), [("error", 2), ("critical", 2), (None, 2), ("warning", 9), ("info", 9)]
    )
    def test_from_its_level_on_nothing_is_held_back(
        self, logger: Logger, records: list[Record], level: Any, count: int
    ) -> None:
        logger.configure(sampling=(2, 0), sampling_level=level)
        for _ in range(9):
            logger.warning("{}", 1)
        assert len(passed(logger, records)) == count

    def test_errors_and_above_are_not_sampled(self, logger: Logger, records: list[Record]) -> None:
        for _ in range(9):
            logger.error("{}", 1)
            logger.critical("text")
            try:
                raise ValueError
            except ValueError:
                logger.exception("text")
        assert len(passed(logger, records)) == 27

    def test_then_0_is_none(self, logger: Logger, records: list[Record]) -> None:
        logger.configure(sampling=(3, 0))
        for i in range(50):
            logger.info("{}", i)
        assert passed(logger, records) == ["0", "1", "2"]

    def test_first_0_is_each_one_after_so_many(self, logger: Logger, records: list[Record]) -> None:
        logger.configure(sampling=(0, 4))
        for i in range(10):
            logger.info("{}", i)
        assert passed(logger, records) == ["3", "7"]

    def test_a_level_that_is_off_is_not_counted(self, logger: Logger, records: list[Record]) -> None:
        for i in range(4):
            logger.debug("{}", i)
            logger.log("debug", "{}", i)
        logger.set_level(f"warning,{__name__}=debug,elsewhere=info")
        namespace: dict[str, Any] = {"__name__": "elsewhere", "logger": logger}
        exec("def call(): logger.debug('{}', 'off in this module')", namespace)
        for _ in range(3):
            namespace["call"]()
        for i in range(3):
            logger.debug("{}", i)
        assert passed(logger, records) == ["0", "1"]

    def test_configure_changes_it(self, logger: Logger, records: list[Record]) -> None:
        logger.configure(sampling=None)
        for i in range(4):
            logger.info("{}", i)
        logger.configure(sampling=(1, 0))
        for i in range(4, 8):
            logger.info("{}", i)
        logger.configure(sampling=None)
        logger.info("{}", 8)
        assert passed(logger, records) == ["0", "1", "2", "3", "4", "8"]
        assert logger.config.sampling is None
        assert logger.config.sampling_level == Level.ERROR

    def test_a_change_of_the_sinks_does_not_end_it(self, logger: Logger, records: list[Record]) -> None:
        logger.add_sink(SinkConfig(function=lambda record: None))
        logger.set_level("debug")
        for i in range(4):
            logger.debug("{}", i)
        assert passed(logger, records) == ["0", "1"]

    def test_what_a_light_logger_lets_pass_is_not_sampled(self, logger: Logger, records: list[Record]) -> None:
        for i in range(12):
            logger.every(2).info("{}", i)
        assert passed(logger, records) == ["0", "2", "4", "6", "8", "10"]
        assert logger.stats().suppressed == 6

    def test_records_of_logging_are_sampled(self, logger: Logger, records: list[Record]) -> None:
        handler = StdlibHandler(logger)
        for i in range(12):
            handler.handle(logging.LogRecord("shop", 20, "/shop.py", 3, "number %d", (i,), None))
            handler.handle(logging.LogRecord("shop", 20, "/shop.py", 4, f"text {i}", (), None))
            handler.handle(logging.LogRecord("shop", 40, "/shop.py", 5, "error", (), None))
        found = collections.Counter(text.split()[0] for text in passed(logger, records))
        assert found["error"] == 12
        assert found["text"] == 5
        # The template is registered when it comes a second time. Until then the call site counts.
        assert 5 <= found["number"] <= 7

    def test_suppressed_is_never_filled_into_a_message(self, logger: Logger, records: list[Record]) -> None:
        for i in range(6):
            logger.info("{i} {{suppressed}}", i=i)
            logger.info("{suppressed}")
        assert passed(logger, records) == [
            text for i in (0, 1, 4) for text in (f"{i} {{suppressed}}", "{suppressed}")
        ]  # fmt: skip


def test_each_second_begins_anew(logger: Logger, records: list[Record], set_clock: Callable[[float], None]) -> None:
    for i in range(40):
        set_clock(1000 + i / 10)
        logger.info("{}", i)
    assert passed(logger, records) == [str(10 * second + i) for second in range(4) for i in (0, 1, 4, 7)]
    assert [record.fields.get("suppressed") for record in records[:8]] == [None, None, 2, 2, 2, None, 2, 2]


def test_a_clock_that_is_set_back_begins_anew(
    logger: Logger, records: list[Record], set_clock: Callable[[float], None]
) -> None:
    for i, now in enumerate([9000.0] * 4 + [100.0] * 4):
        set_clock(now)
        logger.info("{}", i)
    assert passed(logger, records) == ["0", "1", "4", "5"]


def test_with_thread_names_and_named_loggers_without_a_number(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", layout="{thread_name} {name} {message}", sampling=(2, 3))
    with recent_clock():
        for i in range(12):
            logger.named("n" * 300).info("{}", i)
    logger.close()
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert [line.split()[-1] for line in lines[:5]] == ["0", "1", "4", "7", "10"]


def test_threads_add_up(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", sink={"json": True}, sampling=(100, 7))
    calls, threads = 3000, 6

    def work() -> None:
        for i in range(calls):
            logger.info("number {}", i)
            logger.info("text")

    run_threads(*[work] * threads)
    logger.close()
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text().splitlines()]
    own = [line for line in lines if not line["message"].startswith("logly: ")]
    stats = logger.stats()
    assert stats.suppressed + stats.emitted == 2 * calls * threads
    assert len(own) == stats.emitted
    assert sum(line.get("suppressed", 0) for line in lines) == stats.suppressed


def test_close_tells_the_rest_in_one_line(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", layout="{level} {message}", sampling=(1, 0))
    with recent_clock():
        for i in range(5):
            logger.info("{}", i)
            logger.warning("text")
    logger.close()
    assert (tmp_path / "a.log").read_text().splitlines() == [
        "INFO 0", "WARNING text", "WARNING logly: 8 calls held back by the sampling",
    ]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_a_fork_starts_at_zero(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", sampling=(1, 0))
    with recent_clock():
        for _ in range(3):
            logger.info("{}", "parent")
        assert logger.flush(30)

        def in_child() -> None:
            assert logger.stats().suppressed == 0
            for _ in range(2):
                logger.info("{}", "child")
            assert logger.stats().suppressed == 1
            logger.close()

        children_end_well([fork(in_child)])
    assert logger.stats().suppressed == 2
    logger.close()
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert lines == [
        "parent", "child", "logly: 1 call held back by the sampling", "logly: 2 calls held back by the sampling",
    ]  # fmt: skip


def test_installed_calls_of_logging_are_sampled_for_a_logger_and_not_for_handlers(tmp_path: Path) -> None:
    program = """
import logging, sys
import logly
from logly import Logger, LoggerConfig, SinkConfig
logger = Logger(LoggerConfig(auto_sink=False, sampling=(2, 0)))
logger.add_sink(SinkConfig(path="own.log", format="{message}"))
served = logging.getLogger("served")
served.propagate = False
served.addHandler(logging.FileHandler("served.log"))
logly.install(logger)
for i in range(50):
    logging.getLogger("app").warning("number %d", i)
    served.warning("number %d", i)
logger.close()
logly.uninstall()
"""
    run_python("-c", program, cwd=tmp_path)
    assert len((tmp_path / "served.log").read_text().splitlines()) == 50
    lines = (tmp_path / "own.log").read_text().splitlines()
    assert lines[:2] == ["number 0", "number 1"]
    assert len(lines) <= 8  # seconds may turn, and the first call counts by its call site


# ---- against a model

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, -0.25]), st.integers(0, 2), st.sampled_from(["info", "warning"])
    ),
    max_size=80,
)


@given(first=st.integers(0, 4), then=st.integers(0, 4), steps=STEPS)
def test_what_passes_and_what_is_told_are_the_models(
    first: int, then: int, steps: list[tuple[float, int, str]]
) -> None:
    if not first and not then:
        then = 1
    logger = make_logger(sampling=(first, then))
    records = records_of(logger)
    begun: dict[Any, float] = {}
    counts: dict[Any, int] = collections.defaultdict(int)
    held: dict[Any, int] = collections.defaultdict(int)
    expected = []
    templates = ["one {}", "two {}", "three {}"]
    now = 10_000.0
    with recent_clock() as set_clock:
        for i, (step, number, level) in enumerate(steps):
            now += step
            set_clock(now)
            if number == 0:
                logger.log(level, "one {}", i)
            elif number == 1:
                logger.log(level, "two {}", i)
            else:
                logger.log(level, "three {}", i)
            kind = (number, level)
            if kind not in begun or not 0 <= now - begun[kind] < 1:
                begun[kind], counts[kind] = now, 0
            counts[kind] += 1
            beyond = counts[kind] - first
            if beyond <= 0 or (then and beyond % then == 0):
                expected.append((templates[number].format(i), held.pop(kind, 0)))
            else:
                held[kind] += 1
    assert logger.flush(30)
    assert [(record.message, record.fields.get("suppressed", 0)) for record in records] == expected
    assert logger.stats().suppressed == len(steps) - len(expected)
    logger.close()


# ---- wrong input


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), (0, 0), (-1, 1), (1.5, 1), ("1", "2"), (True, 1), 5, "100", {1, 2}])
def test_what_is_no_sampling(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"sampling = .* like \(100, 10\)"):
        Logger(LoggerConfig(sampling=value))


def test_a_list_will_do_and_a_level_must_be_one() -> None:
    Logger(LoggerConfig(sampling=[1, 0])).close()  # type: ignore[arg-type]  # as TOML has it
    with pytest.raises(ConfigError, match="sampling_level"):
        Logger(LoggerConfig(sampling=(1, 0), sampling_level="loud"))


def test_explain_says_what_is_sampled() -> None:
    with Logger(LoggerConfig(sampling=(5, 10))) as logger:
        assert "each second the first 5 of a template or call site pass, and then each 10th" in logger.explain("info")
        assert "sampling" not in logger.explain("error")
    with Logger(LoggerConfig(sampling=(5, 0), sampling_level=None)) as logger:
        assert "the first 5 of a template or call site pass, and no more" in logger.explain("error")
