"""A change of what `logging` looks at is obeyed by the next call, and calls are fast again afterwards."""

from __future__ import annotations

import gc
import io
import logging
import logging.config
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bridge.oracle import Stage

    Played = Callable[..., Stage]
    Change = Callable[[Stage], Any]


def refuse(record: logging.LogRecord) -> bool:
    return "refused" not in str(record.msg)


def warm(stage: Stage) -> None:
    """Calls that are fast: what follows is a change of a route that is known."""
    stage.fast(lambda: stage.log.info("warm %d", 1))
    stage.fast(lambda: stage.log.debug("warm"))


def calls(stage: Stage) -> None:
    """Calls at every level, twice, because the second one is served by what the first has found out."""
    for _ in range(3):
        stage.log.debug("debug")
        stage.log.info("refused %d", 1)
        stage.log.warning("warning %s", "x")
        stage.log.error("error")
        stage.log.log(25, "own level")
        stage.say([stage.log.isEnabledFor(level) for level in (10, 20, 25, 30)])


CHANGES: dict[str, Change] = {
    "level": lambda stage: stage.log.setLevel(logging.WARNING),
    "level-of-parent": lambda stage: stage.top.setLevel(logging.ERROR),
    "level-between": lambda stage: logging.getLogger("enemy.shop").setLevel(logging.WARNING),
    "level-attribute-keeps-the-answers": lambda stage: setattr(stage.log, "level", logging.ERROR),
    "parent's-level-attribute": lambda stage: setattr(stage.top, "level", logging.ERROR),
    "disable": lambda stage: logging.disable(logging.INFO),
    "disable-all": lambda stage: logging.disable(),
    "manager.disable-keeps-the-answers": lambda stage: setattr(logging.root.manager, "disable", logging.INFO),
    "answers-cleared": lambda stage: (setattr(stage.log, "level", logging.ERROR), stage.log._cache.clear()),
    "answers-replaced": lambda stage: setattr(stage.log, "_cache", {10: True, 20: False, 25: True}),
    "answers-written": lambda stage: stage.log._cache.update({20: False, 25: True, 10: False}),
    "answers-odd": lambda stage: stage.log._cache.update({20: 1, 25: 0, 10: None}),
    "disabled": lambda stage: setattr(stage.log, "disabled", True),
    "disabled-odd": lambda stage: setattr(stage.log, "disabled", "yes"),
    "disabled-in-vars": lambda stage: vars(stage.log).__setitem__("disabled", True),
    "disabled-parent": lambda stage: setattr(stage.top, "disabled", True),
    "attributes-replaced": lambda stage: setattr(stage.log, "__dict__", {**vars(stage.log), "disabled": True}),
    "attributes-replaced-by-equal-ones": lambda stage: setattr(stage.log, "__dict__", dict(vars(stage.log))),
    "attributes-of-parent-replaced": lambda stage: setattr(stage.top, "__dict__", {**vars(stage.top), "handlers": []}),
    "handlers-cleared": lambda stage: stage.top.handlers.clear(),
    "handlers-replaced": lambda stage: setattr(stage.top, "handlers", []),
    "handlers-sliced": lambda stage: stage.top.handlers.__setitem__(slice(None), [logging.NullHandler()]),
    "handlers-same-size": lambda stage: stage.top.handlers.__setitem__(0, logging.NullHandler()),
    "handlers-twice": lambda stage: stage.top.handlers.append(stage.handler),
    "handlers-tuple": lambda stage: setattr(stage.top, "handlers", (stage.handler,)),
    "handler-removed": lambda stage: stage.top.removeHandler(stage.handler),
    "handler-on-the-logger": lambda stage: stage.log.addHandler(stage.handler),
    "handler-between": lambda stage: logging.getLogger("enemy.shop").addHandler(stage.handler),
    "null-handler-besides": lambda stage: stage.log.addHandler(logging.NullHandler()),
    "handler-of-another-kind": lambda stage: stage.log.addHandler(logging.StreamHandler(io.StringIO())),
    "handler's-level": lambda stage: stage.handler.setLevel(logging.WARNING),
    "handler's-level-attribute": lambda stage: setattr(stage.handler, "level", logging.WARNING),
    "handler's-level-odd": lambda stage: setattr(stage.handler, "level", 24.5),
    "handler's-filter": lambda stage: stage.handler.addFilter(refuse),
    "handler's-filters-replaced": lambda stage: setattr(stage.handler, "filters", [refuse]),
    "handler's-formatter": lambda stage: stage.handler.setFormatter(logging.Formatter("changed %(message)s")),
    "handler's-formatter-attribute": lambda stage: setattr(
        stage.handler, "formatter", logging.Formatter("a %(message)s")
    ),
    "handler's-formatter-style": lambda stage: stage.handler.setFormatter(logging.Formatter("{message}!", style="{")),
    "handler's-emit": lambda stage: setattr(stage.handler, "emit", lambda record: stage.say(record.getMessage())),
    "handler's-handle": lambda stage: setattr(stage.handler, "handle", lambda record: stage.say(record.getMessage())),
    "handler's-attributes": lambda stage: setattr(stage.handler, "__dict__", {**vars(stage.handler), "level": 30}),
    "handler-closed": lambda stage: stage.handler.close(),
    "filter": lambda stage: stage.log.addFilter(refuse),
    "filter-of-parent": lambda stage: stage.top.addFilter(refuse),
    "filters-replaced": lambda stage: setattr(stage.log, "filters", [refuse]),
    "filters-extended": lambda stage: stage.log.filters.extend([refuse]),
    "propagate": lambda stage: setattr(stage.log, "propagate", False),
    "propagate-between": lambda stage: setattr(logging.getLogger("enemy.shop"), "propagate", 0),
    "propagate-odd": lambda stage: setattr(stage.log, "propagate", ""),
    "parent": lambda stage: setattr(stage.log, "parent", None),
    "parent-other": lambda stage: setattr(stage.log, "parent", logging.getLogger("enemy.elsewhere")),
    "parent-made-later": lambda stage: logging.getLogger("enemy.shop").setLevel(logging.ERROR),
    "own-_log": lambda stage: setattr(stage.log, "_log", lambda *args, **more: stage.say(args)),
    "own-handle": lambda stage: setattr(stage.log, "handle", lambda record: stage.say(record.getMessage())),
    "own-callHandlers": lambda stage: setattr(stage.log, "callHandlers", lambda record: stage.say(record.msg)),
    "own-isEnabledFor": lambda stage: setattr(stage.log, "isEnabledFor", lambda level: level == 10),
    "own-makeRecord": lambda stage: setattr(stage.log, "makeRecord", lambda *args: made()),
    "own-findCaller": lambda stage: setattr(stage.log, "findCaller", lambda *args: ("f", 1, "g", None)),
    "own-filter": lambda stage: setattr(stage.log, "filter", lambda record: False),
    "own-info": lambda stage: setattr(stage.log, "info", lambda *args: stage.say(args)),
    "own-getEffectiveLevel": lambda stage: (
        setattr(stage.log, "getEffectiveLevel", lambda: 30),
        stage.log._cache.clear(),
    ),
    "name": lambda stage: setattr(stage.log, "name", "enemy.renamed"),
    "name-odd": lambda stage: setattr(stage.log, "name", 5),
    "manager": lambda stage: setattr(stage.log, "manager", logging.Manager(logging.root)),
    "unknown-attribute": lambda stage: setattr(stage.log, "_gunicorn", True),
    "unknown-attribute-of-handler": lambda stage: setattr(stage.handler, "_gunicorn", True),
    "factory": lambda stage: logging.setLogRecordFactory(shout),
    "class": lambda stage: setattr(stage.log, "__class__", Shouting),
    "class-without-overrides": lambda stage: setattr(stage.log, "__class__", Plain),
    "handler's-class": lambda stage: setattr(
        stage.handler, "__class__", type("Own", (type(stage.handler),), {"emit": lambda self, record: stage.say("own")})
    ),
    "raiseExceptions": lambda stage: setattr(logging, "raiseExceptions", False),
    "srcfile": lambda stage: setattr(logging, "_srcfile", None),
    "logThreads": lambda stage: setattr(logging, "logThreads", False),
    "logProcesses": lambda stage: setattr(logging, "logProcesses", False),
    "logMultiprocessing": lambda stage: setattr(logging, "logMultiprocessing", False),
}


