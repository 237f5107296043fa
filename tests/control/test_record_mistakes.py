"""What a sink's function, filter and transform are told when they take a `Record` for something else."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest

from logly import Logger, Record
from tests.support.programs import run_program


def trouble_of(**settings: Any) -> tuple[Exception, int, int]:
    """The error that a sink with these settings tells, its id, and how many records it has written."""
    told: list[Exception] = []
    with Logger(auto_sink=False, on_error=told.append) as logger:
        logger.add_sink(lambda record: None)
        sink = logger.add_sink(**settings)
        for _ in range(3):
            logger.info("hello", user="ann")
        logger.flush()
        written = logger.sink_stats(sink).written
    assert len(told) == 3
    return told[-1], sink, written


def notes_of(trouble: Exception) -> list[str]:
    return list(getattr(trouble, "__notes__", []))


@pytest.mark.parametrize("setting", ["filter", "transform"])
def test_an_error_names_the_sink_and_the_setting(tmp_path: Any, setting: str) -> None:
    error = ZeroDivisionError("mine")

    def fail(record: Record) -> Any:
        raise error

    trouble, sink, written = trouble_of(config=tmp_path / "log", **{setting: fail})
    assert trouble is error
    assert notes_of(trouble) == [f"the {setting} of sink {sink} failed, the record is not written"]
    assert written == 0
    assert (tmp_path / "log").read_text() == ""


def test_the_error_of_a_function_names_the_sink() -> None:
    def fail(record: Record) -> None:
        raise ZeroDivisionError

    trouble, sink, written = trouble_of(function=fail)
    assert notes_of(trouble) == [f"the function of sink {sink} has not taken the record"]
    assert written == 0


@pytest.mark.parametrize(
    ("use", "hint"),
    [
        (lambda record: record["extra"]["user"], "for record['extra'] use record.fields"),
        (lambda record: record["level"].name, "write record.level (a str; the number is record.level_number)"),
        (lambda record: record["message"], "write record.message for record['message']"),
        (lambda record: record["filename"], "write record.filename for"),
        (lambda record: record[0], "a Record is an object, not a dict. It has exception, fields, filename, function"),
        (lambda record: record.extra["user"], "has no attribute 'extra': use record.fields"),
        (lambda record: record.msg, "use record.message"),
        (lambda record: record.record["message"], "use the Record itself"),
        (lambda record: record.colour, "has no attribute 'colour'. It has exception, fields"),
        (lambda record: record.level.name, "record.level is the name itself"),
        (lambda record: record.level.no, "the level's number is record.level_numbe"),
        (lambda record: sys.stderr.write(record), "str(record) is the line; a Record has"),
        (lambda record: "user" in record, "a Record is an object"),
    ],
)
def test_a_wrong_word_names_the_right_one(use: Callable[[Any], object], hint: str) -> None:
    trouble, _, _ = trouble_of(filter=use, function=lambda record: None)
    assert hint in "; ".join([str(trouble), *notes_of(trouble)])
    assert "filter of sink" in notes_of(trouble)[0]


def made() -> Record:
    records: list[Record] = []
    with Logger(auto_sink=False) as logger:
        logger.add_sink(records.append)
        logger.info("hello\nyou \x1b[31m", user="ann bob", n=3, nested={"a": [1]}, yes=True, none=None)
    return records[0]


def test_a_record_is_copied_and_asked_for_names_as_before() -> None:
    record = made()
    assert copy.copy(record).fields == record.fields
    assert pickle.loads(pickle.dumps(record)).message == record.message
    assert not hasattr(record, "extra")
    assert getattr(record, "colou", None) is None
    assert repr(record).startswith("<Record INFO ")


def test_the_text_of_a_record_is_the_line_of_the_default_layout(tmp_path: Any) -> None:
    records: list[Record] = []
    with Logger(auto_sink=False) as logger:
        logger.add_sink(tmp_path / "log")
        logger.add_sink(records.append)
        logger.info("hello\nyou \x1b[31m", user="ann bob", n=3, f=1.0, nested={"a": [1]}, yes=True, none=None)
        try:
            raise KeyError("k")
        except KeyError:
            logger.exception("failed {}", 1)
    assert "".join(f"{record}\n" for record in records) == (tmp_path / "log").read_text()


def test_print_is_a_sink(tmp_path: Any) -> None:
    program = "from logly import Logger\nlogger = Logger()\nlogger.add_sink(print)\nlogger.info('hello', user='ann')\n"
    line = run_program(program, tmp_path).stdout
    assert "| INFO     |" in line
    assert line.endswith(":4 | hello | user=ann\n")
