"""Names of loggers: what `named` and `get_logger` make, where a name is shown, and names that are odd."""

import gc
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logly
from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from tests.support.forks import children_end_well, fork
from tests.support.loggers import assert_books, counting_logger, file_logger, make_logger, records_of

NUMBERED = 65_534
"""So many names of an engine get a number."""


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(level=0)


def test_a_name_is_the_path_from_the_logger_that_has_none(logger: Logger) -> None:
    assert logger.name == "root"
    assert logger.named("shop").name == "shop"
    assert logger.named("shop").named("db").name == "shop.db"
    assert logger.named("shop.db").name == "shop.db"
    assert Logger(LoggerConfig(auto_sink=False), name="shop").named("db").name == "shop.db"


def test_root_and_the_empty_name_count_as_no_name(logger: Logger) -> None:
    for none in ("root", ""):
        assert logger.named(none).name == "root"
        assert logger.named(none).named("db").name == "db"
        own = Logger(LoggerConfig(auto_sink=False), name=none)
        assert own.named("db").name == "db"
        assert own.name == none
    assert logger.named("shop").named("").name == "shop"
    assert logger.named("shop").named("root").name == "shop.root"


@pytest.mark.parametrize("name", [None, 3, b"shop", ["shop"]])
def test_a_name_is_a_str(logger: Logger, name: Any) -> None:
    with pytest.raises(ConfigError, match="name"):
        logger.named(name)


def test_a_str_of_another_class_is_taken_as_the_str_that_it_is(logger: Logger) -> None:
    class Loud(str):
        def __hash__(self) -> int:
            raise AssertionError

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

    assert logger.named(Loud("shop")).name == "shop"
    assert type(logger.named(Loud("shop")).name) is str


def test_get_logger_is_below_the_ready_made_one() -> None:
    assert logly.get_logger("shop").name == "shop"
    assert logly.get_logger("shop")._controller is logly.logger._controller
    assert logly.get_logger().name == logly.get_logger("").name == logly.get_logger(None).name == "root"
    with pytest.raises(ConfigError):
        logly.get_logger(3)  # type: ignore[arg-type]


def test_get_logger_makes_the_ready_made_logger_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(logly, "logger", raising=False)
    made = [logly.get_logger(f"shop.{i}")._controller for i in range(3)]
    assert {*made} == {logly.logger._controller}
    logly.logger.close()


def test_children_keep_the_name(logger: Logger) -> None:
    shop = logger.named("shop")
    assert shop.bind(user=1).name == "shop"
    assert shop.bind(user=1).unbind("user").name == "shop"
    found = records_of(logger)
    shop.bind(user=1).named("db").info("one")
    with shop.contextualize(request=7):
        shop.info("two")
    logger.info("three")
    assert logger.flush(30)
    assert [(one.name, one.fields) for one in found] == [
        ("shop.db", {"user": 1}), ("shop", {"request": 7}), ("root", {}),
    ]  # fmt: skip


def test_a_subclass_stays_itself_and_keeps_its_attributes() -> None:
    class Own(Logger):
        pass

    own = Own(LoggerConfig(auto_sink=False))
    own.label = "x"  # type: ignore[attr-defined]
    child = own.named("db")
    assert type(child) is Own
    assert child.label == "x"  # type: ignore[attr-defined]
    own.close()


def test_a_child_of_a_logger_with_a_replaced_method_is_named(logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logger, "info", lambda *_: None)
    assert logger.named("shop").name == "shop"
    assert type(logger.named("shop")) is Logger


def test_every_way_to_log_has_the_name(logger: Logger) -> None:
    found = records_of(logger)
    shop = logger.named("shop")
    shop.info("text")
    shop.info("{} {}", 1, 2.5)
    shop.info("{a}", a=1)
    shop.info("an object", of=object())
    shop.log(33, "level")
    shop.info("x" * 1_000_000)
    try:
        raise ValueError("x")
    except ValueError:
        shop.exception("failed")
    with shop.catch():
        raise ValueError("y")
    shop.info("stack", stack_info=True, stacklevel=2)
    assert logger.flush(30)
    assert [one.name for one in found] == ["shop"] * 9


