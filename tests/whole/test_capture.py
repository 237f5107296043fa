"""`logly.capture`: a test's code has the records at hand."""

import operator
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import logly
from logly import ConfigError, Logger, LoggerConfig, Record, Records, SinkConfig, capture
from tests.support.loggers import assert_books, counting_logger, make_logger


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger()


def test_the_records_of_a_block_are_there_when_they_are_read(logger: Logger) -> None:
    with capture(logger) as records:
        logger.info("order {oid} paid", oid=7)
        assert records == [("INFO", "order 7 paid", {"oid": 7})]
        logger.bind(shop="a").error("late")
        assert [record.message for record in records] == ["order 7 paid", "late"]
    logger.info("after")
    assert records == [("INFO", "order 7 paid"), ("ERROR", "late", {"shop": "a"})]
    assert records.messages == ["order 7 paid", "late"]
    assert isinstance(records, list)
    assert isinstance(records, Records)


def test_reading_in_any_way_waits(logger: Logger) -> None:
    first = ("INFO", "first")
    for read in (
        lambda records: list(records) == [first],
        lambda records: len(records) == 1,
        lambda records: records[0] == first,
        lambda records: records[-1:] == [first],
        lambda records: first in records,
        lambda records: records.count(first) == 1,
        lambda records: records.index(first) == 0,
        lambda records: list(reversed(records)) == [first],
        lambda records: [*records, 1] == [first, 1],
        lambda records: operator.add([1], records) == [1, first],
        lambda records: operator.add(records, [1]) == [first, 1],
        lambda records: records * 2 == [first, first],
        lambda records: not records < [],
        lambda records: records != [],
        lambda records: "'first'" in repr(records),
        lambda records: records.copy() == [first],
        lambda records: records.pop() == first,
        lambda records: sorted(records, key=id) == [first],
        bool,
    ):
        with capture(logger) as records:
            logger.info("first")
            assert read(records)


def test_what_is_changed_is_complete(logger: Logger) -> None:
    for change in (
        lambda records: records.clear(),
        lambda records: records.__delitem__(slice(None)),
        lambda records: records.__setitem__(slice(None), []),
        lambda records: records.remove(("INFO", "before")),
    ):
        with capture(logger) as records:
            logger.info("before")
            change(records)
            logger.info("after")
            assert records.messages == ["after"]
    with capture(logger) as records:
        logger.info("1")
        logger.info("2")
        records.reverse()
        logger.info("3")
        assert records.messages == ["2", "1", "3"]
        records.sort(key=lambda record: record.message)
        assert records.messages == ["1", "2", "3"]


