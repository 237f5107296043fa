"""Spools that another user made or may have changed: refused, told and left alone.

A spool says what is to be appended to which file.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from logly import SpoolError
from tests.support.spooling import begin_write, dies, revive, run_recover, spools

FOREIGN = 54321


def leave_foreign(folder: Path) -> tuple[Path, Path]:
    """The spool of another user, which says that a write to a file of ours was cut short; and that file."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    dies(folder, "for i in range(3): logger.info('line {}', i)")
    spool = folder / spools(folder)[0]
    ours = folder / "ours.conf"
    begin_write(spool, ours, b"a forged line\n", 1, written=1)
    os.chown(spool, FOREIGN, FOREIGN)
    return spool, ours


def test_a_spool_of_another_user_is_told_and_left_alone(tmp_path: Path) -> None:
    spool, ours = leave_foreign(tmp_path)
    before = spool.read_bytes()[: 4 << 20]
    (told,) = revive(tmp_path)
    assert isinstance(told, SpoolError)
    assert f"of user {FOREIGN}, and this process is of user 0: left alone" in str(told)
    assert str(spool) in str(told)
    result = run_recover(spool, "--append", tmp_path / "app.log", returncode=1)
    assert "--any-owner" in result.stderr
    assert (tmp_path / "app.log").read_text() == ""
    assert ours.read_text() == "a"
    assert spool.read_bytes()[: 4 << 20] == before


def test_a_spool_of_another_user_is_printed(tmp_path: Path) -> None:
    spool, ours = leave_foreign(tmp_path)
    before = spool.read_bytes()[: 4 << 20]
    assert run_recover(spool, "--format", "{message}").stdout == "line 0\nline 1\nline 2\n"
    assert ours.read_text() == "a"
    assert spool.read_bytes()[: 4 << 20] == before


def test_an_administrator_may_append_what_another_user_left(tmp_path: Path) -> None:
    spool, ours = leave_foreign(tmp_path)
    run_recover(spool, "--format", "{message}", "--append", tmp_path / "their.log", "--any-owner")
    assert (tmp_path / "their.log").read_text() == "line 0\nline 1\nline 2\n"
    assert ours.read_text() == "a"
    assert not spool.exists()


def test_any_owner_is_for_append(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('line')")
    assert "--append" in run_recover(tmp_path / "app.spool", "--any-owner", returncode=2).stderr


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_spool_that_others_may_write_to_is_told_and_left_alone(tmp_path: Path, mode: int) -> None:
    dies(tmp_path, "logger.info('line')")
    spool = tmp_path / spools(tmp_path)[0]
    assert spool.stat().st_mode & 0o777 == 0o600
    spool.chmod(mode)
    (told,) = revive(tmp_path)
    assert f"others may write to it (mode {mode:04o})" in str(told)
    assert (tmp_path / "app.log").read_text() == ""
    spool.chmod(0o640)
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text() == "line\n"


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    dies(elsewhere, "logger.info('line')")
    spool = elsewhere / spools(elsewhere)[0]
    (tmp_path / "app.spool.1").symlink_to(spool)
    (told,) = revive(tmp_path)
    assert "a symbolic link" in str(told)
    assert spool.exists()
    assert (tmp_path / "app.log").read_text() == ""
    assert "a symbolic link" in run_recover(tmp_path / "app.spool.1", returncode=1).stderr


def test_what_is_no_file_is_told_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "app.spool.1")
    (told,) = revive(tmp_path)
    assert "not a regular file" in str(told)
    assert "not a regular file" in run_recover(tmp_path / "app.spool", returncode=1).stderr


def test_an_unfinished_spool_of_another_user_is_left_alone(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    (tmp_path / "app.spool.123.new").write_bytes(bytes(1000))
    os.chown(tmp_path / "app.spool.123.new", FOREIGN, FOREIGN)
    (told,) = revive(tmp_path)
    assert "left alone" in str(told)
    assert spools(tmp_path) == ["app.spool.123.new"]
