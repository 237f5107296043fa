"""What becomes of records that reach no handler: in a process that has made none, `logly.logger` gets them."""

from __future__ import annotations

import subprocess
import sys

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
    assert lines == ["WARNING shop one 1", "ERROR shop.db two"]
    assert told == ""


def test_what_goes_the_way_of_logging_goes_there_too() -> None:
    lines, told = run(
        "log.error('first')\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('caught'); log.error('once more', exc_info=True)\n"
        "log.error('from here', stack_info=True)\nlog.warning('at %s', 'another place', stacklevel=1)\n"
        "log.info('off', stack_info=True)\nlog.error('last')"
    )
    heads = [line for line in lines if line.startswith(("ERROR", "WARNING"))]
    texts = ["first", "caught", "once more", "from here", "at another place", "last"]
    assert [line.split(" shop ")[1] for line in heads] == texts
    assert sum(line == "ZeroDivisionError: division by zero" for line in lines) == 2
    assert sum(line.startswith("Stack (most recent call last)") for line in lines) == 1
    assert told == ""


def test_a_traceback_is_left_to_logging_where_its_rules_hold() -> None:
    lines, told = run(
        "log.propagate = False\nlog.error('no root', stack_info=True)\nlog.propagate = True\n"
        "logly.uninstall()\nlog.error('uninstalled', stack_info=True)\nlogly.install()\n"
        "handler = logging.FileHandler('/dev/null')\nlog.error('a handler', stack_info=True)"
    )
    assert lines == []
    assert [line for line in told.splitlines() if line[0] not in " S"] == ["no root", "uninstalled", "a handler"]


def test_a_handler_that_is_made_later_gives_lastresort_its_work_back() -> None:
    lines, told = run(
        "log.warning('one')\nhandler = logging.FileHandler('/dev/null')\nlog.warning('two')\n"
        "logging.lastResort = None\nlog.warning('three')"
    )
    assert lines == ["WARNING shop one"]
    assert told == 'two\nNo handlers could be found for logger "shop"\n'


def test_a_null_handler_is_none() -> None:
    lines, told = run(
        "logging.getLogger('library').addHandler(logging.NullHandler())\n"
        "logging.getLogger('library').warning('unheard')\nlog.warning('heard')"
    )
    assert lines == ["WARNING shop heard"]
    assert told == ""


def test_records_that_do_not_reach_the_root_are_left_to_logging() -> None:
    lines, told = run("log.propagate = False\nlog.warning('here')")
    assert (lines, told) == ([], "here\n")


def test_a_process_that_has_been_configured_is_left_to_logging() -> None:
    settings = "{'version': 1, 'disable_existing_loggers': False}"
    lines, told = run(f"import logging.config\nlogging.config.dictConfig({settings})\nlog.warning('here')")
    assert (lines, told) == ([], "here\n")
