"""`StdlibHandler`: what becomes of one record of `logging`: its text, its traceback, where it was made."""

from __future__ import annotations

import copy
import io
import json
import logging
import logging.config
import logging.handlers
import os
import pickle
import queue
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logly
from logly import Logger, LoggerConfig, Record, SinkConfig, StdlibHandler, StdlibSink
from tests.support.hooks import has_template, registry_counts
from tests.support.log_files import lines_of
from tests.support.programs import run_program
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Bridge:
    """A `logging` logger whose records end in a file of JSON lines."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "app.json"
        self.logger = Logger(LoggerConfig(level="TRACE", auto_sink=False))
        self.logger.add_sink(SinkConfig(path=self.path, json=True))
        self.handler = StdlibHandler(self.logger)
        self.std = logging.Logger("shop.orders", logging.DEBUG)
        self.std.addHandler(self.handler)

    def records(self) -> list[dict[str, Any]]:
        assert self.logger.flush(PATIENCE_S)
        return [json.loads(line) for line in lines_of(self.path)]


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    one = Bridge(tmp_path)
    yield one
    one.logger.close()


@contextmanager
def unconfigured_logging() -> Iterator[None]:
    """For tests that configure `logging` as a whole. No fixture: pytest adds its handlers after those."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


# ---- a text that has been formatted once is never a template again

FROM_OUTSIDE: list[tuple[str, dict[str, Any]]] = [
    ("/{token}/{{x}}", {"token": "hunter2"}),
    ("/{s:>20000000}", {"s": 404}),
    ("/{s.__class__}", {"s": 404}),
    ("/{request[cookie]}", {"request": {"cookie": "secret"}}),
    ("/{0}{1}", {"s": 1}),
    ("/{", {"s": 1}),
    ("/%(s)s %d {s}", {"s": 1}),
]


@pytest.mark.parametrize(("path", "extra"), FROM_OUTSIDE)
def test_braces_in_a_finished_text_are_text(bridge: Bridge, path: str, extra: dict[str, Any]) -> None:
    bridge.std.warning("Not Found: %s", path, extra=extra)
    bridge.std.warning(path, extra=extra)
    first, second = bridge.records()[:2]
    assert (first["message"], second["message"]) == (f"Not Found: {path}", path)
    assert {key: first[key] for key in extra} == extra
    for _ in range(3):
        bridge.std.warning("%s", path, extra=extra)
        bridge.std.warning(path, extra=extra)
    for text in (path, f"Not Found: {path}"):
        assert not has_template(text), "text from outside takes no place among the templates"
        assert not has_template(text, percent=True)
    assert bridge.logger.stats().failed_formats == 0


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.text("{}!:.[]as0x>% ", max_size=12)


def test_any_text_arrives_as_logging_made_it(tmp_path: Path) -> None:
    seen: list[Record] = []
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(function=seen.append))
        handler = StdlibHandler(logger)

        @settings(max_examples=200, deadline=None)
        @given(TEXTS, st.dictionaries(st.sampled_from(["a", "s", "x0", "token"]), TEXTS))
        def check(text: str, extra: dict[str, str]) -> None:
            seen.clear()
            record = logging.LogRecord("n", logging.INFO, "/f.py", 1, "%s", (text,), None)
            vars(record).update(extra)
            handler.handle(record)
            assert logger.flush(PATIENCE_S)
            assert [(one.message, one.fields) for one in seen] == [(text, extra)]

        check()


@pytest.mark.parametrize(("path", "extra"), FROM_OUTSIDE)
def test_a_round_trip_through_both_bridges_changes_no_text(bridge: Bridge, path: str, extra: dict[str, Any]) -> None:
    with Logger(LoggerConfig(auto_sink=False)) as source:
        source.add_sink(SinkConfig(function=StdlibSink(bridge.std)))
        source.bind(**extra).info("{}", path)
        assert source.flush(PATIENCE_S)
    (record,) = bridge.records()
    assert record["message"] == path
    assert {key: record[key] for key in extra} == extra


