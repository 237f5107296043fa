"""Whatever a log call is given, it returns None, its line is there, and the trouble is counted and told."""

import enum
import gc
import subprocess
import sys

import pytest

from logly import Level, Logger, LoggerConfig
from tests.support.output import Output
from tests.support.programs import run_program


class Raising:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        raise self.error

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        raise self.error


def weird() -> object:
    """Fails at everything; made in here, for pytest looks at the classes of a module."""

    class WeirdType(type):
        @property
        def __name__(cls):
            raise RuntimeError("no name")

    class Weird(metaclass=WeirdType):
        @property
        def __class__(self):
            raise RuntimeError("no class")

        def __eq__(self, other):
            raise RuntimeError("no comparison")

        def __bool__(self):
            raise RuntimeError("no truth")

        def __hash__(self):
            raise RuntimeError("no hash")

        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    return Weird()


@pytest.mark.parametrize("error", [ValueError("v"), MemoryError(), StopIteration(), LookupError()])
def test_an_argument_that_cannot_be_shown(output: Output, error: Exception) -> None:
    assert output.logger.info("value {}", Raising(error)) is None
    assert output.last() == f"value {{}} <Raising whose repr fails: {type(error).__name__}>"
    output.has_failed(1, type(error))
    (note,) = output.told[0].__notes__
    assert note.startswith(f"in the message 'value {{}}', logged at {__file__}:")


@pytest.mark.parametrize(
    ("template", "why"),
    [("{:{!z}}", "unknown conversion 'z'"), ("{:{:{}}}", "a placeholder within a placeholder within a placeholder")],
)
def test_a_specification_that_cannot_be_filled_in(output: Output, template: str, why: str) -> None:
    output.logger.info(template, 1, 2, 3)
    assert output.last() == f"{template} 1 2 3"
    output.has_failed(1, ValueError)
    assert str(output.told[0]) == why


def test_texts_and_numbers_of_their_own_kind_are_plain_ones(output: Output) -> None:
    class Text(str):
        def __str__(self) -> str:
            return self

    class Own:
        def __str__(self) -> str:
            return Text("own {}")

    class Celsius(float):
        pass

    output.logger.info(Own())
    assert output.last() == "own {}"
    output.logger.info(Own(), 1)
    assert output.last() == "own 1"
    output.logger.info("{} {}", [Celsius(20.5)], Text("warm"))
    assert output.last() == "[20.5] warm"
    output.has_failed(0)
    fields = Output(output.path.parent / "fields", "{message} {fields}")
    fields.logger.info("cold", outside=Celsius(-3.5), all=[Celsius(1.5)])
    assert fields.last() == "cold outside=-3.5, all=[1.5]"
    fields.logger.close()


def test_a_message_that_cannot_be_shown(output: Output) -> None:
    output.logger.info(Raising(ValueError("v")))
    assert output.last() == "<Raising whose str fails: ValueError>"
    output.has_failed(1, ValueError)


def test_an_object_that_fails_at_everything(output: Output) -> None:
    output.logger.info(weird())
    assert "whose str fails: RuntimeError" in output.last()
    output.logger.info("{}", weird())
    assert output.last().startswith("{} <")
    output.logger.info("field", weird=weird(), exc_info=weird(), stacklevel=weird())
    assert "\nfield\n" in output.text()
    output.has_failed(2, RuntimeError)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_program_is_not_swallowed(output: Output, error: type[BaseException]) -> None:
    with pytest.raises(error):
        output.logger.info("{}", Raising(error()))
    output.logger.info("after")
    assert output.text() == "after\n"


@pytest.mark.parametrize(
    ("template", "args"),
    [
        ("{} {}", (1,)),
        ("{5}", (1,)),
        ("{", (1,)),
        ("}", (1,)),
        ("{0} {}", (1, 2)),
        ("{:d}", ("x",)),
        ("{x}", (1,)),
        ("{:{}}", (1,)),
    ],
)
def test_a_message_that_does_not_fit_its_arguments(output: Output, template: str, args: tuple) -> None:
    for _ in range(3):
        output.logger.info(template, *args)
    assert output.text() == 3 * (" ".join([template, *map(repr, args)]) + "\n")
    output.has_failed(3)


