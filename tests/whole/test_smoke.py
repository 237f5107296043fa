"""What an installed wheel must do: the first lines of the README."""

from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.programs import run_program

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
    run_program(program)
    assert (tmp_path / "exit.log").read_text() == "".join(f"line {i}\n" for i in range(1000))
