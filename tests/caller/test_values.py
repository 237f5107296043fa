"""Fields whose values are objects: what JSON has, and that every layout has the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import gc
import json
import re
import uuid
import weakref
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import LoggerConfig, SinkConfig
from tests.support import ROOT
from tests.support.lines import Lines


@pytest.fixture(scope="module")
def lines():
    with Lines(json=True) as lines:
        yield lines


def shown(lines: Lines, value: Any) -> Any:
    """What JSON has of a value: the same as a field, in a list, and in a dict."""
    lines.logger.info("x", value=value, inside=[value, {"deep": value}])
    found = lines.object()
    assert found["inside"] == [found["value"], {"deep": found["value"]}]
    return found["value"]


class Status(str, enum.Enum):  # noqa: UP042  # programs have such classes
    PAID = "paid"


class When(enum.Enum):
    THEN = dt.date(2026, 3, 1)


class Stamp(dt.datetime):
    def isoformat(self, *_: Any) -> str:
        return "with nanoseconds"


class BrokenDate(dt.date):
    def isoformat(self) -> str:
        raise RuntimeError("no")


class Place(NamedTuple):
    x: int
    y: int


class Ordered:
    def __lt__(self, other: Any) -> bool:
        raise RuntimeError("no order")


UTC_TIME = dt.datetime(2026, 3, 1, 13, 5, 9, 123456, dt.UTC)

VALUES = [
    (dt.datetime(2026, 3, 1, 13, 5, 9), "2026-03-01T13:05:09"),
    (UTC_TIME, "2026-03-01T13:05:09.123456+00:00"),
    (dt.date(2026, 3, 1), "2026-03-01"),
    (dt.time(13, 5, 9), "13:05:09"),
    (dt.timedelta(hours=1), "1:00:00"),
    (Stamp(2026, 3, 1), "with nanoseconds"),
    (BrokenDate(2026, 3, 1), "<BrokenDate whose str fails: RuntimeError>"),  # a date's `str` is its `isoformat`
    (When.THEN, "2026-03-01"),
    (Decimal("1.50"), "1.50"),
    (Decimal("NaN"), "NaN"),
    (Decimal("1E+999999999"), "1E+999999999"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (PurePosixPath("/var/log/app.log"), "/var/log/app.log"),
    (PureWindowsPath("C:/log"), "C:\\log"),
    (b"a\xff", "a\\xff"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("ba"), ["a", "b"]),
    (set(), []),
    ({Status.PAID}, ["paid"]),
    ({dt.date(2026, 3, 2), dt.date(2026, 3, 1)}, ["2026-03-01", "2026-03-02"]),
    (Place(1, 2), [1, 2]),
    (1 + 2j, "(1+2j)"),
    (int, "<class 'int'>"),
]


@pytest.mark.parametrize(("value", "read"), VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_what_the_table_says(lines, value, read):
    assert shown(lines, value) == read


def test_a_set_that_does_not_sort_is_a_list_all_the_same(lines):
    assert sorted(shown(lines, {1, "a", None}), key=str) == [1, None, "a"]
    assert len(shown(lines, {Ordered(), Ordered()})) == 2


def test_keys_are_the_texts_of_values(lines):
    keys = {Status.PAID: 1, UTC_TIME: 2, uuid.UUID(int=5): 3, Decimal(7): 4, When.THEN: 5, (1, 2): 6}
    assert shown(lines, keys) == {
        "paid": 1,
        "2026-03-01T13:05:09.123456+00:00": 2,
        "00000000-0000-0000-0000-000000000005": 3,
        "7": 4,
        "2026-03-01": 5,
        "(1, 2)": 6,
    }


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text("aé\n"),
    st.datetimes(), st.dates(), st.times(), st.decimals(), st.uuids(), st.sampled_from([*Status, *When]),
    st.frozensets(st.integers()), st.frozensets(st.text("ab")),
)  # fmt: skip
nested = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text("abc"), inner), st.tuples(inner)),
    max_leaves=20,
)


def default(value: Any) -> Any:
    """What `json.dumps` asks about values that it does not know."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return sorted(value) if isinstance(value, frozenset) else str(value)