def test_the_message_of_catch_is_text_whatever_is_bound(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    before = registry_counts()
    logger = bridge.logger.bind(token="hunter2")
    with logger.contextualize(user="ann"), logger.catch(message="{token} {user} {{x}} {function} {0:>2000000}"):
        raise ValueError
    (record,) = bridge.records()
    name = "test_the_message_of_catch_is_text_whatever_is_bound"
    assert record["message"] == f"{{token}} {{user}} {{{{x}}}} {name} {{0:>2000000}}"
    assert (record["token"], record["user"]) == ("hunter2", "ann")
    assert registry_counts()[0] == before[0]
    bridge.logger.close()


# ---- exceptions


def failure() -> tuple[type[BaseException], BaseException, Any]:
    try:
        raise KeyError("lost")
    except KeyError as error:
        return type(error), error, error.__traceback__


def test_the_traceback_of_the_tuple_counts_not_that_of_the_exception(bridge: Bridge) -> None:
    """Frameworks clear `__traceback__` against cycles, and hand the traceback on beside it."""
    kind, error, trace = failure()
    bridge.std.error("failed", exc_info=(kind, error.with_traceback(None), trace))
    (record,) = bridge.records()
    assert "in failure\n" in record["exception"]["stack"]
    assert record["exception"]["stack"].endswith("KeyError: 'lost'\n")


@pytest.mark.parametrize("nothing", [(None, None, None), (), None, False])
def test_no_exception_is_none(bridge: Bridge, nothing: Any) -> None:
    record = bridge.std.makeRecord("n", logging.ERROR, "/f.py", 1, "text", (), None)
    record.exc_info = nothing
    bridge.handler.handle(record)
    (found,) = bridge.records()
    assert found["message"] == "text"
    assert "exception" not in found


def test_a_traceback_that_another_handler_has_rendered_is_not_said_twice(bridge: Bridge) -> None:
    bridge.std.handlers.insert(0, logging.StreamHandler(io.StringIO()))  # its formatter leaves `exc_text` on the record
    bridge.std.error("failed", exc_info=failure())
    (record,) = bridge.records()
    assert record["message"] == "failed"
    assert record["exception"]["type"] == "KeyError"


def test_stack_info_is_the_stack(bridge: Bridge) -> None:
    bridge.std.info("here", stack_info=True)
    (record,) = bridge.records()
    assert record["stack"].startswith("Stack (most recent call last):\n")


def test_a_recursion_error_goes_up_as_from_loggings_own_handlers(bridge: Bridge) -> None:
    class Endless:
        def __str__(self) -> str:
            return str(self)

    with pytest.raises(RecursionError):
        bridge.std.info(Endless())
    bridge.std.info("after")
    assert [record["message"] for record in bridge.records()] == ["after"]


# ---- a formatter is used


def test_a_formatter_makes_the_message_with_its_traceback(bridge: Bridge) -> None:
    formatter = logging.Formatter("[%(levelname)s] %(message)s {order}")
    bridge.handler.setFormatter(formatter)
    bridge.std.error("failed", exc_info=failure(), stack_info=True, extra={"order": 7})
    (record,) = bridge.records()
    first, *rest = record["message"].split("\n")
    assert first == "[ERROR] failed {order}"
    assert rest[0] == "Traceback (most recent call last):"
    assert "KeyError: 'lost'" in rest
    assert record["message"].count("Traceback") == 1
    assert "Stack (most recent call last):" in rest
    assert record["order"] == 7
    assert not {"exception", "stack"} & record.keys(), "what the text says is not said twice"


def test_what_a_formatter_hides_stays_hidden(bridge: Bridge) -> None:
    class Discreet(logging.Formatter):
        def formatException(self, _: object) -> str:
            return "(an error)"

    bridge.handler.setFormatter(Discreet())
    bridge.std.error("failed", exc_info=failure())
    (record,) = bridge.records()
    assert record["message"] == "failed\n(an error)"
    assert "lost" not in json.dumps(record)


def test_a_subclass_with_a_format_of_its_own_is_listened_to(bridge: Bridge) -> None:
    class Loud(StdlibHandler):
        def format(self, record: logging.LogRecord) -> str:
            return record.getMessage().upper()

    bridge.std.handlers[:] = [Loud(bridge.logger)]
    bridge.std.info("quiet %s", "{text}")
    assert [record["message"] for record in bridge.records()] == ["QUIET {TEXT}"]


@pytest.mark.parametrize("style", ["%", "{", "$"])
def test_basic_config_without_a_format_changes_nothing(bridge: Bridge, style: str) -> None:
    """It puts a formatter of its own into every handler that has none."""
    with unconfigured_logging():
        logging.basicConfig(handlers=[bridge.handler], level=logging.INFO, style=style)
        assert bridge.handler.formatter is not None
        logging.getLogger("lib").error("failed", exc_info=failure())
    (record,) = bridge.records()
    assert record["message"] == "failed"
    assert record["exception"]["type"] == "KeyError"


def test_basic_config_with_a_format_means_it(bridge: Bridge) -> None:
    with unconfigured_logging():
        logging.basicConfig(handlers=[bridge.handler], level=logging.INFO, format="<%(name)s> %(message)s")
        logging.getLogger("lib").info("text")
    assert [record["message"] for record in bridge.records()] == ["<lib> text"]


@pytest.mark.parametrize(
    ("formatter", "message"),
    [
        ({"format": "%(levelname)s/%(message)s"}, "INFO/text"),
        ({"format": "{levelname}/{message}", "style": "{"}, "INFO/text"),
        ({"format": "%(message)s"}, "text"),
        ({}, "text"),
    ],
)
def test_dict_config_may_name_a_formatter(bridge: Bridge, formatter: dict[str, str], message: str) -> None:
    handler = {"class": "logly.StdlibHandler", "logger": bridge.logger, "formatter": "mine", "level": "INFO"}
    configuration = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"mine": formatter},
        "handlers": {"logly": handler},
        "root": {"handlers": ["logly"], "level": "DEBUG"},
    }
    with unconfigured_logging():
        logging.config.dictConfig(configuration)
        logging.getLogger("lib").debug("below the handler's level")
        logging.getLogger("lib").info("text")
    assert [record["message"] for record in bridge.records()] == [message]


