"""`LoggerConfig.diagnose`: tracebacks show the values that failing lines name, whatever these are, and never raise."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger
from logly.caller import frame_values
from logly.caller.frame_values import FrameValues
from tests.support.diagnosed import Diagnosed, show
from tests.support.loggers import make_logger, records_of


def ratio(a: Any, b: Any) -> Any:
    return a / b


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

    def fail(self, other: Any) -> Any:
        return self.owner, self.limit, self.currency, 1 / 0, other.missing.deeper, self.fail


LIMIT = 3


def test_names_and_attributes(diagnosed: Diagnosed) -> None:
    account = Account()
    assert diagnosed.values_of(account.fail, account) == {
        "self.owner": "'ann'",
        "self.limit": "7",
        "self.currency": "'EUR'",
        "other": "<Account owner='ann', limit=7>",
        "self": "<Account owner='ann', limit=7>",
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


def test_a_value_that_cannot_be_read_leaves_the_others(diagnosed: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    def reach(path: str, *args: Any) -> Any:
        if path == "a":
            raise SystemError
        return original(path, *args)

    original = frame_values._reach
    monkeypatch.setattr(frame_values, "_reach", reach)
    assert diagnosed.values_of(ratio, 1, 0) == {"b": "0"}


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


@given(st.text())
def test_any_line_has_names_or_none(text: str) -> None:
    for name, _ in frame_values._names_in(text):
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
    (lines,) = FrameValues((), None)([trace.tb_next]).values()
    assert lines.startswith("      value = ")
    assert lines.endswith("\n")
    assert lines[:-1].isprintable()
    assert len(lines) < 160


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


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="`exec` leaves nothing in a function there")
def test_what_exec_has_made_is_left_alone(diagnosed: Diagnosed) -> None:
    def fail(value: int) -> Any:
        exec("made = 7")
        try:
            raise ValueError(value)
        except ValueError:
            diagnosed.logger.exception("failed")
        return eval("made")

    assert fail(3) == 7


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