def test_a_text_line_shows_the_name(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "app.log", layout="{level} {name:>8} {module} {message}")
    for _ in range(3):  # the second time, the text comes from the cache of runs
        logger.info("a")
        logger.named("shop").info("b")
        logger.named("shop.db").info("c")
        logger.named("n" * 300).info("d")
        logger.named("m" * 300).info("e")
    logger.close()
    names = ["    root", "    shop", " shop.db", "n" * 300, "m" * 300]
    expected = [f"INFO {names['abcde'.index(one)]} {__name__} {one}" for one in "abcde" * 3]
    assert (tmp_path / "app.log").read_text().splitlines() == expected


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_structured_lines_of_a_logger_without_a_name_have_no_key_for_it(tmp_path: Path, form: str) -> None:
    logger = file_logger(tmp_path / "app.log", layout=form)
    logger.info("a", logger="mine")
    logger.named("shop").info("b", logger="mine", logger_=2)
    logger.close()
    plain, named = (tmp_path / "app.log").read_text().splitlines()
    if form == "json":
        assert list(json.loads(plain)) == ["timestamp", "level", "message", "module", "function", "lineno", "logger"]
        assert json.loads(plain)["logger"] == "mine"
        keys = ["timestamp", "level", "logger", "message", "module", "function", "lineno"]
        assert list(json.loads(named)) == [*keys, "logger__", "logger_"]
        assert json.loads(named)["logger"] == "shop"
    else:
        assert plain.endswith(" logger=mine")
        assert " level=INFO message=a " in plain
        assert " level=INFO logger=shop message=b " in named
        assert named.endswith(" logger__=mine logger_=2")


def test_the_own_name_of_an_engine_is_a_name(tmp_path: Path) -> None:
    logger = Logger(LoggerConfig(auto_sink=False), name="shop")
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="json"))
    logger.info("a")
    logger.named("db").info("b")
    logger.close()
    lines = map(json.loads, (tmp_path / "app.log").read_text().splitlines())
    assert [one["logger"] for one in lines] == ["shop", "shop.db"]