# ---- where a record was made


def test_a_record_through_a_queue_keeps_its_thread(bridge: Bridge) -> None:
    seen: list[Record] = []
    text = bridge.path.with_suffix(".log")
    bridge.logger.add_sink(SinkConfig(path=text, format="{thread_name}|{thread}|{process}|{message}"))
    bridge.logger.add_sink(SinkConfig(function=seen.append))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    listener = logging.handlers.QueueListener(waiting, bridge.handler)
    far = logging.Logger("far", logging.DEBUG)
    far.addHandler(logging.handlers.QueueHandler(waiting))
    idents: list[int] = []

    def work() -> None:
        idents.append(threading.get_ident())
        far.info("from %s", "a worker", extra={"order": 7})
        try:
            raise KeyError("lost")
        except KeyError:
            far.exception("failed")

    worker = threading.Thread(target=work, name="worker 7")
    worker.start()
    worker.join(PATIENCE_S)
    listener.start()
    listener.stop()
    first, second = bridge.records()
    (ident,) = idents
    assert lines_of(text)[0] == f"worker 7|{ident}|{os.getpid()}|from a worker"
    assert [(one.thread, one.thread_name, one.process) for one in seen] == [(ident, "worker 7", os.getpid())] * 2
    assert (first["message"], first["order"]) == ("from a worker", 7)
    assert "process_name" not in first
    assert second["message"].startswith("failed\nTraceback (most recent call last):\n")
    assert second["message"].count("Traceback") == 1


SENDER = """
import logging, logging.handlers, sys, threading
handler = logging.handlers.SocketHandler("127.0.0.1", 1)
def work():
    record = logging.Logger("far").makeRecord("far", 30, "/far.py", 3, "from %s", ("afar",), None, extra={"order": 7})
    sys.stdout.buffer.write(handler.makePickle(record)[4:])
thread = threading.Thread(target=work, name="far thread")
thread.start()
thread.join()
"""


def test_a_record_of_another_process_keeps_thread_and_process(bridge: Bridge) -> None:
    seen: list[Record] = []
    text = bridge.path.with_suffix(".log")
    bridge.logger.add_sink(SinkConfig(path=text, format="{process} {thread} {thread_name}|{message}"))
    bridge.logger.add_sink(SinkConfig(function=seen.append))
    pickled = run_program(SENDER, text=False)
    attributes = pickle.loads(pickled.stdout)
    attributes["processName"] = "Spawned-1"
    assert attributes["process"] != os.getpid()
    bridge.handler.handle(logging.makeLogRecord(attributes))
    (record,) = bridge.records()
    assert (record["message"], record["order"], record["process_name"]) == ("from afar", 7, "Spawned-1")
    place = (attributes["process"], attributes["thread"], "far thread")
    assert [(one.process, one.thread, one.thread_name) for one in seen] == [place]
    assert lines_of(text) == ["{} {} {}|from afar".format(*place)]


def test_records_of_many_processes_in_turns(tmp_path: Path) -> None:
    """Parts of a line are kept from one record to the next: never those of another process."""
    path = tmp_path / "log"
    processes = [4242, 77, 2**31, os.getpid(), 4242, 4242]
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=path, format="{level} {process} {thread}|{message}"))
        handler = StdlibHandler(logger)
        for number, process in enumerate(processes * 3):
            record = logging.LogRecord("n", logging.INFO, "/f.py", 1, "%d", (number,), None)
            record.process, record.thread = process, 5 + number % 2
            handler.handle(record)
            logger.info("own")
    lines = lines_of(path)
    assert lines[0::2] == [f"INFO {process} {5 + number % 2}|{number}" for number, process in enumerate(processes * 3)]
    assert set(lines[1::2]) == {f"INFO {os.getpid()} {threading.get_ident()}|own"}


