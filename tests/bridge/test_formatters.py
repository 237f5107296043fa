"""Formatters of `logging` as layouts: the flusher's bytes are those of a `logging.StreamHandler`, or the formatter is refused."""

from __future__ import annotations

import io
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly.bridge import formatters
from logly.bridge.formatters import NotServed, layout_of
from logly.bridge.validation import differs, native_line, set_time

PLAIN = ["name", "levelname", "pathname", "filename", "module", "funcName", "threadName", "processName", "message"]
INTS = ["levelno", "lineno", "thread", "process"]
FLOATS = ["created", "msecs", "relativeCreated"]
SECOND = 1_000_000_000
# From 1678 to 2261, which is what nanoseconds in 64 bits hold.
TIMES = st.one_of(
    st.integers(-9_214_560_000 * SECOND, 9_214_646_400 * SECOND),
    st.integers(1_600_000_000 * SECOND, 1_800_000_000 * SECOND),
    st.builds(
        lambda second, rest: second * SECOND + rest,
        st.integers(-4_000_000_000, 4_000_000_000),
        st.sampled_from([0, 1, 999, 999_999, 1_000_000, 998_999_999, 999_000_000, 999_999_499, 999_999_900, 999_999_999]),
    ),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LITERAL = st.sampled_from(["", " ", " - ", "[", "]: ", "\u00e9 ", "\u2192", "%%", "\n", "\t"])


def widths(draw: st.DrawFn, *, flags: list[str]) -> str:
    return draw(st.sampled_from(flags)) + draw(st.sampled_from(["", "", "1", "8", "23"]))


@st.composite
def percent_formats(draw: st.DrawFn) -> str:
    result = "%(message)s" if draw(st.booleans()) else ""
    for _ in range(draw(st.integers(0, 6))):
        result += draw(LITERAL)
        name = draw(st.sampled_from([*PLAIN, "asctime", *INTS, *FLOATS]))
        form = widths(draw, flags=["", "-", "0", "+", " ", "-0"])
        if name in INTS:
            kind = draw(st.sampled_from(["s", "d", "d", "i", "x", "05d", "r"]))
        elif name in FLOATS:
            kind = draw(st.sampled_from(["s", "d", ".3f", "f", "e", ".4g", "r", "03d"]))
        else:
            kind = draw(st.sampled_from(["s", "s", "s", ".3s", ".20s", "r", "a"]))
        result += f"%({name}){form}{kind}"
    return result if "%(" in result else "%(message)s"


@st.composite
def brace_formats(draw: st.DrawFn) -> str:
    result = "{message}" if draw(st.booleans()) else ""
    for _ in range(draw(st.integers(0, 6))):
        result += draw(LITERAL.map(lambda text: text.replace("%%", "{{}}")))
        name = draw(st.sampled_from([*PLAIN, "asctime", *INTS, *FLOATS]))
        conversion = draw(st.sampled_from(["", "", "", "!r", "!s", "!a"]))
        form = draw(st.sampled_from(["", "<", ">", "^", "*^", "\u2192>"]))
        form += draw(st.sampled_from(["", "", "1", "8", "23"]))
        if not conversion and name in INTS:
            form += draw(st.sampled_from(["", "d", "x", ",", "_d"]))
        elif not conversion and name in FLOATS:
            form += draw(st.sampled_from(["", ".3f", "e", ".4g", ",.1f"]))
        else:
            form += draw(st.sampled_from(["", "", ".3", ".20s"]))
        result += f"{{{name}{conversion}{':' if form else ''}{form}}}"
    return result if "{" in result.replace("{{}}", "") else "{message}"


@st.composite
def dollar_formats(draw: st.DrawFn) -> str:
    result = "$message" if draw(st.booleans()) else ""
    for _ in range(draw(st.integers(0, 6))):
        result += draw(LITERAL.map(lambda text: text.replace("%%", "$$")))
        result += f"${{{draw(st.sampled_from([*PLAIN, 'asctime', *INTS, *FLOATS]))}}}"
    return result if "$" in result.replace("$$", "") else "$message"


DATE_FORMATS = st.one_of(
    st.none(),
    st.lists(
        st.sampled_from(
            ["%Y", "%m", "%d", "%H:%M:%S", "%b", "%A", "%Z", "%z", "%j", "%y", "%p", "%s", "%%", "-", " ", "T", "\u00e9"]
        ),
        min_size=1,
        max_size=5,
    ).map("".join),
)
MSEC_FORMATS = st.sampled_from(["%s,%03d", "%s,%03d", "%s.%03d", None, "%s", "%s %d ms", "<%s|%5d>", "%s.%f"])


@st.composite
def made_formatters(draw: st.DrawFn) -> logging.Formatter:
    style = draw(st.sampled_from("%{$"))
    fmt = draw({"%": percent_formats(), "{": brace_formats(), "$": dollar_formats()}[style])
    formatter = logging.Formatter(fmt, draw(DATE_FORMATS), style, validate=False)
    formatter.default_msec_format = draw(MSEC_FORMATS)  # type: ignore[assignment]
    if draw(st.booleans()):
        formatter.converter = time.gmtime
    if draw(st.booleans()):
        formatter.default_time_format = draw(st.sampled_from(["%H:%M:%S", "%d.%m.%Y"]))
    return formatter


def failed(text: str) -> Any:
    try:
        raise ValueError(text)
    except ValueError as error:
        return type(error), error, error.__traceback__


@st.composite
def made_records(draw: st.DrawFn) -> tuple[logging.LogRecord, int]:
    record = logging.LogRecord(
        draw(st.one_of(st.sampled_from(["root", "app.web"]), TEXT)),
        draw(st.one_of(st.sampled_from([10, 20, 30, 40, 50]), st.integers(0, 200))),
        draw(st.sampled_from(["/srv/app/web.py", "x", "/a/.hidden", "/a/..b.c", "/a.b/c.d.e", "\u00e9/\u2192.py", "a/", "/x."])),
        draw(st.integers(0, 1 << 30)),
        draw(st.one_of(TEXT, st.sampled_from(["text", "two\nlines", "ends\n", "ends twice\n\n", "a\r\n"]))),
        (),
        failed(draw(st.sampled_from(["bad", "bad\n", "", "\u2192\n\n"]))) if draw(st.booleans()) else None,
        draw(st.sampled_from(["f", "<module>", "\u00e9"])),
        draw(st.sampled_from([None, None, "Stack (most recent call last):\n  x", "\n"])),
    )
    record.thread = draw(st.integers(0, (1 << 63) - 1))
    record.threadName = draw(st.one_of(st.just("MainThread"), TEXT))
    ns = draw(TIMES)
    set_time(record, ns)
    return record, ns


def by_logging(formatter: logging.Formatter | None, record: logging.LogRecord, terminator: str) -> bytes:
    record.exc_text = None
    raw = io.BytesIO()
    handler = logging.StreamHandler(io.TextIOWrapper(raw, "utf-8", newline="\n"))
    handler.terminator = terminator
    handler.setFormatter(formatter)
    handler.stream.write(handler.format(record) + terminator)
    handler.flush()
    return raw.getvalue()


SERVED = {"yes": 0, "no": 0}


@given(formatter=made_formatters(), made=made_records(), terminator=st.sampled_from(["\n", "", "\r\n", "\u2192\n"]))
def test_the_bytes_are_those_of_logging(
    formatter: logging.Formatter, made: tuple[logging.LogRecord, int], terminator: str
) -> None:
    record, ns = made
    try:
        layout = layout_of(formatter, terminator=terminator)
    except NotServed:
        SERVED["no"] += 1
        return
    SERVED["yes"] += 1
    if differs(formatter, layout) is not None:
        # Only a formatter that fails for a record may get here, and the handler is not served then.
        with pytest.raises((ValueError, TypeError)):
            by_logging(formatter, record, terminator)
        return
    expected = by_logging(formatter, record, terminator)
    for is_inline in (False, True):
        assert native_line(record, layout, ns, fields={}, is_inline=is_inline) == (expected, expected)


def test_most_formatters_are_served() -> None:
    if sum(SERVED.values()) < 20:
        pytest.skip("the test before this one has not run")
    assert SERVED["yes"] > 0.5 * sum(SERVED.values()), SERVED


USUAL = [
    None,
    logging.Formatter(),
    logging.Formatter("%(asctime)s %(levelname)-8s [%(name)s] %(filename)s:%(lineno)d %(message)s"),
    logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(process)d %(threadName)s %(message)s", "%Y-%m-%dT%H:%M:%S"),
    logging.Formatter("[{asctime}] {levelname:>8} {module}.{funcName} {message}", style="{"),
    logging.Formatter("$asctime $levelname ${message}$$", style="$"),
    logging.Formatter("%(created).3f %(relativeCreated)d %(processName)s %(thread)d %(pathname)s %(message)s"),
    logging.Formatter(logging.BASIC_FORMAT),
]


@pytest.mark.parametrize("formatter", USUAL)
def test_usual_formatters_are_served(formatter: logging.Formatter | None) -> None:
    assert differs(formatter, layout_of(formatter)) is None


def test_what_a_record_must_have_for_a_layout() -> None:
    layout = layout_of(logging.Formatter("%(module)s %(threadName)s %(thread)d %(user)s %(count)d %(message)s"))
    assert layout.shown == {"module", "thread_name", "thread"}
    assert set(layout.fields) == {"user", "count"}
    assert not layout.ascii_only


@pytest.mark.parametrize("errors", [None, "strict", "ignore", "replace", "surrogateescape", "surrogatepass"])
def test_lone_surrogates_are_the_callers_to_refuse(errors: str | None) -> None:
    assert not layout_of(None, errors=errors).takes_surrogates


def test_backslashreplace_is_how_the_flusher_writes_lone_surrogates() -> None:
    formatter = logging.Formatter("%(levelname)s:%(message)s")
    layout = layout_of(formatter, errors="backslashreplace")
    record = logging.LogRecord("root", 20, "a.py", 1, "a\udc80\U0001f600", (), None)
    expected = (formatter.format(record) + "\n").encode("utf-8", "backslashreplace")
    assert layout.takes_surrogates
    assert native_line(record, layout, 0, fields={}) == (expected, expected)
    # A width or a precision counts characters of the text, and not those of the escape.
    assert not layout_of(logging.Formatter("%(message)-8s"), errors="backslashreplace").takes_surrogates
    assert not layout_of(logging.Formatter("%(message)r"), errors="backslashreplace").takes_surrogates


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "shift_jis"])
def test_other_encodings_are_served_for_ascii(encoding: str) -> None:
    layout = layout_of(None, encoding=encoding)
    assert layout.ascii_only
    assert differs(None, layout) is None
    with pytest.raises(NotServed, match="not ASCII"):
        layout_of(logging.Formatter("\u00e9 %(message)s"), encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-7", "cp037", "iso2022_jp", "hz", "nonsense"])
def test_encodings_that_are_not_served(encoding: str) -> None:
    with pytest.raises(NotServed):
        layout_of(None, encoding=encoding)


class Own(logging.Formatter):
    pass


def changed(**attributes: object) -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(message)s")
    vars(formatter).update(attributes)
    return formatter


def changed_style(**attributes: object) -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(message)s")
    vars(formatter._style).update(attributes)
    return formatter


@pytest.mark.parametrize(
    ("formatter", "reason"),
    [
        (Own(), "the formatter is a tests.bridge.test_formatters.Own"),
        (logging.Formatter("%(message)s", defaults={"a": 1}), "the formatter has defaults for fields"),
        (logging.Formatter("%(taskName)s %(message)s"), "the format names taskName"),
        (logging.Formatter("%(args)s"), "the format names args"),
        (logging.Formatter("%(exc_info)s"), "the format names exc_info"),
        (changed(format=str), "the formatter has its own format"),
        (changed(formatTime=str), "the formatter has its own formatTime"),
        (changed(converter=lambda _: None), "the formatter's converter is neither time.localtime nor time.gmtime"),
        (changed_style(format=str), "the formatter's style has its own format"),
        (changed(datefmt="%Q"), "the time's format has a directive that is not served"),
        (changed(datefmt="%"), "the time's format has a directive that is not served"),
        (changed(datefmt="%9999d"), "the time's format has a directive that is not served"),
        (changed(default_msec_format="%s"), "the formatter's default_msec_format is not one of a text and a number"),
        (logging.Formatter("\ud800%(message)s"), "the format has a lone surrogate"),
        (logging.Formatter("%(message)*s", validate=False), None),
        (logging.Formatter("%(levelname)d", validate=False), "the format gives levelname in a form that is not served"),
        (logging.Formatter("{created:d}", style="{"), "the format gives created in a form that is not served"),
        (logging.Formatter("{message.x}", style="{", validate=False), "the format has {message.x}, which is no plain name"),
        (logging.Formatter("{message", style="{", validate=False), "the format is one that str.format refuses"),
        (logging.Formatter("$ $message", style="$", validate=False), "the format is one that string.Template refuses"),
        (logging.Formatter("%(asctime).10s %(message)s"), "served"),
    ],
)
def test_what_is_not_served_says_why(formatter: logging.Formatter, reason: str | None) -> None:
    if reason == "served":
        assert differs(formatter, layout_of(formatter)) is None
        return
    with pytest.raises(NotServed) as caught:
        layout_of(formatter)
    assert reason is None or caught.value.reason == reason


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (logging.Formatter, "format"),
        (logging.Formatter, "formatException"),
        (logging.Formatter, "usesTime"),
        (logging.PercentStyle, "_format"),
        (logging.StrFormatStyle, "_format"),
        (time, "strftime"),
    ],
)
def test_patched_methods_are_seen(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    own = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: own(*args))
    with pytest.raises(NotServed, match="is patched"):
        layout_of(logging.Formatter("%(asctime)s %(message)s"))


