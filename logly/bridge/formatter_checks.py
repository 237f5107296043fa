"""Whether a formatter of `logging`, its style and its stream do what they were made for; reasons if they do not."""

from __future__ import annotations

import codecs
import logging
import sys
import traceback
from string import Template
from types import FunctionType

from .format_parts import ATTRIBUTES, NotServed, check_defaults, parse_brace, parse_dollar, parse_percent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_CHARACTERS = 4096

UNSERVED = frozenset(vars(logging.makeLogRecord({}))) - frozenset(ATTRIBUTES) | {"taskName"}
"""Attributes of a record that no layout shows."""

SWITCHES = {
    "thread": "logThreads",
    "threadName": "logThreads",
    "process": "logProcesses",
    "processName": "logMultiprocessing",
}
"""The global of `logging` that switches an attribute off."""

FORMATTER_METHODS = ("format", "formatTime", "formatException", "formatStack", "formatMessage", "usesTime")
STYLES = (logging.PercentStyle, logging.StrFormatStyle, logging.StringTemplateStyle)
PARSERS = (parse_percent, parse_brace, parse_dollar)


def own_methods(kind: type[Any], names: tuple[str, ...]) -> dict[str, object]:
    """The class's methods of these names (None: inherited) that are `logging`'s own, and not replaced already."""
    file = logging.addLevelName.__code__.co_filename
    found = {name: vars(kind).get(name) for name in names}
    return {name: found[name] for name in found if found[name] is None or is_from(found[name], file)}


def is_from(method: object, file: str) -> bool:
    return isinstance(method, FunctionType) and method.__code__.co_filename == file


OWN_FORMATTER = own_methods(logging.Formatter, FORMATTER_METHODS)
OWN_STYLES = [own_methods(style, ("format", "_format", "usesTime")) for style in STYLES]
_ = Template.pattern  # CPython 3.14 makes it at its first use
OWN_TEMPLATE = (vars(Template).get("substitute"), vars(Template).get("pattern"), vars(Template).get("delimiter"))

ASCII_SUPERSETS = frozenset(
    (
        *(
            "ascii",
            "big5",
            "big5hkscs",
            "cp437",
            "cp737",
            "cp775",
            "cp850",
            "cp852",
            "cp855",
            "cp857",
            "cp858",
            "cp860",
        ),
        *("cp861", "cp862", "cp863", "cp865", "cp866", "cp869", "cp874", "cp932", "cp949", "cp950", "euc_jis_2004"),
        *("euc_jisx0213", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "johab", "koi8-r", "koi8-t", "koi8-u"),
        *("mac-cyrillic", "mac-greek", "mac-iceland", "mac-latin2", "mac-roman", "mac-turkish", "ptcp154", "shift_jis"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp{page}" for page in range(1250, 1259)),
    )
)
"""Encodings, as `codecs.lookup` names them, that write each ASCII character as its byte, whatever came before it."""


def check_formatter(formatter: logging.Formatter) -> None:
    """Raises NotServed unless what a formatter inherits from `logging` is as it was made."""
    check_methods(logging.Formatter, FORMATTER_METHODS, OWN_FORMATTER)
    for name in vars(formatter):
        if name in FORMATTER_METHODS:
            raise NotServed(f"the formatter has its own {name}")
    if getattr(traceback.print_exception, "__module__", None) != "traceback":
        raise NotServed("traceback.print_exception is patched")


def checked_style(formatter: logging.Formatter) -> Any:
    """The formatter's style, if it does what `logging` made it for."""
    style: Any = vars(formatter).get("_style")
    if type(style) not in STYLES:
        raise NotServed("the formatter's style is not one of logging's own")
    for style_kind, methods in zip(STYLES, OWN_STYLES, strict=True):
        check_methods(style_kind, ("format", "_format", "usesTime"), methods)
    for name in vars(style):
        if name in ("format", "_format", "usesTime"):
            raise NotServed(f"the formatter's style has its own {name}")
    check_defaults(style._defaults)
    if type(style._fmt) is not str or len(style._fmt) > MOST_CHARACTERS:
        raise NotServed(f"the format is no str of at most {MOST_CHARACTERS} characters")
    if type(style) is logging.StringTemplateStyle:
        check_template(style)
    return style


def check_methods(kind: type, names: tuple[str, ...], own: dict[str, object]) -> None:
    attributes = vars(kind)
    for name in names:
        if name not in own or attributes.get(name) is not own[name]:
            raise NotServed(f"logging.{kind.__name__}.{name} is patched")
    if kind.__getattribute__ is not object.__getattribute__ or "__getattr__" in attributes:  # type: ignore[comparison-overlap]
        raise NotServed(f"logging.{kind.__name__}'s attributes are patched")


def check_template(style: Any) -> None:
    template = style._tpl
    own = (vars(Template).get("substitute"), vars(Template).get("pattern"), vars(Template).get("delimiter"))
    if type(template) is not Template or vars(template) != {"template": style._fmt} or own != OWN_TEMPLATE:
        raise NotServed("the formatter's template is not string.Template's own")


def check_names(names: set[str]) -> None:
    for name in sorted(names):
        if name in UNSERVED or name == "second":
            raise NotServed(f"the format names {name}")
        switch = SWITCHES.get(name)
        if switch is not None and not getattr(logging, switch):
            raise NotServed(f"logging.{switch} is off")


def check_uses_time(formatter: logging.Formatter) -> None:
    if not formatter.usesTime():
        raise NotServed("the format names asctime in a way that logging does not see")


def is_utf8(encoding: str) -> bool:
    try:
        name = codecs.lookup(encoding).name
    except (LookupError, TypeError):
        raise NotServed("the stream has no encoding that is known") from None
    if name != "utf-8" and name not in ASCII_SUPERSETS:
        raise NotServed(f"the stream's encoding is {name}")
    return name == "utf-8"


def level_names() -> dict[int, str]:
    """What `logging.getLevelName` says of numbers."""
    names = dict(logging._levelToName)
    if any(
        type(number) is not int or type(name) is not str for number, name in zip(names, names.values(), strict=True)
    ):
        raise NotServed("logging has a level whose number is no int, or whose name is no str")
    if any(not isinstance(name, str) for name in logging._nameToLevel):
        raise NotServed("logging has a level whose name is no str")
    return {number: names[number] for number in names if 0 <= number < 1 << 15}


def start_time() -> float | int:
    start: float | int = logging._startTime  # type: ignore[attr-defined]
    if type(start) is not (int if sys.version_info >= (3, 13) else float):
        raise NotServed("logging._startTime is patched")
    return start


def check_text(written: str, *, ascii_only: bool) -> None:
    """What the layout itself adds must be written as the stream would write it."""
    if any("\ud800" <= character <= "\udfff" for character in written):
        raise NotServed("the format has a lone surrogate")
    if ascii_only and not written.isascii():
        raise NotServed("the format is not ASCII, and the stream's encoding is not UTF-8")
