"""`LoggerConfig.time_source`: a test gives its records their time."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig, StdlibHandler, capture
from tests.support.loggers import assert_books, make_logger

NOON_NS = 1_700_000_000_123_456_789


@pytest.fixture
def logger() -> Iterator[Logger]:
    with make_logger(time_source=lambda: NOON_NS, timezone="utc") as logger:
        yield logger
        assert logger.flush(30)
        assert_books(logger)


def test_records_show_the_time_that_the_function_gives(logger: Logger, tmp_path: Path) -> None:
    logger.add_sink(SinkConfig(path=tmp_path / "text", format="{time:YYYY-MM-DD HH:mm:ss.SSSSSSSSS} {message}"))
    logger.add_sink(SinkConfig(path=tmp_path / "json", json=True, json_time="epoch_ns"))
    with capture(logger) as records:
        logger.info("plain")
        logger.info("with {}", 1)
        logger.info("with {field}", field=1)
        logger.named("shop").bind(a=1).info("named")
        logger.first(1).info("light")
        with logger.catch():
            raise KeyError
    logger.flush()
    assert [record.time_ns for record in records] == [NOON_NS] * 6
    lines = (tmp_path / "text").read_text().splitlines()
    assert lines[:2] == ["2023-11-14 22:13:20.123456789 plain", "2023-11-14 22:13:20.123456789 with 1"]
    assert all(str(NOON_NS) in line for line in (tmp_path / "json").read_text().splitlines())


def test_a_frozen_clock_does_not_rotate_files(tmp_path: Path) -> None:
    times = iter(range(0, 10 * 86_400 * 10**9, 86_400 * 10**9))
    with make_logger(time_source=lambda: next(times)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", rotation="daily"))
        for _ in range(10):
            logger.info("a day")
        logger.flush()
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["log"]


def test_records_of_logging_have_their_own_time(logger: Logger) -> None:
    record = logging.makeLogRecord({"msg": "old", "levelno": logging.INFO, "levelname": "INFO", "created": 5.0})
    with capture(logger) as records:
        StdlibHandler(logger).handle(record)
    assert records[0].time_ns == 5 * 10**9


def test_it_ends_when_it_is_taken_away(logger: Logger) -> None:
    with capture(logger) as records:
        logger.configure(time_source=None)
        logger.info("now")
    assert records[0].time_ns > NOON_NS


@pytest.mark.parametrize("wrong", [lambda: "noon", lambda: 1.5, lambda: 1 << 64, lambda: 1 / 0])
def test_a_function_that_fails_costs_no_record(wrong: object) -> None:
    errors: list[Exception] = []
    with make_logger(time_source=wrong, on_error=errors.append) as logger:
        with capture(logger) as records:
            logger.info("kept")
        assert records[0].time_ns > NOON_NS
        assert_books(logger)
    assert len(errors) == 1
    assert "time_source" in errors[0].__notes__[0]


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigError, match="time_source"):
        Logger(LoggerConfig(time_source=5))  # type: ignore[arg-type]


def test_a_function_that_logs_gives_its_record_the_time() -> None:
    def source() -> int:
        logger.debug("asked")
        logger.debug("asked with {}", [])
        logger.named("shop").debug("asked")
        return NOON_NS

    logger = make_logger(time_source=source, level="debug")
    with logger, capture(logger) as records:
        logger.info("one")
        logger.info("two {}", object)
    assert [record.time_ns == NOON_NS for record in records] == [False, False, False, True] * 2
    assert_books(logger)


@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
def test_frozen_clocks_of_other_packages(library: str) -> None:
    import time

    frozen = pytest.importorskip(library)
    freeze = frozen.freeze_time if library == "freezegun" else lambda at: frozen.travel(at, tick=False)
    with make_logger(time_source=lambda: time.time_ns()) as logger, capture(logger) as records:
        with freeze("2020-01-02T03:04:05+00:00"):
            logger.info("frozen")
        assert records[0].time_ns == 1_577_934_245 * 10**9
