"""Deferred formatting, end to end: what str.format makes of a message is what stands in the file."""

import math
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Advice, Logger, LoggerConfig, SinkConfig
from logly._core import IS_FREE_THREADED
from tests.support.message_model import expected
from tests.support.programs import run_program

# Thousands of examples in one test, on whatever machine.
pytestmark = pytest.mark.timeout(0)


class Formatted:
    """Has a format language of its own."""

    def __init__(self, name):
        self.name = name
        self.items = {"key": 7, "0": "zero", 0: "int zero"}

    def __getitem__(self, key):
        return self.items[key]

    def __format__(self, spec):
        return f"<{self.name}|{spec}>"

    def __repr__(self):
        return f"Formatted({self.name!r})"


class Failing:
    def __format__(self, spec):
        raise LookupError("no format today")

    def __str__(self):
        raise ZeroDivisionError

    def __repr__(self):
        return "Failing()"


class OwnInt(int):
    def __format__(self, spec):
        return f"int/{spec}"

    def __str__(self):
        return "own int"


class OwnFloat(float):
    def __repr__(self):
        return "own float"


class OwnStr(str):
    def __str__(self):
        return "own str"

    def __format__(self, spec):
        return f"str/{spec}"


class PlainInt(int):
    pass


CHARS = st.characters(codec=None)  # lone surrogates too
TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=0x7F), max_size=20),
    st.text(st.characters(max_codepoint=0xFF), max_size=10),
    st.text(st.characters(min_codepoint=0x100, max_codepoint=0xFFFF), max_size=10),
    st.text(CHARS, max_size=10),
    st.just("x" * 300),
)
EDGES = [0, 1, -1, 9, 10, 2**15, 2**30 - 1, 2**30, 2**31, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**64 + 1]
INTEGERS = st.one_of(
    st.sampled_from([*EDGES, *(-n for n in EDGES)]), st.integers(), st.integers(-(10**40), 10**40), st.just(10**5000)
)
FLOATS = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1e16, 1e-5, 1e308, 5e-324, 0.1, 2.5])
)
OBJECTS = st.sampled_from(
    [
        Formatted("a"),
        Failing(),
        OwnInt(5),
        OwnFloat(2.5),
        OwnStr("s"),
        PlainInt(12),
        [1, "two"],
        {"k": 1},
        (),
        1 + 2j,
        int,
    ]
)
VALUES = st.one_of(INTEGERS, FLOATS, TEXTS, st.booleans(), st.none(), st.binary(max_size=12), OBJECTS)

FILL = st.one_of(st.just(""), st.sampled_from("*0 x{}é€😀"))
SPECS = st.one_of(
    st.just(""),
    st.builds(
        "".join,
        st.tuples(
            st.one_of(st.just(""), st.builds("".join, st.tuples(FILL, st.sampled_from("<>=^")))),
            st.sampled_from(["", "", "+", "-", " "]),
            st.sampled_from(["", "", "", "z"]),
            st.sampled_from(["", "", "#"]),
            st.sampled_from(["", "", "0"]),
            st.sampled_from(["", "", "1", "8", "20", "300", "5000", "10000", "10001", "٢٠٠٠٠", "9" * 5000]),
            st.sampled_from(["", "", ",", "_"]),
            st.sampled_from(["", "", ".0", ".1", ".3", ".17", ".60", ".200", ".10000", ".10001", ".1000000000"]),
            st.sampled_from(["", "", *"bcdeEfFgGnosxX%"]),
        ),
    ),
    st.text("<>=^+- #0,_.8sdfgexXb%", max_size=6),
)
NAMES = st.sampled_from(
    [
        "user",
        "order_id",
        "größe",
        "message",
        "self",
        "level",
        "name",
        "x",
        "0a",
        "exc_inf0",
        "a" * 10,
        "0",
        "a.b",
        "c[0]",
        "",
    ]
)
LITERALS = st.one_of(
    st.just(""), st.sampled_from(["{{", "}}", " ", "order ", "\n", "\0", "é", "😀 "]), st.text("ab {", max_size=3),
    st.text(CHARS, max_size=4).map(lambda text: text.replace("{", "{{").replace("}", "}}")),
)  # fmt: skip


