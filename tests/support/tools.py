"""What several test files need: a logger on a file, threads whose failures show."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from logly import Logger, LoggerConfig, SinkConfig
from tests.support import ROOT

DEADLINE_S = 60.0


def run_threads(*works: Callable[[], Any]) -> list[Any]:
    """Runs each in a thread of its own; raises what the first that failed raised."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []

    def run(i: int, work: Callable[[], Any]) -> None:
        try:
            results[i] = work()
        except BaseException as error:  # noqa: BLE001  # raised again on the test's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i, work), daemon=True) for i, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


@contextlib.contextmanager
def file_logger(
    path: Path, *, layout: str = "{message}", sink: dict[str, Any] | None = None, **config: Any
) -> Iterator[Logger]:
    """A logger with one file sink; what is told goes to its `errors` list unless `on_error` is given."""
    config.setdefault("on_error", lambda error: None)
    with Logger(LoggerConfig(**config)) as logger:
        logger.add_sink(SinkConfig(path=path, format=layout, **(sink or {})))
        yield logger


def run_program(text: str, *arguments: str, timeout_s: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done
