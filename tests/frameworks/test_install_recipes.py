"""The recipes of docs/existing-logging.md, with and without `install`: real servers and workers, the same bytes."""

from __future__ import annotations

import email
import importlib.util
import re
import signal
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from tests.bridge.oracle import SEES_CHANGES
from tests.frameworks.both_ways import PAGE, PATIENCE_S, WAYS, Program, by_process, check_same, get, masked
from tests.support.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the page is not here"),
    pytest.mark.skipif(sys.platform == "win32", reason="the servers are stopped by signals"),
    pytest.mark.timeout(400),
]


def check_fast(program: Program, name: str, least: int, *, way: int = 0) -> None:
    """At least as many calls of the logger were fast (`way` 1: rendered)."""
    if program.way != "0" and SEES_CHANGES:
        assert program.ways.get(name, (0, 0, 0))[way] >= least, program.ways


# ---- Django

DJANGO_SERVER = """
import os, signal, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from wsgiref.simple_server import WSGIRequestHandler, make_server
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
class Handler(WSGIRequestHandler):
    log_message = lambda *_: None
server = make_server("127.0.0.1", 0, application, handler_class=Handler)
print(f"port {server.server_port}.", flush=True)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
DJANGO_MORE = """
SECRET_KEY = "for the test"
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["127.0.0.1"]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = "logs"
"""
DJANGO_TIME = (r"(?m)^Server time: .*", "Server time")


def test_django(tmp_path: Path) -> None:
    pytest.importorskip("django")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        program.write("settings.py", (program.folder / "settings.py").read_text() + DJANGO_MORE)
        with program.running("-c", DJANGO_SERVER) as process:
            port = int(program.wait_for(process, "stdout", r"port (\d+)\.")[0])
            answers = [get(port, f"/orders/{number}") for number in range(20)]
            answers += [get(port, path) for path in ("/broken", "/missing", "/{status_code}%d%(x)s")]
        assert answers == [200] * 20 + [500, 404, 404], program.said()
        mails = [name for name in program.files if re.fullmatch(r"logs/\d+-\d+-\d+\.log", name)]
        for number, name in enumerate(sorted(mails)):
            mail = email.message_from_string(program.files.pop(name).partition("-" * 79)[0])
            body = str(mail.get_payload(decode=True), "utf-8")
            program.files[f"mail {number}"] = f"{mail['Subject']}\n{body}"
        programs.append(program)
        check_fast(program, "urls", 15)
    text = programs[0].files["logs/django.log"]
    assert text.count("asked for by 127.0.0.1") == 20
    assert "élan" in text
    assert "no such warehouse" in programs[0].files["stderr"]
    assert "KeyError" in programs[0].files["mail 0"]

    def shown(name: str, text: str) -> Any:
        if name == "logs/django.log":
            return masked(text, (r"(?m)^(\w+ \S+ \S+ \w+) \d+ \d+ ", r"\1 PROCESS THREAD "))
        # A mail shows the environment, sorted: here a line of it may be in one run only.
        text = re.sub(r"(?m)^(?:WRITE|LOGLY_INSTALL) = .*\n", "", text)
        return masked(text, (r"port \d+\.", "port"), (r"(?m)^(\w*PORT|wsgi\.\w+) = .*", r"\1"), DJANGO_TIME)

    check_same(programs, shown)


# ---- FastAPI and uvicorn


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("config", ["LOGGING", "uvicorn.config.LOGGING_CONFIG"])
def test_fastapi_and_uvicorn(config: str, workers: int, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        program.change("main.py", "port=8000, log_config=LOGGING", f"port=0, workers={workers}, log_config={config}")
        # A single server raises the signal once more when it has shut down, as it would end without uvicorn.
        with program.running("main.py", code=-signal.SIGTERM if workers == 1 else 0) as process:
            port = int(program.wait_for(process, "stderr", r"Uvicorn running on http://127\.0\.0\.1:(\d+)")[0])
            program.wait_for(process, "stderr", r"(Application startup complete\.)", workers)
            answers = [get(port, f"/orders/{number}") for number in range(20)]
            answers += [get(port, f"/stock/{number}") for number in range(20)]
            answers += [get(port, path) for path in ("/broken", "/missing", "/%7Bx%7D%25d")]
        assert answers == [200] * 40 + [500, 404, 404]
        programs.append(program)
        # Which calls were fast is told at exit, and no server that raises the signal comes to that.
    files = programs[0].files
    access = files["logs/access.log"] if config == "LOGGING" else files["stdout"]
    assert access.count('"GET /orders/') == 20
    assert "no such warehouse" in files["stderr"]

    def shown(name: str, text: str) -> Any:
        pids = (r"(?<=process )\[\d+\]", "[PID]")
        if workers == 1:
            return masked(text, pids, (r"(?<=TIME )\d+", "PID"), (r"(?m)^(\d{4}\S+ \S+) \d+ ", r"\1 PID "))
        # Which worker gets a request is the kernel's choice.
        return sorted(masked(text, pids, (r"(?m)^(\d{4}\S+ \S+) \d+ ", r"\1 PID ")).splitlines(keepends=True))

    check_same(programs, shown)


# ---- gunicorn


def gunicorn(program: Program, *, workers: int, preload: bool) -> tuple[str, ...]:
    program.change("gunicorn.conf.py", '"127.0.0.1:8000"', '"127.0.0.1:0"')
    program.change("gunicorn.conf.py", "workers = 4", f"workers = {workers}")
    program.change("gunicorn.conf.py", "preload_app = True", f"preload_app = {preload}")
    return ("-m", "gunicorn", "--no-control-socket", "shop:application")


LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+)"
PIDS = [(r"(?<=pid: )\d+", "PID"), (r"(?<=127\.0\.0\.1:)\d+", "PORT"), (r"\(\d+\)", "(PID)")]


def shown_by_process(name: str, text: str) -> Any:
    if name == "logs/access.log":
        return masked(text)
    return by_process(text, r"^(?:\[\S+ \S+ \S+ \[|\S+ \S+ )(\d+)\]? ", *PIDS)


@pytest.mark.parametrize("preload", [True, False])
def test_gunicorn(preload: bool, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        with program.running(*gunicorn(program, workers=1, preload=preload)) as process:
            port = int(program.wait_for(process, "logs/error.log", LISTENING)[0])
            answers = [get(port, f"/orders/{number}") for number in range(20)]
            answers += [get(port, path) for path in ("/broken", "/%7Bx%7D%25d", "/%25(message)s")]
        assert answers == [200] * 20 + [500, 200, 200]
        programs.append(program)
        check_fast(program, "shop", 15)
        check_fast(program, "gunicorn.access", 15, way=1)
    files = programs[0].files
    assert files["logs/access.log"].count('"GET /orders/') == 20
    assert files["logs/error.log"].count("Traceback") == 1
    check_same(programs, shown_by_process)


#: No process has such a number: it would be taken for one, and masked.
PARTS = range(10**7, 10**7 + 3000)


def test_gunicorn_s_workers_fork_with_pending_records(tmp_path: Path) -> None:
    """The master has logged much when it forks. Each of its lines is written once, and each of the workers'."""
    pytest.importorskip("gunicorn")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        program.change(
            "shop.py",
            'log.info("the application is loaded")',
            'for part in range(10**7, 10**7 + 3000):\n    log.info("part %d is loaded", part)',
        )
        program.write("gunicorn.conf.py", (program.folder / "gunicorn.conf.py").read_text() + FORK_HOOKS)
        with program.running(*gunicorn(program, workers=3, preload=True)) as process:
            port = int(program.wait_for(process, "logs/error.log", LISTENING)[0])
            program.wait_for(process, "logs/app.log", "(begins)", 3)
            assert [get(port, f"/orders/{number}") for number in range(60)] == [200] * 60
        programs.append(program)

    def shown(name: str, text: str) -> Any:
        if name == "logs/access.log":
            return sorted(masked(text).splitlines(keepends=True))
        if name == "logs/app.log":
            # Which worker gets a request is the kernel's choice.
            lines = list(chain.from_iterable(by_process(text, r"^\S+ \S+ (\d+) ")))
            master = [line for line in lines if "part" in line]
            assert [line.split("part ")[1] for line in master] == [f"{part} is loaded\n" for part in PARTS]
            return sorted(lines)
        return shown_by_process(name, text)

    check_same(programs, shown)


