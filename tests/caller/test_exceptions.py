"""Exceptions: tracebacks are Python's, `catch` around any kind of code, nothing rendered or kept needlessly."""

import asyncio
import gc
import random
import sys
import traceback
import weakref
from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest

from logly import ConfigError, LoggerConfig
from logly.caller.tracebacks import _indent_messages, exception_text
from tests.support.lines import Lines


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format="{level} {message} {function} {lineno}")
    yield lines
    lines.close()


@pytest.fixture(scope="module")
def json_lines():
    lines = Lines(json=True)
    yield lines
    lines.close()


def raise_plain():
    raise ValueError("plain")


def raise_chain():
    try:
        raise_plain()
    except ValueError as error:
        raise KeyError("cause") from error


def raise_context():
    try:
        raise_plain()
    except ValueError:
        raise TypeError("context")  # noqa: B904


def raise_suppressed():
    try:
        raise_plain()
    except ValueError:
        raise TypeError("suppressed") from None


def raise_group():
    errors: list[Exception] = []
    for fail in (raise_chain, raise_context):
        try:
            fail()
        except Exception as error:  # noqa: BLE001  # whatever the two raise belongs into the group
            errors.append(error)
    raise ExceptionGroup("several", [*errors, ExceptionGroup("inner", [OSError(2, "no file")])])


def raise_notes():
    error = ValueError("noted")
    error.add_note("while reading line 3")
    error.add_note("of app.toml")
    raise error


def raise_syntax():
    compile("a = (1,\n b c", "app.py", "exec")


def raise_deep():
    raise_deep()


def raise_empty():
    raise ValueError


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no")


def raise_mute():
    raise Mute


def raise_multiline():
    raise ValueError("first\nsecond\n\n  third")


KINDS = [
    raise_plain, raise_chain, raise_context, raise_suppressed, raise_group, raise_notes, raise_syntax, raise_deep,
    raise_empty, raise_mute,
]  # fmt: skip


@pytest.mark.parametrize("fail", KINDS)
def test_tracebacks_are_pythons(fail, lines, json_lines):
    try:
        fail()
    except Exception as error:
        lines.logger.exception("m")
        json_lines.logger.exception("m")
        expected = "".join(traceback.format_exception(error))
        kind = type(error).__name__
    assert lines.text().partition("\n")[2] == expected
    exception = json_lines.object()["exception"]
    assert (exception["type"], exception["stack"]) == (kind, expected)


def raise_below(depth):
    if depth:
        raise_below(depth - 1)
    raise_multiline() if depth == 0 else None


def raise_name():
    valid_name = 1
    return valid_nane + valid_name  # noqa: F821


def raise_odd_place():
    exec(compile("def f():\n    raise ValueError('odd')\nf()", "a\nb.py", "exec"), {})


AGAIN = [*KINDS, raise_multiline, raise_name, raise_odd_place, *(partial(raise_below, n) for n in (1, 2, 3, 4, 5))]


def test_the_same_traceback_again_is_pythons_too():
    """The text of an entry is kept from one traceback to the next: whichever come in whatever order."""
    source = random.Random(11)
    for _ in range(300):
        fail = source.choice(AGAIN)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            fail()
        error = caught.value
        kind, _, stack, safe = exception_text(error, error.__traceback__)
        rendered = traceback.TracebackException.from_exception(error, compact=True)
        assert (kind, stack) == (type(error).__name__, "".join(rendered.format()))
        assert safe == ("".join(rendered.format()) if _indent_messages(rendered) else "")


def test_a_limit_of_tracebacks_is_python_s_own(monkeypatch):
    for limit in (None, 1, None, 2):
        if limit:
            monkeypatch.setattr(sys, "tracebacklimit", limit, raising=False)
        with pytest.raises(ValueError, match="first") as caught:
            raise_below(2)
        stack = exception_text(caught.value, caught.value.__traceback__)[2]
        assert stack == "".join(traceback.format_exception(caught.value))
        monkeypatch.undo()


def test_a_message_of_several_lines_is_exact_in_json_and_indented_in_text(lines, json_lines):
    try:
        raise_multiline()
    except ValueError as error:
        lines.logger.exception("m")
        json_lines.logger.exception("m")
        expected = "".join(traceback.format_exception(error))
    assert json_lines.object()["exception"]["stack"] == expected
    safe = expected.replace("first\nsecond\n\n  third", "first\n    second\n    \n      third")
    assert lines.text().partition("\n")[2] == safe