def test_braces_without_arguments_are_text(output: Output) -> None:
    output.logger.info("{} {x} {{}} }{")
    assert output.last() == "{} {x} {{}} }{"
    output.has_failed(0)


def test_lone_surrogates_and_nuls(output: Output) -> None:
    output.logger.info("a\ud800b\0c")
    output.logger.info("{} {!r}", "\udfff", "\0")
    assert output.text() == "a\\ud800b\0c\n\\udfff '\\x00'\n"


@pytest.mark.parametrize("value", [10**9999, -(10**9999), 2**40000], ids=hex)
def test_an_int_of_ten_thousand_digits(output: Output, value: int) -> None:
    output.logger.info("n = {}", value)
    # More than sys.get_int_max_str_digits(): str() itself refuses.
    assert output.last() == f"n = {{}} {hex(value)}"
    output.logger.info("{:x}", value)
    assert output.last() == f"{value:x}"
    output.has_failed(1, ValueError)


def test_floats_that_are_no_numbers(output: Output) -> None:
    output.logger.info("{} {} {} {:.2f}", float("nan"), float("inf"), -float("inf"), float("nan"))
    assert output.last() == "nan inf -inf nan"


class Loud(int):
    def __format__(self, spec: str) -> str:
        return "loud!"


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "own " + str.__str__(self)


class Color(enum.Enum):
    RED = 1


class Text(str, enum.Enum):  # noqa: UP042 -- the old kind has another __str__
    A = "a"


def test_subclasses_of_the_native_types_speak_for_themselves(output: Output) -> None:
    for value in (Loud(3), Name("n"), Color.RED, Text.A, Level.INFO, True):
        output.logger.info("{} {!s} {!r}", value, value, value)
        assert output.last() == "{} {!s} {!r}".format(value, value, value)  # noqa: UP032


@pytest.mark.parametrize(
    "message", [Name("{} x"), 42, None, 1.5, b"bytes", ["a", 1], Color.RED, Loud(7), ValueError("v")]
)
def test_a_message_of_any_type(output: Output, message: object) -> None:
    output.logger.info(message)
    assert output.last() == str(message)
    output.has_failed(0)


def test_a_str_subclass_is_a_template_too(output: Output) -> None:
    output.logger.info(Name("{}"), 5)
    assert output.last() == "own 5"


def test_three_hundred_arguments_and_fields(shown: Output) -> None:
    args = list(range(300))
    template = " ".join(["{}"] * 300)
    fields = {f"f{i}": i for i in range(300)}
    shown.logger.info(template, *args)
    assert shown.last().split("|")[4] == template.format(*args)
    shown.logger.info("only {}", *args)
    assert shown.last().split("|")[4] == "only 0"
    shown.logger.info("fields", **fields)
    assert all(f"f{i}={i}" in shown.last() for i in range(300))
    named = " ".join(f"{{f{i}}}" for i in range(300))
    shown.logger.info(named, **fields)
    assert shown.last().split("|")[4] == " ".join(map(str, range(300)))


def test_more_fields_than_a_record_holds(shown: Output) -> None:
    for _ in range(2):
        shown.logger.info("many", **{f"f{i}": i for i in range(100_000)})
    line = shown.last()
    assert "f0=0" in line
    assert "f15999=15999" in line
    assert f"logly_fields_cut={100_000 - 16_000}" in line
    bound = shown.logger.bind(**{f"b{i}": i for i in range(20_000)})
    bound.info("bound", own=1)
    assert "b15999=15999" in shown.last()
    assert "own=1" in shown.last()