FORK_HOOKS = """
import logging

def pre_fork(server, worker):
    for number in range(100):
        logging.getLogger("shop").info("before fork %d", number)

def post_fork(server, worker):
    logging.getLogger("shop").info("a worker begins")
"""


def test_gunicorn_reopens_its_files(tmp_path: Path) -> None:
    """As logrotate does it: rename, then SIGUSR1. What was logged before is in the old file, the rest in the new."""
    pytest.importorskip("gunicorn")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        with program.running(*gunicorn(program, workers=1, preload=True)) as process:
            port = int(program.wait_for(process, "logs/error.log", LISTENING)[0])
            for rotated in range(3):
                assert [get(port, f"/orders/{rotated}{number}") for number in range(10)] == [200] * 10
                # gunicorn writes the line after the answer.
                program.wait_for(process, "logs/access.log", f'"GET /orders/{rotated}9 ')
                for name in ("access.log", "error.log"):
                    (program.logs / name).rename(program.logs / f"{name}.{rotated}")
                process.send_signal(signal.SIGUSR1)
                program.wait_for(process, "logs/error.log", "()")
                program.wait_for(process, "logs/access.log", "()")
                # Until both processes have opened their files again.
                program.wait_for(process, f"logs/error.log.{rotated}", "(usr1)")
        programs.append(program)
    assert programs[0].files["logs/access.log.1"].count('"GET /orders/1') == 10
    check_same(programs, shown_by_process)