def test_an_exception_whose_parts_cannot_be_read_is_shown_without_its_traceback():
    class Closed(Exception):
        @property
        def exceptions(self):
            raise RuntimeError("no parts")

    error = Closed("two\nlines")
    expected = "Closed: two\nlines <traceback could not be rendered: RuntimeError>\n"
    assert exception_text(error, None) == ("Closed", "two\nlines", expected, ANY)
    assert exception_text(error, None)[3].splitlines()[1].startswith("    ")


def test_a_part_that_recurs_goes_up():
    """Also where the traceback has been rendered, and only its safe form is still to be made."""

    class Deep:
        def __init__(self, sound):
            self.sound = sound

        def __str__(self):
            self.sound -= 1
            if self.sound < 0:
                raise RecursionError
            return "file"

    went_up = 0
    for sound in range(9):
        error = SyntaxError("bad", ("file", 1, 2, "text"))
        error.filename = Deep(sound)
        try:
            exception_text(error, None)
        except RecursionError:
            went_up += 1
        assert (error.filename.sound < 0) == (went_up > sound)
    assert 1 < went_up < 9


@pytest.mark.parametrize("given", ["true", "exception", "tuple", "one"])
def test_every_form_of_exc_info(given, lines):
    try:
        raise_plain()
    except ValueError as error:
        forms = {"true": True, "exception": error, "tuple": sys.exc_info(), "one": 1}
        lines.logger.info("m", exc_info=forms[given])
        expected = "".join(traceback.format_exception(error))
    assert lines.text().partition("\n")[2] == expected


class Odd:
    def __eq__(self, other):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("given", [True, 1, None, False, 0, (), (None, None, None), "", (1, 2)])
def test_no_exception_is_no_traceback(given, lines):
    lines.logger.info("m", exc_info=given)
    assert lines.text().count("\n") == 1


def test_a_hostile_exc_info_does_not_raise(lines):
    lines.logger.info("m", exc_info=Odd())
    assert lines.text().splitlines()[1:] == ["<exception could not be rendered: RuntimeError>"]


def test_an_exception_of_before_has_its_traceback(lines):
    try:
        raise_plain()
    except ValueError as error:
        kept = error
    lines.logger.error("later", exc_info=kept)
    assert lines.text().partition("\n")[2] == "".join(traceback.format_exception(kept))


def test_a_disabled_level_renders_nothing():
    class Watched(Exception):
        rendered = 0

        def __str__(self):
            Watched.rendered += 1
            return "watched"

    with Lines(LoggerConfig(level="CRITICAL")) as lines:
        try:
            raise Watched
        except Watched:
            lines.logger.exception("m")
            lines.logger.info("m", exc_info=True)
        with lines.logger.catch():
            raise Watched
        assert Watched.rendered == 0
        assert lines.text() == ""


def test_the_exception_is_not_kept_alive(lines):
    class Heavy(Exception):
        pass

    @lines.logger.catch
    def guarded():
        raise Heavy

    def log():
        try:
            raise Heavy
        except Heavy as error:
            lines.logger.exception("m")
            return weakref.ref(error)

    reference = log()
    guarded()
    gc.collect()
    assert reference() is None
    assert not any(isinstance(item, Heavy) for item in gc.get_objects())
    lines.text()


# ---- catch


def first_line(lines):
    return lines.text().splitlines()[0]


def test_catch_as_context_manager(lines):
    with lines.logger.catch():
        raise_plain()
    here = sys._getframe().f_lineno - 1
    name = "test_catch_as_context_manager"
    assert first_line(lines) == f"ERROR An error has been caught in function '{name}' {name} {here}"


def test_catch_as_decorator_with_and_without_arguments(lines):
    @lines.logger.catch
    def bare(x):
        return 1 / x

    @lines.logger.catch(ZeroDivisionError, level="warning", message="{function} {failed}", default="none")
    def full(x):
        """Doc."""
        return 1 / x

    assert (bare(2), full(2)) == (0.5, 0.5)
    assert (bare(0), full(0)) == (None, "none")
    assert (full.__name__, full.__doc__) == ("full", "Doc.")
    text = lines.text()
    code = bare.__wrapped__.__code__
    assert f"ERROR An error has been caught in function 'bare' bare {code.co_firstlineno + 2}\n" in text
    code = full.__wrapped__.__code__
    assert f"WARNING full {{failed}} full {code.co_firstlineno + 3}\n" in text
    assert "guards.py" not in text  # the wrapper is nobody's business
    with pytest.raises(TypeError):
        full("x")
    assert lines.text() == ""


