"""Formatters of `logging` and records for them."""

from __future__ import annotations

import io
import logging
import sys
import time
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from logly.bridge.formatters import FormatterLayout, NotServed, layout_of
from logly.bridge.validation import native_line

TEXTS = ["name", "levelname", "pathname", "filename", "module", "funcName", "threadName", "processName", "message"]
INTS = ["levelno", "lineno", "thread", "process"]
FLOATS = ["created", "msecs", "relativeCreated"]
TIMES = ["asctime"]
ODD = ["user", "taskName", "msg", "exc_text", "Name", "", "a b"]
NAMES = st.sampled_from(3 * TEXTS + 3 * INTS + 3 * FLOATS + 9 * TIMES + ODD)

LITERALS = st.sampled_from(["", " ", " - ", "|", "[", "]: ", "é", "\n", "\t\x1b[", "%%", "{{", "}}", "$$", "100"])
WIDTHS = st.sampled_from(["", "", "", "1", "3", "8", "15", "30"])
PRECISIONS = st.sampled_from(["", "", "", ".0", ".1", ".3", ".7", ".12"])


@st.composite
def percent_parts(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    kind = draw(st.sampled_from("ssssrad" if name in TEXTS + TIMES + ODD else "dddssfferaxgi"))
    flags = draw(st.sampled_from(["", "", "-", "0", "+", " ", "-0", "#"]))
    return f"%({name}){flags}{draw(WIDTHS)}{draw(PRECISIONS) if kind not in 'dix' else ''}{kind}"


@st.composite
def brace_parts(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    conversion = draw(st.sampled_from(["", "", "", "!r", "!s", "!a"]))
    align = draw(st.sampled_from(["", "", "<", ">", "^", "*<", "é^", "=", "0"]))
    is_text = conversion or name not in INTS + FLOATS
    kind = draw(st.sampled_from(["", "", "s"] if is_text else ["", "d"] if name in INTS else ["", "f", "e", "g", "d"]))
    precision = "" if kind == "d" or (name in INTS and kind != "s") else draw(PRECISIONS)
    spec = f"{align}{draw(WIDTHS)}{precision}{kind}"
    return f"{{{name}{conversion}{':' + spec if spec else ''}}}"


@st.composite
def dollar_parts(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    return f"${{{name}}}" if draw(st.booleans()) else f"${name} "


PARTS = {"%": percent_parts(), "{": brace_parts(), "$": dollar_parts()}
DATE_FORMATS = [
    *(None, "", "%Y-%m-%dT%H:%M:%S%z", "%d %b %Y %H:%M:%S %Z", "%c", "%x %X %p", "%I:%M:%S %p", "%j %U %W %V %G %u"),
    *(
        "%-d.%-m.%y",
        "%e %k|%l",
        "é %A %B",
        "100%%",
        "%%%Y",
        "plain",
        "%D %T %R %r",
        "%s",
        "%5Y",
        "%",
        "%q",
        "%Ey",
        "%^a",
    ),
]
MSEC_FORMATS = [
    "%s,%03d",
    "%s,%03d",
    None,
    "",
    "%s.%03d",
    "%s %s",
    "%-25s%6.1f",
    "%.10s|%g",
    "%s",
    "%d%d",
    "%s%03d%s",
    "%%%s%d",
]


def utc_or_local(draw: st.DrawFn) -> Any:
    return draw(st.sampled_from([time.localtime, time.gmtime]))


@st.composite
def formatters(draw: st.DrawFn) -> logging.Formatter | None:
    """Formatters of `logging`, most of them served."""
    if draw(st.integers(0, 30)) == 0:
        return None
    style: Any = draw(st.sampled_from("%%{$"))
    fmt = "".join(draw(LITERALS) + draw(PARTS[style]) for _ in range(draw(st.integers(1, 4)))) + draw(LITERALS)
    formatter = logging.Formatter(fmt, draw(st.sampled_from(DATE_FORMATS)), style, validate=False)
    formatter.converter = utc_or_local(draw)
    formatter.default_msec_format = draw(st.sampled_from(MSEC_FORMATS))  # type: ignore[assignment]
    return formatter


FIELD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.sampled_from(["", "alice", "é", "日本", "1.5"]),
)


@st.composite
def extra_formatters(draw: st.DrawFn) -> logging.Formatter:
    """Formatters that name fields of `extra`, with defaults for some of them."""
    style: Any = draw(st.sampled_from("%{$"))
    fmt = ""
    for name in draw(st.lists(st.sampled_from(["user", "n", "é", "message"]), min_size=1, max_size=4)):
        spec = draw(st.sampled_from(["", "8", "05", "-6", ".2", "+"]))
        if style == "%":
            fmt += f"%({name}){spec}{draw(st.sampled_from('sssradfxg'))}|"
        elif style == "{":
            fmt += f"{{{name}{draw(st.sampled_from(['', '', '!r', '!s']))}:{spec.replace('-', '<')}}}|"
        else:
            fmt += f"${{{name}}}|" if name.isascii() else "$user|"
    defaults = draw(st.none() | st.dictionaries(st.sampled_from(["user", "n", "message"]), FIELD_VALUES))
    return logging.Formatter(fmt, style=style, validate=False, defaults=defaults)


FIRST_NS, LAST_NS = -9_200_000_000_000_000_000, 9_200_000_000_000_000_000
MOMENTS = st.one_of(
    st.integers(FIRST_NS, LAST_NS),
    st.integers(1_600_000_000_000_000_000, 1_900_000_000_000_000_000),
    st.builds(
        lambda second, ns: second * 1_000_000_000 + ns,
        st.integers(-5_000_000_000, 5_000_000_000),
        st.sampled_from([0, 1, 999_999, 1_000_000, 999_000_000, 999_999_499, 999_999_880, 999_999_999]),
    ),
)
MESSAGES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["", "\n", "one\ntwo", "ends\n", "ends\n\n", "{} %s $x", "é\u2192\U0001f600", "\r\x00\x1b[0m"]),
)
PATHS = [
    "/srv/app/main.py",
    "main.py",
    "/a/b.c/d",
    "/a/.hidden",
    "/a/..x.y",
    "x.tar.gz",
    "/a/b/",
    "",
    "C:\\x\\y.py",
    "é/ü.py",
    "/n" * 90,
]


