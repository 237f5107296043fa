"""What an installed wheel must do: the first lines of the README."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import logly
from logly import Logger, LoggerConfig, SinkConfig

pytestmark = pytest.mark.smoke


def test_every_line_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "app.log"
    config = LoggerConfig()
    config.async_buffer_size = 8192
    config.async_flush_interval = 1000
    logger = Logger(config)
    logger.add_sink(SinkConfig(path=path, async_write=True))
    for i in range(10_000):
        logger.info("Message {}", i)
    assert logger.flush()
    lines = path.read_text().splitlines()
    assert [line.rpartition(" | ")[2] for line in lines] == [f"Message {i}" for i in range(10_000)]
    stats = logger.stats()
    assert (stats.emitted, stats.written, stats.pending) == (10_000, 10_000, 0)
    logger.close()


def test_lines_survive_the_end_of_the_program(tmp_path: Path) -> None:
    program = (
        "from logly import Logger, SinkConfig\n"
        "logger = Logger()\n"
        f"logger.add_sink(SinkConfig(path={str(tmp_path / 'exit.log')!r}, format='{{message}}'))\n"
        "for i in range(1000):\n"
        "    logger.info('line {}', i)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert (tmp_path / "exit.log").read_text() == "".join(f"line {i}\n" for i in range(1000))


def run_demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "logly", "demo", "--lines", "2000", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(logly.__file__).parents[1])}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_demo_counts_its_lines_and_can_be_run_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = run_demo(tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert len((tmp_path / "logs" / "async.log").read_text().splitlines()) == 2000
    assert "2,000 lines from 4 threads" in done.stdout


def test_the_demo_writes_over_no_file_and_into_no_folder(tmp_path: Path) -> None:
    mine = tmp_path / "mine.log"
    mine.write_text("precious\n")
    done = run_demo(tmp_path, "--path", str(mine))
    assert (done.returncode, done.stderr) == (2, f"demo: {mine}: File exists\n")
    assert mine.read_text() == "precious\n"
    done = run_demo(tmp_path, "--path", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_the_demo_wants_a_line_for_each_thread(tmp_path: Path) -> None:
    done = run_demo(tmp_path, "--threads", "2001")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "demo: at least one thread, and a line for each\n"
    assert list(tmp_path.iterdir()) == []