def test_reraise(lines):
    @lines.logger.catch(reraise=True)
    def fail():
        raise_plain()

    with pytest.raises(ValueError, match="plain"):
        fail()
    assert "ValueError: plain" in lines.text()
    with pytest.raises(ValueError, match="plain"), lines.logger.catch(reraise=True):
        raise_plain()
    assert "ValueError: plain" in lines.text()


def test_only_what_is_named_is_caught(lines):
    with pytest.raises(KeyError), lines.logger.catch((ValueError, OSError)):
        raise KeyError("k")
    with pytest.raises(KeyboardInterrupt), lines.logger.catch():
        raise KeyboardInterrupt
    assert lines.text() == ""
    with lines.logger.catch(BaseException):
        raise KeyboardInterrupt
    assert "KeyboardInterrupt" in lines.text()


def test_a_call_that_itself_fails_is_told_at_the_caller(lines):
    @lines.logger.catch(default="none")
    def two(a, b):
        return a, b

    assert two(1) == "none"
    here = sys._getframe().f_lineno - 1
    line = first_line(lines)
    assert line.endswith(f"test_a_call_that_itself_fails_is_told_at_the_caller {here}")


def test_catch_of_a_coroutine(lines):
    @lines.logger.catch(default=5)
    async def fail(n):
        await asyncio.sleep(0)
        return 1 // n

    async def main():
        return await asyncio.gather(fail(1), fail(0), fail(0))

    assert asyncio.run(main()) == [1, 5, 5]
    assert lines.text().count("ZeroDivisionError") == 2


def test_cancelling_passes(lines):
    @lines.logger.catch
    async def wait():
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert lines.text() == ""


def test_catch_of_a_generator(lines):
    @lines.logger.catch(default="end")
    def numbers():
        got = yield 1
        yield got
        raise_plain()

    one = numbers()
    assert (next(one), one.send("x")) == (1, "x")
    with pytest.raises(StopIteration) as end:
        next(one)
    assert end.value.value == "end"
    assert first_line(lines).startswith("ERROR An error has been caught in function 'numbers' numbers")
    numbers().close()
    assert lines.text() == ""


def test_catch_of_an_async_generator(lines):
    closed = []

    @lines.logger.catch
    async def numbers():
        try:
            got = yield 1
            yield got
            raise_plain()
        finally:
            closed.append(1)

    async def main():
        one = numbers()
        found = [await anext(one), await one.asend("x"), *[n async for n in one]]
        two = numbers()
        await anext(two)
        await two.aclose()
        return found

    assert asyncio.run(main()) == [1, "x"]
    assert closed == [1, 1]
    assert lines.text().count("ValueError: plain") == 1


def test_an_async_generator_that_ends_ends_for_its_caller_too(lines):
    @lines.logger.catch
    async def numbers():
        yield 1
        yield 2

    async def main():
        return [number async for number in numbers()]

    assert asyncio.run(main()) == [1, 2]
    assert lines.text() == ""


def test_catch_of_a_method_a_partial_and_recursion(lines):
    import functools

    class Service:
        @lines.logger.catch(default="m")
        def method(self, n):
            return self.method(n - 1) if n else 1 / n

        @staticmethod
        @lines.logger.catch(default="s")
        def static():
            raise_plain()

    assert Service().method(2) == "m"
    assert Service.static() == "s"
    assert lines.logger.catch(functools.partial(raise_plain))() is None
    assert lines.text().count("ERROR") == 3


@pytest.mark.parametrize("wrong", [int, "ValueError", (ValueError, 3), classmethod(raise_plain), None])
def test_what_cannot_be_caught_is_refused_at_once(wrong: Any, lines):
    with pytest.raises(ConfigError, match="exception class"):
        lines.logger.catch(wrong)


def test_a_level_that_does_not_exist_is_refused_at_once(lines):
    with pytest.raises(ConfigError, match="CRITICAL"):
        lines.logger.catch(level="loud")


@pytest.mark.parametrize(("base", "shown"), [(MemoryError, "of a MemoryError>"), (ValueError, "for the exception>")])
def test_without_memory_for_an_exception_the_rest_of_the_record_is_there(lines, monkeypatch, base, shown):
    class Fresh(base):
        pass

    def no_memory(kind):
        raise MemoryError

    monkeypatch.setattr("logly.caller.tracebacks.describe_class", no_memory)
    lines.logger.error("the record {}", 1, exc_info=Fresh("x"))
    text = lines.text()
    assert text.startswith("ERROR the record 1 ")
    assert "<no memory for" in text
    assert shown in text
    assert lines.logger.stats().dropped == 0