ODD = [
    ".", "..", ".db", "db.", "a..b", " ", "a b", "a\nb", "\x1b[31m", 'a"b', "a=b", "\x00", "\ud800", "é", "日本",
    "\U0001f600", "root", "x" * 255, "x" * 256, "é" * 127, "é" * 128, "x" * 4096, "x" * 4097, "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("name", ODD, ids=lambda name: ascii(name[:10]) + str(len(name)))
def test_odd_names(tmp_path: Path, logger: Logger, name: str) -> None:
    found = records_of(logger)
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{name}|{message}"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", format="json"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.logfmt", format="logfmt"))
    child = logger.named("a").named(name)
    whole = f"a.{name}"
    assert child.name == (whole if len(whole) <= 4096 else whole[:4096] + "...")
    for _ in range(2):
        child.info("hello {}", 1)
    assert logger.flush(30)
    shown = child.name.encode("utf-8", "backslashreplace").decode()
    assert [one.name for one in found] == [shown] * 2
    (first, _) = (tmp_path / "app.json").read_text("utf-8").splitlines()
    assert json.loads(first)["logger"] == shown
    assert len((tmp_path / "app.log").read_text("utf-8").splitlines()) == 2
    assert len((tmp_path / "app.logfmt").read_text("utf-8").splitlines()) == 2
    assert child.named("b").name.startswith(child.name[:4096])


@given(st.lists(st.text(max_size=300), max_size=4))
def test_any_names(names: list[str]) -> None:
    logger = make_logger()
    found = records_of(logger)
    child, text = logger, ""
    for name in names:
        child = child.named(name)
        if name and not (not text and name == "root"):
            text = f"{text}.{name}" if text else name
        assert child.name == (text or "root")
        child.info("x")
    assert logger.flush(30)
    assert len(found) == len(names)
    if names:
        assert found[-1].name == (text or "root").encode("utf-8", "backslashreplace").decode()
    logger.close()


def test_more_names_than_there_are_numbers(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "app.log", layout="{name} {message}")
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", format="json"))
    count = NUMBERED + 300
    for i in range(count):
        logger.named(f"peer.{i}").info("m {}", i)
    for i in (0, 1, NUMBERED - 1, NUMBERED, count - 1):  # each found again
        child = logger.named(f"peer.{i}")
        assert child.name == f"peer.{i}"
        assert child.is_enabled_for("info")
        assert not child.is_enabled_for("debug")
        child.bind(a=1).info("again", b=2)
    assert logger.flush(60)
    assert_books(logger, count + 5)
    logger.close()
    lines = (tmp_path / "app.log").read_text().splitlines()
    assert lines[:count] == [f"peer.{i} m {i}" for i in range(count)]
    assert lines[-1] == f"peer.{count - 1} again"
    last = json.loads((tmp_path / "app.json").read_text().splitlines()[-1])
    assert (last["logger"], last["a"], last["b"]) == (f"peer.{count - 1}", 1, 2)


def test_a_name_without_a_number_lives_as_long_as_its_loggers(logger: Logger) -> None:
    import tracemalloc

    def make() -> None:
        for i in range(1000):
            logger.named(f"{i:300}").named("x").bind(a=1)

    make()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    make()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_equal_names_made_by_several_threads_are_one(logger: Logger) -> None:
    start = threading.Barrier(8)
    made: list[list[Any]] = []

    def make() -> None:
        start.wait()
        made.append([logger.named(f"t.{i}")._name for i in range(500)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for names in zip(*made, strict=True):
        assert len({id(name) for name in names}) == 1


def test_a_name_made_by_the_collector_while_another_is_made(logger: Logger) -> None:
    """A __del__ may make a name, the same one even, at any object that the making of a name makes."""
    found = records_of(logger)

    class Last:
        def __init__(self, number: int) -> None:
            self.itself, self.number = self, number

        def __del__(self) -> None:
            logger.named(f"n.{self.number}").info("del")
            logger.named(f"other.{self.number}").info("del")

    threshold = gc.get_threshold()
    try:
        for number in range(300):
            Last(number)
            gc.set_threshold(1 + number % 7)
            logger.named(f"n.{number}").info("call")
            gc.set_threshold(*threshold)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert logger.flush(30)
    for number in range(300):
        assert sorted(one.name for one in found if one.name.endswith(f".{number}")) == [
            f"n.{number}", f"n.{number}", f"other.{number}",
        ]  # fmt: skip


def test_names_outlive_all_loggers_but_the_sinks_records(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "app.log", layout="{name} {message}", async_flush_interval=60_000)
    for i in range(100):
        logger.named(f"gone.{i}").info("x")
    del i
    gc.collect()
    logger.close()
    assert (tmp_path / "app.log").read_text().splitlines() == [f"gone.{i} x" for i in range(100)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_the_names_and_makes_more(tmp_path: Path) -> None:
    logger = file_logger(tmp_path / "app.log", layout="{name} {message}")
    shop = logger.named("shop")
    shop.info("parent")
    assert logger.flush(30)

    def child() -> None:
        shop.info("child")
        logger.named("new").info("child")
        logger.named("shop").named("db").info("child")
        logger.close()

    children_end_well([fork(child)])
    logger.named("newer").info("parent")
    logger.close()
    assert sorted((tmp_path / "app.log").read_text().splitlines()) == [
        "new child", "newer parent", "shop child", "shop parent", "shop.db child",
    ]  # fmt: skip


def test_a_logger_without_an_engine_says_so() -> None:
    bare = Logger.__new__(Logger)
    for call in (lambda: bare.name, lambda: bare.named("x")):
        with pytest.raises(AttributeError, match="__init__"):
            call()
    with pytest.raises(RuntimeError, match="__init__"):
        bare.is_enabled_for("info")


def test_is_enabled_for_takes_its_level_in_both_ways(logger: Logger) -> None:
    assert logger.is_enabled_for("info") is logger.is_enabled_for(level="info")
    for wrong in ((), ("info", "debug")):
        with pytest.raises(TypeError, match="one argument"):
            logger.is_enabled_for(*wrong)
    with pytest.raises(TypeError, match="one argument"):
        logger.is_enabled_for(levels="info")  # type: ignore[call-arg]
    before = len(logger._controller.core.level_index)
    assert not Logger(LoggerConfig(auto_sink=False)).is_enabled_for(29_999)  # there is no sink
    assert logger.is_enabled_for(29_999) == logger.is_enabled_for("critical")
    assert len(logger._controller.core.level_index) == before, "a question adds no level"
