"""`catch(exclude=, onerror=)`: what goes through, what is called, and that loguru does the same."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from logly import ConfigError
from tests.support.lines import Lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    with Lines(format="{level} {message}") as lines:
        yield lines


class Stop(BaseException):
    """Ends a program, as KeyboardInterrupt does, without ending the tests."""


class Answered(Exception):
    """What an `onerror` raises."""


def fail(error: BaseException) -> Any:
    raise error


# ---- each way to use it: a function that raises `error` under the guard, and returns what came of that


def by_context_manager(guard: Any, error: BaseException) -> Any:
    with guard:
        fail(error)
    return "after the with"


def by_function(guard: Any, error: BaseException) -> Any:
    return guard(fail)(error)


def by_coroutine(guard: Any, error: BaseException) -> Any:
    @guard
    async def coroutine() -> Any:
        await asyncio.sleep(0)
        fail(error)

    return asyncio.run(coroutine())


def by_generator(guard: Any, error: BaseException) -> Any:
    @guard
    def generator() -> Iterator[int]:
        yield 1
        fail(error)

    def consumer() -> Iterator[int]:
        result = yield from generator()
        yield result

    return list(consumer())


def by_async_generator(guard: Any, error: BaseException) -> Any:
    @guard
    async def generator() -> AsyncIterator[int]:
        yield 1
        fail(error)

    async def main() -> list[int]:
        return [one async for one in generator()]

    return asyncio.run(main())


def by_method(guard: Any, error: BaseException) -> Any:
    class Service:
        @guard
        def work(self) -> Any:
            fail(error)

    return Service().work()


def by_partial(guard: Any, error: BaseException) -> Any:
    return guard(functools.partial(fail, error))()


WAYS = [by_context_manager, by_function, by_coroutine, by_generator, by_async_generator, by_method, by_partial]
Way = Callable[[Any, BaseException], Any]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@ways
def test_what_is_excluded_goes_through_unlogged(way: Way, lines: Lines) -> None:
    told: list[BaseException] = []
    error = KeyError("k")
    with pytest.raises(KeyError) as raised:
        way(lines.logger.catch(exclude=LookupError, onerror=told.append), error)
    assert raised.value is error
    assert (lines.text(), told) == ("", [])


@ways
def test_onerror_gets_the_exception_after_it_was_logged(way: Way, lines: Lines) -> None:
    told: list[tuple[BaseException, str]] = []
    error = ValueError("v")
    guard = lines.logger.catch(
        exclude=(KeyError, OSError), onerror=lambda one: told.append((one, lines.text())), message="m"
    )
    way(guard, error)
    [(one, text)] = told
    assert one is error
    assert text.startswith("ERROR m\nTraceback")
    assert lines.text() == ""


@ways
def test_what_onerror_raises_goes_to_the_caller(way: Way, lines: Lines) -> None:
    def answer(error: BaseException) -> None:
        raise Answered from None

    error = ValueError("v")
    with pytest.raises(Answered) as raised:
        way(lines.logger.catch(onerror=answer, reraise=True, default="none"), error)
    assert raised.value.__context__ is error
    assert lines.text().count("ValueError: v") == 1


def test_an_onerror_may_raise_the_exception_itself(lines: Lines) -> None:
    error = ValueError("v")
    with pytest.raises(ValueError, match="v") as raised:
        by_function(lines.logger.catch(onerror=fail), error)
    assert raised.value is error
    assert error.__context__ is None
    assert lines.text().count("ValueError: v") == 1


def test_an_onerror_may_end_the_program(lines: Lines) -> None:
    with pytest.raises(SystemExit) as end:
        by_function(lines.logger.catch(onerror=lambda error: fail(SystemExit(3))), ValueError())
    assert end.value.code == 3


def test_a_base_exception_is_excluded_and_told_like_any_other(lines: Lines) -> None:
    told: list[BaseException] = []
    guard = lines.logger.catch(BaseException, exclude=(SystemExit, Stop), onerror=told.append)
    with pytest.raises(Stop):
        by_function(guard, Stop())
    with pytest.raises(SystemExit):
        by_context_manager(guard, SystemExit(2))
    assert (lines.text(), told) == ("", [])
    by_function(guard, interrupt := KeyboardInterrupt())
    assert told == [interrupt]
    assert "KeyboardInterrupt" in lines.text()


def test_onerror_is_called_for_a_level_that_is_switched_off(lines: Lines) -> None:
    told: list[BaseException] = []
    lines.logger.disable()
    by_function(lines.logger.catch(onerror=told.append), error := ValueError())
    lines.logger.enable()
    assert told == [error]
    assert lines.text() == ""


def test_the_same_guard_serves_many_times_and_decorated_twice(lines: Lines) -> None:
    told: list[BaseException] = []
    guard = lines.logger.catch(exclude=KeyError, onerror=told.append, message="{function}")
    first, second = ValueError(1), ValueError(2)
    for _ in range(2):
        by_function(guard, first)
        by_context_manager(guard, second)
    assert told == [first, second] * 2
    kept = [line for line in lines.lines() if line.startswith("ERROR")]
    assert kept == ["ERROR fail", "ERROR by_context_manager"] * 2


@pytest.mark.parametrize("wrong", [int, "ValueError", (ValueError, 3), ValueError("made"), [ValueError], print])
def test_what_cannot_be_excluded_is_refused_at_once(wrong: Any, lines: Lines) -> None:
    with pytest.raises(ConfigError, match=r"exclude = .* an exception class, a tuple of them, or None"):
        lines.logger.catch(exclude=wrong)


async def coroutine(error: BaseException) -> None:
    pass


@pytest.mark.parametrize("wrong", [3, "print", coroutine])
def test_what_cannot_be_called_is_refused_at_once(wrong: Any, lines: Lines) -> None:
    with pytest.raises(ConfigError, match="onerror = "):
        lines.logger.catch(onerror=wrong)


def test_nothing_excluded(lines: Lines) -> None:
    by_function(lines.logger.catch(exclude=()), ValueError("v"))
    by_function(lines.logger.catch(exclude=None), ValueError("v"))
    assert lines.text().count("ValueError: v") == 2


# ---- loguru


def outcome(make: Callable[..., Any], way: Way, error: BaseException, options: dict[str, Any]) -> Any:
    """What comes of `error`, and what `onerror` was called with."""
    told: list[Any] = []
    answer = options.get("answer")

    def onerror(one: BaseException) -> None:
        told.append(one)
        if answer is not None:
            raise answer

    rest = {name: value for name, value in options.items() if name != "answer"}
    for one in (error, answer):
        if one is not None:
            one.__context__ = None
    try:
        came = ("returned", way(make(**rest, onerror=onerror), error))
    except BaseException as raised:  # noqa: BLE001  # compared
        came = ("raised", raised, raised.__context__)
    return came, told


# Not `by_async_generator`: loguru 0.7 lets through what an async generator raises.
@pytest.mark.parametrize("way", [way for way in WAYS if way is not by_async_generator], ids=lambda way: way.__name__)
@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k"), Stop()], ids=repr)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"default": 5},
        {"reraise": True},
        {"exclude": KeyError},
        {"exclude": (KeyError, OSError), "reraise": True},
        {"exclude": Exception},
        {"exception": BaseException, "exclude": Stop},
        {"exception": (LookupError, Stop), "exclude": ()},
        {"answer": Answered("a")},
        {"answer": Answered("a"), "reraise": True, "default": 5},
        {"answer": SystemExit(1), "exclude": KeyError},
        {"exception": BaseException, "answer": Stop()},
    ],
    ids=str,
)
def test_loguru_does_the_same(way: Way, error: BaseException, options: dict[str, Any], lines: Lines) -> None:
    loguru = pytest.importorskip("loguru")
    logged: list[str] = []
    loguru.logger.remove()
    sink = loguru.logger.add(logged.append, format="{message}", catch=False)
    try:
        theirs = outcome(loguru.logger.catch, way, error, options)
    finally:
        loguru.logger.remove(sink)
    ours = outcome(lines.logger.catch, way, error, options)
    assert ours == theirs
    assert lines.text().count("ERROR An error") == len(logged)
