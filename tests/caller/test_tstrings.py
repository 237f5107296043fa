"""Template strings of CPython 3.14 as messages, against f-strings.

The sources are texts, because older versions cannot read this file otherwise. A code object is run several times: its
template takes the careful way at first, and the fast one later.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, SinkConfig, capture
from tests.support.loggers import assert_books, counting_logger, make_logger

if sys.version_info < (3, 14):
    pytest.skip("CPython 3.14 has template strings", allow_module_level=True)

TIMES = 4
TEMPLATE = type(eval('t""'))


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger()


def code_of(body: str, prefix: str = "t") -> CodeType:
    """The code of a literal with this body."""
    return compile(f'{prefix}"{body}"', "<template>", "eval")


def logged(logger: Logger, body: str, names: dict[str, Any] | None = None, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Message and fields of a template, which must be the same each time that it is logged."""
    code = code_of(body)
    with capture(logger) as records:
        for _ in range(TIMES):
            logger.info(eval(code, {}, dict(names or {})), **fields)
    assert len(records) == TIMES
    assert all((record.message, record.fields) == (records[0].message, records[0].fields) for record in records)
    return records[0].message, records[0].fields


@pytest.mark.parametrize(
    ("body", "message", "fields"),
    [
        ("order {oid} filled at {price:.2f}", "order 42 filled at 3.14", {"oid": 42, "price": 3.14159}),
        ("plain", "plain", {}),
        ("", "", {}),
        ("{{oid}} 100%", "{oid} 100%", {}),
        ("{{{oid}}}", "{42}", {"oid": 42}),
        ("{name!r} {name!a} {name!s}", "'é' '\\xe9' é", {"name": "é"}),
        ("{name=} { name = }", "name='é'  name = 'é'", {"name": "é"}),
        ("{name:>{width}}|", "    é|", {"name": "é"}),
        ("{price:{width}.{oid}}|", "3.14159|", {"price": 3.14159}),
        ("{oid + 1} {name.upper()} {[oid][0]}", "43 É 42", {}),
        ("{oid} {oid + 1} {oid:x}", "42 43 2a", {"oid": 42}),
        ("{oid} {(oid := 7)} {oid}", "42 7 7", {"oid": 42}),
        ("{None} {True} {...}", "None True Ellipsis", {}),
        ("{exc_info} {stacklevel}", "5 6", {}),
        ("{inner}", "<42>", {"oid": 42}),
        ("{inner!r} {inner:>6}|", "'<42>'   <42>|", {}),
        ("{inner=}", "inner='<42>'", {}),
        ("{inner} {inner} {oid}", "<42> <42> 42", {"oid": 42}),
        ("{day:%H{{}}}", "09{}", {"day": "2026-01-02T09:00:00"}),
        ("{day:%d.%m.%Y}", "02.01.2026", {"day": "2026-01-02T09:00:00"}),
        ("{éa}", "1", {"éa": 1}),
        ("{message} {level}", "a b", {"message": "a", "level": "b"}),
    ],
)
def test_what_becomes_of_a_template(logger: Logger, body: str, message: str, fields: dict[str, Any]) -> None:
    names = {
        "oid": 42,
        "price": 3.14159,
        "name": "é",
        "width": 5,
        "exc_info": 5,
        "stacklevel": 6,
        "inner": eval(code_of("<{oid}>"), {"oid": 42}),
        "day": datetime.datetime(2026, 1, 2, 9),
        "éa": 1,
        "message": "a",
        "level": "b",
    }
    if body == "{price:{width}.{oid}}|":
        names["oid"] = 6
        message = "3.14159|"
    assert logged(logger, body, names) == (message, fields)


@pytest.mark.parametrize(
    "name", ["extra", "exc_info", "stack_info", "stacklevel", "message", "args", "level", "self", "msg", "name", "key"]
)
@pytest.mark.parametrize("value", [5, {"a": 1}, "text"])
def test_names_that_mean_something_else_in_a_call(logger: Logger, name: str, value: object) -> None:
    no_field = name in ("extra", "exc_info", "stack_info", "stacklevel")
    fields = {} if no_field else {name: value}
    assert logged(logger, f"got {{{name}}}", {name: value}) == (f"got {value}", fields)


