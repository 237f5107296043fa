"""What becomes of records that reach no handler: in a process that has made none, `logly.logger` gets them."""

from __future__ import annotations

import subprocess
import sys

from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment

HEAD = """
import logging, sys, logly
logly.logger.add_sink(logly.SinkConfig(stream=sys.stdout, format="{level} {module} {message}"))
logly.install()
log = logging.getLogger("shop")
"""


def run(text: str) -> tuple[list[str], str]:
    words = [sys.executable, "-c", HEAD + text]
    done = subprocess.run(words, env=environment(), timeout=60, check=True, capture_output=True, text=True)
    return done.stdout.splitlines(), done.stderr


def test_a_process_without_any_handler_logs_into_loglys_logger() -> None:
    lines, told = run("log.warning('one %d', 1)\nlogging.getLogger('shop.db').error('two')\nlog.info('off')")
    if SEES_CHANGES:
        assert lines == ["WARNING shop one 1", "ERROR shop.db two"]
        assert told == ""
    else:
        assert (lines, told) == ([], "one 1\ntwo\n")


def test_a_handler_that_is_made_later_gives_lastresort_its_work_back() -> None:
    lines, told = run(
        "log.warning('one')\nhandler = logging.FileHandler('/dev/null')\nlog.warning('two')\n"
        "logging.lastResort = None\nlog.warning('three')"
    )
    assert lines == (["WARNING shop one"] if SEES_CHANGES else [])
    warning = 'No handlers could be found for logger "shop"\n'
    assert told == ("two\n" if SEES_CHANGES else "one\ntwo\n") + warning


def test_a_null_handler_is_none() -> None:
    lines, told = run(
        "logging.getLogger('library').addHandler(logging.NullHandler())\n"
        "logging.getLogger('library').warning('unheard')\nlog.warning('heard')"
    )
    assert lines == (["WARNING shop heard"] if SEES_CHANGES else [])
    assert told == ("" if SEES_CHANGES else "heard\n")


def test_records_that_do_not_reach_the_root_are_left_to_logging() -> None:
    lines, told = run("log.propagate = False\nlog.warning('here')")
    assert (lines, told) == ([], "here\n")


def test_a_process_that_has_been_configured_is_left_to_logging() -> None:
    settings = "{'version': 1, 'disable_existing_loggers': False}"
    lines, told = run(f"import logging.config\nlogging.config.dictConfig({settings})\nlog.warning('here')")
    assert (lines, told) == ([], "here\n")