def test_a_capture_gets_all_levels_and_the_sinks_what_they_had(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with Logger(LoggerConfig(level="warning,shop=error", auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
        logger.add_sink(SinkConfig(path=tmp_path / "debug", format="{message}", level="debug"))
        with capture(logger) as records:
            logger.trace("trace")
            logger.info("info")
            logger.warning("warning")
            logger.named("shop").warning("shop")
            assert logger.is_enabled_for("trace")
        assert not logger.is_enabled_for("info")
        logger.info("after")
        logger.flush()
        assert records.messages == ["trace", "info", "warning", "shop"]
        assert path.read_text() == "warning\n"
        assert (tmp_path / "debug").read_text() == "warning\n"
        assert_books(logger)


def test_without_a_level_of_the_logger_sinks_get_what_they_ask_for(tmp_path: Path) -> None:
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "info", format="{message}"))
        logger.add_sink(SinkConfig(path=tmp_path / "debug", format="{message}", level="debug"))
        with capture(logger):
            logger.trace("trace")
            logger.debug("debug")
            logger.info("info")
        logger.flush()
        assert (tmp_path / "info").read_text() == "info\n"
        assert (tmp_path / "debug").read_text() == "debug\ninfo\n"


def test_levels_that_are_changed_inside_hold_for_the_sinks(tmp_path: Path) -> None:
    with Logger(LoggerConfig(level="error", auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message}"))
        with capture(logger) as records:
            logger.info("before")
            logger.set_level("info")
            logger.info("inside")
            with logger.at_level("error"):
                logger.info("overlay")
        logger.flush()
        assert records.messages == ["before", "inside", "overlay"]
        assert (tmp_path / "log").read_text() == "inside\n"


def test_nothing_is_told_of_captures(tmp_path: Path) -> None:
    errors: list[Exception] = []
    with make_logger(level="warning", on_error=errors.append) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log"))
        before = logger.explain("info")
        assert "the call returns at once" in before
        with capture(logger, level="debug") as records:
            logger.set_level("error")
            logger.configure(max_message_bytes=5000)
            logger.set_level("warning")
            told = logger.explain("info")
            assert told.startswith("INFO: not written\n"), told
            assert "only logly.capture gets the record" in told
            assert told.endswith("\n  logly.capture: gets it")
            assert logger.explain("trace") == before.replace("INFO", "TRACE")
            logger.info("captured")
            assert records.messages == ["captured"]
        assert logger.explain("info") == before
    assert errors == []


def test_a_level_of_its_own(logger: Logger) -> None:
    with capture(logger, level="warning") as records:
        logger.info("no")
        logger.warning("yes")
    assert records.messages == ["yes"]


def test_a_named_logger_is_captured_alone(logger: Logger) -> None:
    shop = logger.named("shop")
    with capture(shop) as records:
        logger.info("other")
        logger.named("shopping").info("other")
        shop.info("own")
        shop.named("db").info("below")
    assert records.messages == ["own", "below"]
    with capture(shop.first(5)) as records:
        logger.info("other")
        shop.info("own")
    assert records.messages == ["own"]


def test_all_loggers_also_new_ones_and_threads(logger: Logger) -> None:
    with capture() as records:
        logger.info("old")
        with make_logger() as new:
            new.info("new")
            thread = threading.Thread(target=new.info, args=("thread",))
            thread.start()
            thread.join()
        logly.get_logger("ready").info("ready")
    assert sorted(records.messages) == ["new", "old", "ready", "thread"]


def test_captures_nest(logger: Logger) -> None:
    with capture(logger) as outer, capture(logger) as inner:
        logger.info("both")
    assert outer == inner
    assert len(outer) == 1


def test_records_with_a_field_that_is_no_number_are_equal(logger: Logger) -> None:
    with capture(logger) as outer, capture(logger) as inner:
        logger.info("ratio", ratio=float("nan"), parts=[1, float("nan")])
    assert outer == inner


def test_a_capture_can_be_entered_again(logger: Logger) -> None:
    capturing = capture(logger)
    with capturing as first:
        logger.info("1")
    with capturing as second:
        logger.info("2")
    assert (first.messages, second.messages) == (["1"], ["2"])


def test_a_closed_logger_is_captured_too() -> None:
    logger = make_logger()
    logger.close()
    with capture(logger) as records:
        logger.info("late")
        assert records.messages == ["late"]


def _fail(shown: bool) -> None:
    assert shown
    raise RuntimeError


def test_no_sink_is_left_and_none_is_shown(logger: Logger) -> None:
    before = logger.list_sinks()
    with pytest.raises(RuntimeError), capture(logger):
        _fail(logger.list_sinks() == before)
    assert len(logger._controller.sinks) == len(before)


@pytest.mark.parametrize("wrong", [{"logger": "root"}, {"level": "levle"}])
def test_wrong_arguments_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong.values()))):
        capture(**wrong)  # type: ignore[arg-type]


def test_records_compare_and_print_well(logger: Logger) -> None:
    with capture(logger) as one, capture(logger) as two:
        logger.error("failed", code=5, exc_info=ValueError("no"))
        logger.info("other")
    (failed, other), (again, _) = one, two
    assert failed == again
    assert hash(failed) == hash(again)
    assert failed is not again
    assert failed != other
    assert failed != ("ERROR", "failed", {})
    assert failed == ("ERROR", "failed", {"code": 5})
    assert failed != "failed"
    assert failed != ("ERROR",)
    assert repr(failed).startswith("<Record ERROR tests.whole.test_capture:test_records_compare_and_print_well:")
    assert repr(failed).endswith(" 'failed' code=5 (ValueError: no)>")
    assert isinstance(failed, Record)
