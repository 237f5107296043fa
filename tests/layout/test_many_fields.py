"""Records with many fields from several sources: which value counts, where it stands; and the work stays linear."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.lines import Lines

RESERVED = ["level", "message", "module", "lineno", "function", "timestamp", "exception"]
# Alike in every way but one: in length, in the first or last letters, in how CPython stores them.
NAMES = st.one_of(
    st.integers(0, 60).map(lambda n: f"field_{n}"),
    st.integers(0, 40).map(lambda n: "a" * n),
    st.integers(0, 40).map(lambda n: "a" * n + "b"),
    st.integers(120, 140).map(lambda n: "x" * n),
    st.sampled_from(["é", "é" * 8, "ä" * 9, "名" * 3, "名前" * 20, "😀", "😀" * 9, "ÿ", "\xc3\xbf"]),
    st.builds(lambda name, n: name + "_" * n, st.sampled_from(RESERVED), st.integers(0, 12)),
)
SOURCES = st.dictionaries(NAMES, st.integers(0, 9), max_size=70)


@pytest.fixture(scope="module")
def many():
    records = []
    outputs = {
        "text": Lines(format="{fields}"),
        "json": Lines(json=True),
        "logfmt": Lines(format="logfmt"),
        "named": Lines(format="{field_1},{field_2},{é},{名名名},{aaa},{level_},{field_3},{field_4}"),
    }
    for lines in outputs.values():
        lines.logger.add_sink(SinkConfig(function=records.append))
    yield outputs, records
    for lines in outputs.values():
        lines.close()


def fields_in_text(text):
    return [tuple(pair.rsplit("=", 1)) for pair in text.split(", ")] if text else []


def by_last_place(*sources):
    """As text, JSON and logfmt have them: the value that counts, where it stands."""
    merged = {}
    for source in sources:
        for name, value in source.items():
            merged.pop(name, None)
            merged[name] = value
    return merged


def free_names(fields):
    """JSON's own keys give way: {name in the output: value}, in order."""
    found = {}
    for name, value in fields.items():
        if name in RESERVED:
            name += "_"
            while name in fields:
                name += "_"
        found[name] = value
    return found


