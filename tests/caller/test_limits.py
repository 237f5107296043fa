"""Light loggers: which calls pass, and that each call that is held back is told and counted."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, LightLogger, Logger, Record
from tests.support.hooks import recent_clock
from tests.support.loggers import file_logger, passed

SECOND, MINUTE, HOUR = 1.0, 60.0, 3600.0


def told(records: list[Record]) -> int:
    return sum(record.fields.get("suppressed", 0) for record in records)


def test_once_passes_once(logger: Logger, records: list[Record]) -> None:
    for i in range(5):
        logger.once().info("row {}", i)
    assert passed(logger, records) == ["row 0"]
    assert logger.stats().suppressed == 4
    assert logger.stats().emitted == 1


def test_first_passes_so_often(logger: Logger, records: list[Record]) -> None:
    for i in range(5):
        logger.first(3).info("row {}", i)
    assert passed(logger, records) == ["row 0", "row 1", "row 2"]


def test_every_begins_with_the_first_and_tells_of_those_between(logger: Logger, records: list[Record]) -> None:
    every = logger.every(3)
    for i in range(8):
        every.info("row {}", i, a=i)
    assert passed(logger, records) == ["row 0", "row 3", "row 6"]
    assert [record.fields for record in records] == [{"a": 0}, {"suppressed": 2, "a": 3}, {"suppressed": 2, "a": 6}]
    assert logger.stats().suppressed == 5


def test_limit_passes_so_many_in_a_second(logger: Logger, records: list[Record]) -> None:
    with recent_clock() as set_clock:
        for i in range(40):
            set_clock(1000 + i / 10)  # four seconds
            logger.limit("3/s").info("{}", i)
    assert passed(logger, records) == ["0", "1", "2", "10", "11", "12", "20", "21", "22", "30", "31", "32"]
    assert [record.fields.get("suppressed") for record in records[::3]] == [None, 7, 7, 7]


@pytest.mark.parametrize(("unit", "seconds"), [("s", SECOND), ("m", MINUTE), ("h", HOUR), (" S ", SECOND)])
def test_the_units(logger: Logger, records: list[Record], unit: str, seconds: float) -> None:
    limit = logger.limit(f"1/{unit}")
    with recent_clock() as set_clock:
        for after in (0.0, seconds - 1e-6, seconds, 2 * seconds - 1e-6, 2 * seconds):
            set_clock(1000 + after)
            limit.info("{:.6f}", after)
    assert passed(logger, records) == [f"{after:.6f}" for after in (0, seconds, 2 * seconds)]


def test_the_second_begins_with_a_call_and_not_with_the_clocks(logger: Logger, records: list[Record]) -> None:
    limit = logger.limit("1/s")
    with recent_clock() as set_clock:
        for at in (1000.9, 1001.0, 1001.8, 1001.9, 1005.5, 1006.4, 1006.5):
            set_clock(at)
            limit.info("{}", at)
    assert passed(logger, records) == ["1000.9", "1001.9", "1005.5", "1006.5"]


def test_a_clock_that_is_set_back_silences_nothing(logger: Logger, records: list[Record]) -> None:
    limit = logger.limit("1/h")
    with recent_clock() as set_clock:
        for at in (9000.0, 9001.0, 500.0, 501.0, 499.0):
            set_clock(at)
            limit.info("{}", at)
    assert passed(logger, records) == ["9000.0", "500.0", "499.0"]


def test_the_wall_clock_is_not_asked(logger: Logger, records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    for name in ("time", "time_ns", "monotonic", "monotonic_ns"):
        monkeypatch.setattr(time, name, lambda: 0)
    for i in range(100):
        logger.limit("1/h").info("{}", i)
    monkeypatch.undo()
    assert passed(logger, records) == ["0"]


def test_a_level_that_is_off_is_not_counted(logger: Logger, records: list[Record]) -> None:
    once = logger.once()
    once.debug("off")
    once.log("debug", "off")
    logger.disable()
    once.error("off")
    once.exception("off")
    logger.enable()
    once.info("on")
    once.info("held back")
    assert passed(logger, records) == ["on"]
    assert logger.stats().suppressed == 1


def test_levels_by_module_come_before_the_counter(logger: Logger, records: list[Record]) -> None:
    logger.set_level(f"warning,{__name__}=debug,elsewhere=info")
    first = logger.first(1)
    namespace: dict[str, Any] = {"__name__": "elsewhere", "first": first}
    exec("def call(): first.debug('off in this module')", namespace)
    for _ in range(3):
        namespace["call"]()
    first.debug("on")
    assert passed(logger, records) == ["on"]
    assert logger.stats().suppressed == 0


@pytest.mark.parametrize("name", ["trace", "debug", "info", "success", "warning", "error", "fail", "critical"])
def test_each_log_call_is_counted(logger: Logger, records: list[Record], name: str) -> None:
    logger.set_level("trace")
    light = logger.every(2)
    for _ in range(3):
        getattr(light, name)("{} text", "some", a=1)
    assert passed(logger, records) == ["some text"] * 2
    assert [record.level for record in records] == [name.upper()] * 2
    assert [record.fields for record in records] == [{"a": 1}, {"suppressed": 1, "a": 1}]


def test_log_and_exception_are_counted(logger: Logger, records: list[Record]) -> None:
    light = logger.every(2)
    for _ in range(2):
        light.log("warning", "text")
    for _ in range(2):
        try:
            raise ValueError("that is why")
        except ValueError:
            light.exception("it failed")
    assert passed(logger, records) == ["text", "it failed"]
    assert records[1].exception is not None
    assert (records[1].level, records[1].fields) == ("ERROR", {"suppressed": 1})
    with pytest.raises(ConfigError):
        light.log("loud", "text")
    with pytest.raises(TypeError):
        light.log()  # type: ignore[call-arg]


def test_is_enabled_for_counts_nothing(logger: Logger, records: list[Record]) -> None:
    once = logger.once()
    assert once.is_enabled_for("info")
    assert not once.is_enabled_for("debug")
    once.info("text")
    assert passed(logger, records) == ["text"]


def test_bound_loggers_count_with_one_counter(logger: Logger, records: list[Record]) -> None:
    first = logger.bind(a=1).first(2)
    first.bind(b=2).info("one")
    first.info("two")
    first.bind(b=3).info("three")
    assert passed(logger, records) == ["one", "two"]
    assert [record.fields for record in records] == [{"a": 1, "b": 2}, {"a": 1}]


def test_a_bound_suppressed_is_replaced(logger: Logger, records: list[Record]) -> None:
    every = logger.bind(suppressed="by me", a=1).every(2)
    for _ in range(3):
        every.info("text")
    assert logger.flush(30)
    assert [record.fields for record in records] == [{"suppressed": "by me", "a": 1}, {"suppressed": 1, "a": 1}]


def test_suppressed_is_never_filled_into_a_message(logger: Logger, records: list[Record]) -> None:
    every = logger.every(2)
    for _ in range(3):
        every.info("from outside: {suppressed} {{}}")
    assert passed(logger, records) == ["from outside: {suppressed} {{}}"] * 2


class Watched:
    """Tells when anything of it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "shown"

    __repr__ = __str__


