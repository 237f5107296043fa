"""The real logrotate: `create` with a signal to reopen or with `watch`, and `copytruncate`."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from logly import SinkConfig
from tests.support.loggers import make_logger
from tests.support.waiting import wait_until

LogRotate = Callable[..., None]


def run_logrotate(logrotate: LogRotate, tmp_path: Path, path: Path, method: str) -> None:
    """Rotates once, whatever the file's age."""
    rules = tmp_path / "logrotate.conf"
    rules.write_text(f"{path} {{\n    rotate 50\n    {method}\n    missingok\n}}\n")
    rules.chmod(0o600)
    tmp_path.chmod(0o700)
    logrotate("--force", "--state", str(tmp_path / "state"), str(rules))


def numbers(path: Path) -> list[int]:
    """What is in the files that logrotate made, oldest first, and in the current one."""
    rotated = sorted(path.parent.glob("app.log.*"), key=lambda file: -int(file.suffix[1:]))
    return [int(line) for file in [*rotated, path] for line in file.read_text().splitlines()]


@pytest.mark.parametrize("watch", [False, True], ids=["reopen", "watch"])
def test_create_loses_nothing_under_load(logrotate: LogRotate, tmp_path: Path, watch: bool) -> None:
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", watch=watch))
    rotations, stop = 5, threading.Event()
    count = 0

    def load() -> None:
        nonlocal count
        while not stop.is_set():
            logger.info("{}", count)
            count += 1

    worker = threading.Thread(target=load)
    worker.start()
    for _ in range(rotations):
        wait_until(lambda: path.stat().st_size > 10_000)
        run_logrotate(logrotate, tmp_path, path, "create")
        if not watch:
            logger.reopen()
    wait_until(lambda: path.stat().st_size > 10_000)
    stop.set()
    worker.join()
    logger.close()
    assert len(list(tmp_path.glob("app.log.*"))) == rotations
    assert numbers(path) == list(range(count))


@pytest.mark.parametrize("size_limit", [None, "1 MB"])
def test_copytruncate_goes_on_at_the_start_of_the_file(
    logrotate: LogRotate, tmp_path: Path, size_limit: str | None
) -> None:
    """Between logrotate's copy and its truncation lines are lost, whoever writes: so the writer pauses here."""
    path = tmp_path / "app.log"
    logger = make_logger()
    logger.add_sink(SinkConfig(path=path, format="{message}", size_limit=size_limit))
    for part in range(4):
        for i in range(100):
            logger.info("{}", part * 100 + i)
        assert logger.flush()
        if part < 3:
            run_logrotate(logrotate, tmp_path, path, "copytruncate")
            assert path.stat().st_size == 0
    logger.close()
    # O_APPEND: no hole of zero bytes where the file was before.
    assert path.read_text() == "".join(f"{i}\n" for i in range(300, 400))
    assert numbers(path) == list(range(400))