def test_fields_of_the_call_win(logger: Logger) -> None:
    names = {"x": 1, "y": 2}
    assert logged(logger, "{x} {y}", names, x=5, z=6) == ("1 2", {"y": 2, "x": 5, "z": 6})
    assert logged(logger, "{x}", names, x=5) == ("1", {"x": 5})
    assert logged(logger, "{{x}}", names, x=5) == ("{x}", {"x": 5})
    assert logged(logger, "{x + 1} {{x}}", names, x=5) == ("2 {x}", {"x": 5})
    assert logged(logger.bind(x=9, b=1), "{x}", names) == ("1", {"x": 1, "b": 1})


def test_text_of_values_is_never_a_template(logger: Logger) -> None:
    names = {"x": "{y} {0} {{", "y": "secret"}
    assert logged(logger, "{x}", names) == ("{y} {0} {{", {"x": "{y} {0} {{"})
    assert logged(logger, "{x}", names, y=1) == ("{y} {0} {{", {"x": "{y} {0} {{", "y": 1})
    assert logged(logger, "{x + ''}", names, y=1) == ("{y} {0} {{", {"y": 1})


def test_templates_with_the_same_strings_are_told_apart(logger: Logger) -> None:
    bodies = ["{x:.2f}", "{x!r}", "{x}", "{y}", "{x:.3f}", "{x:>{w}}", "{y + 0}", "{x!s}", "{x:.{w}f}"]
    codes = [code_of(body) for body in bodies]
    for w in (1, 12, 3, 12):
        names = {"x": 1.5, "y": 2.5, "w": w}
        with capture(logger) as records:
            for _ in range(TIMES):
                for code in codes:
                    logger.info(eval(code, {}, names))
        assert records.messages == [eval(code_of(body, "f"), {}, names) for body in bodies] * TIMES


def test_every_way_to_log(logger: Logger) -> None:
    code = code_of("{x}")
    with capture(logger) as records:
        for _ in range(TIMES):
            template = eval(code, {"x": 1})
            logger.debug(template)
            logger.log("warning", template)
            logger.named("shop").info(template)
            logger.bind(a=1).every(1).info(template)
            logger.info(template, exc_info=ValueError("no"))
            logger.info(template, 1, 2)
            try:
                raise KeyError
            except KeyError:
                logger.exception(template)
            logger.info(message=template)
    assert len(records) == 8 * TIMES
    assert {record.message for record in records} == {"1"}
    assert all(record.fields["x"] == 1 for record in records)
    assert all(record.fields.get("args") == ([1, 2] if i % 8 == 5 else None) for i, record in enumerate(records))
    assert records[0].function == "test_every_way_to_log"
    assert records[4].exception is not None


def test_what_cannot_be_formatted_is_told(logger: Logger) -> None:
    before = logger.stats().failed_formats
    assert logged(logger, "{x:.2f} {y + 0}", {"x": "a", "y": 1}) == ("{x:.2f} {} 1 x='a'", {"x": "a"})
    assert logger.stats().failed_formats == before + TIMES
    message, _ = logged(logger, "{x:>20000000}", {"x": "a"})
    assert len(message) < 100
    message, _ = logged(logger, "{x:>{w}}", {"x": "a", "w": 20_000_000})
    assert len(message) < 100
    inner = eval(code_of("{x:d}"), {"x": "a"})
    message, _ = logged(logger, "{inner!r}", {"inner": inner})
    assert message.startswith("{!r}")


def test_hidden_fields_are_hidden_in_the_line(tmp_path: Path) -> None:
    with make_logger(redact=["password"]) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format="{message} {fields}"))
        names = {"password": "hunter2", "user": "ann"}
        names["inner"] = eval(code_of("<{password}>"), dict(names))
        for body in ("{user} {password}", "{inner}", "{inner!r}", "{inner:>30} {user}", "{password:.3} {user + ''}"):
            code = code_of(body)
            for _ in range(TIMES):
                logger.info(eval(code, {}, names))
        logger.flush()
        assert_books(logger)
    text = (tmp_path / "log").read_text()
    assert "hun" not in text
    assert text.count("[redacted]") >= 5 * TIMES


