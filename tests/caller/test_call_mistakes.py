"""Mistakes in a log call: told once for each call site, and the record is made and carries everything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from logly import Advice, Logger, Record


class Seen:
    """A logger, its records, and what it tells."""

    def __init__(self) -> None:
        self.told: list[Exception] = []
        self.records: list[Record] = []
        self.logger: Any = Logger(level="trace", on_error=self.told.append)
        self.logger.add_sink(self.records.append)

    def twice(self, call: Callable[[], object]) -> tuple[Record, list[str]]:
        """Calls it twice; the second record, and what was told."""
        for _ in range(2):
            call()
        self.logger.flush()
        first, second = self.records
        assert (first.message, first.fields) == (second.message, second.fields)
        assert all(type(error) is Advice for error in self.told)
        return second, [str(error) for error in self.told]


@pytest.fixture
def seen() -> Iterator[Seen]:
    seen = Seen()
    yield seen
    seen.logger.close()


@pytest.mark.parametrize(
    ("template", "args", "message", "carried", "told"),
    [
        ("hi %s", ("bob",), "hi %s", ["bob"], "this looks like %-formatting, write {} for %s"),
        ("%(a)s", ({"a": 1},), "%(a)s", [{"a": 1}], "this looks like %-formatting"),
        ("{} and %d", (1, 2), "1 and %d", [2], "no placeholder for 1 argument: this looks"),
        ("{}", (1, 2, [3]), "1", [2, [3]], "no placeholder for 2 arguments (see the field 'args')"),
        ("{0.real} {0}", (1, "two"), "1 1", ["two"], "no placeholder for 1 argument"),
        ("{:{}}|", (1, 3, 4), "  1|", [4], "no placeholder for 1 argument"),
        ("{{}}", (1,), "{}", [1], "no placeholder for 1 argument"),
        ("plain", (object,), "plain", ["<class 'object'>"], "no placeholder for 1 argument"),
    ],
)  # fmt: skip
def test_arguments_that_no_placeholder_takes(
    seen: Seen, template: str, args: Any, message: str, carried: list[object], told: str
) -> None:
    record, lines = seen.twice(lambda: seen.logger.info(template, *args))
    assert (record.message, record.fields) == (message, {"args": carried})
    (line,) = lines
    assert told in line
    assert f"logged at {__file__}:" in line


def test_what_was_made_for_the_call_is_told_too(seen: Seen) -> None:
    name = "x" * len(seen.records)
    record, lines = seen.twice(lambda: seen.logger.info(f"{name}%s of %s", 1, 2))
    assert record.fields == {"args": [1, 2]}
    assert len(lines) == 1


def test_a_field_of_that_name_stays(seen: Seen) -> None:
    record, lines = seen.twice(lambda: seen.logger.info("hi %s {a}", "bob", a=1, args="mine"))
    assert record.fields == {"a": 1, "args": "mine", "_args": ["bob"]}
    assert "'_args'" in lines[0]


@pytest.mark.parametrize(
    ("template", "args"),
    [("{} {}", (1, 2)), ("{1}", (1, 2)), ("{:{}}", (1, 3)), ("{0} {0}", (1,)), ("%s", ()), ("{", (1,)), ("{x}", (1,))],
)  # fmt: skip
def test_a_template_that_takes_its_arguments_is_no_mistake(seen: Seen, template: str, args: Any) -> None:
    for _ in range(2):
        seen.logger.info(template, *args)
    seen.logger.flush()
    assert [error for error in seen.told if type(error) is Advice] == []
    assert [record.fields for record in seen.records] == [{}, {}]


def test_each_place_is_told(seen: Seen) -> None:
    for _ in range(3):
        seen.logger.info("a %s", 1)
        seen.logger.info("b %s", 1)
    seen.logger.flush()
    assert len(seen.told) == 2


def test_a_place_is_that_of_the_record(seen: Seen) -> None:
    def helper() -> None:
        seen.logger.info("a %s", 1, stacklevel=2)

    helper()
    helper()
    seen.logger.flush()
    assert len(seen.told) == 2


# ---- functions


@pytest.mark.parametrize(
    ("log", "what"),
    [
        (lambda logger: logger.info("{}", lambda: 1), "argument 1 is a function"),
        (lambda logger: logger.info("{} {}", 1, str.join), None),
        (lambda logger: logger.info("{} {}", 1, logger.flush), "argument 2 is a function"),
        (lambda logger: logger.info("x", size=len), "the field 'size' is a function"),
        (lambda logger: logger.info("x", push=[].append), "the field 'push' is a function"),
        (lambda logger: logger.info("{}", int), None),
        (lambda logger: logger.info("{}", type("Lazy", (), {"__call__": lambda _: 1})()), None),
    ],
)  # fmt: skip
def test_a_function_is_not_called_and_that_is_told(seen: Seen, log: Callable[[Any], object], what: str | None) -> None:
    for _ in range(2):
        log(seen.logger)
    seen.logger.flush()
    assert len(seen.records) == 2
    if what is None:
        assert seen.told == []
    else:
        (line,) = map(str, seen.told)
        assert f"{what}, and functions are not called: use `if logger.is_enabled_for('debug')`, or an object" in line
        assert f"logged at {__file__}:" in line


# ---- the options of a call


def test_exc_info_that_is_none(seen: Seen) -> None:
    record, lines = seen.twice(lambda: seen.logger.error("x", exc_info="boom"))
    assert record.exception is None
    assert "exc_info = 'boom' is neither True nor an exception: taken as True" in lines[0]


def test_exc_info_that_is_none_inside_an_except_block(seen: Seen) -> None:
    def call() -> None:
        try:
            raise KeyError(1)
        except KeyError:
            seen.logger.error("x", exc_info="boom")

    record, lines = seen.twice(call)
    assert record.exception is not None
    assert record.exception.type == "KeyError"
    assert len(lines) == 1


@pytest.mark.parametrize("how", [{}, {"exc_info": True}, {"exc_info": 1}])
def test_no_exception_is_being_handled(seen: Seen, how: dict[str, Any]) -> None:
    record, lines = seen.twice(lambda: seen.logger.exception("x", **how))
    assert (record.level, record.exception) == ("ERROR", None)
    assert "no exception is being handled: exception() and exc_info=True belong into an except block" in lines[0]


def test_what_is_right_is_not_told(seen: Seen) -> None:
    for error in (False, None, 0, ValueError("x")):
        seen.logger.error("x", exc_info=error, stacklevel=1)
    try:
        raise KeyError(1)
    except KeyError:
        seen.logger.exception("x", exc_info=sys.exc_info())
        seen.logger.exception("x")
    seen.logger.flush()
    assert seen.told == []


@pytest.mark.parametrize("level", ["2", 2.0, None])
def test_a_stacklevel_that_is_no_number(seen: Seen, level: Any) -> None:
    record, lines = seen.twice(lambda: seen.logger.error("x", stacklevel=level))
    assert record.function == "<lambda>"
    assert f"stacklevel = {level!r} is not a whole number: taken as 1" in lines[0]


# ---- extra


def test_the_items_of_extra_are_fields(seen: Seen) -> None:
    record, lines = seen.twice(lambda: seen.logger.info("by {user}", extra={"user": "bob", "n": [1]}, n=2))
    assert (record.message, record.fields, lines) == ("by bob", {"user": "bob", "n": 2}, [])


def test_names_that_logging_refuses_stay_in_extra(seen: Seen) -> None:
    given = {"user": "bob", "name": "x", "message": "y"}
    record, lines = seen.twice(lambda: seen.logger.info("m", extra=given))
    assert (record.message, record.fields) == ("m", {"user": "bob", "extra": {"name": "x", "message": "y"}})
    assert "extra has names that logging refuses: 'name', 'message'" in lines[0]


@pytest.mark.parametrize("value", ["text", 1, None, ["a"]])
def test_a_field_named_extra_that_is_no_dict_stays_one(seen: Seen, value: object) -> None:
    record, lines = seen.twice(lambda: seen.logger.info("m", extra=value))
    assert (record.fields, lines) == ({"extra": value}, [])


def test_the_names_are_those_that_logging_refuses(seen: Seen) -> None:
    import logging

    theirs = {*vars(logging.makeLogRecord({})), "message", "asctime"}
    seen.logger.info("m", extra=dict.fromkeys(theirs, 1))
    seen.logger.flush()
    assert seen.records[0].fields == {"extra": dict.fromkeys(theirs, 1)}


def test_extra_of_exception_and_of_a_light_logger(seen: Seen) -> None:
    try:
        raise KeyError(1)
    except KeyError:
        seen.logger.exception("m", extra={"a": 1})
        seen.logger.once().error("m", extra={"a": 1}, exc_info=True)
    seen.logger.flush()
    assert [record.fields for record in seen.records] == [{"a": 1}] * 2
    assert [record.exception and record.exception.type for record in seen.records] == ["KeyError"] * 2
