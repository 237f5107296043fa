"""`logger.config` gives a copy. One that is changed and never used warns, for the line that took it; no other does."""

import copy
import dataclasses
import gc
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from logly import Level, Logger, LoggerConfig
from tests.support.loggers import make_logger
from tests.support.programs import run_program, run_python

Warned = list[warnings.WarningMessage]


@pytest.fixture
def logger() -> Iterator[Logger]:
    with make_logger() as logger:
        yield logger


@pytest.fixture
def warned() -> Iterator[Warned]:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield warned


def test_a_change_in_the_copy_alone_warns_for_the_line_that_took_it(logger: Logger, warned: Warned) -> None:
    logger.config.level = "debug"
    here = inspect.currentframe()
    assert here is not None
    [one] = warned
    assert (one.category, one.filename, one.lineno) == (UserWarning, __file__, here.f_lineno - 4)
    assert str(one.message) == (
        "level: changed in the copy of the settings that logger.config gave, and the copy was never used, so the "
        "logger has not changed: use logger.configure(level='debug')"
    )


def test_all_changed_settings_are_named_and_values_as_they_are_typed(logger: Logger, warned: Warned) -> None:
    config = logger.config
    config.level = Level.WARNING
    config.level_colors["INFO"] = "red"
    config.custom_levels = {"audit": 35}
    config.on_error = print
    config.timezone = "utc"
    config.spool = "x" * 100
    del config
    [one] = warned
    assert str(one.message).endswith(
        "use logger.configure(level='warning', level_colors={'INFO': 'red'}, custom_levels={'audit': 35}, "
        "timezone='utc', on_error=..., spool=...)"
    )


@pytest.mark.parametrize(
    "change", [lambda config: config.custom_levels.clear(), lambda config: config.custom_levels.update(x=1)]
)
def test_a_mapping_that_is_changed_in_place_is_a_change(change: Callable[[Any], object], warned: Warned) -> None:
    with make_logger(custom_levels={"loud": 60}) as logger:
        logger.add_level("notice", 22)
        change(logger.config)
    assert ["custom_levels: changed" in str(one.message) for one in warned] == [True]


def test_a_copy_that_is_only_read_or_changed_back_is_silent(warned: Warned) -> None:
    with make_logger(custom_levels={"loud": 60}, level_colors={"info": "red"}) as logger:
        logger.add_level("notice", 22)
        assert logger.config.json is False
        config = logger.config
        config.json = True
        config.json = False
        config.level = logger.config.level
        config.level_colors = dict(config.level_colors)
        del config
    assert warned == []


def use_by_configure(logger: Logger, config: LoggerConfig) -> None:
    logger.configure(config)


def use_by_keyword(logger: Logger, config: LoggerConfig) -> None:
    logger.configure(config=config, log_compact=True)


def use_by_another_logger(logger: Logger, config: LoggerConfig) -> None:
    Logger(config).close()


def use_by_a_child(logger: Logger, config: LoggerConfig) -> None:
    logger.bind(a=1).configure(config)


USES = [use_by_configure, use_by_keyword, use_by_another_logger, use_by_a_child]
COPIES: dict[str, Callable[[LoggerConfig], LoggerConfig]] = {
    "itself": lambda config: config,
    "copy()": lambda config: config.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "a copy of a copy": lambda config: copy.copy(config.copy()),
}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("order", ["changed, copied", "copied, changed", "the first goes first"])
def test_a_copy_that_is_used_is_silent(
    use: Callable[[Logger, LoggerConfig], None], name: str, order: str, logger: Logger, warned: Warned
) -> None:
    config = logger.config
    if order == "copied, changed":
        used = COPIES[name](config)
        used.level = config.level = "debug"
    else:
        config.level = "debug"
        used = COPIES[name](config)
    if order == "the first goes first":
        del config
    use(logger, used)
    used.level = "error"  # too late, but the copy was used
    config = used
    del config, used
    gc.collect()
    assert warned == []


def test_what_dataclasses_replace_made_of_it_counts_once_it_is_in_force(logger: Logger, warned: Warned) -> None:
    config = logger.config
    config.level = "debug"
    logger.configure(dataclasses.replace(config, log_compact=True))
    del config
    assert warned == []


def test_a_copy_of_the_copy_that_is_changed_and_never_used_warns_once(logger: Logger, warned: Warned) -> None:
    config = logger.config
    first, second = config.copy(), copy.copy(config)
    first.json = True
    second.level = "debug"
    del first, second
    assert warned == []  # `config` may yet be used
    del config
    assert ["configure(json=True, level='debug')" in str(one.message) for one in warned] == [True]


