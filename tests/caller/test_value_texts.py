"""How values are shown in tracebacks: no code of the program runs for it, whatever they are."""

from __future__ import annotations

import weakref
from asyncio import CancelledError
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from logly.caller import frame_values, value_texts
from logly.caller.value_texts import ValueTexts
from tests.support.diagnosed import Diagnosed, show

asked: list[str] = []
"""Code of the program that ran while values were shown."""


class Asked:
    """Notes each question: it may wait for ever, take a lock, give another greenlet its turn, raise, or log."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __repr__(self) -> str:
        asked.append("__repr__")
        raise CancelledError

    @property
    def __class__(self) -> Any:
        asked.append("__class__")
        raise RuntimeError("outside of a request")

    def __hash__(self) -> int:
        if asked is not None and Asked.is_closed:
            asked.append("__hash__")
        return 7

    def __eq__(self, other: object) -> bool:
        if Asked.is_closed:
            asked.append("__eq__")
        return self is other

    is_closed = False


class AskedMeta(type):
    def __getattribute__(cls, name: str) -> Any:
        asked.append(f"class {name}")
        raise AssertionError(name)

    def __eq__(cls, other: object) -> bool:
        asked.append("class __eq__")
        return False

    def __hash__(cls) -> int:
        asked.append("class __hash__")
        return 1


class Zone(tzinfo):
    def __repr__(self) -> str:
        asked.append("zone")
        return "zone"

    def utcoffset(self, _: Any) -> Any:
        asked.append("zone")

    dst = utcoffset


class Color(Enum):
    RED = "r"

    def __repr__(self) -> str:
        asked.append("enum")
        return "red"


@dataclass
class Order:
    number: int
    token: str = field(default="t0ps3cret", repr=False)
    lines: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class Line:
    amount: float


@dataclass
class OwnText:
    number: int
    token: str = field(default="t0ps3cret", repr=False)

    def __repr__(self) -> str:
        asked.append("dataclass")
        return "own"


class Point(NamedTuple):
    x: int
    y: Any


class Masked:
    """As pydantic's SecretStr and starlette's Secret."""

    def __init__(self) -> None:
        self._value = "t0ps3cret"


class Text(str):
    def __repr__(self) -> str:
        asked.append("str")
        return "masked"

    def __getitem__(self, _: Any) -> str:
        asked.append("str item")
        return ""

    __len__ = __str__ = __format__ = __getitem__  # type: ignore[assignment]


class PlainText(str):
    __slots__ = ()

    def __len__(self) -> int:
        asked.append("len")
        return 3


class Failed(Exception):
    pass


class AskedKey:
    """Has the hash of a name."""

    def __init__(self, name: str) -> None:
        self.hash = hash(name)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if Asked.is_closed:
            asked.append("key __eq__")
        return self is other


def with_keys() -> object:
    made = SimpleNamespace(a=1)
    made.__dict__.update({AskedKey("a"): 2, AskedKey("b"): 3})
    return made


def with_keys_in_class() -> object:
    return type("Made", (), {AskedKey("__repr__"): 1, AskedKey("__dict__"): 1, "a": 2})()  # type: ignore[dict-item]


def of_c() -> object:
    """What the ``__dict__`` of a class in C does is not known."""
    made = lru_cache(released)
    made.a = 1  # type: ignore[attr-defined]
    return made


def of_c_and_python() -> object:
    made = type("Made", (Plain, partial), {})(released)
    made.a = 1
    return made


class Plain:
    pass


class Moved:
    __slots__ = ("a", "b")

    def __init__(self) -> None:
        self.b = 1


class MovedTo:
    a = Moved.a  # type: ignore[misc]
    c = 1


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


def by_key() -> dict[Any, Any]:
    return {Asked(): 1}


def of_no_class() -> object:
    made = AskedMeta("Made", (), {})
    return object.__new__(made)  # type: ignore[call-overload]


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "keys": (with_keys, "<SimpleNamespace a=1>"),
    "keys of class": (with_keys_in_class, "<Made object>"),
    "dict in C": (of_c, "<_lru_cache_wrapper object>"),
    "dict in C below Python": (of_c_and_python, "<Made func=<function released>, args=(), keywords={}>"),
    "moved slot": (lambda: [MovedTo(), Moved()], "[<MovedTo object>, <Moved b=1>]"),
    "own repr": (Asked, "<Asked object>"),
    "attributes": (lambda: Asked(a=1, b=[1], c=Asked(d=1), _d=2), "<Asked a=1, b=[...], c=<Asked object>>"),
    "many attributes": (lambda: Asked(**dict.fromkeys("abcdefgh", 1)), "<Asked a=1, b=1, c=1, d=1, e=1, f=1, ...>"),
    "in a list": (lambda: [Asked(a=1), 1, 2], "[<Asked a=1>, 1, 2]"),
    "key": (by_key, "{<Asked object>: 1}"),
    "metaclass": (of_no_class, "<Made object>"),
    "proxy": (lambda: MappingProxyType(by_key()), "<mappingproxy object>"),
    "released": (released, "<memoryview object>"),
    "dead proxy": (lambda: weakref.proxy(Asked()), "<ProxyType object>"),
    "private": (Masked, "<Masked object>"),
    "own text": (lambda: Text("hidden"), "<Text object>"),
    "text": (lambda: PlainText("abcdef"), "'abcdef'"),
    "exception": (lambda: Failed("a", Asked()), "Failed('a', <Asked object>)"),
    "enum": (lambda: [Color.RED, HTTPStatus.OK], "[Color.RED, HTTPStatus.OK]"),
    "dataclass": (lambda: Order(7, lines=[Line(1.5)]), "Order(number=7, lines=[Line(amount=1.5)])"),
    "dataclass with own text": (lambda: OwnText(7), "<OwnText number=7>"),
    "namedtuple": (lambda: Point(1, Asked()), "Point(x=1, y=<Asked object>)"),
    "class": (lambda: [Order, Order.__init__], "[<class Order>, <function Order.__init__>]"),
    "zone": (lambda: datetime(2026, 1, 2, tzinfo=Zone()), "datetime.datetime(2026, 1, 2, 0, 0, tzinfo=<Zone object>)"),
    "utc": (lambda: time(1, 2, tzinfo=UTC), "datetime.time(1, 2, tzinfo=timezone(datetime.timedelta(0)))"),
    "day": (lambda: [date(2026, 1, 2), timedelta(1)], "[datetime.date(2026, 1, 2), datetime.timedelta(days=1)]"),
    "numbers": (lambda: [Decimal("1.50"), Fraction(1, 2), range(3)], "[Decimal('1.50'), Fraction(1, 2), range(0, 3)]"),
    "uuid": (lambda: UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
    "path": (lambda: PurePosixPath("/a/b"), "PurePosixPath('/a/b')"),
    "simple": (lambda: SimpleNamespace(a=1), "<SimpleNamespace a=1>"),
    "line breaks": (lambda: "a\nb\x1b[31m", r"'a\nb\x1b[31m'"),
    "lone surrogate": (lambda: "a\ud800", r"'a\ud800'"),
    "long int": (lambda: 1 << 100_000, "<int of 100001 bits>"),
    "many": (lambda: list(range(1_000_000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 999990 more]"),
    "dict": (lambda: {i: i for i in range(12)}, "{" + ", ".join(f"{i}: {i}" for i in range(10)) + ", ... 2 more}"),
    "deep": (lambda: [[[[[1]]]]], "[[[[...]]]]"),
    "deque": (lambda: deque(range(10**6)), "deque([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 999990 more])"),
    "ordered": (lambda: OrderedDict(a=1), "OrderedDict({'a': 1})"),
    "default": (lambda: [defaultdict(int, a=1), Counter("aa")], "[defaultdict({'a': 1}), Counter({'a': 2})]"),
    "views": (lambda: [{1: 2}.keys(), {1: 2}.values()], "[dict_keys([1]), <dict_values object>]"),
    "view of items": (lambda: {1: 2}.items(), "<dict_items object>"),
    "ordered view": (lambda: OrderedDict(a=1).items(), "<odict_items object>"),
    "tuple": (lambda: (1,), "(1,)"),
    "sets": (lambda: [set(), {1}, frozenset({2}), frozenset()], "[set(), {1}, frozenset({2}), frozenset()]"),
    "bytes": (lambda: [b"a", bytearray(b"b")], "[b'a', bytearray(b'b')]"),
    "nan": (lambda: float("nan"), "nan"),
}


@pytest.mark.filterwarnings("ignore:non-string key in:RuntimeWarning")  # CPython 3.15
@pytest.mark.parametrize("name", HOSTILE)
def test_no_code_of_the_program_runs(diagnosed: Diagnosed, name: str) -> None:
    make, text = HOSTILE[name]
    value = make()
    asked.clear()
    Asked.is_closed = True
    try:
        found = diagnosed.values_of(show, value)
        questions = list(asked)
    finally:
        Asked.is_closed = False
    del value  # pytest would ask it for its text
    assert questions == []
    assert found == {"value": text}


def test_variables_of_a_class_body(diagnosed: Diagnosed) -> None:
    class Variables(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise AssertionError("asked")

    class Meta(type):
        @classmethod
        def __prepare__(cls, *_: Any) -> Any:
            return Variables()

    def body() -> None:
        class Made(metaclass=Meta):
            number = 0
            wrong = 1 / number

    assert diagnosed.values_of(body) == {"number": "0"}


@pytest.mark.filterwarnings("ignore:non-string key in:RuntimeWarning")  # CPython 3.15
def test_attributes_whose_names_have_hostile_neighbours(diagnosed: Diagnosed) -> None:
    def fail(one: Any, other: Any, third: Any) -> Any:
        return 1 / 0, one.a, other.a, third.a, third.c

    args = with_keys(), with_keys_in_class(), MovedTo()
    asked.clear()
    Asked.is_closed = True
    try:
        values = diagnosed.values_of(fail, *args)
    finally:
        Asked.is_closed = False
    assert values == {"one.a": "1", "other.a": "2", "third": "<MovedTo object>", "third.c": "1"}
    assert asked == []


def test_a_field_that_its_class_leaves_out_is_not_shown_if_the_line_names_it(diagnosed: Diagnosed) -> None:
    def fail(order: Order) -> Any:
        return 1 / 0, order.token, order.number

    assert diagnosed.values_of(fail, Order(7)) == {"order": "Order(number=7, lines=[])", "order.number": "7"}


def test_a_value_without_a_text_leaves_the_others(diagnosed: Diagnosed) -> None:
    def fail(one: Any, other: Any) -> Any:
        return 1 / 0, one, other

    assert diagnosed.values_of(fail, range(10**5000), 2) == {"one": "<range object>", "other": "2"}


def test_numpy_and_attrs_and_pydantic(diagnosed: Diagnosed) -> None:
    numpy, attrs, pydantic = (pytest.importorskip(name) for name in ("numpy", "attrs", "pydantic"))
    assert diagnosed.values_of(show, numpy.zeros((2, 3))) == {"value": "<ndarray shape=(2, 3), dtype=<f8>"}
    assert diagnosed.values_of(show, numpy.array(3)) == {"value": "<ndarray shape=(), dtype=<i8>"}
    assert diagnosed.values_of(show, numpy.float64(1.5)) == {"value": repr(numpy.float64(1.5))}

    @attrs.define
    class Ship:
        name: str
        code: str = attrs.field(default="t0ps3cret", repr=False)
        pin: str = attrs.field(default="t0ps3cret", repr=lambda _: "***")

    assert diagnosed.values_of(show, Ship("a")) == {"value": f"{Ship.__name__}(name='a')"}
    model = pydantic.create_model(
        "User",
        name=(str, ...),
        code=(str, pydantic.Field(default="t0ps3cret", repr=False)),
        pin=(pydantic.SecretStr, pydantic.SecretStr("t0ps3cret")),
    )
    assert diagnosed.values_of(show, model(name="a")) == {"value": "<User name='a', pin=<SecretStr object>>"}


def test_work_has_a_limit(diagnosed: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(ValueTexts):
        def _str(self, value: str) -> str:
            made.append(1)
            return super()._str(value)

    monkeypatch.setattr(frame_values, "ValueTexts", Counted)
    text = "\x01" * 4000
    assert diagnosed.values_of(show, [[[text] * 10] * 10] * 10)["value"].endswith("...")
    assert len(made) <= 2  # of 1,000: no more characters are made than are looked at


def test_the_time_of_a_record_has_a_limit(diagnosed: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1_000))
    monkeypatch.setattr(value_texts, "monotonic", lambda: next(now) / 1_000)

    def fail(a: Any, b: Any, c: Any) -> Any:
        return 1 / 0, a, b, c

    rows = {key: [1] * 10 for key in range(10)}
    values = diagnosed.values_of(fail, rows, [rows] * 10, rows)
    assert values["a"].startswith("{0: [1, 1,")
    assert values["c"] == "<left out: the values of this record have taken too long>"
    assert next(now) < 220


def test_what_contains_itself(diagnosed: Diagnosed) -> None:
    one: list[Any] = []
    one.append(one)
    assert diagnosed.values_of(show, one) == {"value": "[[[[...]]]]"}


def test_a_long_text_is_cut(diagnosed: Diagnosed) -> None:
    for value in ("x" * 10_000_000, b"x" * 10_000_000, Asked(a="x" * 10_000_000)):
        text = diagnosed.values_of(show, value)["value"]
        assert len(text) < 200
        assert text.endswith("...")