def test_field_names_with_odd_characters(shown: Output) -> None:
    names = ["", " ", "a b", "größe", "😀", "\ud800", "\0", "a=b", "{x}", "0", "__class__", "x" * 5000, "\n"]
    shown.logger.info("odd", **dict.fromkeys(names, 7))
    shown.logger.info("odd {größe}", **dict.fromkeys(names, 7))
    text = shown.text()
    assert text.count("odd 7") == 1
    assert "größe=7" in text
    assert "\\ud800" in text
    assert shown.logger.stats().written == 2


class Key(str):
    __slots__ = ()

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


def test_names_that_are_not_interned_or_no_plain_str(shown: Output) -> None:
    made = "".join(["exc", "_info"])
    try:
        raise ValueError("seen")
    except ValueError:
        shown.logger.info("one", **{made: True})
        shown.logger.info("two", **{Key("exc_info"): True, Key("own"): 1})
    text = shown.text()
    assert text.count("ValueError: seen") == 2
    assert "exc_info" not in text
    assert "own=1" in text
    name = "".join(["us", "er"])
    for _ in range(3):
        shown.logger.info("hello {user}", **{name: "ann"})
        assert shown.last().split("|")[4] == "hello ann"


def test_names_that_mean_something_elsewhere_are_fields(shown: Output) -> None:
    shown.logger.info("m {message} {self} {level} {name}", message=1, self=2, level=3, name=4, number=5, args=6)
    assert shown.last().split("|")[4] == "m 1 2 3 4"
    for field in ("message=1", "self=2", "level=3", "name=4", "number=5", "args=6"):
        assert field in shown.last()
    shown.logger.info(message="by name", x=1)
    assert shown.last().split("|")[4] == "by name"
    shown.logger.log("info", message="by name too")
    assert shown.last().split("|")[4] == "by name too"
    shown.logger.exception(message="also")
    assert shown.last().split("|")[4] == "also"


def test_fields_that_are_not_native_leave_the_message_alone(shown: Output) -> None:
    for value in ([1, 2], {"a": None}, Raising(ValueError()), 10**30, 10**9999, Loud(3), Name("n"), object, (1,), {1}):
        shown.logger.info("n={} p={:.1f}", 5, 2.25, beyond=value)
        assert shown.last().split("|")[4] == "n=5 p=2.2"
        assert "beyond=" in shown.last()
    shown.has_failed(0)


@pytest.mark.parametrize("exc_info", [None, False, 0, "", (), (None, None, None), (1, 2), "text", object(), [1], 0.0])
def test_exc_info_that_is_no_exception(shown: Output, exc_info: object) -> None:
    shown.logger.info("x", exc_info=exc_info)
    shown.logger.info("x", exc_info=True)  # none is being handled
    assert [line.split("|")[4:] for line in shown.text().splitlines()] == [["x", "", ""]] * 2


def test_every_way_to_give_an_exception(shown: Output) -> None:
    try:
        raise KeyError("missing")
    except KeyError as error:
        for exc_info in (True, 1, error, (type(error), error, error.__traceback__), sys.exc_info()):
            shown.logger.info("x", exc_info=exc_info)
        shown.logger.exception("x")
        shown.logger.exception("x", exc_info=error)
        caught = error
    shown.logger.error("x", exc_info=caught)
    assert shown.text().count("KeyError: 'missing'") == 8


def test_an_exception_that_cannot_be_shown(shown: Output) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    shown.logger.info("x", exc_info=Broken())
    assert "Broken" in shown.text()
    assert shown.logger.stats().written == 1


@pytest.mark.parametrize("stacklevel", [0, -5, 1, 10**6, 10**30, "2", None, 1.5])
def test_any_stacklevel(shown: Output, stacklevel: object) -> None:
    shown.logger.info("x", stacklevel=stacklevel)
    assert shown.last().split("|")[4] == "x"


