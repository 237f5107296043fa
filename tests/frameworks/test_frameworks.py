"""The recipes of docs/frameworks.md, run as they stand there: real servers and workers, real requests.

Every line arrives, whoever logged it, and each line of a request or a task has its id. The packages are those of the
dependency group `recipes`; where one is missing, its test is skipped.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.log_files import lines_of
from tests.support.pages import write_files
from tests.support.programs import environment, run_program, start_python
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "frameworks.md"
PATIENCE_S = 60

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the page is not here"),
    pytest.mark.skipif(sys.platform == "win32", reason="the servers are stopped by signals"),
]

Record = dict[str, Any]


class Recipe:
    """The page's files in a folder, and the processes that run there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_files(PAGE, folder)
        self.log = folder / "logs" / "app.json"

    def change(self, name: str, old: str, new: str) -> None:
        """What a test must have different from the page: it says exactly what."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{name}: {old}"
        (self.folder / name).write_text(text.replace(old, new))

    def records(self) -> list[Record]:
        return [json.loads(line) for line in lines_of(self.log)] if self.log.exists() else []

    def popen(self, *command: str) -> subprocess.Popen[str]:
        with (self.folder / "output").open("wb") as output:
            return start_python(
                *command,
                cwd=self.folder,
                env=environment(self.folder),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @contextmanager
    def running(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process that must end well after the block: by SIGTERM, as a service manager would end it."""
        process = self.popen(*command)
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, self.output()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE_S)

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def port(self, process: subprocess.Popen[str], said: str) -> int:
        """The free port that a server has taken, from the line in which it says so."""
        found: list[str] = []

        def is_listening() -> bool:
            assert process.poll() is None, self.output()
            text = self.log.read_text() if self.log.exists() else ""
            found[:] = re.findall(re.escape(said) + r"http://127\.0\.0\.1:(\d+)", text)
            return bool(found)

        wait_until(is_listening, f"{said!r} in the log")
        return int(found[0])


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


GIVEN = "4bf92f35-77b34da6-a3ce929d0e0e47"
"""A request's id that comes from a proxy."""


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    """The answer's status, and the request's id from its header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Request-Id", "")
    finally:
        connection.close()


def of(records: list[Record], request_id: str) -> list[tuple[str, str]]:
    """Module and message of a request's records."""
    assert len(request_id) == 32
    return [(record["module"], record["message"]) for record in records if record.get("request_id") == request_id]


def messages(records: list[Record], is_meant: Callable[[Record], bool]) -> list[str]:
    return [record["message"] for record in records if is_meant(record)]


def test_gunicorn(recipe: Recipe) -> None:
    pytest.importorskip("gunicorn")
    command = ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", "shop:application"]
    with recipe.running(*command) as server:
        port = recipe.port(server, "Listening at: ")
        answers = [get(port, f"/orders/{number}") for number in range(39)]
        answers.append(get(port, "/orders/39", X_Request_ID=GIVEN))
        wait_until(lambda: recipe.log.read_text().count("Booting worker") == 4, "the workers")
    records = recipe.records()
    assert answers[-1][1] == GIVEN
    for number, (status, request_id) in enumerate(answers):
        assert status == 200
        assert of(records, request_id) == [
            ("shop", "order asked for"),
            ("wsgi_context", f"GET /orders/{number} 200 OK"),
        ]
    own = messages(records, lambda record: "request_id" not in record)
    assert len(own) + 80 == len(records)
    for said, times in {"Booting worker": 4, "Listening at": 1, "Shutting down: Master": 1}.items():
        assert sum(text.startswith(said) for text in own) == times, said
    assert recipe.output() == ""


def complete_settings(recipe: Recipe) -> None:
    """What every Django project has, and what has nothing to do with logging."""
    with (recipe.folder / "settings.py").open("a") as settings:
        settings.write('SECRET_KEY = "for the test"\nROOT_URLCONF = "urls"\nALLOWED_HOSTS = ["127.0.0.1"]\n')


def test_django(recipe: Recipe) -> None:
    pytest.importorskip("django")
    complete_settings(recipe)
    server = """
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgi import application
class Handler(WSGIRequestHandler):
    log_message = lambda *_: None
server = make_server("127.0.0.1", 0, application, handler_class=Handler)
open("port", "w").write(f"{server.server_port}.")
server.serve_forever()
"""
    with recipe.running("-c", server) as process:
        file = recipe.folder / "port"
        wait_until(lambda: process.poll() is not None or (file.exists() and file.read_text().endswith(".")), "a port")
        assert process.poll() is None, recipe.output()
        port = int(file.read_text()[:-1])
        order, broken, missing = get(port, "/orders/7"), get(port, "/broken"), get(port, "/missing")
        braces = get(port, "/{status_code:>999}/{request.META}")
    assert (order[0], broken[0], missing[0]) == (200, 500, 404)
    records = recipe.records()
    assert of(records, order[1]) == [
        ("urls", "order 7 asked for"),
        ("urls", "stock of order 7 looked up"),
        ("wsgi_context", "GET /orders/7 200 OK"),
    ]
    assert of(records, broken[1]) == [
        ("django.request", "Internal Server Error: /broken"),
        ("wsgi_context", "GET /broken 500 Internal Server Error"),
    ]
    assert of(records, missing[1]) == [
        ("django.request", "Not Found: /missing"),
        ("wsgi_context", "GET /missing 404 Not Found"),
    ]
    # What somebody asks for is no template, though Django gives `status_code` and `request` as extra.
    assert of(records, braces[1])[0] == ("django.request", "Not Found: /{status_code:>999}/{request.META}")
    assert len(records) == 9
    (error,) = [record for record in records if record["level"] == "ERROR"]
    assert "in broken\n" in error["exception"]["stack"]
    assert error["exception"]["message"] == "no such warehouse"
    assert recipe.output() == ""