@st.composite
def calls(draw):
    """(template, args, fields): mostly right, sometimes wrong in every way that a template can be wrong."""
    args, fields, parts = [], {}, []
    numbered = draw(st.integers(0, 3)) == 0
    for _ in range(draw(st.integers(0, 4))):
        parts.append(draw(LITERALS))
        what = draw(st.integers(0, 9))
        if what <= 5:
            args.append(draw(VALUES))
            name = str(draw(st.integers(0, len(args) - 1))) if numbered else ""
        elif what == 6:
            name = draw(NAMES)
            fields[name] = draw(VALUES)
        elif what == 7:
            name = draw(NAMES)  # perhaps not given
        elif what == 8:
            args.append(draw(st.one_of(OBJECTS, INTEGERS)))
            place = str(len(args) - 1) if numbered else ""
            name = place + draw(st.sampled_from([".real", ".name", "[key]", "[0]", ".imag.real", ".missing", "[", "."]))
        else:
            continue
        conversion = draw(st.sampled_from(["", "", "", "!r", "!s", "!a", "!x"]))
        spec = draw(SPECS)
        if draw(st.integers(0, 9)) == 0:
            args.append(draw(st.sampled_from([5, 0, "d", "<8", "é^9", None, -3, 20_000_000, ".10001", "}>10000"])))
            spec += "{" + (str(len(args) - 1) if numbered else "") + "}"
        if draw(st.integers(0, 5)):
            spec = spec.replace("{}", "").replace("}", "") if not spec.endswith("}") else spec
        parts.append("{" + name + conversion + (":" + spec if spec else "") + "}")
    parts.append(draw(LITERALS))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        args.append(draw(VALUES))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        fields[draw(NAMES)] = draw(VALUES)
    if args and draw(st.integers(0, 19)) == 0:
        args.pop()
    return "".join(parts), args, fields


def encoded(text):
    return text.encode("utf-8", "backslashreplace")


class Bench:
    """A logger on a file that is read behind the last place."""

    def __init__(self, folder: Path) -> None:
        self.told = []
        self.telling = threading.Condition()
        self.logger = Logger(LoggerConfig(on_error=self.hear, async_buffer_size=1 << 16))
        path = folder / "messages.log"
        self.logger.add_sink(SinkConfig(path=path, format="{message}", newlines="keep"))
        self.file = path.open("rb")

    def hear(self, error: Exception) -> None:
        if type(error) is Advice:  # arguments that no placeholder takes: told once for each call site
            return
        with self.telling:
            self.told.append(error)
            self.telling.notify_all()

    def heard(self, count: int) -> None:
        with self.telling:
            assert self.telling.wait_for(lambda: len(self.told) >= count, 30), "on_error was not told"
            assert len(self.told) == count
            self.told.clear()

    def lines_of(self, batch):
        """What the file gets from a batch of calls."""
        for template, args, fields in batch:
            assert self.logger.info(template, *args, **fields) is None
        assert self.logger.flush(30)
        return self.file.read()

    def close(self) -> None:
        self.logger.close()
        self.file.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("messages"))
    yield bench
    bench.close()


@given(batch=st.lists(calls(), min_size=1, max_size=12))
def test_the_line_is_what_str_format_makes_or_the_message_and_the_reprs(bench, batch):
    wanted = [expected(*call) for call in batch]
    before = bench.logger.stats().failed_formats
    written = bench.lines_of(batch)
    if written != b"".join(encoded(text) + b"\n" for text, _ in wanted):
        for call, (text, _) in zip(batch, wanted, strict=True):
            assert (call, bench.lines_of([call])) == (call, encoded(text) + b"\n")
        raise AssertionError("each call alone is right, the batch is not")
    failures = sum(failed for _, failed in wanted)
    assert bench.logger.stats().failed_formats - before == failures
    bench.heard(failures)


PLACEHOLDERS = [
    *(
        "{user}",
        "{user}",
        "{x!r}",
        "{x!s:>9}",
        "{order_id:{x}}",
        "{user:>{order_id}}",
        "{x:{user!r}}",
        "{x:{{}}}",
        "{user!x}",
    ),
    *("{user.real}", "{user[0]}", "{user.__class__}", "{x:{user.real}}", "{x:{user:{x}}}", "{x:{order_id:10001}}"),
    *(
        "{}",
        "{0}",
        "{:}",
        "{ user }",
        "{token}",
        "{a.b}",
        "{größe}",
        "{",
        "}",
        "{{",
        "}}",
        "{user",
        "user}",
        "{user:>10001}",
    ),
]