def test_more_than_the_fast_way_takes(logger: Logger) -> None:
    names = {f"n{i}": i for i in range(40)}
    body = " ".join(f"{{n{i}}}" for i in range(40))
    assert logged(logger, body, names) == (" ".join(map(str, range(40))), names)
    assert logged(logger, "{n1:>" + "0" * 70 + "5}", names) == ("00001", {"n1": 1})


def test_made_by_hand(logger: Logger) -> None:
    from string.templatelib import Interpolation, Template

    class Text(str):
        __slots__ = ()

    for _ in range(TIMES):
        template = Template("a ", Interpolation(3), " ", Interpolation(4, Text("x"), "r", Text(">3")), "é")
        with capture(logger) as records:
            logger.info(template)
        assert records == [("INFO", "a 3   4é", {"x": 4})]


class Odd(str):
    """Text whose own methods must not run."""

    __slots__ = ()
    __hash__ = str.__hash__

    def _never(self, *_: object) -> Any:
        raise ZeroDivisionError

    __add__ = __radd__ = __eq__ = __ne__ = __str__ = __repr__ = __format__ = __len__ = __contains__ = _never  # type: ignore[assignment]
    replace = strip = isidentifier = join = _never  # type: ignore[assignment]


def test_texts_of_subclasses_in_a_template_made_by_hand(logger: Logger) -> None:
    from string.templatelib import Interpolation, Template

    plain = ("a {", (3, "x", "r", ">3"), "} é", (4, "y", None, ""), "")
    for place in range(7):
        texts = ["a {", "x", "r", ">3", "} é", "y", ""]
        texts[place] = Odd(texts[place])
        first = Interpolation(3, texts[1], texts[2], texts[3])  # type: ignore[arg-type]
        template = Template(texts[0], first, texts[4], Interpolation(4, texts[5], None, texts[6]))
        with capture(logger) as records:
            for _ in range(TIMES):
                logger.info(template)
        assert records == [("INFO", "a {  3} é4", {"x": 3, "y": 4})] * TIMES, (place, plain)
    with capture(logger) as records:
        for _ in range(TIMES):
            logger.info(Template(Odd("alone {")))
    assert records == [("INFO", "alone {", {})] * TIMES


def test_templates_inside_templates(logger: Logger) -> None:
    from string.templatelib import Interpolation, Template

    for depth in (1, 49, 50, 51, 200):
        template = Template("<", Interpolation(7, "x"), ">")
        for _ in range(depth):
            template = Template("(", Interpolation(template, "inner"), ")")
        with capture(logger) as records:
            logger.info(template)
        assert records.messages == ["(" * depth + "<7>" + ")" * depth]
    for _ in range(100_000):
        template = Template(Interpolation(template, "inner"))
    with contextlib.suppress(RecursionError):
        logger.info(template)


def test_more_templates_than_are_kept(logger: Logger) -> None:
    """Code that is made at run time."""
    kept = code_of("kept {x}")
    for i in range(6_000):
        code = code_of(f"{i} {{x}}")
        with_x = {"x": i}
        logger.debug(eval(code, with_x))
        if i % 500 == 0:
            with capture(logger) as records:
                logger.info(eval(code, with_x))
                logger.info(eval(code, with_x))
                logger.info(eval(code, with_x))
                logger.info(eval(kept, {"x": 1}))
            assert records.messages == [f"{i} {i}"] * 3 + ["kept 1"]
        del code
    gc.collect()


def test_threads_share_a_template(logger: Logger) -> None:
    from concurrent.futures import ThreadPoolExecutor

    code = code_of("{x} {x + 1:>5}")
    with capture(logger) as records, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda x: logger.info(eval(code, {"x": x})), range(400)))
    assert sorted(records.messages) == sorted(f"{x} {x + 1:>5}" for x in range(400))


