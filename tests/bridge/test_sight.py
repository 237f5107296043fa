"""How changes are seen: each way that this Python has sees all of them, and a way that does not is not used."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

import logly.bridge.install as bridge
from logly._core import changes_told, has_gil, sight_in_use
from logly.bridge import resolve, sight
from tests.bridge import test_changes, test_patches
from tests.bridge.oracle import SEES_CHANGES, Stage, compare
from tests.bridge.sights import OTHER_SIGHTS, USUAL_SIGHT
from tests.support.programs import environment, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Played = Callable[..., Stage]

sees = pytest.mark.skipif(not SEES_CHANGES, reason="calls go the way of logging")
can_compare = pytest.mark.skipif(not OTHER_SIGHTS, reason="this Python has one way of seeing changes")
told = pytest.mark.skipif(
    "watchers" not in (USUAL_SIGHT, *OTHER_SIGHTS), reason="this Python does not tell of all changes"
)


def in_use() -> str:
    name, hasty, _ = sight_in_use()
    return name if hasty else f"{name}-slowly"


@pytest.fixture(params=OTHER_SIGHTS)
def other(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A way of seeing changes that is not the usual one here."""
    monkeypatch.setenv("LOGLY_SIGHT", request.param)
    return str(request.param)


@pytest.fixture(params=["stdlib", "file"])
def otherwise(request: pytest.FixtureRequest, other: str, tmp_path: Path) -> Played:
    """Like `played`."""

    def play(play: Any, **options: Any) -> Stage:
        stage = compare(play, request.param, tmp_path, **options)
        assert in_use() == other
        return stage

    return play


@pytest.fixture
def installed() -> Iterator[None]:
    bridge.install()
    yield
    bridge.uninstall()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOGLY_SIGHT", "watchers")
    bridge.install()
    assert in_use() == "watchers"
    yield
    bridge.uninstall()


@pytest.mark.usefixtures("installed")
def test_the_usual_way() -> None:
    assert in_use() == USUAL_SIGHT


# ---- the same plays, seen in other ways


@pytest.mark.parametrize("name", test_changes.CHANGES)
def test_each_change_is_obeyed(otherwise: Played, name: str) -> None:
    test_changes.test_each_change_is_obeyed_by_the_next_call(otherwise, name)


@pytest.mark.parametrize("name", [name for name in test_changes.UNDONE if name != "attributes"])
def test_calls_are_fast_again(otherwise: Played, name: str) -> None:
    test_changes.test_calls_are_fast_again_when_a_change_is_undone(otherwise, name)


PLAYS = (
    test_changes.test_a_level_attribute_keeps_the_stale_answer,
    test_changes.test_a_level_that_was_never_asked_for,
    test_changes.test_a_logger_of_none,
    test_changes.test_loggers_and_handlers_that_are_collected,
    test_changes.test_subclasses,
    test_changes.test_dict_config,
    test_changes.test_basic_config,
    test_changes.test_no_handler_at_all,
    test_changes.test_many_changes_in_a_second,
    test_patches.test_the_1101st_patch_is_obeyed,
    test_patches.test_a_factory_is_set_by_a_handler,
    test_patches.test_mock_patches,
    test_patches.test_assert_logs,
)


@pytest.mark.parametrize("test", PLAYS)
def test_play(otherwise: Played, test: Callable[[Played], None]) -> None:
    test(otherwise)


# ---- what is not trusted


def counts(log: logging.Logger) -> tuple[int, int, int]:
    found = [one for one in bridge.routes() if one.name == log.name]
    return (found[0].fast, found[0].rendered, found[0].original) if found else (0, 0, 0)


def reasons() -> set[str | None]:
    return {one.why_not for one in bridge.routes()}


@can_compare
@pytest.mark.parametrize("usual", [None, "watchers"])
def test_a_python_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, usual: str | None) -> None:
    """Its watchers are not used, and all is compared."""
    monkeypatch.setattr(sight, "is_told_of_all", lambda: False)
    monkeypatch.setenv("LOGLY_SIGHT", usual or "watchers")

    def play(stage: Stage) -> None:
        test_changes.warm(stage)
        stage.log.disabled = True
        test_changes.calls(stage)
        stage.log.disabled = False
        test_changes.warm(stage)

    compare(play, "file", tmp_path)
    assert in_use() == "comparing"


@can_compare
def test_values_are_not_compared_at_once_where_that_sees_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "is_told_of_all", lambda: False)
    monkeypatch.setattr(sight, "sees_all", iter((False, True)).__next__)
    monkeypatch.setenv("LOGLY_SIGHT", "watchers")
    bridge.install()
    try:
        assert in_use() == "comparing-slowly"
    finally:
        bridge.uninstall()


def check_original(why: str) -> None:
    bridge.install()
    try:
        log = logging.getLogger("enemy.original")
        for _ in range(3):
            log.warning("original")
        assert in_use() == "nothing"
        assert log.name in {one.name for one in bridge.routes()}
        assert reasons() == {why}
        assert counts(log)[:2] == (0, 0)
        assert not any(one.is_fast for one in bridge.routes())
    finally:
        bridge.uninstall()


@sees
def test_a_python_in_which_nothing_sees_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "WAYS", (("watchers", lambda: False), ("comparing", lambda: False)))
    check_original("this Python does not tell of every change of an object")