def test_stacklevel_names_the_caller_further_out(shown: Output) -> None:
    def helper(level: int) -> None:
        shown.logger.info("x", stacklevel=level)

    def caller(level: int) -> str:
        helper(level)
        return shown.last().split("|")[2]

    found = caller(1), caller(2), caller(3)
    assert found == ("helper", "caller", "test_stacklevel_names_the_caller_further_out")


def test_what_logs_while_it_is_shown(output: Output) -> None:
    class Talkative:
        def __repr__(self) -> str:
            output.logger.info("inside {}", 1)
            return "talkative"

        def __format__(self, spec: str) -> str:
            output.logger.configure(LoggerConfig(async_buffer_size=8192, level=0))
            output.logger.info("formatting {}", self.__repr__())
            return "formatted"

    output.logger.info("outside {!r} {}", Talkative(), Talkative())
    assert output.text().splitlines() == ["inside 1", "inside 1", "formatting talkative", "outside talkative formatted"]
    output.logger.info("field", own=Talkative())
    assert output.text().splitlines()[4:] == ["inside 1", "field"]


def test_a_del_that_logs_during_a_log_call(output: Output) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            output.logger.info("gone {} {}", 1, [2])

    before = gc.get_threshold()
    gc.set_threshold(1)  # the collector runs at every allocation that it may run at
    try:
        for i in range(300):
            Cycle()
            output.logger.info(f"unique {i} {{}}", [i], field=[i])
    finally:
        gc.set_threshold(*before)
    gc.collect()
    lines = output.text().splitlines()
    assert [line for line in lines if line.startswith("unique")] == [f"unique {i} [{i}]" for i in range(300)]
    assert lines.count("gone 1 [2]") == 300


# ---- misuse


def test_a_call_without_a_message_is_a_mistake(output: Output) -> None:
    for call in (output.logger.info, output.logger.exception, output.logger.log, lambda: output.logger.log("info")):
        with pytest.raises(TypeError, match="message"):
            call()


def test_a_subclass_that_logs_before_it_is_made() -> None:
    class Early(Logger):
        def __init__(self) -> None:
            self.info("too early")

    for call in (Early, lambda: Logger.__new__(Logger).info("x"), lambda: Logger.__new__(Logger).log("INFO", "x")):
        with pytest.raises(RuntimeError, match="__init__"):
            call()


def test_the_limit_of_digits_may_be_lowered() -> None:
    run_program(
        "import sys; sys.set_int_max_str_digits(640)\n"
        "import json, os, tempfile\n"
        "from logly import *\n"
        "path = os.path.join(tempfile.mkdtemp(), 'a.log')\n"
        "with Logger() as logger:\n"
        "    logger.add_sink(SinkConfig(path=path, json=True))\n"
        "    logger.info('x', n=10**700, m=10**30)\n"
        "record = json.loads(open(path).read())\n"
        "assert record['n'] == hex(10**700) and record['m'] == 10**30, record\n"
    )


def test_memory_that_runs_out_does_not_raise() -> None:
    program = (
        "import resource, tempfile, os\n"
        "from logly import *\n"
        "told = []\n"
        "logger = Logger(LoggerConfig(on_error=told.append))\n"
        "logger.add_sink(SinkConfig(path=os.path.join(tempfile.mkdtemp(), 'a.log'), format='{message}'))\n"
        "logger.info('before'); logger.flush()\n"
        "text = 'x' * 40_000_000\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)\n"
        "logger.info('{}', [text]); logger.info(text); logger.info('x', own=text)\n"
        "logger.info('after')\n"
        "assert logger.flush(20)\n"
        "s = logger.stats()\n"
        # The first is written as a message that cannot be formatted, where there is memory for that.
        "assert s.emitted == 5 and s.pending == 0 and s.dropped + s.failed + s.failed_formats == 3, s\n"
        "assert s.dropped + s.failed >= 2, s\n"
        "assert any(isinstance(e, MemoryError) for e in told), told\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    try:
        run_program(program)
    except subprocess.TimeoutExpired:
        pytest.fail("it hangs without memory")