def test_sampling_and_recorder_know_the_template(tmp_path: Path) -> None:
    code = code_of("{x}")
    with make_logger(sampling=(1, 0), recorder="debug") as logger:
        with_file = logger.add_sink(SinkConfig(path=tmp_path / "log", format="{level} {message}"))
        begin = time.monotonic()
        for x in range(10):
            logger.info(eval(code, {"x": x}))
        seconds = time.monotonic() - begin
        logger.debug(eval(code, {"x": 10}))
        logger.error(eval(code, {"x": 11}))
        logger.flush()
        assert with_file in logger.list_sinks()
        assert_books(logger)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[-3:-1] == ["DEBUG [recorder] 10", "ERROR 11"]
    assert 1 <= sum(line.startswith("INFO") for line in lines) <= seconds + 2


# ---- against f-strings

VALUES = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.booleans(),
    st.none(),
    st.binary(max_size=4),
    st.decimals(allow_nan=False, min_value=-1000, max_value=1000),
    st.datetimes(),
    st.tuples(st.integers()),
    st.characters(categories=["Cs"]),
)
NAMES = ["x", "y", "z"]
EXPRESSIONS = ["x", "y", "z", " x ", "x=", "y = ", "(x)", "[z]", "x if y else z", "inner", "inner=", "f'{y}'"]
SPECS = [":", ":>{w}", ":{w}", ":*^{w}", ":d", ":.2f", ":x", ":,", ":>8", ":e", ":s", ":<{w}.{w}", ":+", ":08.3f"]
ODD_SPECS = [":%H{{%M}}", ":[<9", ":}}^9", ":!<4"]
TEXTS = st.sampled_from(["", " ", "a", "{{", "}}", "{{}}", "é", "%s", "{{x}}", "\\\\n", "😀", "[0]", ":", "!r"])


@st.composite
def bodies(draw: st.DrawFn) -> str:
    parts = [draw(TEXTS)]
    for _ in range(draw(st.integers(0, 4))):
        expression = draw(st.sampled_from(EXPRESSIONS))
        conversion = draw(st.sampled_from(["", "", "", "!r", "!s", "!a"]))
        parts += ["{", expression, conversion, draw(st.sampled_from(["", "", *SPECS, *ODD_SPECS])), "}", draw(TEXTS)]
    return "".join(parts)


@pytest.fixture(scope="module")
def shared() -> Iterator[Logger]:
    yield from counting_logger()


class AsText:
    """A template inside an f-string, as the text of its own f-string."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return repr(self.text)

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)


@given(
    body=bodies(), values=st.tuples(VALUES, VALUES, VALUES), inner=bodies(), width=st.integers(0, 12), data=st.data()
)
def test_the_line_is_the_f_strings(
    shared: Logger, body: str, values: tuple[Any, ...], inner: str, width: int, data: st.DataObject
) -> None:
    try:
        template, text = code_of(body), code_of(body, "f")
        inner_template, inner_text = code_of(inner), code_of(inner, "f")
    except SyntaxError:
        return
    names: dict[str, Any] = {**dict(zip(NAMES, values, strict=True)), "w": width, "inner": ""}
    with capture(shared) as records:
        wanted: list[str | None] = []
        for _ in range(TIMES):
            names.update(zip(NAMES, data.draw(st.permutations(values)), strict=True))
            names["inner"] = ""
            try:
                nested = eval(inner_template, names)
                shown = AsText(eval(inner_text, names))
                expected = eval(text, {**names, "inner": shown})
                made = eval(template, {**names, "inner": nested})
            except (ValueError, TypeError):
                continue
            wanted.append(expected)
            shared.info(made)
        messages = [message.encode("utf-8", "backslashreplace") for message in records.messages]
    assert messages == [text.encode("utf-8", "backslashreplace") for text in wanted if text is not None]


def test_values_that_are_decimals_are_the_f_strings(logger: Logger) -> None:
    assert logged(logger, "{x:.3f}", {"x": decimal.Decimal("1.23456")})[0] == "1.235"
