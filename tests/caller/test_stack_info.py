"""`stack_info=True`: the stack of the call, as `logging` prints it."""

import io
import json
import logging

import pytest

from logly import LoggerConfig, SinkConfig, StdlibHandler, StdlibSink
from tests.support.lines import Lines, parse

HEAD = "Stack (most recent call last):"


def stack_of_logging(line_of_call):
    """What `logging` prints for a call at this place, with the line of logly's call."""
    made = io.StringIO()
    logger = logging.Logger("oracle")
    logger.addHandler(logging.StreamHandler(made))
    logger.info("x", stack_info=True, stacklevel=2)
    text = made.getvalue().removeprefix("x\n").rstrip("\n")
    head, _, last = text.rpartition("\n  File ")
    assert "test_stack_info" in last
    return head


def test_text_is_as_loggings():
    with Lines(format="{message}") as lines:
        lines.logger.info("x", stack_info=True)
        first, *rest = lines.lines()
    assert first == "x"
    assert rest[0] == HEAD
    assert "\n".join(rest[:-2]) == stack_of_logging(0)
    assert rest[-2].endswith("in test_text_is_as_loggings")
    assert rest[-1] == '    lines.logger.info("x", stack_info=True)'


def test_every_call_takes_it():
    with Lines(LoggerConfig(level=0), json=True) as lines:
        for name in ("trace", "debug", "info", "success", "warning", "error", "fail", "critical", "exception"):
            getattr(lines.logger, name)("x", stack_info=True)
        lines.logger.log("INFO", "{}", 1, stack_info=1)
        lines.logger.bind(a=1).info("x", b=2, stack_info=True)
        for found in lines.objects():
            assert found["stack"].startswith(HEAD + "\n")
            assert found["stack"].endswith("stack_info=True)") or "stack_info=1" in found["stack"]
            assert "stack_info" not in found


@pytest.mark.parametrize("value", [False, None, 0])
def test_without_it_there_is_none(value):
    with Lines(json=True) as lines:
        lines.logger.info("x", stack_info=value)
        assert not {"stack", "stack_info"} & lines.object().keys()


def test_a_name_that_is_not_interned_means_the_same():
    with Lines(json=True) as lines:
        lines.logger.info(
            "x", **json.loads('{"stack_info": true, "stacklevel": 1, "exc_info": false, "stack_info_": 1}')
        )
        found = lines.object()
    assert found["stack"].startswith(HEAD)
    assert found["stack_info_"] == 1
    assert not {"stack_info", "stacklevel", "exc_info"} & found.keys()


def outer(logger, **options):
    logger.info("x", stack_info=True, **options)


def test_stacklevel_moves_it():
    with Lines(json=True) as lines:
        outer(lines.logger)
        outer(lines.logger, stacklevel=2)
        inner, moved = lines.objects()
    assert "in outer" in inner["stack"]
    assert "in outer" not in moved["stack"]
    assert moved["stack"].splitlines()[-2].endswith("in test_stacklevel_moves_it")


def test_with_an_exception_it_comes_last():
    layouts = {"text": Lines(format="{message}"), "json": Lines(json=True), "logfmt": Lines(format="logfmt")}
    for lines in layouts.values():
        try:
            raise ValueError("wrong")
        except ValueError:
            lines.logger.exception("x", stack_info=True)
    text = layouts["text"].text()
    assert text.index("Traceback (") < text.index("ValueError: wrong\n" + HEAD)
    found = layouts["json"].object()
    assert list(found)[-2:] == ["exception", "stack"]
    assert "Stack (" not in found["exception"]["stack"]
    assert found["stack"].startswith(HEAD)
    line = layouts["logfmt"].line()
    assert line.index(' exception="Traceback') < line.index(f' stack="{HEAD}\\n')
    for lines in layouts.values():
        lines.close()


def test_a_placed_exception_has_the_stack_too():
    with Lines(format="{exception}|{message}") as lines:
        lines.logger.info("x", stack_info=True)
        text = lines.text()
    assert text.startswith(HEAD)
    assert text.endswith("stack_info=True)|x\n")


@pytest.mark.parametrize("layout", [{"json": True}, {"format": "logfmt"}])
def test_fields_of_that_name_keep_it(layout):
    with Lines(**layout) as lines:
        lines.logger.info("x", stack="mine", stack_="too", stack_info=True)
        line = lines.line()
    if "json" in layout:
        found = parse(line)
        assert (found["stack"], found["stack_"]) == ("mine", "too")
        assert found["stack__"].startswith(HEAD)
    else:
        assert ' stack=mine stack_=too stack__="Stack (most' in line


def test_no_text_from_outside_begins_a_line():
    source = "def evil(logger):\n    logger.info('x', stack_info=True)\n"
    space = {}
    exec(compile(source, "a\n2026-01-01 00:00:00.000 | ERROR | forged", "exec"), space)
    with Lines() as lines:
        space["evil"](lines.logger)
        first, head, *rest = lines.lines()
    assert first.endswith("| x")
    assert head == HEAD
    assert all(line.startswith("  ") for line in rest)


def test_a_function_sink_gets_it():
    records = []
    with Lines() as lines:
        lines.logger.add_sink(SinkConfig(function=records.append))
        lines.logger.info("x", stack_info=True)
        lines.logger.info("y")
        assert lines.logger.flush(30)
    assert records[0].stack.startswith(HEAD)
    assert records[1].stack is None


def test_from_logging_and_to_logging():
    made = io.StringIO()
    handler = logging.StreamHandler(made)
    std = logging.Logger("std")
    with Lines(json=True) as lines:
        std.addHandler(StdlibHandler(lines.logger))
        lines.logger.add_sink(SinkConfig(function=StdlibSink(handler)))
        std.info("x", stack_info=True)
        found = lines.object()
    assert found["stack"].startswith(HEAD)
    assert found["stack"].splitlines()[-1].strip() == 'std.info("x", stack_info=True)'
    assert made.getvalue() == f"x\n{found['stack']}\n"


def test_a_stack_that_came_over_a_socket_is_made_safe():
    record = logging.makeLogRecord({"msg": "x", "levelno": 30, "stack_info": HEAD + "\n2026-01-01 | ERROR | forged"})
    with Lines() as lines:
        StdlibHandler(lines.logger).handle(record)
        first, *rest = lines.lines()
    assert first.endswith("| x")
    assert all(line.startswith("    ") for line in rest)
