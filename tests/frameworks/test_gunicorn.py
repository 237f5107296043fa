"""A real gunicorn: four prefork workers under HTTP load, workers that are replaced meanwhile, a graceful stop."""

from __future__ import annotations

import http.client
import importlib.util
import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.support.log_files import lines_of
from tests.support.programs import environment, start_python
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed")

WORKERS = 4
CLIENTS = 8
PATIENCE_S = 60

APPLICATION = """
import os, threading
from logly import Logger, LoggerConfig, SinkConfig

log_path, mode = os.environ["LOG_PATH"], os.environ["LOG_MODE"]


def open_logger():
    logger = Logger(LoggerConfig(auto_sink=False), name="app")
    logger.add_sink(SinkConfig(path=log_path, format="{process} {message} {request}"))
    return logger


logger = open_logger() if mode == "preload" else None
if logger:
    # The master has a flusher, and something to write, when it forks.
    logger.info("loaded", request=os.getpid())


def application(environ, start_response):
    global logger
    if logger is None:
        logger = open_logger()
    number = environ["PATH_INFO"][1:]
    with logger.contextualize(request=number):
        logger.info("begin {:>6}", number)
        logger.info("end {!r}", "x" * (int(number) % 300))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(number)))])
    return [number.encode()]
"""


class Gunicorn:
    """A server on a free port, which workers leave after some hundred requests for new ones."""

    def __init__(self, folder: Path, mode: str, worker_class: str = "sync") -> None:
        (folder / "shop.py").write_text(APPLICATION)
        self.messages = folder / "gunicorn.txt"
        command = ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", str(WORKERS)]
        command += ["--max-requests", "100", "--max-requests-jitter", "20", "--timeout", "30", "--no-control-socket"]
        command += ["--worker-class", worker_class, *(["--preload"] if mode == "preload" else []), "shop:application"]
        settings = environment(folder, LOG_PATH=str(folder / "app.log"), LOG_MODE=mode)
        with self.messages.open("wb") as messages:
            self.process = start_python(
                *command, cwd=folder, env=settings, stdout=messages, stderr=messages, start_new_session=True
            )
        try:
            wait_until(lambda: "Listening at: " in self.text() or self.process.poll() is not None, "gunicorn to listen")
            address = self.text().split("Listening at: http://127.0.0.1:")[1]
            self.port = int(address.split()[0])
        except BaseException:
            self.kill()
            raise

    def text(self) -> str:
        return self.messages.read_text()

    def workers_started(self) -> int:
        return self.text().count("Booting worker")

    def get(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", f"/{number}")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, str(number).encode())
        finally:
            connection.close()

    def stop(self) -> None:
        """As an operator would: the workers end what they are doing, then the master ends."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.text()

    def kill(self) -> None:
        """What is left of it, when a test fails; it is the leader of its own group."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)


def request_all(server: Gunicorn, count: int) -> None:
    """From some threads at once; raises what one of them raised."""
    numbers = iter(range(count))
    lock = threading.Lock()
    errors: list[BaseException] = []

    def client() -> None:
        try:
            while not errors:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                server.get(number)
        except BaseException as error:  # noqa: BLE001  # raised again on the test's thread
            errors.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise AssertionError(server.text()) from errors[0]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [800, pytest.param(10_000, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("mode", ["preload", "in-workers"])
def test_every_request_is_logged_once_by_gunicorns_workers(tmp_path: Path, mode: str, count: int) -> None:
    server = Gunicorn(tmp_path, mode)
    texts_of_process = texts_after_requests(server, tmp_path, mode, count)
    # Several workers took part, and some of them were replaced. (Workers of greenlets may share the requests unevenly.)
    assert len(texts_of_process) > WORKERS
    assert server.workers_started() > WORKERS
    # A request's two lines are one process's, next to each other.
    for process, texts in texts_of_process.items():
        requests = [text.rsplit(" ", 1)[1] for text in texts if not text.startswith("loaded ")]
        assert requests[::2] == requests[1::2], process


@pytest.mark.timeout(1200)
@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
@pytest.mark.parametrize("mode", ["preload", "in-workers"])
def test_every_request_is_logged_once_by_workers_of_greenlets(tmp_path: Path, mode: str) -> None:
    """gunicorn patches before it loads the application in a worker; with --preload, after logly has been used."""
    texts_after_requests(Gunicorn(tmp_path, mode, "gevent"), tmp_path, mode, 800)


def texts_after_requests(server: Gunicorn, folder: Path, mode: str, count: int) -> dict[str, list[str]]:
    """What each process has logged when all requests are answered and the server has stopped: every line once."""
    try:
        request_all(server, count)
        server.stop()
    finally:
        server.kill()
    lines = [line.split(" ", 1) for line in lines_of(folder / "app.log")]
    expected = Counter(f"begin {number:>6} {number}" for number in range(count))
    expected.update(f"end {'x' * (number % 300)!r} {number}" for number in range(count))
    if mode == "preload":
        expected[f"loaded {server.process.pid}"] = 1
    assert Counter(text for _, text in lines) == expected
    by_process: dict[str, list[str]] = {}
    for process, text in lines:
        by_process.setdefault(process, []).append(text)
    return by_process
