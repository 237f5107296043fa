"""`LoggerConfig.encode`: functions for values of the program's own classes."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import gc
import weakref
from decimal import Decimal
from typing import Any

import pytest

from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from tests.support.lines import Lines


class Money:
    def __init__(self, amount: Any) -> None:
        self.amount = amount

    def __str__(self) -> str:
        return f"{self.amount} coins"


class Euro(Money):
    pass


class Cent(Euro):
    pass


class Status(enum.Enum):
    PAID = "paid"


@dataclasses.dataclass
class Point:
    x: int


def encoding(functions: dict[type, Any], **settings: Any) -> Lines:
    return Lines(LoggerConfig(level=0, encode=functions, **settings), json=True)


def shown(lines: Lines, value: Any) -> Any:
    """What JSON has of a value: the same as a field, bound, of the context, in a list, and in a dict."""
    logger = lines.logger
    with logger.contextualize(context=value):
        logger.bind(bound=value).info("x", value=value, inside=[value, (value,), {"deep": value}])
    logger.every(1).bind(bound=value).warning("x")
    found, light = lines.objects()
    is_like = found["value"]
    assert (found["context"], found["bound"], light["bound"]) == (is_like, is_like, is_like)
    assert found["inside"] == [is_like, [is_like], {"deep": is_like}]
    return is_like


def test_the_exact_class_goes_before_the_classes_above_it():
    with encoding({Money: lambda m: m.amount, Cent: lambda m: m.amount / 100}) as lines:
        assert [shown(lines, kind(5)) for kind in (Money, Euro, Cent)] == [5, 5, 0.05]


def test_what_a_function_returns_is_encoded_again():
    at = dt.date(2026, 3, 1)
    functions: dict[type, Any] = {Money: lambda m: {"at": at, "of": Euro({1})}, Euro: lambda m: [m.amount, Point(1)]}
    with encoding(functions) as lines:
        assert shown(lines, Money(1)) == {"at": "2026-03-01", "of": [[1], {"x": 1}]}


@pytest.mark.parametrize(
    ("kind", "function", "value", "read"),
    [
        (dt.date, lambda date: date.year, dt.datetime(2026, 3, 1), 2026),
        (dt.datetime, lambda time: time.replace(year=2000), dt.datetime(2026, 3, 1), "2000-03-01T00:00:00"),
        (Decimal, float, Decimal("1.5"), 1.5),
        (Point, str, Point(1), "Point(x=1)"),
        (Status, lambda status: status.name, Status.PAID, "PAID"),
        (enum.Enum, lambda status: status.name, Status.PAID, "PAID"),
        (dict, len, {"a": 1}, 1),
        (dict, len, collections.OrderedDict(a=1), 1),
        (list, len, ["a"], 1),
        (collections.deque, list, collections.deque([1, 2]), [1, 2]),
        (object, repr, Money, repr(Money)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_function_goes_before_what_logly_knows(kind, function, value, read):
    with encoding({kind: function}) as lines:
        lines.logger.info("x", value=value)
        assert lines.object()["value"] == read


def test_that_of_object_is_for_what_logly_does_not_know():
    with encoding({object: lambda value: {"a": type(value).__name__}}) as lines:
        values = [Money(1), Point(1), dt.date(2026, 3, 1), 1, [2], Status.PAID]
        assert shown(lines, values) == [{"a": "Money"}, {"x": 1}, "2026-03-01", 1, [2], "paid"]


def test_keys_too():
    with encoding({Money: lambda m: m.amount, Euro: lambda m: {"a": 1}}) as lines:
        assert shown(lines, {Money(5): 1, Euro(7): 2}) == {"5": 1, "7 coins": 2}


def test_text_logfmt_and_functions_have_the_same_value_and_messages_their_own():
    records: list[Any] = []
    config = LoggerConfig(level=0, encode={Money: lambda m: m.amount})
    with Lines(config, format="{message} {fields}") as lines:
        lines.logger.add_sink(SinkConfig(function=records.append))
        lines.logger.info("{} {m}", Money(1), m=Money(2))
        lines.logger.info("{m}", m=Money(3))
        assert lines.lines() == ["1 coins 2 coins m=2", "3 coins m=3"]
    assert [record.fields for record in records] == [{"m": 2}, {"m": 3}]


def test_functions_that_return_their_values_again_come_to_an_end():
    functions: dict[type, Any] = {
        Money: lambda m: m,
        Euro: lambda m: Cent(m.amount),
        Cent: lambda m: Euro(m.amount),
        Point: lambda point: {"again": Point(point.x)},
    }
    with encoding(functions) as lines:
        assert shown(lines, Money(1)) == "1 coins"
        assert shown(lines, Euro(1)) == "1 coins"
        lines.logger.info("x", value=Point(1))
        assert str(lines.object()["value"]).count("again") == 32


@pytest.mark.parametrize("error", [ValueError("no"), LookupError()])
def test_a_function_that_fails_is_told_and_the_value_is_text_with_a_mark(error):
    told: list[Exception] = []

    def fail(value: Any) -> Any:
        raise error

    with encoding({Money: fail}, on_error=told.append) as lines:
        lines.logger.info("x", value=Money(1), inside=[Money(2), 3])
        mark = f"coins [logly: encode failed with {type(error).__name__}]"
        found = lines.object()
        assert (found["value"], found["inside"]) == (f"1 {mark}", [f"2 {mark}", 3])
        assert lines.logger.flush(30)
        assert lines.logger.stats().failed_formats == 2
        lines.logger.bind(value=Money(1))
        assert lines.logger.stats().failed_formats == 3
    assert told == [error] * 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError])
def test_what_ends_the_program_goes_up(error):
    def end(value: Any) -> Any:
        raise error

    with encoding({Money: end}) as lines:
        for value in (Money(1), [Money(1)]):
            with pytest.raises(error):
                lines.logger.info("x", value=value)
        lines.logger.info("after")
        assert lines.object()["message"] == "after"


def test_a_function_may_log():
    def log(value: Any) -> Any:
        lines.logger.info("inside {}", value.amount)
        return value.amount

    with encoding({Money: log}) as lines:
        lines.logger.info("outside", value=Money(1))
        assert [line["message"] for line in lines.objects()] == ["inside 1", "outside"]


def test_functions_can_be_changed_at_run_time():
    functions = {Money: lambda m: 1}
    with encoding(functions) as lines:
        functions[Money] = lambda m: 2  # the logger's are a copy
        lines.logger.info("x", value=Money(0))
        bound = lines.logger.bind(value=Money(0))
        lines.logger.configure(encode=functions)
        lines.logger.info("x", value=Money(0))
        bound.info("x")
        lines.logger.configure(encode={})
        lines.logger.info("x", value=Money(0))
        assert [line["value"] for line in lines.objects()] == [1, 2, 1, "0 coins"]
        assert lines.logger.config.encode == {}


def test_a_closed_logger_keeps_no_function():
    class Callable:
        owner: Any = None

        def __call__(self, value: Any) -> Any:
            return 1

    function = Callable()
    function.owner = logger = Logger(LoggerConfig(encode={Money: function}, auto_sink=False))
    logger.info("x", value=[Money(1)])
    logger.close()
    end = weakref.ref(function)
    del function, logger
    gc.collect()
    assert end() is None


async def coroutine(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (str, "encode = <class 'str'> is not valid: use a dict of functions by class, like {Money: str}"),
        ({"Money": str}, "encode['Money'] = <class 'str'> is not valid: use a class as the key, like {Money: str}"),
        ({Money: "str"}, "encode[Money] = 'str' is not valid: use something that can be called"),
        ({Money: None}, "encode[Money] = None is not valid: use something that can be called"),
        (
            {int: str},
            "encode[int] = <class 'str'> is not valid: use another class: bool, bytes, float",
        ),
    ],
)
def test_what_is_wrong_is_told_at_once(wrong, told):
    for configure in (lambda: Logger(LoggerConfig(encode=wrong)), LoggerConfig(encode=wrong).validate):
        with pytest.raises(ConfigError) as caught:
            configure()
        assert str(caught.value).startswith(told)
        assert caught.value.field == "encode"
    with Lines() as lines, pytest.raises(ConfigError):
        lines.logger.configure(encode=wrong)


def test_a_coroutine_function_is_refused():
    with pytest.raises(ConfigError, match="not a coroutine's"):
        LoggerConfig(encode={Money: coroutine}).validate()