def test_django_under_asgi(recipe: Recipe) -> None:
    pytest.importorskip("django")
    pytest.importorskip("uvicorn")
    complete_settings(recipe)
    server = "import applog, uvicorn; uvicorn.run('asgi:application', port=0, log_config=applog.LOGGING)"
    with recipe.running("-c", server) as process:
        port = recipe.port(process, "Uvicorn running on ")
        order, broken, missing = get(port, "/orders/7"), get(port, "/broken"), get(port, "/missing")
    assert (order[0], broken[0], missing[0]) == (200, 500, 404)
    records = recipe.records()
    assert of(records, order[1])[:-1] == [("urls", "order 7 asked for"), ("urls", "stock of order 7 looked up")]
    assert of(records, broken[1])[:-1] == [("django.request", "Internal Server Error: /broken")]
    assert of(records, missing[1])[:-1] == [("django.request", "Not Found: /missing")]
    assert [of(records, answer[1])[-1][0] for answer in (order, broken, missing)] == ["uvicorn.access"] * 3
    assert sum("request_id" in record for record in records) == 7
    assert recipe.output() == ""


@pytest.mark.parametrize("workers", [1, 2])
def test_fastapi_and_uvicorn(recipe: Recipe, workers: int) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    recipe.change("main.py", "port=8000", f"port=0, workers={workers}")
    with recipe.running("main.py") as process:
        port = recipe.port(process, "Uvicorn running on ")
        wait_until(lambda: recipe.log.read_text().count("Application startup complete.") == workers, "the workers")
        answers = [get(port, f"/orders/{number}") for number in range(39)]
        answers.append(get(port, "/orders/39", X_Request_ID=GIVEN))
        stock, broken, missing = get(port, "/stock"), get(port, "/broken"), get(port, "/missing")
    records = recipe.records()
    assert answers[-1][1] == GIVEN
    for number, (status, request_id) in enumerate(answers):
        assert status == 200
        first, second, (module, access) = of(records, request_id)
        assert first == ("main", f"order {number} asked for")
        assert second == ("main", f"stock of order {number} looked up")
        assert module == "uvicorn.access"
        assert access.endswith(f'"GET /orders/{number} HTTP/1.1" 200')
    assert (stock[0], broken[0], missing[0]) == (200, 500, 404)
    assert [module for module, _ in of(records, stock[1])] == ["main", "uvicorn.access"]
    assert [module for module, _ in of(records, missing[1])] == ["uvicorn.access"]
    assert [module for module, _ in of(records, broken[1])] == ["uvicorn.access", "asgi_context"]
    (error,) = [record for record in records if record["level"] == "ERROR"]
    assert error["request_id"] == broken[1]
    assert "in broken\n" in error["exception"]["stack"]
    own = messages(records, lambda record: "request_id" not in record)
    assert len(own) + 3 * 40 + 2 + 1 + 2 == len(records)
    for said in ("Started server process", "Application startup complete.", "Finished server process"):
        assert sum(text.startswith(said) for text in own) == workers, said
    assert recipe.output() == ""


def test_celery(recipe: Recipe) -> None:
    pytest.importorskip("celery")
    broker = recipe.folder / "broker"
    broker.mkdir()
    (recipe.folder / "celeryconfig.py").write_text(
        f"folder = {str(broker)!r}\n"
        'broker_url = "filesystem://"\n'
        "broker_transport_options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)\n"
    )
    count = 40
    options = ["--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle"]
    with recipe.running("-m", "celery", "--app", "tasks", "worker", *options) as worker:
        client = f"from tasks import charge\nfor i in range({count}): charge.delay(i)"
        run_program(client, cwd=recipe.folder, timeout=PATIENCE_S, may_complain=True)

        def all_are_done() -> bool:
            assert worker.poll() is None, recipe.output()
            # Others see a write page by page: meanwhile the file may end inside a line.
            whole = recipe.log.read_bytes().rpartition(b"\n")[0] if recipe.log.exists() else b""
            messages = [json.loads(line)["message"] for line in whole.splitlines()]
            return sum(re.search(r" (succeeded|raised) ", message) is not None for message in messages) == count

        wait_until(all_are_done, "the tasks to be done")
    records = recipe.records()
    received = [record for record in records if record["message"].endswith(" received")]
    assert len(received) == count
    for record in received:
        task_id = record["data"]["id"]
        first, second, third = (other for other in records if other.get("task_id") == task_id)
        number = int(first["message"].removeprefix("charging order "))
        assert second["message"] == f"order {number} is paid"
        ending = "raised unexpected: " if number % 10 == 9 else "succeeded in "
        assert third["message"].startswith(f"Task tasks.charge[{task_id}] {ending}")
        assert ("exception" in third) == (number % 10 == 9)
    texts = [record["message"] for record in records]
    assert {f"charging order {number}" for number in range(count)} <= set(texts)
    assert sum(text.endswith(" ready.") for text in texts) == 1


def test_the_page_has_no_file_that_no_recipe_uses(tmp_path: Path) -> None:
    assert set(write_files(PAGE, tmp_path)) == {
        "applog.py",  # imported by the others
        *("wsgi_context.py", "shop.py", "gunicorn.conf.py"),
        *("settings.py", "wsgi.py", "asgi.py", "urls.py"),
        *("asgi_context.py", "main.py"),
        "tasks.py",
    }
