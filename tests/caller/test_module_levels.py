"""Levels by name at the call: by the logger's name or the call site's module, before anything is formatted."""

import logging
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import ConfigError, Logger, Record, SinkConfig, StdlibHandler
from logly._core import LEVEL_UNSAID, OFF, LevelRules, Thresholds, publish
from logly.control.plan import Plan
from tests.support.hooks import registry_counts
from tests.support.loggers import counting_logger, make_logger, records_of


def use_levels(logger: Logger, directives: dict[str, int], level: int = LEVEL_UNSAID, *sinks: LevelRules) -> Thresholds:
    """Has the logger's calls go by these levels."""
    rules = LevelRules(level, directives)
    thresholds = Thresholds(rules, list(sinks) or [LevelRules(LEVEL_UNSAID, {})], is_on=True)
    controller = logger._controller
    publish(controller.core, thresholds, *Plan(controller)._gate(rules)[1:])
    return thresholds


def module(name: str, source: str, **names: Any) -> dict[str, Any]:
    """The globals of a module of this name that has run `source`."""
    made = types.ModuleType(name)
    vars(made).update(names)
    exec(compile(source, f"<{name}>", "exec"), vars(made))
    return vars(made)


CALLS = """
def trace(logger): logger.trace("text")
def debug(logger): logger.debug("{} {}", 1, 2)
def fields(logger): logger.debug("text", a=1)
def thing(logger): logger.debug("{}", thing_)
def message(logger): logger.debug(thing_)
def log(logger): logger.log("debug", "text")
def info(logger): logger.info("text")
def exception(logger): logger.exception("text")
def late(logger): logger.debug("text", exc_info=error_)
def stack(logger): logger.debug("text", stack_info=True)
def caught(logger):
    with logger.catch(level="debug"):
        raise error_
def enabled(logger): return logger.is_enabled_for("debug")
def deeper(logger): logger.debug("text", stacklevel=2)
"""