@sees
def test_a_python_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sight, "KNOWN", ())
    version = ".".join(map(str, sys.version_info[:2]))
    check_original(f"this version of logly does not know cpython {version}")


@pytest.mark.skipif(has_gil(), reason="this Python has a GIL")
def test_a_python_without_a_gil() -> None:
    check_original("calls are fast only in a Python with a GIL")


FULL = """
import ctypes, logging, sys
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
callback = kind(lambda *args: 0)
try:
    while True:
        ctypes.pythonapi.PyDict_AddWatcher(callback)
except RuntimeError as error:
    print(error)
import logly
from logly._core import sight_in_use
logging.basicConfig(filename=sys.argv[1], format="%(message)s", level="INFO")
logly.install()
print(sight_in_use()[0])
log = logging.getLogger("shop")
for level in ("INFO", "ERROR", "INFO"):
    log.setLevel(level)
    for number in range(4):
        log.info("%s %d", level, number)
print([one.fast >= 3 for one in logly.routes() if one.name == "shop"])
"""


@can_compare
def test_no_watcher_is_free(tmp_path: Path) -> None:
    path = tmp_path / "full.log"
    done = run_program(FULL, path, env=environment(LOGLY_SIGHT="watchers"))
    assert done.stdout.splitlines() == ["no more dict watcher IDs available", "comparing", "[True]"]
    assert path.read_text().splitlines() == [f"INFO {number}" for number in range(4)] * 2


# ---- what CPython tells


class Counting:
    """How often a route is found out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        original = resolve.RouteRules.refuses_logger

        def refuses_logger(rules: Any, logger: Any, is_caller: bool) -> str | None:
            self.count += is_caller
            return original(rules, logger, is_caller)

        monkeypatch.setattr(resolve.RouteRules, "refuses_logger", refuses_logger)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[logging.Logger]:
    """A logger that only its own handler hears. (pytest gives handlers to all that do not propagate.)"""
    made = logging.getLogger("enemy.told")
    handler = logging.FileHandler(tmp_path / "told.log")
    made.addHandler(handler)
    made.setLevel(logging.INFO)
    made.parent = None
    yield made
    made.removeHandler(handler)
    handler.close()
    made.setLevel(0)
    made.parent = logging.root


@told
@pytest.mark.usefixtures("watched")
def test_a_change_of_something_else_does_not_find_a_route_out_again(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: Any = logging.getLogger("enemy.other")
    other.warning("has a route, too")
    for _ in range(4):
        log.info("known %d", 1)
        log.debug("off")
    counting = Counting(monkeypatch)
    before = counts(log)
    for number in range(500):
        told = changes_told()
        other.mark = number
        assert changes_told() > told
        log.debug("off")
        log.info("known %d", 1)
    after = counts(log)
    assert counting.count == 0
    assert (after[0] - before[0], after[1] - before[1], after[2] - before[2]) == (500, 0, 0)
    log.setLevel(logging.ERROR)
    log.info("off now")
    assert counting.count == 1
    assert counts(log) == after


@told
@pytest.mark.usefixtures("watched")
def test_an_answer_about_a_level_is_no_change(log: logging.Logger) -> None:
    for _ in range(4):
        log.info("known %d", 1)
    log.isEnabledFor(5)
    told = changes_told()
    for level in (31, 32, 33):
        assert log.isEnabledFor(level)
    assert changes_told() == told
    before = counts(log)[0]
    for _ in range(4):
        log.error("known %d", 1)  # its level was asked for by this call first
    assert counts(log)[0] >= before + 2
    log._cache[20] = False  # type: ignore[attr-defined]
    assert changes_told() > told
    assert not log.isEnabledFor(20)


@sees
def test_a_table_of_attributes_of_its_own_kind(log: logging.Logger) -> None:
    """Attributes under names that are no plain str, and in a subclass of dict."""

    class Table(dict[Any, Any]):
        pass

    class Name(str):
        __slots__ = ()

    attributes: dict[Any, Any] = vars(log)
    tables: tuple[Any, ...] = (Table(attributes), {**attributes, 5: 6}, {**attributes, Name("x"): 1})
    bridge.install()
    try:
        for table in tables:
            log.__dict__ = table
            for _ in range(4):
                log.info("on")
            before = counts(log)
            log.info("on")
            assert counts(log)[0] == before[0] + 1
            log.disabled = True
            log.info("off")
            assert counts(log) == (before[0] + 1, *before[1:])
            log.disabled = False
        handler = log.handlers[0]
        handler.flush()
    finally:
        bridge.uninstall()
    assert isinstance(handler, logging.FileHandler)
    with open(handler.baseFilename) as file:
        assert file.read() == "on\n" * 15


@sees
def test_a_module_with_a_name_that_is_no_str(log: logging.Logger) -> None:
    names: Any = vars(logging)
    bridge.install()
    try:
        names[5] = 6
        for _ in range(4):
            log.info("on")
        before = counts(log)
        log.info("on")
        assert counts(log)[0] == before[0] + 1
        logging.logThreads = False
        log.info("original")
        assert counts(log)[0] == before[0] + 1
    finally:
        logging.logThreads = True
        del names[5]
        bridge.uninstall()
