"""`SinkConfig.dedup`: which records are equal, and what the line that counts looks like."""

from __future__ import annotations

import json
import logging
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from logly import ConfigError, Logger, SinkConfig
from logly.stdlib import StdlibHandler
from tests.support.hooks import limit_registry
from tests.support.log_files import lines_of
from tests.support.loggers import assert_books, counting_logger
from tests.support.repeats import add, say, told
from tests.support.threads import run_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(level=0)


# ---- what is equal


def test_one_line_and_then_how_many_more(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log")
    say(logger, "a", 226)
    say(logger, "b")
    say(logger, "a", 2)
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["a", "x225 a", "b", "a", "x1 a"]
    stats = logger.sink_stats(sink)
    assert (stats.written, stats.repeated, stats.pending, stats.refused) == (229, 226, 0, 0)
    assert_books(logger, 229)


def test_lines_in_turn_are_not_in_succession(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log")
    for _ in range(3):
        say(logger, "a")
        say(logger, "b")
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["a", "b"] * 3


def test_what_makes_records_different(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log", format="logfmt")

    def here(level: str = "info", *args: object, **fields: object) -> None:
        logger.log(level, "{} {}" if args else "text", *args, **fields)

    different: list[tuple[Any, dict[str, Any]]] = [
        (("info",), {}),
        (("error",), {}),
        (("info", 1, 2), {}),
        (("info", 1, 2.0), {}),
        (("info", 0.0, 2), {}),
        (("info", -0.0, 2), {}),
        (("info",), {"a": 1}),
        (("info",), {"a": "1"}),
        (("info",), {"b": "1"}),
        (("info",), {"a": [1]}),
        (("info",), {"a": [2]}),
        (("info",), {"a": None}),
        (("info",), {"exc_info": KeyError(1)}),
        (("info",), {"exc_info": KeyError(2)}),
        (("info",), {"stack_info": True}),
    ]
    for args, fields in different:
        for _ in range(2):
            here(*args, **fields)
    logger.info("text")
    logger.info("text")  # another call site
    logger.named("other").info("text")
    for name in ("x", "y"):
        logger.named(name).bind(n=1).info("bound")
    for request in (1, 1, 2):
        with logger.contextualize(request=request):
            logger.info("in a context")
    assert logger.flush(30)
    # Contexts 1 and 1 are equal, and each pair from `here`.
    assert logger.sink_stats(sink).repeated == len(different) + 1


def test_a_nan_equals_itself_as_its_bits_do(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log")
    for _ in range(3):
        logger.info("{} {}", math.nan, math.inf)
    assert logger.flush(30)
    assert told(tmp_path / "app.log") == ["nan inf", "x2 nan inf"]


def test_a_message_that_is_a_text_at_first_and_then_has_a_template(tmp_path: Path, logger: Logger) -> None:
    """The registry gives a place to a template that comes a second time, where it is no constant of the code."""
    add(logger, tmp_path / "app.log")
    records = logging.Logger("other")
    records.addHandler(StdlibHandler(logger))
    for number in range(20):
        template = f"made {number} {{}} \u20ac" if number % 2 else f"made {number} {{}}"
        for _ in range(4):
            logger.info(template, number, a=1)
        for _ in range(4):
            records.warning(f"percent {number} %s %.2f", "x", 1.5)
    assert logger.flush(30)
    assert [line.split(" ")[0] for line in told(tmp_path / "app.log")] == ["made", "x3", "percent", "x3"] * 20


@pytest.mark.parametrize("numbered_first", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        "logger.info('{} \u20ac, {!r}', 1.5, 'two', a=[1])",
        "logger.info('text')",
        "logger.info('{a} of {}', 7, a='\u20ac')",
        "logger.exception('{a} of {}', 7, a='\u20ac', stack_info=True)",
    ],
)
def test_names_that_have_a_number_and_names_that_have_none(
    tmp_path: Path, logger: Logger, call: str, numbered_first: bool
) -> None:
    """A crowded registry: one record has its call site, message and traceback inside, and the next one by number."""
    add(logger, tmp_path / "app.log", format="{message} {lineno}")
    code = f"def say(logger):\n  try: raise KeyError(1)\n  except KeyError: {call}"

    def says() -> Callable[[Logger], None]:
        """New code, which the registry does not know, of the same lines."""
        names: dict[str, Any] = {"__name__": f"module.{tmp_path.name}"}
        exec(compile(code, f"/{tmp_path.name}/\u20ac.py", "exec"), names)
        say: Callable[[Logger], None] = names["say"]
        return say

    for is_numbered in (numbered_first, not numbered_first, numbered_first):
        limit_registry(*(None, None, None) if is_numbered else (0, 0, 0))
        try:
            say = says()
            for _ in range(4):
                say(logger)
        finally:
            limit_registry()
    assert logger.flush(30)
    first, *traceback, counted = told(tmp_path / "app.log")
    assert counted == f"x11 {first}"
    assert first not in traceback
    assert bool(traceback) == ("exception" in call)


def test_threads_do_not_make_records_different(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", format="{thread} {message}")

    def work() -> None:
        for _ in range(500):
            logger.info("the same line {}", 1)

    run_threads(*[work] * 4)
    assert logger.flush(30)
    lines = [line.split(" ", 1)[1] for line in told(tmp_path / "app.log")]
    assert lines == ["the same line 1", "x1999 the same line 1"]
    assert_books(logger, 2000)


def test_lone_surrogates_and_text_beyond_latin_1(tmp_path: Path, logger: Logger) -> None:
    texts = ["\ud800 half", "größer", "\u20ac", "\U0001f600"]
    add(logger, tmp_path / "app.log")
    add(logger, tmp_path / "app.json", format="json")
    for text in texts:
        for _ in range(3):
            logger.info(text, field=text)
        for _ in range(2):
            logger.info("as argument {}", text)
    assert logger.flush(30)
    lines = told(tmp_path / "app.log")
    assert lines[:2] == ["\\ud800 half", "x2 \\ud800 half"]
    assert len(lines) == 4 * len(texts)
    found = [json.loads(line) for line in lines_of(tmp_path / "app.json")]
    for first, counted in zip(found[::2], found[1::2], strict=True):
        assert counted["message"] == first["message"]
        assert counted.get("field") == first.get("field")
        assert counted["repeated"] in (1, 2)


def test_large_records_are_never_repeats(tmp_path: Path, logger: Logger) -> None:
    sink = add(logger, tmp_path / "app.log")
    for _ in range(3):
        logger.info("x" * 60_000)
    for _ in range(3):
        logger.info("y" * 70_000)
    for _ in range(3):
        logger.info("{:>9999}" * 40, *range(40))  # a small record whose message is large
    assert logger.flush(30)
    assert logger.sink_stats(sink).repeated == 2
    assert [len(line) for line in told(tmp_path / "app.log")] == [60_000, 60_003, *[70_000] * 3, *[399_960] * 3]


# ---- what the line looks like


def test_a_call_that_cpython_specializes_is_the_same_call_site(tmp_path: Path, logger: Logger) -> None:
    """In CPython 3.11 the instruction of a call is another one after some calls."""
    sink = add(logger, tmp_path / "app.log")
    for number in range(3):
        space = {"logger": logger, "__name__": "made"}
        exec(f"def f():\n    for _ in range(40):\n        logger.info('text {number}')\nf()", space)
    assert logger.flush(30)
    assert logger.sink_stats(sink).repeated == 3 * 39


def test_in_json_there_are_fields(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", format="json")
    for _ in range(4):
        logger.named("shop").info("order {}", 7, user="ann", repeated="mine")
    assert logger.flush(30)
    first, counted = (json.loads(line) for line in lines_of(tmp_path / "app.log"))
    assert first["repeated"] == "mine"
    times = [counted.pop(key) for key in ("timestamp", "repeated_first", "repeated_last")]
    assert first.pop("timestamp") <= times[1] <= times[2] == times[0]
    assert counted == {**first, "repeated": 3}


def test_in_logfmt_too(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", format="logfmt")
    for _ in range(3):
        logger.info("order {}", 7, user="ann")
    assert logger.flush(30)
    first, counted = lines_of(tmp_path / "app.log")
    assert re.fullmatch(
        re.escape(first.split(" ", 1)[1]) + r" repeated=2 repeated_first=(\S+Z) repeated_last=(\S+Z)",
        counted.split(" ", 1)[1],
    )


def test_the_default_layout_says_it_in_the_message_with_its_own_times(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", format=None)
    for _ in range(3):
        logger.warning("order {}", 7, user="ann")
    assert logger.flush(30)
    first, counted = lines_of(tmp_path / "app.log")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"
    front = first.split(" | ", 1)[1].split(" - ")[0].split(" | order")[0]
    assert re.fullmatch(
        rf"{stamp} \| {re.escape(front)} \| repeated 2 times from {stamp} to {stamp}: order 7 \| user=ann", counted
    ), counted


def test_a_line_with_colours_has_them_too(tmp_path: Path, logger: Logger) -> None:
    for color in ("line", "level"):
        add(logger, tmp_path / f"{color}.log", format="{level} {message}", color=color)
    logger.configure(level_colors={"info": "31"})
    say(logger, "a", 3)
    assert logger.flush(30)
    assert told(tmp_path / "line.log") == ["\x1b[31mINFO a\x1b[0m", "\x1b[31mINFO x2 a\x1b[0m"]
    assert told(tmp_path / "level.log") == ["\x1b[31mINFO\x1b[0m a", "\x1b[31mINFO\x1b[0m x2 a"]


def test_an_exception_is_shown_once(tmp_path: Path, logger: Logger) -> None:
    add(logger, tmp_path / "app.log", newlines="escape")
    add(logger, tmp_path / "app.json", format="json")
    for _ in range(3):
        try:
            raise ValueError("no")
        except ValueError:
            logger.exception("failed {}", 1, stack_info=True)
    assert logger.flush(30)
    text = (tmp_path / "app.log").read_text()
    assert text.count("ValueError: no") == 1
    assert told(tmp_path / "app.log")[-1] == "x2 failed 1"
    first, counted = (json.loads(line) for line in lines_of(tmp_path / "app.json"))
    assert first["exception"]["type"] == "ValueError"
    assert "exception" not in counted
    assert "stack" not in counted
    assert counted["repeated"] == 2


def test_names_of_code_that_is_gone_are_still_told(tmp_path: Path, logger: Logger) -> None:
    """The registry gives the numbers of templates and call sites back while a run goes on."""
    sink = add(logger, tmp_path / "app.log", format="{module} {function} {lineno} {message}")
    for number in range(3):
        space = {"logger": logger, "__name__": f"made{number}"}
        exec(f"def f{number}():\n    for _ in range(3): logger.info('text {number} {{}}', 1)\nf{number}()", space)
        space.clear()
    say(logger, "end")
    assert logger.flush(30)
    assert logger.sink_stats(sink).repeated == 6
    lines = told(tmp_path / "app.log")
    for number in range(3):
        assert lines[2 * number] == f"made{number} f{number} 2 text {number} 1"
        assert lines[2 * number + 1] == f"made{number} f{number} 2 x2 text {number} 1"


# ---- settings


@pytest.mark.parametrize("value", [0, 0.0, -1, -0.5, True, False, "5", "5 s", math.nan, math.inf, 86_401, [5], 1e-9])
def test_what_is_no_number_of_seconds_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"dedup = .* a number of seconds from 0\.001 to 86400") as caught:
        SinkConfig(dedup=value).validate()
    assert caught.value.field == "dedup"


def test_a_function_with_a_filter_is_refused() -> None:
    config = SinkConfig(function=print, filter=lambda _record: True, dedup=5)
    with pytest.raises(ConfigError, match=r"dedup = 5 .* leave filter out"):
        config.validate()


@pytest.mark.parametrize("value", [0.001, 5, 5.0, 86_400, None])
def test_what_is_taken(value: Any) -> None:
    SinkConfig(dedup=value).validate()