@given(nested)
@settings(max_examples=max(1, settings().max_examples // 2))
def test_the_values_agree_with_those_of_json(lines, value):
    lines.logger.info("x", value=value)
    assert lines.object()["value"] == json.loads(json.dumps(value, default=default))


def test_a_value_is_the_same_in_every_layout():
    records: list[Any] = []
    values = {"at": UTC_TIME, "state": Status.PAID, "ids": {2, 1}, "place": Point(1)}
    with Lines(format="{message} {fields}") as text, Lines(format="logfmt") as logfmt:
        text.logger.add_sink(SinkConfig(function=records.append))
        for lines in (text, logfmt):
            lines.logger.info("x {place}", **values)
        assert text.line() == (
            f"x {Point(1)} at=2026-03-01T13:05:09.123456+00:00, state=paid, ids=[1,2], "
            'place={"x":1,"at":"2026-03-01","inner":null}'
        )
        assert logfmt.line().rpartition(" at=")[2] == (
            '2026-03-01T13:05:09.123456+00:00 state=paid ids=[1,2] place="{\\"x\\":1,\\"at\\":\\"2026-03-01\\",'
            '\\"inner\\":null}"'
        )
    (record,) = records
    assert record.fields == {
        "at": "2026-03-01T13:05:09.123456+00:00",
        "state": "paid",
        "ids": [1, 2],
        "place": {"x": 1, "at": "2026-03-01", "inner": None},
    }


@dataclasses.dataclass
class User:
    name: str
    password: str = dataclasses.field(default="", repr=False)


def rows_of_the_page() -> list[tuple[str, str]]:
    table = (ROOT / "docs" / "layouts.md").read_text().partition("| logged as a field | in JSON |\n")[2]
    return re.findall(r"^\| `(.*?)`(?:, where .*?)? \| `(.*)` \|$", table.partition("\n\n")[0], re.MULTILINE)


def test_the_page_has_rows():
    assert len(rows_of_the_page()) == 8


@pytest.mark.parametrize(("value", "text"), rows_of_the_page(), ids=str)
def test_the_examples_of_the_page(lines, value, text):
    names = {**vars(dt), "Status": Status, "Decimal": Decimal, "UUID": uuid.UUID, "User": User, "nan": float("nan")}
    lines.logger.info("x", value=eval(value, {**names, "PurePosixPath": PurePosixPath}))
    assert f',"value":{text}}}\n' in lines.text()


# ---- classes with fields


@dataclasses.dataclass
class Point:
    x: int
    at: dt.date = dt.date(2026, 3, 1)
    inner: Any = None
    password: str = dataclasses.field(default="hidden", repr=False)
    unit: ClassVar[str] = "m"
    start: dataclasses.InitVar[int] = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    later: int = dataclasses.field(init=False)


class Below(Point):
    """No dataclass itself."""

    further = 1


@dataclasses.dataclass
class Answers:
    fine: int = 1

    @property
    def broken(self) -> int:
        raise RuntimeError("no")


Answers.__dataclass_fields__["broken"] = dataclasses.field()
Answers.__dataclass_fields__["broken"]._field_type = dataclasses._FIELD  # type: ignore[attr-defined]


def test_a_dataclass_is_an_object_of_the_fields_that_its_repr_shows(lines):
    assert shown(lines, Point(1)) == {"x": 1, "at": "2026-03-01", "inner": None}
    nested = Point(1, inner=[Point(2), {"k": Slotted("n")}])
    assert shown(lines, nested)["inner"] == [{"x": 2, "at": "2026-03-01", "inner": None}, {"k": {"name": "n"}}]
    assert shown(lines, Below(3))["x"] == 3
    assert shown(lines, Point) == str(Point)


def test_a_field_that_cannot_be_read_says_so_and_the_others_are_there(lines):
    assert shown(lines, Answers()) == {"fine": 1, "broken": "<cannot be read: RuntimeError>"}


def test_a_class_of_attrs_is_an_object(lines):
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class User:
        name: str
        at: dt.date = dt.date(2026, 3, 1)
        password: str = attrs.field(default="hidden", repr=False)
        token: str = attrs.field(default="hidden", repr=lambda token: f"{len(token)} characters")
        unset: int = attrs.field(init=False)

    assert shown(lines, User("ann")) == {"name": "ann", "at": "2026-03-01", "token": "6 characters"}


def test_a_model_of_pydantic_is_an_object(lines):
    pydantic = pytest.importorskip("pydantic", minversion="2")

    class Inner(pydantic.BaseModel):
        at: Any = dt.date(2026, 3, 1)

    class User(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")

        name: str
        password: str = pydantic.Field("hidden", exclude=True)
        token: str = pydantic.Field("hidden", repr=False)
        secret: Any = pydantic.SecretStr("hidden")
        inner: Any = pydantic.Field(default_factory=Inner)
        old: int = pydantic.Field(1, deprecated=True)
        _private: int = 3

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def length(self) -> int:
            return len(self.name)

        @pydantic.computed_field(repr=False)  # type: ignore[prop-decorator]
        @property
        def digest(self) -> str:
            return "hidden"

    assert shown(lines, User(name="ann", further=5)) == {
        "name": "ann", "secret": "**********", "inner": {"at": "2026-03-01"}, "old": 1, "length": 3, "further": 5,
    }  # fmt: skip
    assert shown(lines, pydantic.RootModel[list[int]]([1, 2])) == [1, 2]


def test_a_dataclass_of_pydantic_too(lines):
    pydantic = pytest.importorskip("pydantic", minversion="2")
    from pydantic.dataclasses import dataclass

    @dataclass
    class User:
        name: str
        password: str = pydantic.Field("hidden", exclude=True)
        token: str = pydantic.Field("hidden", repr=False)

    assert shown(lines, User("ann")) == {"name": "ann"}


def test_a_model_of_pydantic_1_too(lines):
    models = pytest.importorskip("pydantic.v1")

    class User(models.BaseModel):
        name: str
        password: str = models.Field("hidden", exclude=True)
        token: str = models.Field("hidden", repr=False)
        parts: Any = models.Field({"a": "hidden"}, exclude={"a"})

    assert shown(lines, User(name="ann")) == {"name": "ann"}


def test_a_value_that_pydantic_excludes_by_a_function(lines):
    pydantic = pytest.importorskip("pydantic", minversion="2.12")

    class User(pydantic.BaseModel):
        name: str
        age: int = pydantic.Field(0, exclude_if=lambda age: age == 0)

    assert shown(lines, User(name="ann")) == {"name": "ann"}
    assert shown(lines, User(name="ann", age=7)) == {"name": "ann", "age": 7}


def test_a_class_that_is_changed_is_looked_at_again(lines):
    class Plain:
        def __init__(self) -> None:
            self.x = 1

        def __str__(self) -> str:
            return "plain"

    assert shown(lines, Plain()) == "plain"
    Plain.__annotations__ = {"x": int}
    changed = dataclasses.dataclass(init=False)(Plain)
    assert shown(lines, changed()) == {"x": 1}


def test_no_class_is_kept_alive(lines):
    attrs = pytest.importorskip("attrs")
    ends = []
    for number in range(2000):
        made = dataclasses.make_dataclass(f"Made{number}", ["x"])
        lines.logger.info("x", value=made(1))
        ends.append(weakref.ref(made))
        made = attrs.make_class(f"Made{number}", {"x": attrs.field(repr=lambda value, number=number: str(number))})
        if number % 100 == 0:
            lines.logger.info("x", value=made(1))
            ends.append(weakref.ref(made))
    assert lines.objects()[-1]["value"] == {"x": 1}
    del made
    gc.collect()
    assert [end for end in ends if end() is not None] == []


def test_a_class_that_says_anything_is_text(lines):
    class Meta(type):
        def __getattr__(cls, name: str) -> Any:
            return 5

        def __hash__(cls) -> int:
            raise RuntimeError("no")

        __eq__ = None  # type: ignore[assignment]

    class Odd(metaclass=Meta):
        __module__ = 5  # type: ignore[assignment]

        def __getattr__(self, name: str) -> Any:
            return 5

        def __str__(self) -> str:
            return "odd"

    assert shown(lines, Odd()) == "odd"


# ---- what ends


def test_an_object_that_contains_itself_ends(lines):
    point = Point(1)
    point.inner = {"again": [point]}
    lines.logger.info("x", value=point)
    assert lines.object()["value"]["inner"] == {"again": ["..."]}


def test_a_list_or_a_dict_of_too_many_items_says_how_many_more_there_are(lines):
    many = 1 << 20
    lines.logger.info("x", value=[0] * (many + 9))
    found = lines.object()["value"]
    assert (len(found), found[-1]) == (many, "... 10 more")  # the list itself counts
    lines.logger.info("x", value=dict.fromkeys(range(many + 9)))
    found = lines.object()["value"]
    assert (len(found), found["..."]) == (many, "10 more")


@pytest.mark.parametrize("inner", ["é" * 100, b"x" * 300, ["y" * 50] * 6, {"z" * 300: 1}], ids=str)
def test_a_value_that_is_too_large_is_cut_and_stays_json(inner):
    with Lines(LoggerConfig(max_message_bytes=8000), json=True) as lines:
        lines.logger.info("x", value={"first": 1, "many": [inner] * 1000, "last": 2})
        text = lines.text()
    assert len(text.encode()) < 9000
    found = json.loads(text)["value"]
    assert found["first"] == 1
    assert found["many"][-1].endswith("more")
    assert found["..."] == "1 more"


class Failing(dict):
    def items(self) -> Any:
        raise RuntimeError("no")


def test_a_container_that_cannot_be_read_is_text_and_the_rest_is_there(lines):
    lines.logger.info("x", value=[1, Failing(a=1), {"b": Failing()}, 2])
    assert lines.object()["value"] == [1, "{'a': 1}", {"b": "{}"}, 2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError])
def test_what_ends_the_program_goes_up(lines, error):
    @dataclasses.dataclass
    class Ending:
        one: int = 1

        def __getattribute__(self, name: str) -> Any:
            if name == "one":
                raise error
            return super().__getattribute__(name)

    for value in (Ending(), [Ending()]):
        with pytest.raises(error):
            lines.logger.info("x", value=value)
    lines.logger.info("after")
    assert lines.object()["message"] == "after"
