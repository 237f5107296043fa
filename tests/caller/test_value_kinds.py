"""Enums and subclasses of built-in types as fields: JSON has the plain value, messages have what str.format makes."""

import enum
import json
from decimal import Decimal

import pytest

from tests.support.lines import Lines


class Status(str, enum.Enum):  # noqa: UP042  # programs have such classes
    PAID = "paid"


class Word(enum.StrEnum):
    YES = "yes"


class Number(int, enum.Enum):
    THREE = 3


class Color(enum.IntEnum):
    RED = 1


class Permission(enum.IntFlag):
    READ = 4
    WRITE = 2


class Bits(enum.Flag):
    A = 1
    B = 2


class Shape(enum.Enum):
    SQUARE = "square"
    SIZES = (1, 2.5)
    NOTHING = None
    NESTED = {"of": [Status.PAID]}  # noqa: RUF012  # a member
    OTHER = Status.PAID
    PRICE = Decimal("1.50")


class Labelled(bytes, enum.Enum):
    """As in the documentation of `enum`: the value is not the content."""

    def __new__(cls, value, label):
        member = bytes.__new__(cls, [value])
        member._value_ = value
        member.label = label  # type: ignore[attr-defined]
        return member

    FIRST = (7, "first")


class Point(tuple, enum.Enum):
    ORIGIN = (0, 0)


class Secret(str):
    """As programs have them for passwords: what `str` gives is what may be shown."""

    def __str__(self):
        return "***"


class OddText(str):
    def __str__(self):
        raise RuntimeError("no")

    def __hash__(self):
        return 5

    def __eq__(self, other):
        return self is other


class OddInt(int):
    def __str__(self):
        return "one"

    __repr__ = __str__

    def __int__(self):
        return 99


class OddFloat(float):
    def __str__(self):
        return "half"

    __repr__ = __str__

    def __float__(self):
        return 99.0


class OddBytes(bytes):
    def __str__(self):
        return "odd"

    __repr__ = __str__

    def decode(self, *_):
        return "odd"


PLAIN = [
    (Status.PAID, "paid"),
    (Word.YES, "yes"),
    (Number.THREE, 3),
    (Color.RED, 1),
    (Permission.READ | Permission.WRITE, 6),
    (Bits.A | Bits.B, 3),
    (Shape.SQUARE, "square"),
    (Shape.SIZES, [1, 2.5]),
    (Shape.NOTHING, None),
    (Shape.NESTED, {"of": ["paid"]}),
    (Shape.OTHER, "paid"),
    (Shape.PRICE, "1.50"),
    (Labelled.FIRST, 7),
    (Point.ORIGIN, [0, 0]),
    (Secret("password"), "***"),
    (OddText("text"), "<OddText whose str fails: RuntimeError>"),
    (OddInt(1), 1),
    (OddFloat(0.5), 0.5),
    (OddBytes(b"b\xff"), "b\\xff"),
]


@pytest.fixture(scope="module")
def lines():
    with Lines(json=True) as lines:
        yield lines


@pytest.mark.parametrize(("value", "plain"), PLAIN, ids=lambda value: type(value).__name__)
def test_json_has_the_plain_value_everywhere(lines, value, plain):
    lines.logger.info("x", value=value, inside=[value, (value,), {"deep": {"er": value}}])
    found = lines.object()
    assert found["value"] == plain
    assert found["inside"] == [plain, [plain], {"deep": {"er": plain}}]
    assert [type(found["value"]), type(found["inside"][0])] == [type(plain)] * 2


KEYS = [
    (Status.PAID, "paid"),
    (Word.YES, "yes"),
    (Number.THREE, "3"),
    (Color.RED, "1"),
    (Permission.READ | Permission.WRITE, "6"),
    (Shape.SQUARE, "square"),
    (Shape.NOTHING, "null"),
    (Shape.SIZES, "(1, 2.5)"),
    (Secret("password"), "***"),
    (OddText("text"), "<OddText whose str fails: RuntimeError>"),
    (OddInt(1), "1"),
    (OddFloat(0.5), "0.5"),
    (10**6000, hex(10**6000)),
]


@pytest.mark.parametrize(("key", "text"), KEYS, ids=lambda value: type(value).__name__)
def test_a_key_has_the_text_of_the_plain_value(lines, key, text):
    lines.logger.info("x", value={key: 1}, inside=[{key: {key: 2}}])
    found = lines.object()
    assert found["value"] == {text: 1}
    assert found["inside"] == [{text: {text: 2}}]


def test_the_values_agree_with_those_of_json(lines):
    value = {"status": Status.PAID, Status.PAID: [Color.RED, Word.YES], Color.RED: "t", "i": OddInt(1)}
    lines.logger.info("x", value=value)
    assert lines.object()["value"] == json.loads(json.dumps(value).replace("one", "1"))


def test_bound_fields_and_those_of_the_context_too(lines):
    with lines.logger.contextualize(context=Status.PAID):
        lines.logger.bind(bound=Status.PAID).info("x")
    found = lines.object()
    assert (found["context"], found["bound"]) == ("paid", "paid")


def test_a_message_has_what_str_format_makes():
    with Lines(format="{message}") as lines:
        for value in (Status.PAID, Word.YES, Color.RED, Shape.SQUARE, Permission.READ, OddInt(1)):
            for template in ("{}", "{!r}", "{!s:>12}"):
                lines.logger.info(template, value)
                assert lines.line() == template.format(value)
            lines.logger.info("it is {value}", value=value)
            assert lines.line() == f"it is {value}"


def test_a_text_line_shows_the_field_as_json_does():
    with Lines() as lines:
        lines.logger.info("x", status=Status.PAID, color=Color.RED)
        assert lines.line().endswith("x | status=paid | color=1")


class Endless(enum.Enum):
    SELF = "self"

    @property
    def value(self):
        return self


class Index:
    """Each index is another such object."""

    def __index__(self):
        return Index()


class Broken(enum.Enum):
    BAD = "bad"

    @property
    def value(self):
        raise RuntimeError("no")


def test_a_value_without_an_end_is_text(lines):
    lines.logger.info("x", member=Endless.SELF, inside=[Endless.SELF], index=Index(), broken=Broken.BAD)
    found = lines.object()
    assert (found["member"], found["inside"]) == ("Endless.SELF", ["Endless.SELF"])
    assert "Index object at" in found["index"]
    assert found["broken"] == "Broken.BAD"
