"""Libraries over `logging`, and parts of it that pass records on, write the same with and without `install`."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.bridge.oracle import SEES_CHANGES, check_equal
from tests.support.programs import run_program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files that are open are compared")

BEGIN = """
import logging, logging.config, logging.handlers, os, sys
import logly.bridge.install as bridge
way, folder = sys.argv[1:]
os.chdir(folder)
def install():
    if way != "plain":
        bridge.install(write=way)
PLAIN = "%(levelname)s %(name)s %(funcName)s:%(lineno)d %(message)s"
def to_file(name, fmt=PLAIN, **options):
    handler = logging.FileHandler(name, encoding="utf-8", **options)
    handler.setFormatter(logging.Formatter(fmt))
    return handler
def say(log, times=20):
    for number in range(times):
        log.debug("debug %d", number)
        log.info("info %d of %s", number, "all")
        log.warning("warning %s", {"number": number})
    try:
        1 / number
        raise KeyError("broken")
    except (KeyError, ZeroDivisionError):
        log.exception("exception %s", "here")
        log.error("error", exc_info=True)
    log.log(25, "between %.2f", 2.5)
"""
END = """
logging.shutdown()
found = [(one.fast, one.rendered, one.original) for one in bridge.routes()] if way != "plain" else []
with open("../counts", "w") as file:
    file.write(" ".join(str(sum(one)) for one in zip(*found)))
"""

PROGRAMS = {
    # name: (the package, the least number of fast and rendered calls, the program)
    "QueueHandler and QueueListener": (
        "logging",
        60,
        """
import queue
log = logging.getLogger("app")
log.setLevel(10)
lines = queue.Queue()
handler = logging.handlers.QueueHandler(lines)
listener = logging.handlers.QueueListener(lines, to_file("listened"), respect_handler_level=True)
install()
log.addHandler(handler)
logging.root.addHandler(to_file("direct"))
listener.start()
say(log)
listener.stop()
other = logging.getLogger("other")
other.setLevel(10)
say(other)
listener.start()
say(log)
say(other)
listener.stop()
""",
    ),
    "a QueueListener and direct calls share a file": (
        "logging",
        60,
        """
import queue
lines = queue.Queue()
shared = to_file("shared")
listener = logging.handlers.QueueListener(lines, shared)
install()
one, other = logging.getLogger("one"), logging.getLogger("other")
one.addHandler(logging.handlers.QueueHandler(lines))
other.addHandler(shared)
for log in (one, other):
    log.setLevel(10)
for turn in range(5):
    say(other)
    listener.start()
    say(one)
    listener.stop()
""",
    ),
    "MemoryHandler": (
        "logging",
        0,
        """
install()
target = to_file("kept")
log = logging.getLogger("app")
log.setLevel(10)
log.addHandler(logging.handlers.MemoryHandler(7, logging.ERROR, target))
say(log)
other = logging.getLogger("other")
other.setLevel(10)
other.addHandler(target)
say(other)
say(log)
""",
    ),
    "dictConfig that disables loggers": (
        "logging",
        60,
        """
install()
CONFIG = {
    "version": 1,
    "formatters": {"plain": {"format": PLAIN}},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": "FILE", "formatter": "plain"}},
    "loggers": {"app.kept": {"level": "DEBUG"}},
    "root": {"level": "INFO", "handlers": ["file"]},
}
logs = [logging.getLogger(name) for name in ("app", "app.kept", "app.kept.below", "other")]
for turn, disable in enumerate((False, True, False, True, True)):
    CONFIG["handlers"]["file"]["filename"] = f"log{turn}"
    logging.config.dictConfig({**CONFIG, "disable_existing_loggers": disable})
    for log in logs:
        say(log, 5)
    if turn == 3:
        for log in logs:
            log.disabled = False
    for log in logs:
        say(log, 5)
    logs.append(logging.getLogger(f"new{turn}"))
levels = {"root": {"level": "WARNING"}, "loggers": {"app": {"level": 10}}}
logging.config.dictConfig({"version": 1, "incremental": True, **levels})
for log in logs:
    say(log, 5)
""",
    ),
    "fileConfig": (
        "logging",
        60,
        """
install()
with open("../logging.ini", "w") as file:
    file.write('''[loggers]
keys=root,app
[handlers]
keys=file
[formatters]
keys=plain
[logger_root]
level=INFO
handlers=file
[logger_app]
level=DEBUG
handlers=
qualname=app
[handler_file]
class=FileHandler
level=NOTSET
formatter=plain
args=('from-ini', 'w')
[formatter_plain]
format=%(levelname)s|%(name)s|%(message)s
''')
early = logging.getLogger("early")
logging.config.fileConfig("../logging.ini")
for name in ("early", "app", "app.part", "other"):
    say(logging.getLogger(name))
""",
    ),
    "structlog over logging": (
        "structlog",
        40,
        """
