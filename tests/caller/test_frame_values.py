"""`LoggerConfig.diagnose`: tracebacks show the values that failing lines name, whatever these are, and never raise."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, SinkConfig
from logly.caller import frame_values
from logly.caller.frame_values import FrameValues
from tests.support.loggers import make_logger, records_of


class Diagnosed:
    """A logger that shows values, and the tracebacks that it has made."""

    def __init__(self, **config: Any) -> None:
        self.logger = make_logger(diagnose=True, **config)
        self.records = records_of(self.logger)

    def stack_of(self, function: Callable[..., Any], *args: Any) -> str:
        """The traceback of the error that the function raises."""
        self.records.clear()
        try:
            function(*args)
        except Exception:
            self.logger.exception("failed")
        assert self.logger.flush(60)
        exception = self.records[-1].exception
        assert exception is not None
        return exception.stack

    def values_of(self, function: Callable[..., Any], *args: Any) -> dict[str, str]:
        """The values that are shown for the innermost entry."""
        last = self.stack_of(function, *args).rpartition("  File ")[2]
        lines = [line[6:] for line in last.splitlines() if line.startswith("      ") and " = " in line]
        return dict(line.split(" = ", 1) for line in lines)


@pytest.fixture
def diagnosed() -> Iterator[Diagnosed]:
    one = Diagnosed()
    yield one
    one.logger.close()


def ratio(a: Any, b: Any) -> Any:
    return a / b


def show(value: Any) -> Any:
    raise ValueError(value is None)


def test_the_entry_and_then_its_values(diagnosed: Diagnosed) -> None:
    lines = diagnosed.stack_of(ratio, 1, 0).splitlines()
    at = lines.index("    return a / b")
    assert lines[at + 1].strip() == "~~^~~"
    assert lines[at + 2 :] == ["      a = 1", "      b = 0", "ZeroDivisionError: division by zero"]


def test_off_it_is_pythons_traceback() -> None:
    with make_logger() as logger:
        records = records_of(logger)
        try:
            ratio(1, 0)
        except ZeroDivisionError:
            logger.exception("failed")
        assert logger.flush(60)
        assert "a = 1" not in str(records[0].exception)
        logger.configure(diagnose=True)
        try:
            ratio(1, 0)
        except ZeroDivisionError:
            logger.exception("failed")
        assert logger.flush(60)
        assert "a = 1" in records[1].exception.stack  # type: ignore[union-attr]
        assert logger.stats().failed_formats == 0


class Account:
    __slots__ = ("__dict__", "limit")
    currency = "EUR"

    def __init__(self) -> None:
        self.owner = "ann"
        self.limit = 7

    @property
    def balance(self) -> int:
        raise AssertionError("a property was read")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"__getattr__ was asked for {name}")

    def __repr__(self) -> str:
        return "<account>"

    def fail(self, other: Any) -> Any:
        return self.owner, self.limit, self.currency, 1 / 0, other.missing.deeper, self.fail


LIMIT = 3


def test_names_and_attributes(diagnosed: Diagnosed) -> None:
    account = Account()
    assert diagnosed.values_of(account.fail, account) == {
        "self.owner": "'ann'",
        "self.limit": "7",
        "self.currency": "'EUR'",
        "other": "<account>",
        "self": "<account>",
    }

    def use(key: str, rows: dict[str, int]) -> int:
        return max(LIMIT, rows[key], int(key="none"))  # type: ignore[call-overload,no-any-return]

    assert diagnosed.values_of(use, "b", {"a": 1}) == {"LIMIT": "3", "rows": "{'a': 1}", "key": "'b'"}

    def text(user: Any, n: int) -> str:
        new: str = f"{user.owner!r} has {n:>{n}} 'quoted' {1 / n}"  # comment: account
        return new  # a name that gets a value has none yet

    assert diagnosed.values_of(text, account, 0) == {"user.owner": "'ann'", "n": "0"}

    def property_of(one: Account) -> Any:
        return one.balance

    assert diagnosed.values_of(property_of, account) == {}  # the innermost entry is the property


def test_several_lines(diagnosed: Diagnosed) -> None:
    def spread(first: int, second: int) -> Any:
        return divmod(
            first,
            second,
        )

    assert diagnosed.values_of(spread, 5, 0) == {"first": "5", "second": "0"}


def test_causes_groups_and_repeated_entries(diagnosed: Diagnosed) -> None:
    def cause(number: int) -> None:
        try:
            ratio(number, 0)
        except ZeroDivisionError as error:
            raise ExceptionGroup("several", [ValueError(number), error]) from error

    stack = diagnosed.stack_of(cause, 17)
    assert stack.count("a = 17") == 2
    assert "  |       a = 17\n" in stack

    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise ValueError(n)

    stack = diagnosed.stack_of(deep, 200)
    assert "      n = 0\n" in stack
    assert stack.count("n = ") <= frame_values.MOST_ENTRIES


# ---- hostile values


class Raises:
    def __repr__(self) -> str:
        raise OSError("no")


class Loops:
    def __repr__(self) -> str:
        while True:
            pass


class LoopsAndCatches:
    def __repr__(self) -> str:
        n = 0
        while True:
            try:
                n += 1
            except Exception:  # noqa: BLE001  # that is the point
                n = 0


class Huge:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class Recursive:
    def __repr__(self) -> str:
        return repr(self)


class NoText:
    def __repr__(self) -> Any:
        return 3


class Sly(str):
    __slots__ = ()

    def __getitem__(self, _: Any) -> str:
        raise AssertionError("asked")

    __len__ = __str__ = __format__ = __getitem__  # type: ignore[assignment]


class SlyText:
    def __repr__(self) -> str:
        return Sly("sly")


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError(name)


HOSTILE: dict[str, tuple[Any, str]] = {
    "raises": (Raises(), "<Raises whose repr failed: OSError>"),
    "loops": (Loops(), "<Loops whose repr takes too long>"),
    "loops and catches": (LoopsAndCatches(), "<LoopsAndCatches whose repr takes too long>"),
    "recursive": (Recursive(), "<Recursive whose repr failed: RecursionError>"),
    "no text": (NoText(), "<NoText whose repr failed: TypeError>"),
    "subclass of str": (SlyText(), "sly"),
    "in a list": ([Raises(), 1], "[<Raises whose repr failed: OSError>, 1]"),
    "line breaks": ("a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
    "lone surrogate": ("a\ud800", r"'a\ud800'"),
    "long int": (1 << 100_000, "<int of 100001 bits>"),
    "many": (list(range(1_000_000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 999990 more]"),
    "dict": ({i: i for i in range(12)}, "{" + ", ".join(f"{i}: {i}" for i in range(10)) + ", ... 2 more}"),
    "deep": ([[[[[1]]]]], "[[[[...]]]]"),
    "deque": (deque(range(10**6)), "<deque with 1000000 items>"),
    "ordered": (OrderedDict(a=1), repr(OrderedDict(a=1))),
    "tuple": ((1,), "(1,)"),
    "sets": ([set(), {1}, frozenset({2})], "[set(), {1}, frozenset({2})]"),
    "nan": (float("nan"), "nan"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values(diagnosed: Diagnosed, name: str) -> None:
    value, text = HOSTILE[name]
    assert diagnosed.values_of(show, value) == {"value": text}


def test_what_contains_itself(diagnosed: Diagnosed) -> None:
    one: list[Any] = []
    one.append(one)
    assert diagnosed.values_of(show, one) == {"value": "[[[[...]]]]"}


def test_a_long_text_is_cut(diagnosed: Diagnosed) -> None:
    for value in (Huge(), "x" * 10_000_000):
        text = diagnosed.values_of(show, value)["value"]
        assert len(text) < 200
        assert text.endswith("...")


def test_text_that_goes_over_lines_is_one_line(diagnosed: Diagnosed) -> None:
    class Table:
        def __repr__(self) -> str:
            return "a  b\n1  2\ud800\u2028\x1b]0;title\x07"

    assert diagnosed.values_of(show, Table()) == {"value": r"a  b\n1  2\ud800\u2028\x1b]0;title\x07"}


def test_a_class_whose_metaclass_answers_nothing(diagnosed: Diagnosed) -> None:
    made = Meta("Made", (), {})()

    def fail(value: Any) -> Any:
        raise ValueError(value.missing if value is None else 1, type(value))

    stack = diagnosed.stack_of(fail, made)
    assert stack.endswith("ValueError: (1, <class 'tests.caller.test_frame_values.Made'>)\n") or "ValueError" in stack


def test_a_repr_that_logs_itself(diagnosed: Diagnosed) -> None:
    class Logs:
        def __repr__(self) -> str:
            try:
                show(self)
            except ValueError:
                diagnosed.logger.exception("from the repr")
            return "logged"

    assert diagnosed.values_of(show, Logs()) == {"value": "logged"}
    assert [record.message for record in diagnosed.records] == [
        "from the repr",
        "from the repr",
        "failed",
    ]  # two frames
    assert "value = " not in str(diagnosed.records[0].exception)


def test_what_ends_the_program_goes_up(diagnosed: Diagnosed) -> None:
    class Stops:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diagnosed.stack_of(show, Stops())
    assert diagnosed.values_of(show, 1) == {"value": "1"}  # the thread is not taken for busy


def test_all_values_of_a_record_share_a_limit(diagnosed: Diagnosed) -> None:
    def several(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
        raise ValueError(a, b, c, d, e, f) if a is None else ValueError

    values = diagnosed.values_of(several, *(Loops() for _ in range(6)))
    assert set(values.values()) == {"<Loops whose repr takes too long>"}


def test_a_trace_function_is_put_back(diagnosed: Diagnosed) -> None:
    def tracer(*_: Any) -> Any:
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        diagnosed.stack_of(show, Loops())
        found = sys.gettrace()
    finally:
        sys.settrace(before)
    assert found is tracer


@given(st.text())
def test_any_line_has_names_or_none(text: str) -> None:
    for name in frame_values._names_in(text):
        assert all(part.isidentifier() for part in name.split("."))


@given(
    st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda inner: st.lists(inner) | st.tuples(inner))
)
def test_any_plain_value_is_one_printable_line(value: Any) -> None:
    with pytest.raises(ValueError, match=r"True|False") as caught:
        show(value)
    trace = caught.value.__traceback__
    assert trace is not None
    assert trace.tb_next is not None
    (lines,) = FrameValues((), None)(trace.tb_next).values()
    assert lines.startswith("      value = ")
    assert lines.endswith("\n")
    assert lines[:-1].isprintable()
    assert len(lines) < 160


# ---- secrets


def login(user: str, password: str, headers: dict[str, str], account: Any) -> None:
    raise ValueError((user, password, headers, account) is account.api_token)


class WithToken:
    api_token = "t0ps3cret"

    def __repr__(self) -> str:
        return f"WithToken(api_token={self.api_token!r})"


@pytest.mark.parametrize("config", [{"redact": ["password", "*token", "authorization"]}, {"redact_text": True}])
def test_secrets(config: dict[str, Any], tmp_path: Path) -> None:
    one = Diagnosed(**config)
    one.logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    one.logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
    stack = one.stack_of(login, "ann", "hunter2", {"Authorization": "Basic aHVudGVyMg=="}, WithToken())
    one.logger.close()
    written = stack + (tmp_path / "app.json").read_text() + (tmp_path / "app.log").read_text()
    for secret in ("aHVudGVyMg", "t0ps3cret") if "redact_text" in config else ("aHVudGVyMg", "t0ps3cret", "hunter2"):
        assert secret not in written, stack
    for name in ("password", "account", "user"):
        assert f"      {name} = " in stack
    assert "'Authorization': '[redacted]'" in stack or "'Authorization': 'Basic [redacted]'" in stack
    assert "api_token='[redacted]'" in stack


def test_a_secret_is_not_cut_in_half(diagnosed: Diagnosed) -> None:
    one = Diagnosed(redact_text=True)
    token = "eyJ" + "a" * 200 + "." + "b" * 200 + "." + "c" * 200
    assert one.values_of(show, f"with {token}") == {"value": "'with [redacted]'"}
    one.logger.close()


# ---- references


class Kept:
    """Something that can be watched."""


def test_no_reference_is_kept(diagnosed: Diagnosed) -> None:
    kept = Kept()
    inner: Kept | None = Kept()
    gone = [weakref.ref(kept), weakref.ref(inner)]

    def fail(value: Any) -> None:
        raise ValueError(value is None, inner)

    try:
        fail(kept)
        raise AssertionError(kept)
    except ValueError:
        diagnosed.logger.exception("failed")
    del kept, fail
    inner = None
    gc.collect()
    assert [one() for one in gone] == [None, None]  # this function still runs


def test_the_programs_own_dict_of_variables_is_left_alone(diagnosed: Diagnosed) -> None:
    def fail(value: int) -> dict[str, Any]:
        own = locals()
        try:
            raise ValueError(value)
        except ValueError:
            diagnosed.logger.exception("failed")
        return own

    assert fail(3)["value"] == 3


def test_threads_do_not_disturb_each_other() -> None:
    one = Diagnosed()
    stacks: list[str] = []

    def work(number: int) -> None:
        for _ in range(50):
            try:
                ratio(number, 0)
            except ZeroDivisionError:
                one.logger.exception("failed {}", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.logger.flush(60)
    for record in one.records:
        stacks.append(str(record.exception.stack if record.exception else ""))
        assert f"a = {record.message.split()[1]}\n" in stacks[-1]
    assert len(stacks) == 200
    one.logger.close()


def test_json_and_text_have_them(tmp_path: Path) -> None:
    with Logger(diagnose=True, auto_sink=False) as logger:
        logger.add_sink(tmp_path / "app.json", json=True)
        logger.add_sink(tmp_path / "app.log")
        with logger.catch():
            ratio("a\nb", 2)
    assert "      a = 'a\\nb'\n" in json.loads((tmp_path / "app.json").read_text())["exception"]["stack"]
    assert "\n      a = 'a\\nb'\n" in (tmp_path / "app.log").read_text()
