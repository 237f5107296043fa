"""JSON and logfmt lines: every line is one valid object, and holds what was logged."""

import enum
import json
import math
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import LoggerConfig, SinkConfig
from tests.support.hooks import limit_registry
from tests.support.lines import Lines, parse, seen

RESERVED = ["timestamp", "level", "message", "module", "function", "lineno", "exception"]
FRONT = ["timestamp", "level", "message", "module", "function", "lineno"]

any_text = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.text(st.sampled_from('a"\\\n\r\t\x00\x1b\x7f\x85\x9f\u2028\u2029é→😀\ud800\udc00{}%'), max_size=30),
)
keys = st.one_of(
    any_text,
    st.sampled_from(RESERVED),
    st.sampled_from(RESERVED).map(lambda key: key + "_"),
    st.sampled_from(["a", "b", "self", "args", "msg", "größe", "名"]),
).filter(lambda key: key not in ("exc_info", "stacklevel", "stack_info"))
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), any_text, st.binary(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(any_text, st.integers(), st.booleans(), st.none()), inner, max_size=4),
        st.tuples(inner, inner),
        st.frozensets(st.integers(), max_size=1),
    ),
    max_leaves=10,
)
fields = st.dictionaries(keys, values, max_size=5)


def expected(value):
    """The rules of docs/layouts.md, in Python."""
    if isinstance(value, str):
        return seen(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        words = {None: "null", True: "true", False: "false"}
        return {
            seen(words[k]) if k is None or isinstance(k, bool) else seen(str(k)): expected(v) for k, v in value.items()
        }
    if isinstance(value, (list, tuple, frozenset)):
        return [expected(item) for item in value]
    return value


def expected_fields(*layers):
    """Context, bound and call's fields as one object: a later layer wins, a reserved name gets underscores."""
    merged = {}
    for layer in layers:
        for name, value in layer.items():
            merged[seen(name)] = expected(value)
    renamed = {}
    for name, value in merged.items():
        free = name
        while free in RESERVED or (free != name and free in merged):
            free += "_"
        renamed[free] = value
    return renamed


@pytest.fixture(scope="module")
def lines():
    lines = Lines(json=True)
    lines.logger.add_sink(SinkConfig(function=lambda record: None))
    yield lines
    lines.close()


@pytest.fixture(scope="module")
def alone():
    lines = Lines(json=True)
    yield lines
    lines.close()


@given(st.lists(st.tuples(any_text, fields), min_size=1, max_size=8))
@settings(max_examples=max(1, settings().max_examples // 8))
def test_what_was_logged_is_what_is_read(lines, alone, records):
    """With one sink and with several (the message is then rendered once for all)."""
    for one in (lines, alone):
        for message, given_fields in records:
            one.logger.info("{}", message, **given_fields)
            one.logger.info(message)
        objects = one.objects()
        assert [item["message"] for item in objects] == [seen(text) for text, _ in records for _ in range(2)]
        for item, (_, given_fields) in zip(objects[::2], records, strict=True):
            assert list(item)[:6] == FRONT
            left = {name: value for name, value in item.items() if name not in FRONT}
            wanted = expected_fields(given_fields)
            assert left == wanted
            assert [type(value) for value in left.values()] == [type(wanted[name]) for name in left]


@given(fields, fields, fields, any_text)
@settings(max_examples=max(1, settings().max_examples // 4))
def test_no_key_stands_twice_whatever_context_bind_and_call_say(alone, context, bound, call, message):
    with alone.logger.contextualize(**context):
        alone.logger.bind(**bound).warning(message or "m", **({"x": 1} | call))
    item = alone.object()
    left = {name: value for name, value in item.items() if name not in FRONT}
    assert left == expected_fields(context, bound, {"x": 1} | call)


@given(fields)
@settings(max_examples=max(1, settings().max_examples // 40))
def test_pretty_json_says_the_same(given_fields):
    with Lines(LoggerConfig(level=0, pretty_json=True)) as lines:
        lines.logger.info("m", a=1, **{k: v for k, v in given_fields.items() if k != "a"})
        text = lines.text()
    assert text.startswith('{\n  "timestamp": "')
    assert text.endswith("\n}\n")
    left = {name: value for name, value in parse(text).items() if name not in FRONT}
    assert left == expected_fields({"a": 1}, {k: v for k, v in given_fields.items() if k != "a"})


def test_a_sink_of_json_lines_beside_a_pretty_console_has_one_line_a_record():
    with Lines(LoggerConfig(pretty_json=True), json=True) as lines:
        lines.logger.info("m", a={"b": 1})
        (line,) = lines.text().splitlines()
    assert parse(line)["a"] == {"b": 1}


class ArrayLike:
    """What numpy's arrays and others have of numbers, which raises where they are more than one."""

    ndim = 1

    def item(self):
        raise ValueError("more than one")

    def __index__(self):
        raise TypeError("only integer scalars")

    def __str__(self):
        return "[0 1]"


class Broken(ArrayLike):
    @property
    def ndim(self):
        raise RuntimeError("mine")


@pytest.mark.parametrize("array", [ArrayLike(), Broken()])
def test_an_array_is_text_and_leaves_what_is_around_it_as_it_is(alone, array):
    alone.logger.info("m", field=array, nested={"ms": 812.5, "scores": array, "more": [array, 1]})
    item = alone.object()
    assert item["field"] == "[0 1]"
    assert item["nested"] == {"ms": 812.5, "scores": "[0 1]", "more": ["[0 1]", 1]}


def test_a_line_is_a_line_for_every_reader(alone):
    """Not one byte that any program takes for a line's end, or a terminal for a command."""
    for code in [*range(0x100), 0x2028, 0x2029, 0xD800, 0xFFFE, 0x10FFFF]:
        text = f"a{chr(code)}b"
        alone.logger.info(
            "m {}", text, **{text: text, "nested": {text: [text]}, "bytes": text.encode("utf-8", "replace")}
        )
    text = alone.text()
    assert len(text.splitlines()) == 261
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)


def test_keys_come_in_their_order_and_the_exception_last(alone):
    try:
        raise KeyError("k")
    except KeyError:
        alone.logger.exception("m", z=1, a=2)
    item = alone.object()
    assert list(item) == [*FRONT, "z", "a", "exception"]
    assert list(item["exception"]) == ["type", "message", "stack"]
    assert (item["exception"]["type"], item["exception"]["message"]) == ("KeyError", "'k'")


def test_the_time_stamp_is_rfc_3339_in_utc():
    with Lines(LoggerConfig(timezone="local"), json=True) as lines:
        before = datetime.now(UTC)
        lines.logger.info("x")
        stamp = lines.object()["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stamp)
    assert abs((datetime.fromisoformat(stamp) - before).total_seconds()) < 60


class Color(enum.IntEnum):
    RED = 3


class Number:
    """As numpy's scalars are."""

    ndim = 0

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Index:
    def __index__(self):
        return 7


class Hostile(dict):
    def items(self):
        raise RuntimeError("no")


class Mute:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**64 - 1, 2**64 - 1),
        (-(2**63) - 1, -(2**63) - 1),
        (10**4000, 10**4000),
        (10**6000, hex(10**6000)),
        ([10**4000, 10**6000], [10**4000, hex(10**6000)]),
        (float("nan"), None),
        ([float("inf"), 1.5], [None, 1.5]),
        (1e300, 1e300),
        (-0.0, -0.0),
        (Color.RED, 3),
        ([Color.RED], [3]),
        (Number(2.5), 2.5),
        ({"n": Number(3)}, {"n": 3}),
        (Index(), 7),
        (Decimal("1.10"), "1.10"),
        (b"\xff\x00a", "\\xff\x00a"),
        ([b"\xff"], ["\\xff"]),
        ({1: "a", "1": "b"}, {"1": "b"}),
        ({None: 1, True: 2, 1.5: 3, (1, 2): 4}, {"null": 1, "true": 2, "1.5": 3, "(1, 2)": 4}),
        ({"\ud800": 1, "\\ud800": 2}, {"\\ud800": 2}),
        ({1, 2}, [1, 2]),
        (Mute(), "<Mute whose str fails: RuntimeError>"),
        ([Mute()], ["<Mute whose str fails: RuntimeError>"]),
        (Hostile(a=1), "{'a': 1}"),
        ((), []),
        ({}, {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_every_kind(alone, value, read):
    alone.logger.info("m", x=value)
    assert alone.object()["x"] == read


def test_fewer_digits_than_usual_are_no_invalid_line(alone):
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        alone.logger.info("m", x=10**700, y=[10**700])
        item = alone.object()
    finally:
        sys.set_int_max_str_digits(limit)
    assert item["x"] == hex(10**700)
    assert item["y"] == [hex(10**700)]


def test_what_contains_itself_ends(alone):
    cycle = []
    cycle += [cycle, cycle, {"c": cycle}]
    deep = "bottom"
    for _ in range(100):
        deep = [deep]
    wide = ["leaf"]
    for _ in range(30):
        wide = [wide, wide]
    alone.logger.info("m", cycle=cycle, deep=deep)
    item = alone.object()
    assert item["cycle"] == ["...", "...", {"c": "..."}]
    assert json.dumps(item["deep"]).count("[") == 32
    alone.logger.info("m", wide=wide)
    assert isinstance(alone.object()["wide"], list)


def test_thousands_of_fields_are_cut_and_say_so(alone):
    alone.logger.info("m", **{f"f{i}": i for i in range(16_100)})
    item = alone.object()
    assert (item["f15999"], item["logly_fields_cut"]) == (15999, 100)
    assert "f16000" not in item


def test_a_field_is_as_it_was_at_the_call(alone):
    state = {"step": 1}
    bound = alone.logger.bind(state=state)
    alone.logger.info("m", state=state)
    state["step"] = 2
    bound.info("m")
    bound.bind(more=1).info("m")
    assert [item["state"] for item in alone.objects()] == [{"step": 1}] * 3


def test_json_keeps_its_form_under_log_compact_and_a_sink_decides_for_itself():
    with Lines(LoggerConfig(log_compact=True, json=True)) as lines:
        lines.logger.info("m")
        assert list(lines.object()) == FRONT
    with Lines(LoggerConfig(json=True), json=False) as lines:
        lines.logger.info("m")
        assert lines.line().endswith(" | m")
    with Lines(LoggerConfig(json=True), format="{message}") as lines:
        lines.logger.info("m")
        assert lines.line() == "m"


def test_a_reader_in_c_takes_every_line(alone, tmp_path):
    """jq where it is installed: a parser that is not Python's."""
    alone.logger.info("a\ud800\x85 {}", "\x00", k={"n": [float("nan"), 2**70, b"\xff"]}, f=1e400)
    path = tmp_path / "lines.json"
    path.write_text(alone.text())
    try:
        done = subprocess.run(
            ["jq", "-e", "-c", "[.message, .f]", str(path)], capture_output=True, check=False, timeout=30
        )
    except FileNotFoundError:
        pytest.skip("jq is not installed")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["a\\ud800\x85 \x00", None]


# ---- logfmt


def read_logfmt(line):
    """Pairs of a logfmt line, by the grammar of github.com/go-logfmt/logfmt."""
    pairs, at = [], 0
    for match in re.finditer(r'([^ ="]+)=("(?:[^"\\]|\\.)*"|[^ ="]*)(?: |$)', line):
        assert match.start() == at, line[at:]
        value = match[2]
        pairs.append((match[1], json.loads(value) if value.startswith('"') else value))
        at = match.end()
    assert at == len(line)
    return pairs


@given(st.lists(st.tuples(any_text, fields), min_size=1, max_size=5))
@settings(max_examples=max(1, settings().max_examples // 40))
def test_logfmt_is_a_list_of_pairs(records):
    with Lines(format="logfmt") as lines:
        for message, given_fields in records:
            lines.logger.info("{}", message, **given_fields)
        found = lines.text().splitlines()
    assert len(found) == len(records)
    for line, (message, given_fields) in zip(found, records, strict=True):
        pairs = read_logfmt(line)
        assert [name for name, _ in pairs[:6]] == FRONT
        assert pairs[2][1] == seen(message)
        assert len(pairs) == 6 + len({seen(name) for name in given_fields})


def test_logfmt_keys_are_one_word():
    with Lines(format="logfmt") as lines:
        lines.logger.info("two words", **{"a b": 1, 'c="d"': "x y", "": 2, "\x85é\u2028": None, "level": "mine"})
        assert lines.line().endswith(' a_b=1 c__d_="x y" _=2 __é___=None level_=mine')


def test_an_exception_is_one_pair_of_logfmt():
    with Lines(format="logfmt") as lines:
        try:
            raise ValueError("a b")
        except ValueError:
            lines.logger.exception("failed")
        pairs = read_logfmt(lines.line())
    assert pairs[2] == ("message", "failed")
    name, text = pairs[-1]
    assert name == "exception"
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.rstrip().endswith("ValueError: a b")


SCALARS = {
    "none": None,
    "yes": True,
    "no": False,
    "negative": -1,
    "of_64_bits": 2**63,
    "huge": -(2**70),
    "real": 0.5,
    "data": b"\xff",
    "text": "é",
}


def test_each_kind_of_scalar_keeps_its_kind_in_json():
    with Lines(json=True) as lines:
        lines.logger.info("m", **SCALARS)
        line = lines.object()
    assert {name: line[name] for name in SCALARS} == {**SCALARS, "data": "\\xff"}
    assert (line["yes"], line["no"]) == (True, False)


def test_each_kind_of_scalar_is_as_str_in_logfmt():
    with Lines(format="logfmt") as lines:
        lines.logger.info("m", **SCALARS)
        pairs = dict(read_logfmt(lines.line()))
    assert {name: pairs[name] for name in SCALARS} == {name: str(value) for name, value in SCALARS.items()} | {
        "data": pairs["data"]
    }


@pytest.fixture
def no_new_sites():
    """Call sites beyond the registry's bound stand in the records themselves."""
    limit_registry(sites=0)
    yield
    limit_registry()


def test_a_call_site_that_stands_in_the_record_looks_like_any_other(no_new_sites):
    with Lines(json=True) as lines:
        lines.logger.add_sink(SinkConfig(fd=lines.fd, format="logfmt"))
        lines.logger.info("m")
        one, other = sorted(lines.lines())
    found, pairs = (parse(other), read_logfmt(one)) if other.startswith("{") else (parse(one), read_logfmt(other))
    assert found["module"] == __name__.rpartition(".")[2] or found["module"] == __name__
    assert found["function"] == "test_a_call_site_that_stands_in_the_record_looks_like_any_other"
    assert [str(found[name]) for name in FRONT[3:]] == [dict(pairs)[name] for name in FRONT[3:]]