def made_at(ns: int, *, name: str, level: int, path: str, line: int, message: str, function: str) -> logging.LogRecord:
    """A record as `logging` itself makes it at this time."""
    created = ns // 1_000_000_000 + 0.0 if ns % 1_000_000_000 == 0 else ns / 1e9
    with mock.patch("time.time", return_value=created), mock.patch("time.time_ns", return_value=ns):
        return logging.LogRecord(name, level, path, line, message, (), None, function)


def raised(text: str) -> tuple[type[BaseException], BaseException, Any]:
    try:
        raise ValueError(text)
    except ValueError as error:
        return type(error), error, error.__traceback__


@st.composite
def records(draw: st.DrawFn) -> tuple[logging.LogRecord, int]:
    ns = draw(MOMENTS)
    record = made_at(
        ns,
        name=draw(st.sampled_from(["root", "app", "app.part.of.it", "é", "n" * 200])),
        level=draw(st.sampled_from([*logging._levelToName, 13, 25, 4711])),
        path=draw(st.sampled_from(PATHS)),
        line=draw(st.sampled_from([0, 1, 42, 123456])),
        message=draw(MESSAGES),
        function=draw(st.sampled_from(["function", "<module>", "<lambda>", "größe"])),
    )
    if draw(st.integers(0, 3)) == 0:
        record.exc_info = raised(draw(MESSAGES))
    if draw(st.integers(0, 3)) == 0:
        record.stack_info = draw(st.sampled_from(["Stack (most recent call last):\n  File", "text", "ends\n"]))
    record.thread = draw(st.sampled_from([record.thread, 2**63 + 5, 0]))
    record.threadName = draw(st.sampled_from(["MainThread", "worker-1", "", "fädchen"]))
    vars(record)["user"] = draw(st.sampled_from(["alice", "é", 7, 2.5, True, None]))
    return record, ns


def written(formatter: logging.Formatter | None, record: logging.LogRecord, terminator: str) -> bytes | None:
    """What a `StreamHandler` writes; None: the formatter or the stream raises."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    handler = logging.StreamHandler(stream)
    handler.terminator = terminator
    handler.setFormatter(formatter)
    failed = []
    handler.handleError = failed.append  # type: ignore[method-assign]
    record.exc_text = None
    for name in ("message", "asctime"):
        vars(record).pop(name, None)
    handler.emit(record)
    stream.flush()
    return None if failed else stream.buffer.getvalue()  # type: ignore[attr-defined]


def layout_or_none(formatter: logging.Formatter | None, terminator: str = "\n") -> FormatterLayout | None:
    try:
        return layout_of(formatter, terminator=terminator)
    except NotServed:
        return None


KINDS = {str: 16, int: 4, float: 8, bool: 2, type(None): 1}


def accepted(layout: FormatterLayout, record: logging.LogRecord) -> bool:
    """Whether the values of `extra` are of kinds that the layout takes, as a caller has to ask."""
    optional = layout.extra.optional if layout.extra is not None else ()
    return all(
        layout.fields[name] & KINDS[type(vars(record)[name])] if name in vars(record) else name in optional
        for name in layout.fields
    )


def assert_same(
    formatter: logging.Formatter | None, layout: FormatterLayout, record: logging.LogRecord, ns: int
) -> None:
    expected = written(formatter, record, layout.terminator)
    assert expected is not None, "the formatter raises"
    fields = {name: vars(record)[name] for name in layout.fields if name in vars(record)}
    for is_inline in (False, True):
        assert native_line(record, layout, ns, fields=fields, is_inline=is_inline) == (expected, expected)


if __name__ == "__main__":  # in another zone or locale, which the environment sets
    import locale
    import random

    if len(sys.argv) > 2:
        locale.setlocale(locale.LC_TIME, sys.argv[2])
    source = random.Random(sys.argv[1])
    for date_format in DATE_FORMATS:
        one = logging.Formatter("%(asctime)s %(created)f %(msecs)d %(relativeCreated)d", date_format)
        one_layout = layout_or_none(one)
        for _ in range(60 if one_layout else 0):
            moment = source.choice([source.randint(FIRST_NS, LAST_NS), source.randint(15 * 10**17, 18 * 10**17)])
            half_hours = moment // 1_800_000_000_000 * 1_800_000_000_000
            for near in (moment, half_hours, half_hours - 1, half_hours - 1000):
                sample = made_at(near, name="a", level=20, path="p.py", line=1, message="m", function="f")
                assert one_layout is not None
                assert_same(one, one_layout, sample, near)
    sys.stdout.write("same\n")