@pytest.mark.parametrize("name", ["logThreads", "logProcesses", "logMultiprocessing"])
def test_what_logging_does_not_collect_is_not_served(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    formatter = logging.Formatter("%(thread)s %(process)s %(processName)s")
    layout_of(formatter)
    monkeypatch.setattr(logging, name, False)
    with pytest.raises(NotServed, match=f"logging.{name} is off"):
        layout_of(formatter)


def test_names_of_levels_are_those_of_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("_levelToName", "_nameToLevel"):
        monkeypatch.setattr(logging, table, dict(getattr(logging, table)))
    formatter = logging.Formatter("%(levelname)-9s|%(message)s")
    before = layout_of(formatter)
    logging.addLevelName(25, "NOTICE \u2192")
    logging.addLevelName(30, "W")
    assert differs(formatter, before) is not None
    layout = layout_of(formatter)
    assert layout.levels[25] == "NOTICE \u2192"
    assert differs(formatter, layout) is None
    with pytest.raises(NotServed, match="not ASCII"):
        layout_of(formatter, encoding="latin-1")


def test_extra_is_shown_as_the_style_shows_it() -> None:
    formatter = logging.Formatter("{user:>6}|{count:05d}|{user!r}|{message}", style="{")
    layout = layout_of(formatter)
    assert differs(formatter, layout) is None
    record = logging.LogRecord("root", 20, "a.py", 1, "text", (), None)
    fields = {"count": 42, "user": "\u00e9t\u00e9"}
    vars(record).update(fields)
    expected = by_logging(formatter, record, "\n")
    assert native_line(record, layout, 0, fields=fields) == (expected, expected)


def test_the_process_name_is_that_of_the_record() -> None:
    assert formatters.current_process_name() == logging.LogRecord("", 0, "", 0, "", (), None).processName