@st.composite
def outside_texts(draw):
    """(message, fields): a text that somebody else has written, and fields that it may name."""
    pieces = st.one_of(LITERALS, st.sampled_from(PLACEHOLDERS), st.builds("{{{}:{}}}".format, NAMES, SPECS))
    parts = draw(st.lists(pieces, max_size=5))
    fields = draw(
        st.dictionaries(NAMES, st.one_of(st.sampled_from([5, ">8", "12", 20_000]), VALUES), min_size=1, max_size=5)
    )
    return "".join(parts), fields


@given(calls=st.lists(outside_texts(), min_size=1, max_size=6))
@settings(max_examples=max(1, settings().max_examples // 2))
def test_with_fields_alone_only_plain_names_of_given_fields_are_filled(bench, calls):
    # Each message three times: what is a template is one for the flusher then.
    batch = [(message, (), fields) for message, fields in calls for _ in range(3)]
    wanted = [expected(*call) for call in batch]
    assert bench.lines_of(batch) == b"".join(encoded(text) + b"\n" for text, _ in wanted)
    bench.heard(sum(failed for _, failed in wanted))


@given(message=TEXTS.map(lambda text: text + "{x}"), given_once=VALUES, later=VALUES)
def test_a_template_of_one_call_is_none_of_another_with_other_fields(bench, message, given_once, later):
    batch = [(message, (), {"x": given_once}), (message, (), {"y": later}), (message, (later,), {"x": given_once})]
    wanted = [expected(*call) for call in batch]
    assert bench.lines_of(batch) == b"".join(encoded(text) + b"\n" for text, _ in wanted)
    bench.heard(sum(failed for _, failed in wanted))


@given(template=TEXTS, values=st.lists(VALUES, max_size=3))
def test_any_text_as_a_template(bench, template, values):
    wanted, failed = expected(template, values, {})
    assert bench.lines_of([(template, values, {})]) == encoded(wanted) + b"\n"
    bench.heard(int(failed))


@given(value=VALUES, spec=SPECS)
def test_one_value_formatted_often_at_one_place(bench, value, spec):
    # The same template object again and again: the flusher's program renders it, not str.format.
    template = "{:" + spec + "}"
    wanted, failed = expected(template, [value], {})
    written = bench.lines_of([(template, [value], {})] * 3)
    assert written == 3 * (encoded(wanted) + b"\n")
    bench.heard(3 * failed)


@pytest.mark.parametrize("conversion", ["", "!s", "!r", "!a"])
@pytest.mark.parametrize("value", ["\ud8b9", "a\ud800", "é\udfff", "\U0001f600"])
def test_padding_counts_a_lone_surrogate_as_one(bench, value, conversion):
    template = "|{" + conversion + ":>9}|{" + conversion + ":.1}|"
    assert bench.lines_of([(template, [value, value], {})]) == encoded(template.format(value, value)) + b"\n"


@pytest.mark.parametrize("spec", ["", ":s", ":<3", ":.99", "!s"])
def test_a_subclass_of_str_alone_in_the_template(tmp_path, spec):
    class Name(str):
        def __str__(self):
            return "another text"

    template = "{" + spec + "}"
    logger = Logger(LoggerConfig(auto_sink=False))
    logger.add_sink(SinkConfig(path=tmp_path / "a.log", format="{message}"))
    logger.info(template, Name("somebody"))
    logger.close()
    assert (tmp_path / "a.log").read_text() == str.__str__(template.format(Name("somebody"))) + "\n"
    assert logger.stats().failed_formats == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(IS_FREE_THREADED, reason="without a GIL, CPython's allocator keeps what a text has freed")
def test_a_huge_message_does_not_stay_in_memory(tmp_path: Path) -> None:
    program = f"""
import re
from logly import Logger, LoggerConfig, SinkConfig
def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
logger = Logger(LoggerConfig(auto_sink=False))
logger.add_sink(SinkConfig(path={str(tmp_path / "a.log")!r}))
logger.add_sink(SinkConfig(path={str(tmp_path / "a.json")!r}, json=True))
logger.add_sink(SinkConfig(path={str(tmp_path / "filtered.log")!r}, filter=lambda record: True))
logger.info("warm {{}}", 1); logger.flush()
before = resident()
logger.info("{{}} {{}}", "x" * 50_000_000, 1); logger.flush()
logger.info("after {{}}", 1); logger.flush()
import gc; gc.collect()
print(resident() - before)
logger.close()
"""
    done = run_program(program, timeout=120)
    assert int(done.stdout) < 40, "MiB more than before"
    assert (tmp_path / "a.log").stat().st_size > 50_000_000
