"""A process that has used up its descriptors: nothing can be imported then, and just then errors are logged."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from logly.caller import tracebacks
from tests.support.log_files import rotated_files
from tests.support.programs import run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of descriptors to reach")

USE_UP = """
import os, resource, sys
from logly import LoggerConfig, Logger, SinkConfig

def use_up_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return taken

told = []
logger = Logger(LoggerConfig(auto_sink=False, on_error=told.append))
"""


def lines_of(code: str, tmp_path: Path) -> list[str]:
    """Runs the code without a free descriptor, beside a sink with the file app.log; returns the lines of the file."""
    path = tmp_path / "app.log"
    sink = f"sink = logger.add_sink(SinkConfig(path={str(path)!r}, format='{{level}} {{message}}'))\n"
    run_program(f"{USE_UP}{sink}taken = use_up_descriptors()\n{code}\nassert logger.flush(10)\nassert not told, told\n")
    return path.read_text().splitlines()


def test_the_first_exception_has_its_traceback(tmp_path: Path) -> None:
    lines = lines_of("try:\n    1 / 0\nexcept ZeroDivisionError:\n    logger.exception('failed')", tmp_path)
    assert lines[0] == "ERROR failed"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_the_books_can_be_read(tmp_path: Path) -> None:
    code = "logger.info('one')\nlogger.flush()\nassert logger.stats().written == logger.sink_stats(sink).written == 1"
    assert lines_of(code, tmp_path) == ["INFO one"]


def test_the_settings_in_force(tmp_path: Path) -> None:
    assert lines_of("assert logger.config.auto_sink is False\nlogger.info('one')", tmp_path) == ["INFO one"]


def test_catch_and_context(tmp_path: Path) -> None:
    code = "with logger.contextualize(a=1):\n    with logger.catch(message='caught'):\n        1 / 0"
    lines = lines_of(code, tmp_path)
    assert lines[0].startswith("ERROR caught")
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_field_that_holds_a_dict(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    code = f"""{USE_UP}
logger.add_sink(SinkConfig(path={str(path)!r}, json=True))
taken = use_up_descriptors()
logger.info("got", request={{"a": ["b"]}})
assert logger.flush(10)
assert not told, told
"""
    run_program(code)
    assert json.loads(path.read_text())["request"] == {"a": ["b"]}


def test_a_wrong_level_is_told_with_its_own_error(tmp_path: Path) -> None:
    code = """
try:
    logger.log("WARNNG", "x")
except Exception as error:
    assert type(error).__name__ == "ConfigError", repr(error)
else:
    raise AssertionError
"""
    assert lines_of(code, tmp_path) == []


def test_a_function_sink_reads_a_record(tmp_path: Path) -> None:
    code = f"""{USE_UP}
found = []
def keep(record):
    found.append((record.time.year > 2000, record.fields["request"]))
logger.add_sink(SinkConfig(function=keep))
taken = use_up_descriptors()
logger.info("got", request={{"a": ["b"]}})
assert logger.flush(10)
assert not told, told
assert found == [(True, {{"a": ["b"]}})], found
"""
    run_program(code)


def test_the_next_step_after_rotation_is_loaded(tmp_path: Path) -> None:
    # The rotation itself needs a descriptor. Its failure is told, and the lines are kept in the old file, which may be
    # rotated when there are descriptors again.
    path = tmp_path / "app.log"
    code = f"""{USE_UP}
logger.add_sink(SinkConfig(path={str(path)!r}, size_limit=200, retention=3, compression="gzip", format="{{message}}"))
taken = use_up_descriptors()
for number in range(100):
    logger.info("line {{}}", number)
assert logger.flush(10)
assert [error.errno for error in told] == [24] * len(told) != [], told
for fd in taken:
    os.close(fd)
"""
    run_program(code)
    files = [file.read_bytes() for file in (*rotated_files(path), path)]
    text = b"".join(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data for data in files).decode()
    assert text.splitlines() == [f"line {number}" for number in range(100)]


def test_a_spool_in_a_forked_child(tmp_path: Path) -> None:
    # The child has no descriptor for a spool of its own. That is told, and its lines are written without one.
    path = tmp_path / "app.log"
    code = f"""{USE_UP}
logger.configure(LoggerConfig(auto_sink=False, on_error=told.append, spool={str(tmp_path / "spool")!r}))
logger.add_sink(SinkConfig(path={str(path)!r}, format="{{message}}"))
taken = use_up_descriptors()
pid = os.fork()
if pid == 0:
    taken += use_up_descriptors()  # the one of the parent's spool has become free
    logger.info("child")
    os._exit(0 if logger.close(10) and [error.errno for error in told] == [24] else 1)
assert os.waitpid(pid, 0)[1] == 0
"""
    run_program(code)
    assert path.read_text() == "child\n"


def test_a_traceback_that_cannot_import_what_it_needs_shows_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(tracebacks, "TracebackException", fail)
    try:
        int("no\nnumber")
    except ValueError as error:
        kind, message, stack, safe = tracebacks.exception_text(error, error.__traceback__)
    assert (kind, message) == ("ValueError", "invalid literal for int() with base 10: 'no\\nnumber'")
    assert stack.startswith('Traceback (most recent call last):\n  File "')
    assert stack.endswith(f"\nValueError: {message}\n")
    assert safe.endswith(f"\n    ValueError: {message}\n")