def test_nothing_of_a_call_that_is_held_back_is_looked_at(logger: Logger, records: list[Record]) -> None:
    watched = Watched()
    once = logger.once()
    once.info("first")
    once.info("{}", watched)
    once.info(watched, a=watched)
    assert passed(logger, records) == ["first"]
    assert watched.asked == 0


def test_what_passes_with_arguments_of_any_kind_tells(logger: Logger, records: list[Record]) -> None:
    every = logger.every(2)
    for _ in range(4):
        every.info("{} {:>4}", Watched(), "a")
        every.info(Watched(), stack_info=True)
    assert passed(logger, records) == ["shown    a"] * 4
    assert told(records) == 3


def test_a_text_layout_shows_it_as_a_field(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "a.log", layout="{message}|{fields}")
    every = logger.bind(a=1).every(2)
    for i in range(3):
        every.info("text", b=i)
    logger.close()
    assert (tmp_path / "a.log").read_text().splitlines() == ["text|a=1, b=0", "text|a=1, suppressed=1, b=2"]


# ---- wrong input


@pytest.mark.parametrize(
    "rate", ["5/week", "5", "/s", "0/s", "-1/s", "1.5/s", "5/s/s", "", "x/s", "9" * 40 + "/s", 5, None, b"5/s"]
)
def test_a_rate_that_cannot_be_read(logger: Logger, rate: Any) -> None:
    with pytest.raises(ConfigError, match=r"'5/s' \(in a second\), '5/m'"):
        logger.limit(rate)


@pytest.mark.parametrize("number", [0, -1, 1.5, "10", True, None, 10**10])
@pytest.mark.parametrize("method", ["first", "every"])
def test_a_number_that_is_none(logger: Logger, method: str, number: Any) -> None:
    with pytest.raises(ConfigError, match=rf"from 1 on, as in logger\.{method}"):
        getattr(logger, method)(number)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda logger: logger.once("text"), r"takes no message.*write logger\.once\(\)\.info\('text'\)"),
        (lambda logger: logger.first(), r"write logger\.first\(10\)\.info\('text'\)"),
        (lambda logger: logger.every(2, 3), r"key= by its name"),
        (lambda logger: logger.limit("5/s", "host"), r"key= by its name"),
        (lambda logger: logger.limit(rate="5/s"), r"write logger\.limit\('5/s'\)"),
        (lambda logger: logger.once(a=1), r"fields belong to the log call"),
        (lambda logger: logger.once(key=[1]), r"must be hashable, so instead of a list give a str or a tuple"),
        (lambda logger: LightLogger(), r"write logger\.once\(\)"),
    ],
)
def test_a_wrong_call_says_what_to_write(logger: Logger, call: Callable[[Logger], Any], says: str) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=says):
            call(logger)


def test_a_light_logger_that_nobody_made_is_refused() -> None:
    with pytest.raises(RuntimeError, match="has not been called"):
        LightLogger.__new__(LightLogger).info("text")
    with pytest.raises(RuntimeError, match="not made by a logger"):
        LightLogger.__new__(LightLogger).bind(a=1)
    with pytest.raises(RuntimeError, match="has not been called"):
        Logger.__new__(Logger).once()


def test_a_light_logger_shows_what_it_is(logger: Logger) -> None:
    assert repr(logger.limit("5/s")).startswith(f'<LightLogger limit("5/s") at {__name__}:test_a_light_logger_shows')


def test_a_signal_handler_or_a_function_may_log_at_the_same_place(logger: Logger, records: list[Record]) -> None:
    def value(depth: int) -> str:
        if depth:
            call(depth - 1)
        return "deep"

    def call(depth: int) -> None:
        logger.first(2).info("{} {}", depth, value(depth))

    call(5)
    assert passed(logger, records) == ["0 deep", "1 deep"]
    assert threading.active_count() >= 1
