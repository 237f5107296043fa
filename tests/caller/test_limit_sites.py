"""Which counter a light logger has: that of its call site where it is made in place, else its own."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from logly import LightLogger, Logger, Record
from logly._core import IS_FREE_THREADED
from logly.caller.call_place import calls_method_of_result
from tests.support.hooks import hook
from tests.support.loggers import make_logger, passed, records_of
from tests.support.threads import run_threads


def test_made_in_place_it_is_the_same_object(logger: Logger) -> None:
    seen = set()
    for _ in range(50):  # the interpreter specializes the call meanwhile
        seen.add(logger.limit("5/s").__hash__())
    assert len(seen) == 1


def test_each_call_site_counts_for_itself(logger: Logger, records: list[Record]) -> None:
    for _ in range(3):
        logger.once().info("one")
        logger.once().info("two")
        logger.once().info("three")
    assert passed(logger, records) == ["one", "two", "three"]


def test_each_engine_counts_for_itself(logger: Logger, records: list[Record]) -> None:
    other = make_logger()
    others = records_of(other)
    for one in (logger, other) * 3:
        one.once().info("text")
    assert passed(logger, records) == passed(other, others) == ["text"]
    other.close()


def test_loggers_of_one_engine_share_the_counter_and_keep_name_and_fields(
    logger: Logger, records: list[Record]
) -> None:
    shop = logger.named("shop")
    for one in (logger, shop, logger.bind(a=1), shop.bind(a=2), logger.bind(a=1)):
        one.first(4).info("text")
    assert logger.flush(30)
    assert [(record.name, record.fields) for record in records] == [
        ("root", {}), ("shop", {}), ("root", {"a": 1}), ("shop", {"a": 2}),
    ]  # fmt: skip
    assert logger.stats().suppressed == 1


def test_a_name_without_a_number_is_kept_too(logger: Logger, records: list[Record]) -> None:
    one, other = logger.named("n" * 300), logger.named("m" * 300)
    for name in (one, other, one):
        name.first(2).info("text")
    assert logger.flush(30)
    assert [record.name for record in records] == ["n" * 300, "m" * 300]


class Connection:
    def __init__(self, logger: Logger) -> None:
        self.log = logger.limit("1/h")


def test_kept_by_many_objects_each_counts_for_itself(logger: Logger, records: list[Record]) -> None:
    connections = [Connection(logger) for _ in range(20)]
    for number, connection in enumerate(connections * 3):
        connection.log.info("{}", number % 20)
    assert passed(logger, records) == [str(number) for number in range(20)]
    listed = [logger.once() for _ in range(10)]
    assert len(set(map(id, listed))) == 10
    for light in listed:
        light.info("listed")
    assert passed(logger, records).count("listed") == 10


def test_given_up_its_counter_serves_the_next_from_there(logger: Logger, records: list[Record]) -> None:
    """A function that makes one at each call would otherwise never be limited."""

    def call() -> None:
        light = logger.first(2)
        light.info("text")
        light.info("text")

    def made() -> LightLogger:
        return logger.once()

    for _ in range(5):
        call()
        made().info("by a function")
    assert passed(logger, records) == ["text", "text", "by a function"]


def test_a_bound_one_keeps_the_counter(logger: Logger, records: list[Record]) -> None:
    def make() -> LightLogger:
        light = logger.once()
        return light.bind(a=1)

    one, other = make(), make()
    for light in (one, other, one, other):
        light.info("text")
    assert passed(logger, records) == ["text", "text"]


def test_threads_share_what_is_made_in_place(logger: Logger, records: list[Record]) -> None:
    def argument() -> str:
        return "x".join("ab")  # other threads may run meanwhile

    def work() -> None:
        for _ in range(2000):
            logger.first(25).info("{}", argument())

    run_threads(*[work] * 6)
    assert len(passed(logger, records)) == 25


def test_a_rule_that_the_program_works_out(logger: Logger, records: list[Record]) -> None:
    for number in [1, 2, 3] * 3:
        logger.first(number).info("{}", number)
        logger.limit(f"{number}/h").info("limit {}", number)  # another str each time
    assert sorted(passed(logger, records)) == sorted(
        ["1", "2", "2", "3", "3", "3", "limit 1", "limit 2", "limit 2", "limit 3", "limit 3", "limit 3"]
    )
    for number in range(1, 100):  # no more than a few are remembered
        logger.first(number).info("many")


def test_a_key_counts_with_its_site(logger: Logger, records: list[Record]) -> None:
    for number in range(3):
        logger.once(key="a").info("one {}", number)
        logger.once(key="a").info("two {}", number)
        kept = logger.once(key="a")
        kept.info("kept {}", number)
        logger.once(key=None).info("without {}", number)
    assert passed(logger, records) == ["one 0", "two 0", "kept 0", "without 0"]


@pytest.mark.skipif(IS_FREE_THREADED, reason="CPython without a GIL keeps code once a thread was started")
def test_a_code_object_is_not_kept_and_its_place_is_not_mistaken(logger: Logger, records: list[Record]) -> None:
    for number in range(60):
        namespace: dict[str, Any] = {"logger": logger}
        exec(f"def call(): logger.once().info('{number}')", namespace)
        code = weakref.ref(namespace["call"].__code__)
        namespace["call"]()
        namespace["call"]()
        namespace.clear()
        gc.collect(0)
        assert code() is None
    assert passed(logger, records) == [str(number) for number in range(60)]
    assert len(hook("limit_places")(logger._controller.core)) <= 3


def test_a_logger_is_not_kept_by_a_call_site() -> None:
    def call(one: Logger) -> None:
        one.once().info("text")
        one.once(key=1).info("text")

    ends = []
    for _ in range(3):
        one = make_logger()
        call(one)
        ends.append(weakref.ref(one._controller))
        del one
    gc.collect()
    gc.collect()
    assert [end() for end in ends[:2]] == [None, None]


def test_a_kept_light_logger_keeps_its_logger() -> None:
    def make() -> tuple[LightLogger, Any]:
        logger = make_logger()
        light = logger.first(3)
        return light, logger._controller

    light, controller = make()
    gc.collect()
    light.info("text")
    assert not controller.has_ended
    del light
    assert controller.has_ended


# ---- read from the bytecode

SHAPES = {
    "f().info('text')": True,
    "f('5/s').error('text', 1, a=2)": True,
    "f(key=1).bind(a=1).info('text')": True,
    "(f()\n  .info('text'))": True,
    "x = f()": False,
    "x.y = f()": False,
    "[f() for _ in x]": False,
    "x(f())": False,
    "x = f().info": False,
    "f()": False,
    "x = [f(), 1]": False,
}


@pytest.mark.parametrize("source", SHAPES)
@pytest.mark.parametrize("before", ["", "".join(f"a{i} = b{i}.c{i}\n" for i in range(200))])
def test_in_place_is_read_from_the_bytecode(source: str, before: str) -> None:
    import sys

    found = []

    class Light:
        def __getattr__(self, name: str) -> Any:
            return lambda *args, **fields: self

    def f(*args: Any, **fields: Any) -> Light:
        frame = sys._getframe(1)
        found.append(calls_method_of_result(frame.f_code, frame.f_lasti))
        return Light()

    class Thing:
        def __call__(self, *args: Any) -> None: ...
        def __iter__(self) -> Iterator[int]:
            return iter([1])

    names: dict[str, Any] = {"f": f, "x": Thing()}
    names |= {f"b{i}": type("B", (), {f"c{i}": 0}) for i in range(200)}
    exec(before + source, names)
    assert found == [SHAPES[source]]


def test_a_place_at_the_end_of_the_code_is_none() -> None:
    code = compile("f()", "<made>", "eval")
    assert not calls_method_of_result(code, len(code.co_code) - 2)
    assert not calls_method_of_result(code, -1)
