"""Short forms: settings by keyword, a sink's target without its name, and methods named by levels of one's own."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, Level, Logger, LoggerConfig, Record, SinkConfig, get_logger


def test_a_logger_takes_settings_by_keyword() -> None:
    with Logger(level="debug") as logger:
        assert logger.is_enabled_for("debug")
        assert not logger.is_enabled_for("trace")
    config = LoggerConfig(level="error", show_time=False)
    with Logger(config, level="debug") as logger:
        assert (logger.config.level, logger.config.show_time) == ("debug", False)
    assert config.level == "error"


def test_a_path_is_a_file_sink(tmp_path: Path) -> None:
    with Logger(level="trace") as logger:
        for target in (tmp_path / "a.log", str(tmp_path / "b.log")):
            logger.add_sink(target, level="debug", format="{message}", rotation="daily")
        logger.debug("seen")
        logger.trace("not seen")
    assert [(tmp_path / name).read_text() for name in ("a.log", "b.log")] == ["seen\n"] * 2


def test_a_stream_and_a_function_are_sinks(tmp_path: Path) -> None:
    stream = io.StringIO()
    records: list[Record] = []
    with Logger() as logger:
        logger.add_sink(stream, format="{level} {message}")
        logger.add_sink(records.append)
        logger.info("both")
    assert stream.getvalue() == "INFO both\n"
    assert [record.message for record in records] == ["both"]


def test_without_a_target_a_sink_is_what_the_settings_say(capsys: pytest.CaptureFixture[str]) -> None:
    with Logger() as logger:
        logger.add_sink(format="{message}", level="warning")
        logger.info("no")
        logger.warning("yes")
    assert capsys.readouterr().err == "yes\n"


def test_settings_go_before_those_of_a_sink_config(tmp_path: Path) -> None:
    config = SinkConfig(tmp_path / "log", format="{level}", level="error")
    with Logger() as logger:
        logger.add_sink(config, level="info")
        logger.info("x")
    assert (tmp_path / "log").read_text() == "INFO\n"
    assert config.level == "error"


def test_the_path_of_a_sink_config_needs_no_name() -> None:
    config = SinkConfig("app.log", level="debug")
    assert config == SinkConfig(path="app.log", level="debug")
    assert pickle.loads(pickle.dumps(config)) == config
    assert dataclasses.replace(config, level="info") == SinkConfig("app.log", level="info")
    match config:
        case SinkConfig(path):
            assert path == "app.log"


@pytest.mark.parametrize("wrong", [((), {"nix": 1}), (("a", "b"), {}), (("a",), {"path": "b"})])
def test_what_a_sink_config_does_not_take_is_a_type_error(wrong: Any) -> None:
    args, fields = wrong
    with pytest.raises(TypeError):
        SinkConfig(*args, **fields)


@pytest.mark.parametrize("target", [None, 1, 2.5, b"path", object(), ["a.log"]])
def test_what_is_no_target_is_refused(target: Any) -> None:
    with Logger(auto_sink=False) as logger:
        with pytest.raises(ConfigError, match="path"):
            logger.add_sink(target)
        assert logger.list_sinks() == []


def test_warn_is_warning(tmp_path: Path) -> None:
    with Logger() as logger:
        logger.add_sink(tmp_path / "log", format="{level} {function} {message}")
        logger.warn("{} {b}", 1, b=2)
        logger.once().warn("light")
    name = "test_warn_is_warning"
    assert (tmp_path / "log").read_text() == f"WARNING {name} 1 2\nWARNING {name} light\n"


# ---- methods of levels


def test_an_added_level_is_a_method(tmp_path: Path) -> None:
    logger = Logger(level="trace")
    logger.add_sink(tmp_path / "log", format="{level} {function} {message} {a}")
    logger.add_level("LongTimeAgo", 3)
    logger.add_level("hint_of_it", 22)
    child: Any = logger.bind(a=1)
    child.hint_of_it("hi {}", "bob")
    child.longtimeago("below the threshold")
    child.once().hint_of_it("light")
    child.named("x").hint_of_it("{b}", b=2)
    logger.close()
    name = "test_an_added_level_is_a_method"
    lines = [f"HINT_OF_IT {name} {text} 1\n" for text in ("hi bob", "light", "2")]
    assert (tmp_path / "log").read_text() == "".join(lines)


def test_custom_levels_of_the_settings_are_methods(tmp_path: Path) -> None:
    logger: Any = Logger(custom_levels={"audit_one": 33})
    logger.add_sink(tmp_path / "log", format="{level}")
    logger.audit_one("x")
    logger.configure(custom_levels={"audit_one": 33, "audit_two": 34})
    logger.audit_two("x")
    logger.close()
    assert (tmp_path / "log").read_text() == "AUDIT_ONE\nAUDIT_TWO\n"


def test_the_method_belongs_to_the_loggers_that_have_the_level() -> None:
    with Logger(auto_sink=False) as has, Logger(auto_sink=False) as has_not:
        has.add_level("only_here", 22)
        assert hasattr(has, "only_here")
        assert not hasattr(has_not, "only_here")
        with pytest.raises(AttributeError, match=r"add_level\('only_here', number\) first"):
            has_not.only_here("x")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["flush", "info", "bind", "log", "name", "two words", "7up"])
def test_a_name_that_is_taken_or_is_none_stays_what_it_is(name: str, tmp_path: Path) -> None:
    before = getattr(Logger, name.lower(), None)
    logger = Logger()
    logger.add_sink(tmp_path / "log", format="{level}")
    if name == "info":
        with pytest.raises(ConfigError):
            logger.add_level(name, 22)
        return
    logger.add_level(name, 22)
    logger.log(name, "x")
    logger.close()
    assert getattr(Logger, name.lower(), None) is before
    assert (tmp_path / "log").read_text() == f"{name.upper()}\n"


def test_a_method_of_a_subclass_goes_first() -> None:
    class Own(Logger):
        __slots__ = ()

        def mine_first(self) -> str:
            return "own"

    with Own(auto_sink=False) as logger:
        logger.add_level("mine_first", 22)
        assert logger.mine_first() == "own"


def test_the_level_of_a_method_may_change_its_number() -> None:
    with Logger(auto_sink=False, level=0) as logger:
        records: list[Record] = []
        logger.add_sink(records.append)
        named: Any = logger
        logger.add_level("moving", 22)
        named.moving("a")
        logger.add_level("moving", 23)
        named.moving("b")
        logger.flush()
    assert [record.level_number for record in records] == [22, 23]


def test_named_levels_of_get_logger(tmp_path: Path) -> None:
    shop: Any = get_logger("shop")
    shop.add_level("of_the_shop", int(Level.INFO) + 1)
    with shop.at_level("off"):
        shop.of_the_shop("nobody sees it")