# ---- Celery

CELERYCONFIG = """
folder = "broker"
broker_url = "filesystem://"
broker_transport_options = dict(data_folder_in=folder, data_folder_out=folder, control_folder=folder)
"""
CELERY_MASKS = [
    (r"(?<=succeeded in )\S+", "SECONDS"),
    (r"(?m)^ -------------- celery@.*$", "HEAD"),
    (r"(?m)^\[config\][\s\S]*?\[tasks\]", "CONFIG"),
    (r"celery@\S+", "celery@HOST"),
    (r"Linux-\S+ ", "SYSTEM "),
    (r"(?<=pid[ =:])\d+", "PID"),
]


@pytest.mark.parametrize("is_own", [True, False], ids=["celery's own logging", "setup_logging"])
def test_celery(is_own: bool, tmp_path: Path) -> None:
    pytest.importorskip("celery")
    count = 20
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        (program.folder / "broker").mkdir()
        program.write("celeryconfig.py", CELERYCONFIG)
        if is_own:
            program.change("tasks.py", "@setup_logging.connect\n", "")
        options = ["--pool", "prefork", "--concurrency", "1", "--without-gossip", "--without-mingle"]
        options += ["--loglevel", "INFO", *(["--logfile", "logs/celery.log"] if is_own else [])]
        with program.running("-m", "celery", "--app", "tasks", "worker", *options) as worker:
            client = "from tasks import charge\nfor i in range(%d): charge.apply_async((i,), task_id=f'task-{i}')"
            run_program(client % count, cwd=program.folder, env=program.env(), timeout=PATIENCE_S, may_complain=True)
            program.wait_for(worker, "logs/celery.log", r" (succeeded|raised) ", count)
        programs.append(program)
        if not is_own:
            check_fast(program, "celery.worker.strategy", 10, way=1)
    text = programs[0].files["logs/celery.log"]
    assert text.count("charging order ") == count
    assert text.count("ValueError: order 9 cannot be charged") >= 1

    def shown(name: str, text: str) -> Any:
        if name != "logs/celery.log":
            return masked(text, *CELERY_MASKS)
        # In which order tasks are found in the broker's folder is the file system's choice.
        return by_process(text, r"^\[\S+ \S+ \w+/(\S+)\](?:.*?(task-\d+|order \d+))?", *CELERY_MASKS)

    check_same(programs, shown)


def test_all_packages_of_the_recipes_are_in_the_group() -> None:
    """A machine that has the group `recipes` skips nothing here."""
    names = ("django", "fastapi", "uvicorn", "gunicorn", "celery")
    found = [name for name in names if importlib.util.find_spec(name) is not None]
    if found and found != list(names):
        pytest.skip(f"only {found} are installed")