def made() -> logging.LogRecord:
    return logging.makeLogRecord({"msg": "made", "levelno": 20, "levelname": "INFO", "name": "made"})


def shout(*args: Any, **more: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **more)
    record.msg = f"{record.msg}!"
    return record


class Plain(logging.Logger):
    """Overrides nothing."""

    def notice(self, message: str) -> None:
        self.log(25, message)


class Shouting(logging.Logger):
    def makeRecord(self, *args: Any, **more: Any) -> logging.LogRecord:
        record = super().makeRecord(*args, **more)
        record.msg = f"{record.msg}!"
        return record


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_obeyed_by_the_next_call(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        warm(stage)
        calls(stage)
        CHANGES[name](stage)
        calls(stage)

    played(play)


@pytest.mark.parametrize(
    "name", ["filter", "handler's-filter", "own-_log", "own-handle", "own-callHandlers", "factory", "class"]
)
def test_each_of_these_makes_calls_go_the_way_of_logging(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        warm(stage)
        CHANGES[name](stage)
        stage.original(lambda: stage.log.warning("original %d", 1))

    played(play)


UNDONE: dict[str, tuple[Change, Change]] = {
    "level": (lambda s: s.log.setLevel(40), lambda s: s.log.setLevel(0)),
    "disable": (lambda s: logging.disable(), lambda s: logging.disable(0)),
    "disabled": (lambda s: setattr(s.log, "disabled", True), lambda s: setattr(s.log, "disabled", False)),
    "handlers": (lambda s: s.top.handlers.clear(), lambda s: s.top.handlers.append(s.handler)),
    "handlers-replaced": (lambda s: setattr(s.top, "handlers", []), lambda s: setattr(s.top, "handlers", [s.handler])),
    "attributes": (lambda s: s.log.__dict__.clear(), lambda s: s.log.__init__("enemy.shop.cart")),  # type: ignore[misc]
    "filter": (lambda s: s.log.addFilter(refuse), lambda s: s.log.removeFilter(refuse)),
    "handler's-filter": (lambda s: s.handler.addFilter(refuse), lambda s: s.handler.removeFilter(refuse)),
    "propagate": (lambda s: setattr(s.log, "propagate", False), lambda s: setattr(s.log, "propagate", True)),
    "own-_log": (lambda s: setattr(s.log, "_log", lambda *a, **k: None), lambda s: delattr(s.log, "_log")),
    "factory": (
        lambda s: logging.setLogRecordFactory(shout),
        lambda s: logging.setLogRecordFactory(logging.LogRecord),
    ),
    "class": (lambda s: setattr(s.log, "__class__", Shouting), lambda s: setattr(s.log, "__class__", logging.Logger)),
    "srcfile": (
        lambda s: setattr(logging, "_srcfile", None),
        lambda s: setattr(logging, "_srcfile", logging.addLevelName.__code__.co_filename),
    ),
}


@pytest.mark.parametrize("name", [name for name in UNDONE if name != "attributes"])
def test_calls_are_fast_again_when_a_change_is_undone(played: Played, name: str) -> None:
    def play(stage: Stage) -> None:
        do, undo = UNDONE[name]
        for _ in range(3):
            warm(stage)
            do(stage)
            calls(stage)
            undo(stage)
            warm(stage)
            calls(stage)

    played(play)


def test_a_level_attribute_keeps_the_stale_answer(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.top.setLevel(logging.INFO)
        for _ in range(3):
            stage.log.debug("off")
            stage.log.info("on")
        stage.log.level = logging.DEBUG
        for _ in range(3):
            stage.log.debug("still off: the answer is kept")
        stage.log.level = logging.CRITICAL
        stage.fast(lambda: stage.log.info("still on: the answer is kept"))
        logging.getLogger("enemy.other").setLevel(logging.INFO)  # clears all answers
        stage.log.info("off now")

    played(play)


def test_a_level_that_was_never_asked_for(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.top.setLevel(logging.INFO)
        stage.log.level = logging.INFO
        for _ in range(3):
            stage.log.info("known")
        stage.log.level = logging.ERROR
        for _ in range(3):
            stage.log.warning("asked only now: off")
            stage.log.info("known")
            stage.log.error("on")

    played(play)


def test_a_logger_of_none(played: Played) -> None:
    """A logger that is not the manager's; one that `logging` has forgotten; one that is made again under its name."""

    def play(stage: Stage) -> None:
        own = logging.Logger("own", logging.DEBUG)
        own.addHandler(stage.handler)
        stage.original(lambda: own.info("own %s", 1))
        own.parent = stage.top
        stage.original(lambda: own.info("own %s", 1))
        warm(stage)
        forgotten = stage.log
        del logging.root.manager.loggerDict[forgotten.name]
        made = logging.getLogger(forgotten.name)
        for _ in range(3):
            forgotten.info("the forgotten one")
            made.info("the new one")
        made.setLevel(logging.ERROR)
        for _ in range(3):
            forgotten.info("the forgotten one")
            made.info("off")

    played(play)


def test_loggers_and_handlers_that_are_collected(played: Played) -> None:
    def play(stage: Stage) -> None:
        for number in range(50):
            log = logging.getLogger(f"enemy.brief.b{number % 3}")
            handler = stage.make_handler()
            log.addHandler(handler)
            for _ in range(3):
                log.info("brief %d", number)
            log.removeHandler(handler)
            if stage.kind == "file":
                handler.close()
            del logging.root.manager.loggerDict[log.name], log, handler
            if number % 10 == 0:
                gc.collect()

    played(play)


def test_subclasses(played: Played) -> None:
    def play(stage: Stage) -> None:
        logging.setLoggerClass(Plain)
        plain: Any = logging.getLogger("enemy.plain")
        stage.fast(lambda: plain.info("of a subclass"))
        stage.rendered(lambda: plain.notice("by its method"))
        logging.setLoggerClass(Shouting)
        shouting = logging.getLogger("enemy.shouting")
        below = logging.getLogger("enemy.shouting.below")
        stage.original(lambda: shouting.info("of a subclass"))
        stage.original(lambda: below.info("below it"))
        logging.setLoggerClass(logging.Logger)
        Plain.filter = lambda self, record: False  # type: ignore[method-assign,assignment]
        try:
            stage.original(lambda: plain.info("not any more"))
        finally:
            del Plain.filter
        stage.fast(lambda: plain.info("again"))

    played(play)


class TestOverrides:
    """Each override of a subclass is obeyed."""

    @pytest.mark.parametrize(
        "name",
        [
            "_log",
            "handle",
            "callHandlers",
            "makeRecord",
            "findCaller",
            "isEnabledFor",
            "getEffectiveLevel",
            "filter",
            "info",
        ],
    )
    def test_of_a_method(self, played: Played, name: str) -> None:
        def play(stage: Stage) -> None:
            def own(self: logging.Logger, *args: Any, **more: Any) -> Any:
                stage.say(name)
                return getattr(super(Own, self), name)(*args, **more)

            Own: Any = type("Own", (logging.Logger,), {name: own})  # noqa: N806  # a class
            logging.setLoggerClass(Own)
            log = logging.getLogger("enemy.own")
            logging.setLoggerClass(logging.Logger)
            log.setLevel(logging.DEBUG)
            stage.original(lambda: log.info("own %d", 1))

        played(play)

    @pytest.mark.parametrize("name", ["disabled", "level", "handlers", "propagate", "parent"])
    def test_of_an_attribute(self, played: Played, name: str) -> None:
        def play(stage: Stage) -> None:
            def get(self: Any) -> Any:
                stage.say(name)
                return vars(self)[name]

            def put(self: Any, value: Any) -> None:
                vars(self)[name] = value

            Own: Any = type("Own", (logging.Logger,), {name: property(get, put)})  # noqa: N806  # a class
            logging.setLoggerClass(Own)
            log = logging.getLogger("enemy.own")
            logging.setLoggerClass(logging.Logger)
            stage.original(lambda: log.info("own %d", 1))

        played(play)

    def test_of_getattribute(self, played: Played) -> None:
        class Own(logging.Logger):
            def __getattribute__(self, name: str) -> Any:
                return True if name == "disabled" else super().__getattribute__(name)

        def play(stage: Stage) -> None:
            logging.setLoggerClass(Own)
            log = logging.getLogger("enemy.own")
            logging.setLoggerClass(logging.Logger)
            log._cache[20] = True  # type: ignore[attr-defined]
            stage.original(lambda: log.info("own %d", 1))
            stage.say(log.isEnabledFor(20))

        played(play)


def test_dict_config(played: Played) -> None:
    def play(stage: Stage) -> None:
        warm(stage)
        for existing in (False, True):
            config: dict[str, Any] = {
                "version": 1,
                "disable_existing_loggers": existing,
                "handlers": {"h": {"()": lambda: stage.handler}},
                "loggers": {"enemy": {"handlers": ["h"], "level": "INFO", "propagate": False}},
                "root": {"handlers": [], "level": "WARNING"},
            }
            logging.config.dictConfig(config)
            calls(stage)
        logging.config.dictConfig({"version": 1, "incremental": True, "loggers": {"enemy": {"level": "ERROR"}}})
        calls(stage)

    played(play)


def test_basic_config(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.top.propagate = True
        stage.top.handlers.clear()
        second = stage.make_handler()
        for handler in (stage.handler, second):
            logging.basicConfig(force=True, handlers=[handler], level=logging.DEBUG)
            stage.fast(lambda: stage.log.info("by the root's handler %d", 1))
            calls(stage)
        logging.basicConfig(force=True, handlers=[logging.NullHandler()], level=logging.ERROR)
        calls(stage)
        stage.say(logging.root.handlers)
        logging.root.handlers.clear()

    stage = played(lambda stage: play(stage))
    assert stage.heard


def test_no_handler_at_all(played: Played) -> None:
    def play(stage: Stage) -> None:
        stage.top.handlers.clear()
        calls(stage)
        logging.lastResort, last = None, logging.lastResort
        try:
            calls(stage)
        finally:
            logging.lastResort = last
        stage.top.addHandler(logging.NullHandler())
        calls(stage)

    played(play)


def test_shutdown(played: Played) -> None:
    def play(stage: Stage) -> None:
        warm(stage)
        logging.shutdown([lambda: stage.handler])  # type: ignore[list-item]
        calls(stage)

    played(play)


def test_many_changes_in_a_second(played: Played) -> None:
    def play(stage: Stage) -> None:
        for number in range(400):
            stage.top.setLevel(logging.INFO if number % 2 else logging.ERROR)
            stage.log.info("odd %d", number)
            stage.log.error("any %d", number)

    played(play)