@given(context=SOURCES, bound=SOURCES, call=SOURCES)
@settings(max_examples=max(1, settings().max_examples // 2))
def test_every_layout_shows_what_a_dict_would_hold(many, context, bound, call):
    outputs, records = many
    call.pop("message", None)
    wanted = by_last_place(context, bound, call)
    records.clear()
    for lines in outputs.values():
        with lines.logger.contextualize(**context):
            lines.logger.bind(**bound).info("m", **call)
    assert fields_in_text(outputs["text"].line()) == [(name, str(value)) for name, value in wanted.items()]
    found = list(outputs["json"].object().items())
    assert found[6:] == list(free_names(wanted).items())
    found = outputs["logfmt"].line().split(" lineno=")[1].split(" ")[1:]
    assert found == [f"{name or '_'}={value}" for name, value in free_names(wanted).items()]
    names = ["field_1", "field_2", "é", "名名名", "aaa", "level_", "field_3", "field_4"]
    assert outputs["named"].line() == ",".join(str(wanted.get(name, "")) for name in names)
    assert [record.fields for record in records] == [wanted] * 4
    assert list(records[0].fields) == list({**context, **bound, **call})


@given(bound=SOURCES, call=st.dictionaries(NAMES, st.integers(0, 9), min_size=1, max_size=40))
@settings(max_examples=max(1, settings().max_examples // 2))
def test_the_call_fills_its_message_among_many_fields(many, bound, call):
    outputs, records = many
    lines = outputs["json"]
    call = {"x": 1, **{name: value for name, value in call.items() if name and name != "message"}}
    message = "/".join(f"{{{name}:>{width}}}" for width, name in enumerate(call, 1))
    for _ in range(3):  # the second one and the third on the flusher's thread
        lines.logger.bind(**bound).info(message, **call)
    wanted = message.format(**call)
    assert [found["message"] for found in lines.objects()] == [wanted] * 3
    assert [record.message for record in records[-3:]] == [wanted] * 3


def test_several_sinks_share_what_is_known_of_one_record_and_not_of_the_next(tmp_path):
    with Lines(LoggerConfig(level=0), format="{fields}") as lines:
        lines.logger.add_sink(SinkConfig(path=tmp_path / "a.json", json=True))
        for n in range(40):
            bound = {f"f{i}": i for i in range(n)}
            lines.logger.bind(**bound).info("m", f1="mine", g=n)
        found = lines.lines()
    objects = [json.loads(line) for line in (tmp_path / "a.json").read_text().splitlines()]
    for n, (line, one) in enumerate(zip(found, objects, strict=True)):
        wanted = by_last_place({f"f{i}": i for i in range(n)}, {"f1": "mine", "g": n})
        assert dict(list(one.items())[6:]) == wanted
        assert fields_in_text(line) == [(name, str(value)) for name, value in wanted.items()]


def test_unbinding_many_names(many):
    outputs, _ = many
    lines = outputs["text"]
    bound = lines.logger.bind(**{f"f{i}": i for i in range(100)}, **{"\ud800": 1})
    bound.unbind(*(f"f{i}" for i in range(1, 100)), "\ud800", "nothing").info("m")
    assert lines.line() == "f0=0"


# ---- the work: sixteen times as many fields may take sixteen times as long, and not 256 times


def seconds(make, layout, repeat=5):
    """The best of some runs of the flusher over one record."""
    logger = Logger(LoggerConfig(async_buffer_size=1 << 25, async_flush_interval=60_000, auto_sink=False))
    with open("/dev/null", "wb") as null:
        logger.add_sink(SinkConfig(fd=null.fileno(), **layout))
        log = make(logger)
        log()
        assert logger.flush(60)
        best = float("inf")
        for _ in range(repeat):
            log()
            begun = time.perf_counter()
            assert logger.flush(60)
            best = min(best, time.perf_counter() - begun)
        logger.close()
    return best


def three_sources(count):
    def make(logger):
        bound = logger.bind(**{f"bound_{i}": i for i in range(count)})
        call = {f"call_{i}": i for i in range(count)}
        context = logger.contextualize(**{f"context_{i}": i for i in range(count)})

        def log():
            with context:
                bound.info("form", **call)

        return log

    return make


def alike(count):
    """Names that differ in their length alone, and one that has to find a free one among them."""

    def make(logger):
        bound = logger.bind(level=1, **{"level" + "_" * i: i for i in range(1, count)})
        return lambda: bound.info("form", other=1)

    return make


@pytest.mark.parametrize(
    ("make", "layout", "few"),
    [
        (three_sources, {"format": "{message} {fields}"}, 1000),
        (three_sources, {"json": True}, 1000),
        (three_sources, {"format": "logfmt"}, 1000),
        (alike, {"json": True}, 250),
        (alike, {"format": "logfmt"}, 250),
    ],
    ids=["text", "json", "logfmt", "free key, json", "free key, logfmt"],
)
def test_the_work_grows_with_the_fields_and_not_with_their_square(make, layout, few):
    # Names of growing length are a square's size themselves: fourfold, they are sixteen times as much. The bounds are
    # generous, because the machine is shared: a search per field would take 256 times as long, or 64 for these names.
    many, bound = (4 * few, 40) if make is alike else (16 * few, 100)
    ratios = (seconds(make(many), layout) / seconds(make(few), layout) for _ in range(5))
    assert any(ratio < bound for ratio in ratios)


def test_a_layout_may_name_many_of_many_fields():
    def make(logger):
        bound = logger.bind(**{f"bound_{i}": i for i in range(8000)})
        return lambda: bound.info("form", other=1)

    few, many = ("".join(f"{{bound_{i}}}" for i in range(count)) for count in (10, 400))
    assert any(seconds(make, {"format": many}) < 12 * seconds(make, {"format": few}) for _ in range(5))


def test_a_template_that_names_hundreds_of_fields(many):
    outputs, _ = many
    names = [f"n{i}" for i in range(600)]
    outputs["json"].logger.info("".join(f"{{{name}}}" for name in names), **dict.fromkeys(names, 1))
    assert outputs["json"].object()["message"] == "1" * 600
