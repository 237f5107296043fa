"""What a dead process left: the names of the logger that writes it hold, and nobody else may read the file."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.spooling import dies, run_recover, spools

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")

SECRET = "hunter2"
PROGRAM = f"""
logger.configure(recorder="debug", level="info", redact=["password"])
logger.info("one {{password}}", password={SECRET!r})
logger.info("two", user={{"password": {SECRET!r}}})
logger.info("key token={{}}", "abc")
logger.debug("kept", password={SECRET!r})
"""


def test_the_next_logger_redacts_what_it_writes(tmp_path: Path) -> None:
    dies(tmp_path, PROGRAM)
    config = LoggerConfig(spool=tmp_path / "app.spool", redact=["PASS*"], recorder="debug", level="info")
    with Logger(config) as logger:
        logger.add_sink(SinkConfig(path=tmp_path / "app.log", json=True))
        assert logger.flush(30)
    text = (tmp_path / "app.log").read_text()
    assert text.count("[redacted]") == 4
    assert SECRET not in text


def test_the_command_takes_the_names(tmp_path: Path) -> None:
    dies(tmp_path, PROGRAM)
    plain = run_recover(tmp_path / "app.spool", "--json", "--recorder").stdout
    assert plain.count(SECRET) == 3
    shown = run_recover(tmp_path / "app.spool", "--json", "--recorder", "--redact", "x", "--redact", "password").stdout
    # The line before the records of the flight recorder has the time of now.
    stamp = re.compile(r'"timestamp":"[^"]*"')
    assert stamp.sub("", shown) == stamp.sub("", plain.replace(SECRET, "[redacted]"))
    assert (
        run_recover(tmp_path / "app.spool", "--format", "{message}", "--redact-text").stdout
        == "one [redacted]\ntwo\nkey token=[redacted]\n"
    )
    assert "redact" in run_recover(tmp_path / "app.spool", "--redact", "", returncode=2).stderr


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    dies(tmp_path, PROGRAM)
    files = [tmp_path / name for name in spools(tmp_path)]
    assert any(SECRET.encode() in file.read_bytes() for file in files)
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
