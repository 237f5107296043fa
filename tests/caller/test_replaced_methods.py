"""Tests of users replace methods of a logger: by mock.patch.object, monkeypatch, or a plain assignment."""

import copy
import gc
import pickle
import sys
import weakref
from types import SimpleNamespace
from unittest import mock

import pytest

from logly import Logger, SinkConfig, _core
from tests.support.lines import Lines

LEVELS = ("trace", "debug", "info", "success", "warning", "error", "fail", "critical", "exception")


@pytest.fixture
def lines():
    with Lines(format="{message}") as lines:
        yield lines


def test_a_method_of_one_logger_is_mocked_and_put_back(lines):
    with mock.patch.object(lines.logger, "warning") as warning:
        lines.logger.warning("low on {}", "disk", free=3)
        lines.logger.info("another method")
    warning.assert_called_once_with("low on {}", "disk", free=3)
    lines.logger.warning("written")
    assert lines.lines() == ["another method", "written"]
    assert type(lines.logger) is Logger


@pytest.mark.parametrize("name", [*LEVELS, "log", "bind", "flush", "add_sink", "catch", "close"])
def test_every_method_can_be_mocked(lines, name):
    before = getattr(lines.logger, name)
    with mock.patch.object(lines.logger, name) as replacement:
        assert getattr(lines.logger, name) is replacement
        with mock.patch.object(lines.logger, "is_enabled_for", autospec=True):
            pass
        assert getattr(lines.logger, name) is replacement
    assert getattr(lines.logger, name) == before
    assert type(lines.logger) is Logger


def test_patches_within_each_other(lines):
    with mock.patch.object(lines.logger, "info") as outer, mock.patch.object(lines.logger, "error") as error:
        with mock.patch.object(lines.logger, "info") as inner:
            lines.logger.info("inner")
        lines.logger.info("outer")
        lines.logger.error("e")
    inner.assert_called_once_with("inner")
    outer.assert_called_once_with("outer")
    error.assert_called_once_with("e")
    lines.logger.info("written")
    assert lines.lines() == ["written"]


def test_by_path_and_several_at_once(lines, monkeypatch):
    monkeypatch.setattr(f"{__name__}.MODULE", SimpleNamespace(logger=lines.logger))
    with mock.patch(f"{__name__}.MODULE.logger.info") as info:
        lines.logger.info("by path")
    info.assert_called_once_with("by path")
    with mock.patch.multiple(lines.logger, info=mock.DEFAULT, error=mock.DEFAULT) as both:
        lines.logger.info("one")
        lines.logger.error("two")
    both["info"].assert_called_once_with("one")
    both["error"].assert_called_once_with("two")
    assert type(lines.logger) is Logger


MODULE = SimpleNamespace()


def test_autospec_and_wraps(lines):
    with mock.patch.object(lines.logger, "info", autospec=True) as info:
        lines.logger.info("speced")
    info.assert_called_once_with("speced")
    with mock.patch.object(lines.logger, "info", wraps=lines.logger.info) as info:
        lines.logger.info("through {}", 1)
    info.assert_called_once_with("through {}", 1)
    assert lines.lines() == ["through 1"]


def test_monkeypatch_and_its_undo(lines, monkeypatch):
    seen = []
    with monkeypatch.context() as patches:
        patches.setattr(lines.logger, "info", lambda *args: seen.append(args))
        lines.logger.info("a", 1)
        patches.setattr(lines.logger, "info", seen.append)
        lines.logger.info("b")
        patches.delattr(lines.logger, "info")
        lines.logger.info("not replaced")
    lines.logger.info("written")
    assert seen == [("a", 1), "b"]
    assert lines.lines() == ["not replaced", "written"]
    assert type(lines.logger) is Logger


def test_assigned_and_deleted(lines):
    lines.logger.info = mock.Mock()
    lines.logger.info("mocked")
    assert lines.logger.__dict__ == {"info": lines.logger.info}
    assert isinstance(lines.logger, Logger)
    assert repr(lines.logger).startswith("<Logger 'root'")
    del lines.logger.info
    lines.logger.info("written")
    with pytest.raises(AttributeError):
        del lines.logger.info
    assert lines.lines() == ["written"]


def test_other_loggers_and_children_are_not_mocked(lines):
    with Lines(format="{message}") as other, mock.patch.object(lines.logger, "info") as info:
        other.logger.info("other")
        child = lines.logger.bind(a=1)
        child.info("child")
        child.bind(b=1).unbind("a").info("grandchild")
        assert type(child) is type(other.logger) is Logger
        assert other.lines() == ["other"]
    info.assert_not_called()
    assert lines.lines() == ["child", "grandchild"]


def test_a_child_that_is_mocked_leaves_its_parent_alone(lines):
    child = lines.logger.bind(a=1)
    with mock.patch.object(child, "info"):
        child.info("mocked")
        lines.logger.info("parent")
    child.info("child")
    assert lines.lines() == ["parent", "child"]


class Slotted(Logger):
    __slots__ = ("own",)


class WithDict(Logger):
    pass


@pytest.mark.parametrize("kind", [Slotted, WithDict])
def test_loggers_of_subclasses(lines, kind):
    logger = kind()
    try:
        logger.add_sink(SinkConfig(fd=lines.fd, format="{message}"))
        logger.own = 5
        with mock.patch.object(logger, "info") as info:
            logger.info("mocked")
            logger.own = 6
            if kind is Slotted:
                logger.bind(a=1).info("child")
        logger.info("written")
        assert logger.flush(30)
        info.assert_called_once_with("mocked")
        assert type(logger) is kind
        assert logger.own == 6
    finally:
        logger.close()
    assert lines.text() == ("child\nwritten\n" if kind is Slotted else "written\n")


def test_what_is_no_method_cannot_be_set(lines):
    for name in ("inof", "name", "config", "_bound", "__enter__", "__doc__"):
        with pytest.raises(AttributeError):
            setattr(lines.logger, name, None)
    with pytest.raises(AttributeError), mock.patch.object(lines.logger, "inof"):
        pass
    assert type(lines.logger) is Logger


def test_a_mocked_logger_is_copied_and_pickled_as_any_other(lines):
    with mock.patch.object(lines.logger, "info"):
        assert copy.copy(lines.logger) is copy.deepcopy([lines.logger])[0] is lines.logger
        with pytest.raises(pickle.PicklingError, match=r"a Logger cannot be pickled: SinkConfig\.fd"):
            pickle.dumps(lines.logger)
        (number,) = lines.logger.list_sinks()
        lines.logger.remove_sink(number)
        same = pickle.loads(pickle.dumps(lines.logger))
        assert type(same) is Logger
        assert same._controller is lines.logger._controller


@pytest.mark.skipif(
    _core.IS_FREE_THREADED and sys.version_info < (3, 14),
    reason="CPython 3.13 without a GIL keeps every class for ever once a second thread was started",
)
def test_the_class_of_its_own_goes(lines):
    with mock.patch.object(lines.logger, "info"):
        kind = weakref.ref(type(lines.logger))
    gc.collect()
    assert kind() is None
