"""`install` and `os.fork`: the order of the lines, and a child with whole handlers."""

from __future__ import annotations

import logging
import logging.handlers
import os
import shutil
import threading
import warnings
from pathlib import Path

import pytest

import logly
from tests.support.forks import children_end_well, fork

from .oracle import SEES_CHANGES
from .test_handler_sink import Rotating, served

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def logged(path: Path, handler: logging.Handler, *, is_fast: bool = False) -> str:
    logger = logging.getLogger(f"forks.{path.parent.name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers[:] = [handler]
    for i in range(3):
        logger.info("parent %d", i)
    assert [one.is_fast for one in logly.routes() if one.name == logger.name] == [True] * is_fast

    def child() -> None:
        logger.info("child")
        handler.flush()

    children_end_well([fork(child)])
    logger.info("parent again")
    handler.close()
    return path.read_text()


@pytest.mark.parametrize("limit", [0, 20])
def test_what_was_logged_before_a_fork_comes_before_what_the_child_logs(tmp_path: Path, limit: int) -> None:
    (tmp_path / "logging").mkdir()
    (tmp_path / "logly").mkdir()
    by_logging = logged(tmp_path / "logging/log", Rotating(tmp_path / "logging/log", maxBytes=limit, backupCount=3))
    logly.install(write="soon")
    try:
        handler = Rotating(tmp_path / "logly/log", maxBytes=limit, backupCount=3)
        by_logly = logged(tmp_path / "logly/log", handler, is_fast=SEES_CHANGES)
    finally:
        logly.uninstall()
    assert by_logly == by_logging
    files = sorted(file.name for file in (tmp_path / "logging").iterdir())
    assert sorted(file.name for file in (tmp_path / "logly").iterdir()) == files
    for name in files:
        assert (tmp_path / "logly" / name).read_text() == (tmp_path / "logging" / name).read_text()


def test_a_full_disk_keeps_no_fork_waiting() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    handler = logging.FileHandler("/dev/full")
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    with served(handler) as (logger, _):
        logger.info("never written")
        children_end_well([fork(lambda: None)])


def test_a_fork_waits_for_a_rollover(tmp_path: Path) -> None:
    """In the middle of it the handler's stream is closed, and so it would be the child's."""
    begun, go, ended = threading.Event(), threading.Event(), []

    def move(source: str, target: str) -> None:
        begun.set()
        go.wait(0.3)  # longer than a fork takes that does not wait
        shutil.move(source, target)
        ended.append(1)

    handler = Rotating(tmp_path / "log", maxBytes=10, backupCount=1)
    handler.rotator = move
    with served(handler) as (logger, sink):
        logger.info("one line")
        logger.info("another line")
        logger.flush(0)
        assert begun.wait(30)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            os._exit(0 if ended and handler.stream is not None and not handler.stream.closed else 1)
        children_end_well([pid])
        assert sink.drain(30)
    assert (tmp_path / "log").read_text() == "another line\n"
