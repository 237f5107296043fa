"""Words of other libraries: the error says what they are called here."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

import logly
from logly import ConfigError, Logger, LoggerConfig, SinkConfig
from logly._hinted import WORDS, Elsewhere
from logly.config import hints
from logly.config.lazy_dataclass import fields

NAMES = {
    "add": "add_sink",
    "remove": "remove_sink",
    "opt": "exc_info=",
    "patch": "transform=",
    "complete": "flush",
    "setLevel": "set_level",
    "isEnabledFor": "is_enabled_for",
    "getChild": "named",
    "new": "bind",
    "level": "add_level",
    "addHandler": "add_sink",
    "fatal": "critical",
    "notice": "add_level",
    "parse": "json=True",
    "basicConfig": "configure",
    "start": "add_sink",
    "stop": "remove_sink",
}
SETTINGS = {
    "serialize": "json=True",
    "enqueue": "leave it out",
    "colorize": "color=",
    "backtrace": "leave it out",
    "diagnose": "diagnose=True",
    "maxBytes": "size_limit=",
    "backupCount": "retention=",
    "when": "rotation=",
}
MODULE = {
    "getLogger": "get_logger",
    "basicConfig": "configure",
    "info": "logly.logger.info",
    "add": "add_sink",
    "INFO": "Level.INFO",
    "contextvars": "contextualize",
    "FileHandler": "add_sink",
    "InterceptHandler": "StdlibHandler",
    "intercept": "StdlibHandler",
}


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_of_another_library_names_the_right_one(name: str) -> None:
    logger = Logger(auto_sink=False)
    with pytest.raises(AttributeError, match=f"'Logger' object has no attribute '{name}': use .*{NAMES[name]}"):
        getattr(logger, name)
    assert not hasattr(logger, name)
    assert name not in dir(logger)


def test_each_word_has_a_hint_that_names_what_there_is() -> None:
    assert set(WORDS) == set(hints.LOGGER_WORDS)
    known = {*dir(Logger), *dir(logly), *(one.name for kind in (LoggerConfig, SinkConfig) for one in fields(kind))}
    for text in (*hints.LOGGER_WORDS.values(), *hints.MODULE_WORDS.values()):
        called = set(re.findall(r"(\w+)\(", text)) - {"captureWarnings", "alert", "emergency", "verbose", "notice"}
        assert called <= known
    for table, kind in ((hints.SINK_SETTINGS, SinkConfig), (hints.LOGGER_SETTINGS, LoggerConfig)):
        assert not set(table) & {one.name for one in fields(kind)}


def test_no_hint_hides_what_a_logger_has() -> None:
    plain = {name for base in Logger.__mro__[1:] for name in vars(base)}
    assert not plain & set(WORDS)
    assert {name for name in vars(Logger) if isinstance(vars(Logger)[name], Elsewhere)} <= set(WORDS)


@pytest.mark.parametrize("name", MODULE)
def test_a_name_of_another_librarys_module_names_the_right_one(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'logly' has no attribute '{name}': use .*{MODULE[name]}"):
        getattr(logly, name)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_keyword_of_another_library_names_the_right_one_before_all_others(name: str) -> None:
    hint = re.escape(SETTINGS[name])
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match=f"{name} = True: .*{hint}") as caught:
        logger.add_sink("x.log", **{name: True})
    assert caught.value.field == name
    with pytest.raises(TypeError, match=f"has no field '{name}'; .*{hint}"):
        SinkConfig(**{name: True})


def test_a_setting_of_the_other_kind_says_where_it_belongs() -> None:
    with Logger(auto_sink=False) as logger:
        with pytest.raises(ConfigError, match=r"setting of the logger: Logger\(redact=\.\.\.\)"):
            logger.add_sink("x.log", redact=["password"])
        with pytest.raises(ConfigError, match=r"setting of a sink: add_sink\(rotation=\.\.\.\)"):
            logger.configure(rotation="daily")
    with pytest.raises(ConfigError, match=r"setting of a sink: add_sink\(json=True\)"):
        Logger(serialize=True)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: Logger("shop"), r"get_logger\('shop'\)"),
        (lambda: Logger(name=None), "name = None is not valid: use a str"),
        (lambda: Logger({"level": "debug"}), "a LoggerConfig"),
        (lambda: Logger(auto_sink=False).add_sink("stderr"), "sys.stderr"),
        (lambda: Logger(auto_sink=False).add_sink("<stdout>"), "sys.stdout"),
        (lambda: Logger(auto_sink=False).add_sink(2), "fd=2"),
        (lambda: Logger(auto_sink=False).add_sink("a.log", path="b.log"), "leave one out"),
        (lambda: Logger(auto_sink=False).add_sink("a.log", filter="shop"), r"filter_module='shop'"),
        (lambda: Logger(auto_sink=False).add_sink("a.log", filter={"": "INFO", "noisy": False}), "level={'': 'info'"),
        (lambda: Logger(auto_sink=False).log("NOTICE", "x"), r"add_level\('NOTICE', number\)"),
        (lambda: SinkConfig(print).validate(), "function="),
        (lambda: Logger(auto_sink=False).add_sink("a.log", mode="w"), "bits, like 0o640, or .*always appended to"),
        (lambda: Logger(auto_sink=False).add_level("DEBUG", 35), r"add_level\('DEBUG', 35\)"),
        (lambda: SinkConfig(path=__import__("sys").stderr).validate(), "stream="),
    ],
)  # fmt: skip
def test_a_value_in_the_wrong_place_says_where_it_goes(make: Any, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        make()


def test_a_handler_of_logging_is_no_target() -> None:
    import logging

    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError, match="StdlibSink"):
        logger.add_sink(logging.StreamHandler())


def test_a_name_for_enable_or_disable_says_how_one_name_is_switched() -> None:
    with Logger(level="info", auto_sink=False) as logger:
        logger.add_sink(lambda _: None)
        noisy = logger.named("noisy.part")
        with pytest.raises(ConfigError, match=r"disable\('noisy'\) is .* use named\('noisy'\)\.set_level\('off'\)"):
            logger.disable("noisy")  # type: ignore[arg-type]
        assert noisy.is_enabled_for("info")
        logger.named("noisy").set_level("off")
        assert not noisy.is_enabled_for("critical")
        assert logger.is_enabled_for("info")
        with pytest.raises(ConfigError, match=r"enable\('noisy'\) is .* use named\('noisy'\)\.set_level\(None\)"):
            logger.enable("noisy")  # type: ignore[arg-type]
        logger.named("noisy").set_level(None)
        assert noisy.is_enabled_for("info")
        logger.disable()
        assert not logger.is_enabled_for("critical")
        logger.enable()
        assert logger.is_enabled_for("info")


def test_a_logger_as_a_handler_of_logging_says_what_to_use() -> None:
    theirs = logging.getLogger("tests.hints")
    with Logger(auto_sink=False) as logger:
        theirs.addHandler(logger)  # type: ignore[arg-type]
        try:
            with pytest.raises(AttributeError, match=r"StdlibHandler\(logger\), or call logly.install\(\)"):
                theirs.warning("x")
        finally:
            theirs.removeHandler(logger)  # type: ignore[arg-type]
        with pytest.raises(AttributeError, match="set_level"):
            logger.level  # noqa: B018


def test_all_unknown_settings_of_a_call_are_named() -> None:
    with Logger(auto_sink=False) as logger, pytest.raises(ConfigError) as caught:
        logger.add_sink("x.log", serialize=True, enqueue=True, level="debug")
    first, second = str(caught.value).splitlines()
    assert first == "serialize = True: there is no such setting; use json=True"
    assert second.startswith("enqueue = True: there is no such setting; leave it out")
    assert caught.value.field == "serialize"
    with pytest.raises(TypeError, match=r"no field 'serialize'; use json=True\n.*no field 'enqueue'; leave it out"):
        SinkConfig(serialize=True, enqueue=True)


@pytest.mark.parametrize("level", ["NOPE", "info,shop=NOPE", {"shop": "NOPE"}])
def test_a_level_that_cannot_be_read_is_one_error_without_a_bad_guess(level: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Logger(level=level)
    assert "NOTSET" not in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert type(error).__name__ != "_Unreadable" or error.__suppress_context__
        error = None if error.__suppress_context__ else error.__context__