ODD: list[Any] = [None, "x", -1, 2**70, True, 1.5, object()]


@pytest.mark.parametrize("name", ["thread", "process", "lineno", "threadName", "processName", "funcName", "pathname"])
@pytest.mark.parametrize("value", ODD, ids=[type(value).__name__ + str(place) for place, value in enumerate(ODD)])
def test_an_odd_attribute_costs_no_record(bridge: Bridge, name: str, value: Any) -> None:
    bridge.logger.add_sink(
        SinkConfig(path=bridge.path.with_suffix(".log"), format="{thread} {thread_name} {process} {message}")
    )
    record = logging.LogRecord("n", logging.INFO, "/f.py", 1, "text", (), None)
    setattr(record, name, value)
    bridge.handler.handle(record)
    assert [one["message"] for one in bridge.records()] == ["text"]


def test_logging_that_notes_no_threads_and_processes(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, False)
    seen: list[Record] = []
    bridge.logger.add_sink(SinkConfig(function=seen.append))
    bridge.std.info("text")
    (record,) = bridge.records()
    assert "process_name" not in record
    assert [(one.thread, one.process) for one in seen] == [(threading.get_ident(), os.getpid())]


def test_the_way_back_to_logging_says_the_same(bridge: Bridge) -> None:
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    bridge.logger.add_sink(SinkConfig(function=StdlibSink(Keep())))
    record = logging.LogRecord("n", logging.INFO, "/f.py", 1, "text", (), None)
    far = copy.copy(record)
    far.process, far.processName, far.thread, far.threadName = 4242, "Spawned-1", 77, "far thread"
    for one in (record, far):
        bridge.handler.handle(one)
    assert bridge.logger.flush(PATIENCE_S)
    names = ("process", "processName", "thread", "threadName")
    assert [[getattr(one, name) for name in names] for one in kept] == [
        [getattr(one, name) for name in names] for one in (record, far)
    ]
    assert not hasattr(kept[1], "process_name")


# ---- filters, trouble


def test_a_filter_that_raises_is_told_to_the_caller_as_by_every_handler(bridge: Bridge) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        if record.getMessage() == "bad":
            raise ValueError("a filter's own trouble")
        return record.getMessage() != "unwanted"

    bridge.handler.addFilter(refuse)
    with pytest.raises(ValueError, match="own trouble"):
        bridge.std.info("bad")
    bridge.std.info("unwanted")
    bridge.std.info("good")
    assert [record["message"] for record in bridge.records()] == ["good"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters may give another record from 3.12 on")
def test_a_filter_may_give_another_record(bridge: Bridge) -> None:
    def redact(record: logging.LogRecord) -> logging.LogRecord:
        changed = copy.copy(record)
        changed.msg, changed.args = "redacted", None
        return changed

    bridge.handler.addFilter(redact)
    bridge.std.info("secret")
    assert [record["message"] for record in bridge.records()] == ["redacted"]


@pytest.mark.parametrize("is_told", [True, False])
def test_trouble_with_a_record_is_told_as_logging_is_set(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_told: bool
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", is_told)
    bridge.std.info("%d", "no number")
    bridge.std.info("after")
    assert [record["message"] for record in bridge.records()] == ["after"]
    assert ("--- Logging error ---" in capsys.readouterr().err) is is_told


@pytest.mark.parametrize("make", [logging.handlers.MemoryHandler], ids=["MemoryHandler"])
def test_behind_another_handler(bridge: Bridge, make: Callable[..., logging.handlers.MemoryHandler]) -> None:
    before = make(100, target=bridge.handler)
    bridge.std.handlers[:] = [before]
    bridge.std.info("one")
    bridge.std.error("two")
    before.close()
    assert [record["message"] for record in bridge.records()] == ["one", "two"]


def test_its_records_are_those_that_logly_itself_would_write(tmp_path: Path) -> None:
    """The handler's own thread and process cost nothing and show as always."""
    layout = "{thread} {thread_name} {process} {level} {message} {fields}"
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "log", format=layout))
        logger.info("text", order=7)
        std = logging.Logger("n")
        std.addHandler(logly.StdlibHandler(logger))
        std.info("text", extra={"order": 7})
    first, second = lines_of(tmp_path / "log")
    assert first == second