class Watched:
    """A value that tells when anything of it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __str__(self) -> str:
        self.asked += 1
        return "watched"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger(level=0)


@pytest.fixture
def found(logger: Logger) -> list[Record]:
    return records_of(logger)


def test_a_call_goes_by_its_module(logger: Logger, found: list[Record]) -> None:
    db, net = module("shop.db", CALLS), module("net", CALLS)
    use_levels(logger, {"shop.db": 10, "net": 40}, 20)
    for _ in range(3):
        for name in ("trace", "debug", "fields", "log", "info"):
            db[name](logger)
            net[name](logger)
    assert logger.flush(30)
    assert [(one.module, one.function) for one in found] == [
        ("shop.db", name) for name in ("debug", "fields", "log", "info")
    ] * 3  # fmt: skip
    assert db["enabled"](logger)
    assert not net["enabled"](logger)


def test_a_named_logger_goes_by_its_name_wherever_it_is_called(logger: Logger, found: list[Record]) -> None:
    db, net = module("shop.db", CALLS), module("net", CALLS)
    use_levels(logger, {"shop.db": 10, "net": 40, "jobs": 30}, 20)
    jobs, early, other = logger.named("jobs"), logger.named("shop.db.pool"), logger.named("other")
    for calls in (db, net):
        for name in ("debug", "info", "exception"):
            for one in (jobs, early, other):
                calls[name](one)
        assert [one.is_enabled_for("debug") for one in (jobs, early, other)] == [False, True, False]
        assert [calls["enabled"](one) for one in (jobs, early, other)] == [False, True, False]
    assert logger.flush(30)
    assert [(one.name, one.function) for one in found] == [
        ("shop.db.pool", "debug"), ("shop.db.pool", "info"), ("other", "info"), ("jobs", "exception"),
        ("shop.db.pool", "exception"), ("other", "exception"),
    ] * 2  # fmt: skip


def test_a_name_without_a_number_goes_by_its_name_as_well(logger: Logger, found: list[Record]) -> None:
    long = "n" * 300
    calls = module("net", CALLS)
    use_levels(logger, {"net": 0, "loud": 10, "quiet": OFF}, 20)
    for _ in range(2):
        for top in ("loud", "quiet", "plain"):
            child = logger.named(top).named(long)
            for _ in range(2):
                for name in ("debug", "info", "exception"):
                    calls[name](child)
                assert child.is_enabled_for("debug") is (top == "loud")
    assert logger.flush(30)
    assert [(one.name.partition(".")[0], one.function) for one in found] == [
        ("loud", "debug"), ("loud", "info"), ("loud", "exception"),
        ("loud", "debug"), ("loud", "info"), ("loud", "exception"),
        ("plain", "info"), ("plain", "exception"), ("plain", "info"), ("plain", "exception"),
    ] * 2  # fmt: skip


@pytest.mark.parametrize("name", ["thing", "message", "late", "stack", "caught"])
@pytest.mark.parametrize("own", ["", "own", "n" * 300])
def test_nothing_of_the_users_is_asked_where_the_level_is_off(
    logger: Logger, found: list[Record], name: str, own: str
) -> None:
    watched = Watched()

    class Error(Exception):
        def __str__(self) -> str:
            return str(watched)

    calls = module("quiet", CALLS, thing_=watched, error_=Error())
    use_levels(logger, {"quiet": 40, "own": 40, "n" * 300: 40}, 0)
    child = logger.named(own)
    for _ in range(3):
        calls[name](child)
    assert logger.flush(30)
    assert (watched.asked, found) == (0, [])
    use_levels(logger, {"quiet": 10, "own": 10, "n" * 300: 10, "elsewhere": 20}, 40)
    for _ in range(3):
        calls[name](child)
    assert logger.flush(30)
    assert len(found) == 3


def test_stacklevel_names_the_module_that_decides(logger: Logger, found: list[Record]) -> None:
    inner = module("inner", CALLS)
    outer = module("outer", "def outer(logger): deeper(logger)", deeper=inner["deeper"])
    for _ in range(2):
        use_levels(logger, {"inner": 10, "outer": 40}, 20)
        outer["outer"](logger)
        use_levels(logger, {"inner": 40, "outer": 10}, 20)
        outer["outer"](logger)
    assert logger.flush(30)
    assert [one.module for one in found] == ["outer", "outer"]


def test_one_code_object_run_as_several_modules(logger: Logger, found: list[Record]) -> None:
    code = compile('def f(logger): logger.debug("text")', "<shared>", "exec")
    spaces: list[dict[str, Any]] = [{"__name__": name} for name in ("a", "b", "c")]
    for space in spaces:
        exec(code, space)
    use_levels(logger, {"b": 10}, 20)
    for _ in range(3):
        for space in spaces:
            types.FunctionType(spaces[0]["f"].__code__, space)(logger)
    spaces[0]["__name__"] = "b"
    types.FunctionType(spaces[0]["f"].__code__, spaces[0])(logger)
    assert logger.flush(30)
    assert [one.module for one in found] == ["b"] * 4


def test_engines_that_share_call_sites_decide_apart(logger: Logger, found: list[Record]) -> None:
    other = make_logger(level=0)
    others: list[Record] = []
    other.add_sink(SinkConfig(function=others.append))
    calls = module("shop", CALLS)
    use_levels(logger, {"shop": 10}, 20)
    use_levels(other, {"shop": 30}, 5)
    for _ in range(3):
        for one in (logger, other):
            calls["debug"](one)
            calls["info"](one)
            calls["exception"](one)
    assert logger.flush(30)
    assert other.flush(30)
    other.close()
    assert [one.function for one in found] == ["debug", "info", "exception"] * 3
    assert [one.function for one in others] == ["exception"] * 3


def test_records_of_logging_go_by_their_own_name(logger: Logger, found: list[Record]) -> None:
    use_levels(logger, {"lib.http": 10, "lib": 40, "own": 50}, 20)
    for target in (logger, logger.named("own"), logger.named("n" * 300)):
        handler = StdlibHandler(target)
        for name in ("lib.http.pool", "lib.db", "rest"):
            source = logging.Logger(name, logging.DEBUG)
            source.addHandler(handler)
            source.debug("debug")
            source.info("info")
            source.error("error")
    assert logger.flush(30)
    assert [(one.module, one.message) for one in found] == [
        ("lib.http.pool", "debug"), ("lib.http.pool", "info"), ("lib.http.pool", "error"), ("lib.db", "error"),
        ("rest", "info"), ("rest", "error"),
    ] * 3  # fmt: skip
    assert [one.name for one in found] == ["root"] * 6 + ["own"] * 6 + ["n" * 300] * 6


def test_no_message_is_made_of_a_record_of_logging_whose_level_is_off(logger: Logger, found: list[Record]) -> None:
    watched = Watched()
    source = logging.Logger("lib", logging.DEBUG)
    source.addHandler(StdlibHandler(logger))
    for directives in ({"lib": 40}, {"lib": OFF}, {}):
        use_levels(logger, directives, 40)
        source.info("%s", watched)
    assert logger.flush(30)
    assert (watched.asked, found) == (0, [])
    use_levels(logger, {"lib": 10}, 40)
    source.info("%s", watched)
    assert logger.flush(30)
    assert [one.message for one in found] == ["watched"]


def test_a_name_of_a_logging_record_that_is_no_str(logger: Logger, found: list[Record]) -> None:
    use_levels(logger, {"7": 10}, 40)
    record = logging.makeLogRecord({"name": 7, "msg": "x", "levelno": 20, "levelname": "INFO"})
    StdlibHandler(logger).emit(record)
    assert logger.flush(30)
    assert [one.module for one in found] == ["7"]


def test_levels_may_be_off_altogether(logger: Logger, found: list[Record]) -> None:
    calls = module("noisy", CALLS)
    use_levels(logger, {"noisy": OFF}, 20)
    for _ in range(2):
        for name in ("info", "exception"):
            calls[name](logger)
    logger.log(32_767, "loud")
    exec(compile("logger.log(32_767, 'off')", "<noisy>", "exec"), {"__name__": "noisy.deep", "logger": logger})
    assert logger.flush(30)
    assert [one.message for one in found] == ["loud"]


def test_a_change_holds_from_the_next_call_on(logger: Logger, found: list[Record]) -> None:
    calls = module("shop", CALLS)
    shop = logger.named("shop")
    long = logger.named("shop." + "n" * 300)
    for i in range(20):
        use_levels(logger, {"shop": 10 if i % 2 else 30}, 20)
        for one in (logger, shop, long):
            calls["debug"](one)
    use_levels(logger, {}, 10)
    for one in (logger, shop, long):
        calls["debug"](one)
    assert logger.flush(30)
    assert [one.name[:9] for one in found] == ["root", "shop", "shop.nnnn"] * 11


def test_without_directives_nothing_is_decided_by_module(logger: Logger) -> None:

    calls = module("fresh", CALLS)
    use_levels(logger, {}, 20)
    _, sites = registry_counts()
    for _ in range(3):
        calls["debug"](logger)
    assert registry_counts()[1] == sites


def test_a_call_without_a_message_is_wrong_only_where_its_level_is_on(logger: Logger) -> None:
    use_levels(logger, {"quiet": 40}, 0)
    space = module("loud", "def f(logger): logger.info()")
    for _ in range(2):
        with pytest.raises(TypeError, match="message"):
            space["f"](logger)
    with pytest.raises(ConfigError):
        logger.is_enabled_for("nothing")


def test_levels_change_under_load(logger: Logger, found: list[Record]) -> None:
    """Every record is either whole or not there, and the books balance. ERROR is on all the time."""
    calls = [module(name, CALLS) for name in ("a", "a.b", "c")]
    loggers = [logger, logger.named("a.b"), logger.named("c")]
    stop = threading.Event()
    errors = []

    def work() -> None:
        count = 0
        while not stop.is_set():
            for one in loggers:
                for call in calls:
                    call["debug"](one)
                    call["exception"](one)
                    count += 1
        errors.append(count)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for i in range(200):
            use_levels(logger, {"a": (10, 30)[i % 2], "a.b": (40, 20)[i % 2], "c": 10}, 20)
            logger.named(f"made.{i}").error("from {}", i)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert logger.flush(60)
    assert sum(one.function == "exception" for one in found) == sum(errors)
    assert [one.name for one in found if one.name.startswith("made")] == [f"made.{i}" for i in range(200)]


NAMES = st.sampled_from(["a", "a.b", "a.b.c", "ab", "b", "b.a", "c", "é", "a.é", ".", "a.", "a..b", ""])
LEVELS = st.sampled_from([5, 10, 20, 25, 30, 40, 50, OFF])


def level_by_hand(directives: dict[str, int], level: int, name: str) -> int:
    while name:
        if name in directives:
            return directives[name]
        name = name.rpartition(".")[0]
    return level


@settings(max_examples=100)
@given(
    directives=st.dictionaries(NAMES.filter(bool), LEVELS, max_size=4),
    level=st.sampled_from([LEVEL_UNSAID, 10, 20, 40]),
    sink=st.tuples(st.sampled_from([LEVEL_UNSAID, 5, 25]), st.dictionaries(NAMES.filter(bool), LEVELS, max_size=3)),
    names=st.lists(NAMES, min_size=1, max_size=4),
)
def test_the_calls_agree_with_the_thresholds(
    directives: dict[str, int], level: int, sink: tuple[int, dict[str, int]], names: list[str]
) -> None:
    logger = make_logger(level=0)
    found: list[Record] = []
    logger.add_sink(SinkConfig(function=found.append))
    thresholds = use_levels(logger, directives, level, LevelRules(*sink))
    expected = []
    for name in names:
        space = {"__name__": name, "logger": logger, "named": logger.named(name)}
        exec(compile(SOURCE, "<any>", "exec"), space)
        for way in ("own", "module"):
            said = level_by_hand(directives, level, name)
            asked = level_by_hand(sink[1], sink[0], name)
            threshold = max(asked, said) if asked != LEVEL_UNSAID else 20 if said == LEVEL_UNSAID else said
            assert thresholds.threshold_for(name) == threshold
            expected += [(way, number) for number in (5, 10, 20, 25, 30, 40, 50) if number >= threshold] * 2
    assert logger.flush(30)
    assert [(one.message, one.level_number) for one in found] == expected
    logger.close()


SOURCE = """
for one, way in ((named, "own"), (logger, "module")):
    for _ in range(2):
        for number in (5, 10, 20, 25, 30, 40, 50):
            one.log(number, way)
"""
