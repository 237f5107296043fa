"""What a message says, in plain Python: the oracle of the tests of messages and fields."""

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

MAX_WIDTH = 10_000

# As Python's own kinds of value read a specification; a __format__ of somebody's own may hand the same on.
SPEC = re.compile(r"(.?[<>=^])?[-+ ]?z?#?(?P<width>\d*)[,_]?(\.(?P<precision>\d*))?(?P<rest>.*)", re.DOTALL)


class TooWide(Exception):
    pass


def is_too_wide(spec: str) -> bool:
    found = SPEC.fullmatch(spec)
    assert found is not None
    widths = [number(digits) for digits in (found["width"], found["precision"]) if digits]
    return max(widths, default=0) > MAX_WIDTH and "%" not in found["rest"][:-1]


def number(digits: str) -> int:
    """`int`, of any number of any script's digits."""
    value = 0
    for digit in digits:
        value = min(10 * value + unicodedata.decimal(digit), MAX_WIDTH + 1)
    return value


def is_too_long(value: Any, spec: str) -> bool:
    """A Decimal of so many zeros, in a format that writes all of them."""
    if not isinstance(value, Decimal) or spec[-1:] not in ("f", "F", "%"):
        return False
    return value.is_finite() and abs(value.adjusted()) > MAX_WIDTH


class Limited(string.Formatter):
    """Looks at every specification, nested ones too, once it is complete."""

    def __init__(self) -> None:
        self.automatic = 0

    def parse(self, template: Any) -> Any:
        # string.Formatter knows "{}" as the next argument, but not "{.real}".
        for literal, name, spec, conversion in super().parse(template):
            numbered = name
            if name is not None and name[:1] in ("", ".", "["):
                numbered = f"{self.automatic}{name}"
                self.automatic += 1
            yield literal, numbered, spec, conversion

    def format_field(self, value: Any, spec: str) -> Any:
        if is_too_wide(spec) or is_too_long(value, spec):
            raise TooWide
        return format(value, spec)


def wants_too_much(template: str, args: Sequence[Any], fields: Mapping[str, Any]) -> bool:
    try:
        Limited().vformat(template, args, fields)
    except TooWide:
        return True
    except Exception:  # noqa: BLE001  # arguments may raise anything
        return False  # str.format says what is wrong
    return False


def is_template_of(template: str, fields: Mapping[str, Any], depth: int = 0) -> bool:
    """With fields alone: is every placeholder the plain name of a given field, and is there one?"""
    named = False
    try:
        for _, name, spec, conversion in string.Formatter().parse(template):
            if name is None:
                continue
            plain = name in fields and name != "" and not name.isdecimal() and "." not in name and "[" not in name
            if not plain or conversion not in (None, "r", "s", "a"):
                return False
            if "{" in spec or "}" in spec:
                inner = [one[1:3] for one in string.Formatter().parse(spec) if one[1] is not None]
                if depth or any("{" in deep or "}" in deep for _, deep in inner):
                    return False
                if inner and not is_template_of(spec, fields, 1):
                    return False
            named = True
    except ValueError:
        return False
    return named


def shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:
        return hex(value)  # an int of more digits than sys.get_int_max_str_digits()


def expected(template: str, args: Sequence[Any], fields: Mapping[str, Any]) -> tuple[str, bool]:
    """(the message, does it fail: counted and told)"""
    if not args and not (fields and is_template_of(template, fields)):
        return template, False
    if not wants_too_much(template, args, fields):
        try:
            return template.format(*args, **fields), False
        except Exception:  # noqa: BLE001  # arguments may raise anything
            pass  # what is written then is below
    named = [f"{name}={shown(value)}" for name, value in fields.items()]
    return " ".join([template, *map(shown, args), *named]), True