def test_a_copy_whose_settings_are_refused_has_been_told(logger: Logger, warned: Warned) -> None:
    config = logger.config
    config.level = "loud"
    with pytest.raises(ValueError, match="loud"):
        logger.configure(config)
    del config
    assert warned == []


def test_each_line_is_told_once_under_the_usual_filter(logger: Logger) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for _ in range(3):
            logger.config.level = "debug"
        logger.config.level = "debug"
    assert len(warned) == 2


def test_a_copy_outlives_its_logger(warned: Warned) -> None:
    logger = make_logger()
    config = logger.config
    logger.close()
    config.level = "debug"
    del logger
    gc.collect()
    del config
    assert len(warned) == 1


# ---- nobody sees what kind of copy it is


def test_it_looks_like_any_settings(logger: Logger) -> None:
    plain, taken = LoggerConfig(auto_sink=False, async_flush_interval=5), logger.config
    assert taken == plain
    assert plain == taken
    assert taken == logger.config
    assert taken != LoggerConfig()
    assert repr(taken) == repr(plain)
    assert isinstance(taken, LoggerConfig)
    assert taken.__class__ is LoggerConfig
    assert repr(type(taken)) == repr(LoggerConfig)
    assert dataclasses.asdict(taken) == dataclasses.asdict(plain)
    assert dataclasses.fields(taken) == dataclasses.fields(plain)
    assert inspect.signature(type(taken)) == inspect.signature(LoggerConfig)
    assert type(dataclasses.replace(taken, json=True)) is LoggerConfig
    assert dataclasses.replace(taken, json=True) == dataclasses.replace(plain, json=True)
    if sys.version_info >= (3, 13):
        assert copy.replace(taken, json=True) == copy.replace(plain, json=True)
    with pytest.raises(TypeError, match="unhashable"):
        hash(taken)
    with pytest.raises(AttributeError):
        taken.nothing = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="has no field 'nothing'"):
        dataclasses.replace(taken, nothing=1)  # type: ignore[call-arg]
    taken.validate()
    assert taken.resolved() == plain.resolved()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_it_is_pickled_as_any_settings(protocol: int, logger: Logger, warned: Warned) -> None:
    taken = logger.config
    assert pickle.dumps(taken, protocol) == pickle.dumps(dataclasses.replace(taken), protocol)
    read = pickle.loads(pickle.dumps(taken, protocol))
    assert type(read) is LoggerConfig
    assert read == taken
    read.level = "debug"
    del read
    assert warned == []


@pytest.mark.parametrize("made", [lambda config: config.copy(), copy.copy, copy.deepcopy])
def test_copies_are_as_deep_as_those_of_any_settings(
    made: Callable[[Any], Any], logger: Logger, warned: Warned
) -> None:
    for config in (LoggerConfig(), logger.config):
        config.level_colors = {"info": "red"}
        other = made(config)
        assert other == config
        assert (other.level_colors is config.level_colors) == (made is copy.copy)
    logger.configure(config)


class Settings(LoggerConfig):
    """A program's own."""

    service = "shop"


def test_settings_of_a_class_of_the_programs_own_keep_their_class(warned: Warned) -> None:
    with Logger(Settings(auto_sink=False)) as logger:
        assert type(logger.config) is Settings
        logger.config.level = "debug"
    assert [one.name for one in dataclasses.fields(Settings)] == [one.name for one in dataclasses.fields(LoggerConfig)]
    assert warned == []


# ---- no error, ever


class Odd:
    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_values_whose_comparison_or_repr_fails_are_no_error(
    logger: Logger, warned: Warned, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    logger.config.level = Odd()  # type: ignore[assignment]
    config = logger.config
    config.timezone = Odd()  # type: ignore[assignment]
    del config
    assert (unraisable, warned) == ([], [])


def test_where_warnings_are_errors_it_goes_where_those_of_finalizers_go(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: unraisable.append(one.exc_value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.config.level = "debug"
    assert [type(one) for one in unraisable] == [UserWarning]


AT_EXIT = """
import atexit, sys
from logly import Logger, LoggerConfig
logger = Logger(LoggerConfig(auto_sink=False))
config = logger.config
config.level = "debug"
cycle = [logger.config]
cycle.append(cycle)
cycle[0].json = True
sys.kept = logger.config
sys.kept.json = True
"""


def test_at_the_interpreters_exit_it_is_silent() -> None:
    run_program(AT_EXIT)


def test_the_warning_shows_the_line_of_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from logly import logger\n\ndef debug():\n    config = logger.config\n    config.level = 'debug'\n\ndebug()\n"
    )
    done = run_python(program, may_complain=True)
    assert f"{program}:4: UserWarning: level: changed in the copy" in done.stderr
    assert "\n  config = logger.config\n" in done.stderr
