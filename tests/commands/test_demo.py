"""`python -m logly demo`: it counts its lines, and writes over nothing."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from logly.commands import demo
from tests.support.programs import run_module, run_program, start_python

pytestmark = pytest.mark.smoke


def run_demo(folder: Path, *arguments: object, returncode: int = 0) -> "subprocess.CompletedProcess[str]":
    return run_module("logly", "demo", "--lines", 2000, *arguments, cwd=folder, returncode=returncode)


def test_the_demo_counts_its_lines_and_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run_demo(tmp_path)
        assert len((tmp_path / "logs" / "async.log").read_text().splitlines()) == 2000
    assert "2,000 lines from 4 threads" in done.stdout


@pytest.mark.parametrize(("changed", "status"), [({}, 0), ({"lines": 99}, 1), ({"dropped": 1}, 1)])
def test_a_line_that_is_missing_ends_it_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, int], status: int
) -> None:
    measure = demo._run_logly
    monkeypatch.setattr(demo, "_run_logly", lambda *arguments: measure(*arguments)._replace(**changed))
    assert demo.run(lines=100, threads=1, path=str(tmp_path / "a.log")) == status


def test_the_demo_writes_over_no_file_and_into_no_folder(tmp_path: Path) -> None:
    mine = tmp_path / "mine.log"
    mine.write_text("precious\n")
    done = run_demo(tmp_path, "--path", mine, returncode=2)
    assert done.stderr == f"demo: {mine}: File exists\n"
    assert mine.read_text() == "precious\n"
    done = run_demo(tmp_path, "--path", tmp_path, returncode=2)
    assert "Traceback" not in done.stderr


def test_the_demo_wants_a_line_for_each_thread(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--threads", 2001, returncode=2)
    assert done.stdout == ""
    assert done.stderr == "demo: at least one thread, and a line for each\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_the_demo_shows_its_progress_on_a_terminal(tmp_path: Path) -> None:
    master, terminal = os.openpty()
    process = start_python("-m", "logly", "demo", "--lines", 2000, cwd=tmp_path, stderr=terminal)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # Linux's end of file
        while piece := os.read(master, 1 << 16):
            shown += piece
    os.close(master)
    process.communicate(timeout=60)
    assert process.returncode == 0
    ends = {line.rpartition("\r")[2] for line in shown.decode().split("\r\n")}
    bar = f"[{'#' * 30}]"
    assert ends == {
        f"{bar}        2,000 of 2,000",
        f"{bar}          200 of 200",
        "",
    }  # 200 lines of the standard library


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes")
def test_a_reader_that_has_read_enough_is_no_error_to_complain_about(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        run = run_module("logly", "demo", "--lines", 2000, cwd=tmp_path, stdout=writer, returncode=None)
    finally:
        os.close(writer)
    assert (run.returncode, run.stderr) == (-signal.SIGPIPE, ""), run


@pytest.mark.skipif(sys.platform == "win32", reason="a working directory cannot be removed there")
@pytest.mark.parametrize("command", [("demo", "--lines", "2000"), ("recover", "run/app.spool")])
def test_a_relative_path_where_the_working_directory_is_gone(tmp_path: Path, command: tuple[str, ...]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import os, sys; os.rmdir(os.getcwd()); from logly.__main__ import main; sys.exit(main(sys.argv[1:]))"
    run = run_program(program, *command, cwd=gone, returncode=2)
    assert "the working directory is gone (No such file or directory): name" in run.stderr
    assert "Traceback" not in run.stderr
