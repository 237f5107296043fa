"""`SinkConfig.transform`: what a function makes of each record of a sink, and what happens if it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Logger, Record, SinkConfig
from logly.record import RecordException
from tests.support.lines import parse
from tests.support.loggers import assert_books, make_logger


def add(logger: Logger, path: Path, **sink: Any) -> int:
    return logger.add_sink(SinkConfig(path=path, **{"json": True, **sink}))


def objects(logger: Logger, path: Path) -> list[dict[str, Any]]:
    assert logger.flush(30)
    assert_books(logger)
    return [parse(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def test_message_and_fields_are_what_it_returns(path: Path) -> None:
    def change(record: Record) -> Record:
        record.message = record.message.upper() + " ä€😀\ud800"
        record.fields["added"] = {"nested": [1, 2.5, None]}
        record.fields.pop("gone", None)
        record.fields["big"] = 1 << 70
        record.level, record.lineno, record.name = "OTHER", 0, "other"
        return record

    with make_logger() as logger:
        add(logger, path, transform=change)
        add(logger, path.with_name("plain.log"))
        logger.bind(bound=1).info("order {} of {user}", 7, user="anna", gone="x")
        [found] = objects(logger, path)
        [plain] = objects(logger, path.with_name("plain.log"))
    assert found["message"] == "ORDER 7 OF ANNA ä€😀\\ud800"
    assert (found["user"], found["bound"], found["added"], found["big"]) == (
        "anna",
        1,
        {"nested": [1, 2.5, None]},
        1 << 70,
    )
    assert "gone" not in found
    for key in ("timestamp", "level", "module", "function", "lineno"):
        assert found[key] == plain[key]
    assert plain["message"] == "order 7 of anna"


def test_another_record_may_be_returned(path: Path) -> None:
    def change(record: Record) -> Record:
        site = ("m", "f", "p", 1)
        return Record(0, "INFO", 20, f"new {record.message}", "", site, 0, "", 0, {"n": 1}, None)

    with make_logger() as logger:
        add(logger, path, transform=change)
        logger.info("{} message", "old", x=1)
        [found] = objects(logger, path)
        assert (found["message"], found["n"], "x" in found) == ("new old message", 1, False)


def test_none_keeps_the_line_out(path: Path) -> None:
    with make_logger() as logger:
        sink = add(logger, path, transform=lambda record: record if record.fields["n"] % 2 else None)
        for i in range(10):
            logger.info("one", n=i)
        assert [found["n"] for found in objects(logger, path)] == [1, 3, 5, 7, 9]
        assert_books(logger, 10)
        stats = logger.stats()
        assert (stats.refused, stats.failed) == (5, 0)
        assert logger.sink_stats(sink).refused == 5


@pytest.mark.parametrize("result", ["hunter2", 7, [], {}, True])
def test_what_is_no_record_is_not_written_and_not_told(path: Path, result: object) -> None:
    told: list[Exception] = []
    with make_logger(on_error=told.append) as logger:
        add(logger, path, transform=lambda _: result)
        logger.info("the secret is hunter2")
        assert objects(logger, path) == []
        assert (logger.stats().failed, logger.stats().written) == (1, 0)
    assert isinstance(told[0], TypeError)
    assert "not written" in str(told[0])
    assert "hunter2" not in str(told)


def test_an_error_loses_the_record_for_its_sink_alone(path: Path) -> None:
    told: list[Exception] = []

    def change(record: Record) -> Record:
        if record.fields["n"] == 1:
            raise ValueError("no")
        return record

    with make_logger(on_error=told.append) as logger:
        sink = add(logger, path, transform=change)
        add(logger, path.with_name("plain.log"))
        for i in range(3):
            logger.info("one", n=i)
        assert [found["n"] for found in objects(logger, path)] == [0, 2]
        assert len(objects(logger, path.with_name("plain.log"))) == 3
        assert logger.sink_stats(sink).failed == 1
    assert [str(error) for error in told] == ["no"]


@pytest.mark.parametrize(
    "changes",
    [{"fields": None}, {"fields": 7}, {"fields": [1]}, {"exception": 7}, {"exception": ("a", "b")}],
    ids=str,
)
def test_a_record_that_cannot_be_encoded_is_not_written(path: Path, changes: dict[str, object]) -> None:
    told: list[Exception] = []

    def change(record: Record) -> Record:
        for name in changes:
            setattr(record, name, changes[name])
        return record

    with make_logger(on_error=told.append) as logger:
        add(logger, path, transform=change)
        logger.info("one")
        assert objects(logger, path) == []
        assert logger.stats().failed == 1
    assert len(told) == 1


def test_any_object_is_a_message_and_any_name_a_field(path: Path) -> None:
    def change(record: Record) -> Record:
        record.message = 7  # type: ignore[assignment]
        record.fields = {1: 2, "message": 3, "ä": object}  # type: ignore[dict-item]
        return record

    with make_logger() as logger:
        add(logger, path, transform=change)
        logger.info("one")
        [found] = objects(logger, path)
        assert (found["message"], found["1"], found["message_"], found["ä"]) == ("7", 2, 3, str(object))


def failing() -> None:
    raise ValueError("password of anna")


def test_exceptions_stay_unless_they_are_replaced(path: Path) -> None:
    def change(record: Record) -> Record:
        if record.message == "gone":
            record.exception = record.stack = None
        elif record.message == "other":
            assert record.exception is not None
            record.exception = RecordException("Own", "text", "line 1\nline 2")
            record.stack = "stack"
        return record

    with make_logger() as logger:
        add(logger, path, transform=change)
        add(logger, path.with_name("text.log"), json=False, format="{message}", newlines="escape", transform=change)
        for message in ("same", "gone", "other"):
            try:
                failing()
            except ValueError:
                logger.error(message, exc_info=True, stack_info=True)
        same, gone, other = objects(logger, path)
        assert "in failing" in same["exception"]["stack"]
        assert same["exception"]["message"] == "password of anna"
        assert "test_transform" in same["stack"]
        assert "exception" not in gone
        assert "stack" not in gone
        assert other["exception"] == {"type": "Own", "message": "text", "stack": "line 1\nline 2"}
        assert other["stack"] == "stack"
        text = path.with_name("text.log").read_text()
        assert "\nline 1\n    line 2\n" in text


def test_after_the_filter_and_for_functions(path: Path) -> None:
    seen: list[Record] = []

    def change(record: Record) -> Record | None:
        assert record.fields["n"] > 2
        record.message = "changed"
        return record if record.fields["n"] != 5 else None

    with make_logger() as logger:
        logger.add_sink(
            SinkConfig(function=seen.append, filter=lambda record: record.fields["n"] > 2, transform=change)
        )
        for i in range(7):
            logger.info("one", n=i)
        assert logger.flush(30)
        assert_books(logger, 7)
        assert [(record.message, record.fields["n"]) for record in seen] == [
            ("changed", 3),
            ("changed", 4),
            ("changed", 6),
        ]
        assert logger.stats().refused == 4


def test_it_gets_records_without_what_is_redacted(path: Path) -> None:
    seen: list[str] = []

    def change(record: Record) -> Record:
        seen.append(f"{record.message} {record.fields}")
        return record

    with make_logger(redact=["password"], redact_text=True) as logger:
        add(logger, path, transform=change)
        logger.info("{password} user=abc", password="hunter2")
        assert objects(logger, path)[0]["message"] == "[redacted] user=abc"
    assert seen == ["[redacted] user=abc {'password': '[redacted]'}"]


def test_repeats_are_of_what_it_returns(path: Path) -> None:
    def change(record: Record) -> Record:
        record.message = "all alike"
        return record

    with make_logger() as logger:
        add(logger, path, transform=change, dedup=60)
        for i in range(5):
            logger.info(f"{i}")
    assert [parse(line).get("repeated") for line in path.read_text().splitlines()] == [None, 4]


def test_a_long_message_is_cut(path: Path) -> None:
    def change(record: Record) -> Record:
        record.message *= 1000
        return record

    with make_logger(max_message_bytes=1000) as logger:
        add(logger, path, transform=change)
        logger.info("0123456789")
        assert "logly: cut" in objects(logger, path)[0]["message"]


def test_wrong_settings() -> None:
    async def coroutine(record: Record) -> Record:
        return record

    for wrong in (7, "name", coroutine):
        with pytest.raises(ConfigError, match="transform"):
            SinkConfig(transform=wrong).validate()  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="dedup"):
        SinkConfig(function=print, transform=lambda record: record, dedup=1).validate()