import structlog
install()
early = logging.getLogger("early")  # from now on structlog has loggers of a class of its own made
logging.root.addHandler(to_file("out"))
logging.root.setLevel(10)
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
log = structlog.get_logger("app").bind(user="ann")
for number in range(30):
    log.info("step %d", number, more=[1, 2])
    log.debug("debug")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
structlog.configure(processors=[structlog.stdlib.render_to_log_kwargs], cache_logger_on_first_use=False)
log = structlog.get_logger("kwargs")
for number in range(30):
    log.info("step", number=number)
say(early, 30)
say(logging.getLogger("late"), 30)
""",
    ),
    "structlog's ProcessorFormatter": (
        "structlog",
        0,
        """
import structlog
install()
handler = logging.FileHandler("out")
handler.setFormatter(structlog.stdlib.ProcessorFormatter(
    processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
))
logging.root.addHandler(handler)
logging.root.setLevel(10)
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
structlog.get_logger("app").info("by structlog", number=1)
log = logging.getLogger("plain")
log.info("by logging", extra={"number": 2})
say(log)
""",
    ),
    "rich's RichHandler": (
        "rich",
        0,
        """
from rich.console import Console
from rich.logging import RichHandler
install()
console = Console(file=open("rich", "w"), width=100)
log = logging.getLogger("app")
log.setLevel(10)
log.addHandler(RichHandler(console=console, rich_tracebacks=True, show_time=False))
log.addHandler(to_file("out"))
say(log)
log.info("[bold]marked[/bold] %s", 1, extra={"markup": True})
""",
    ),
    "python-json-logger": (
        "pythonjsonlogger",
        20,
        """
from pythonjsonlogger.json import JsonFormatter
install()
log = logging.getLogger("app")
log.setLevel(10)
for name, formatter in {
    "default": JsonFormatter(),
    "usual": JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields={"levelname": "level"}),
    "more": JsonFormatter("{levelname}{message}", style="{", static_fields={"app": "shop"}, json_ensure_ascii=False),
}.items():
    handler = logging.FileHandler(name)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    say(log)
    log.info("extra", extra={"user": "\\u00e9lan", "items": [1, {"a": None}], "when": 1.5})
    log.info({"a": "dict", "number": 1})
    log.removeHandler(handler)
    handler.close()
log.addHandler(to_file("plain"))
say(log)
""",
    ),
    "sentry-sdk": (
        "sentry_sdk",
        50,
        """
log = logging.getLogger("app")
log.setLevel(10)
log.addHandler(to_file("out"))
install()
say(log)
import sentry_sdk
from sentry_sdk.transport import Transport
class Kept(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            event = item.payload.json or {}
            crumbs = [one["message"] for one in (event.get("breadcrumbs") or {}).get("values", ())]
            with open("events", "a") as file:
                print(item.type, event.get("level"), event.get("logger"), event.get("logentry"), crumbs, file=file)
sentry_sdk.init(dsn="http://key@localhost/1", transport=Kept, max_breadcrumbs=5, default_integrations=True)
say(log)
log.critical("last %s", "words")
sentry_sdk.flush(2)
""",
    ),
    "captured warnings": (
        "logging",
        20,
        """
import warnings
install()
logging.root.addHandler(to_file("out", "%(levelname)s %(name)s %(message)s"))
logging.captureWarnings(True)
warnings.simplefilter("always")
for number in range(30):
    warnings.warn(f"careful {number}")
logging.captureWarnings(False)
""",
    ),
    "LoggerAdapter of one's own": (
        "logging",
        20,
        """
install()
logging.root.addHandler(to_file("out"))
logging.root.setLevel(10)
class Request(logging.LoggerAdapter):
    def process(self, msg, kwargs):
        return f"[{self.extra['id']}] {msg}", kwargs
log = Request(logging.getLogger("app"), {"id": "r1"})
say(log)
say(logging.LoggerAdapter(logging.getLogger("app"), {"id": "r2"}))
""",
    ),
}


@pytest.mark.parametrize("write", ["auto", "call"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_files_are_the_same(name: str, write: str, tmp_path: Path) -> None:
    package, least, program = PROGRAMS[name]
    if find_spec(package) is None:  # not imported here: sentry_sdk imports eventlet, which complains of later forks
        pytest.skip(f"{package} is not installed")
    left = []
    for way in ("plain", write):
        folder = tmp_path / way / "files"
        folder.mkdir(parents=True)
        done = run_program(BEGIN + program + END, way, folder, may_complain=True)
        files = {"stdout": done.stdout, "stderr": done.stderr}
        files |= {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}
        left.append(files)
    assert left[1].keys() == left[0].keys()
    for file in left[0]:
        found, expected = (re.sub("0x[0-9a-f]+", "0x", one[file]).splitlines() for one in (left[1], left[0]))
        check_equal(file, found, expected)
    counts = [int(one) for one in (tmp_path / write / "counts").read_text().split()]
    if SEES_CHANGES:
        assert sum(counts[:2]) >= least, counts
