"""`python -m logly recover`: into which output, what stays, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from logly.__main__ import main
from tests.support.programs import run_program, start_python
from tests.support.spooling import begin_write, dies, revive, run_recover, spools

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")


def test_recover_prints_what_was_left_and_changes_nothing(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(5): logger.info('line {}', i)")
    (name,) = spools(tmp_path)
    before = contents(tmp_path)
    for _ in range(2):
        result = run_recover(tmp_path / "app.spool", "--format", "{message}")
        assert result.stdout == "".join(f"line {i}\n" for i in range(5))
        assert f"the spool stays until a logger that names it starts, or until --append FILE: {tmp_path / name}" in (
            result.stderr
        )
        assert contents(tmp_path) == before
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text() == result.stdout
    run_recover(tmp_path / "app.spool", returncode=1)


def test_printing_finishes_no_write_that_was_cut_short(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(5): logger.info('line {}', i)")
    (name,) = spools(tmp_path)
    log = tmp_path / "app.log"
    begin_write(tmp_path / name, log, b"line 0\nline 1\n", 2, written=3)
    before = contents(tmp_path)
    result = run_recover(tmp_path / "app.spool", "--format", "{message}")
    assert result.stdout == "".join(f"line {i}\n" for i in range(5))
    assert contents(tmp_path) == before
    # All of it is in the file: these records are not printed.
    log.write_bytes(b"line 0\nline 1\n")
    result = run_recover(tmp_path / "app.spool", "--format", "{message}")
    assert result.stdout == "line 2\nline 3\nline 4\n"
    log.write_bytes(b"lin")
    run_recover(tmp_path / "app.spool", "--format", "{message}", "--append", log)
    assert log.read_text() == "".join(f"line {i}\n" for i in range(5))
    assert spools(tmp_path) == []


def test_a_start_while_a_spool_is_printed_recovers_it(tmp_path: Path) -> None:
    dies(tmp_path, f"for i in range(5000): logger.info('line {{}} {'x' * 100}', i)")
    words = ("-m", "logly", "recover", tmp_path / "app.spool", "--format", "{message}")
    process = start_python(*words, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("line 0 x")
    assert revive(tmp_path, layout="{message}") == []  # its output waits in a pipe meanwhile
    assert spools(tmp_path) == []
    rest = process.stdout.read()
    process.communicate(timeout=60)
    assert rest.splitlines() == [f"line {i} {'x' * 100}" for i in range(1, 5000)]
    assert len((tmp_path / "app.log").read_text().splitlines()) == 5000


def test_a_recovered_line_has_its_call_site_whatever_the_layouts_of_its_process_showed(tmp_path: Path) -> None:
    program = """
logger.close()
logger = make()
logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", buffer_size=1 << 26))
def work():
    logger.info("a text")
    logger.info("arguments {}", 1)
    logger.log(33, ["an object"])
work()
"""
    dies(tmp_path, program)
    lines = run_recover(tmp_path / "app.spool").stdout.splitlines()
    assert [line.split(" | ")[2].rpartition(":")[0] for line in lines] == ["__main__:work"] * 3, lines
    numbers = [int(line.split(" | ")[2].rpartition(":")[2]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 3))


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder. Of a spool, without what is far out: it is sparse."""
    return {path.name: path.read_bytes()[: 4 << 20] for path in folder.iterdir()}


def test_recover_prints_only_what_the_file_lacks(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('written'); logger.flush(); logger.info('left')")
    result = run_recover(tmp_path / spools(tmp_path)[0], "--format", "{message}")
    assert result.stdout == "left\n"
    assert "written" in (tmp_path / "app.log").read_text()


def test_recover_appends(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('written'); logger.flush(); logger.info('left {}', 1, key='value')")
    run_recover(tmp_path / "app.spool", "--append", tmp_path / "app.log", "--json")
    first, second = (tmp_path / "app.log").read_text().splitlines()
    assert first.endswith("written")
    record = json.loads(second)
    assert (record["message"], record["key"], record["level"]) == ("left 1", "value", "INFO")


def test_recover_keeps_the_spool_when_nobody_takes_the_lines(tmp_path: Path) -> None:
    dies(tmp_path, "for i in range(5): logger.info('line {}', i)")
    with open("/dev/full", "w") as full:
        result = run_recover(tmp_path / "app.spool", "--timeout", 0.2, returncode=1, stdout=full)
    assert "not everything could be written; the spool stays" in result.stderr
    assert run_recover(tmp_path / "app.spool", "--format", "{message}").stdout == "".join(
        f"line {i}\n" for i in range(5)
    )


def test_recover_into_a_pipe_that_nobody_reads_any_more_ends_at_once_and_keeps_the_rest(tmp_path: Path) -> None:
    dies(tmp_path, f"for i in range(5000): logger.info('line {{}} {'x' * 100}', i)")
    words = ("-m", "logly", "recover", tmp_path / "app.spool", "--format", "{message}")
    process = start_python(*words, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1  # and not after the 60 seconds of its own time limit
    assert first.startswith("line 0 x")
    assert "Broken pipe" in errors
    assert "the spool stays" in errors
    rest = run_recover(tmp_path / "app.spool", "--format", "{message}").stdout.splitlines()
    assert rest == [f"line {i} {'x' * 100}" for i in range(5000)]


def test_recover_with_stdout_closed_says_so(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('line')")
    closing = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    done = run_program(closing, "-m", "logly", "recover", tmp_path / "app.spool", returncode=2)
    assert done.stdout == ""
    assert "stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(spools(tmp_path)) == 1


def test_recover_into_a_stdout_that_is_not_there_says_what_to_do(tmp_path: Path, monkeypatch, capsys) -> None:
    """Python was started without descriptor 1, as by a service manager."""
    dies(tmp_path, "logger.info('line')")
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["recover", str(tmp_path / "app.spool")]) == 2
    assert "stdout is closed: name a file with --append" in capsys.readouterr().err
    assert len(spools(tmp_path)) == 1


def test_recover_with_a_wrong_layout_keeps_the_spool(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('line')")
    done = run_recover(tmp_path / "app.spool", "--format", "{message", returncode=2)
    assert done.stdout == ""
    assert done.stderr.startswith("logly: format = '{message': a '{' that is never closed")
    assert "Traceback" not in done.stderr
    assert len(spools(tmp_path)) == 1
