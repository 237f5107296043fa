"""A program that uses everything, and logs a secret in each way that is covered: no output has one of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.support.programs import run_program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no spools on Windows")

PROGRAM = """
import contextvars, io, logging, os, sys
from pathlib import Path
import logly
from logly import Logger, LoggerConfig, SinkConfig, StdlibHandler

folder, phase = Path(sys.argv[1]), sys.argv[2]
number = 0
def secret():
    global number
    number += 1
    return f"hunter{number:04d}"

config = LoggerConfig(
    level="info", redact=["password", "*token*", "authorization"], redact_text=True,
    recorder="debug", recorder_field="session",
    spool=folder / "app.spool", sampling=(1000, 1),
    on_error=lambda error: print("on_error:", repr(error), getattr(error, "__notes__", ""), file=sys.stderr),
)
logger = Logger(config, name="shop")
shown = []
if phase == "dies":
    logger.configure(async_flush_interval=3_600_000, flush_level=None)
for name, sink in {
    "text": {}, "json": {"json": True}, "logfmt": {"format": "logfmt"}, "keep": {"newlines": "keep"},
    "indent": {"newlines": "indent"}, "dedup": {"dedup": 60, "json": True},
    "filter": {"filter": lambda r: not shown.append(r)},
    "fields": {"format": "{message} {fields} {password} {user} {exception}"},
    "small": {"size_limit": 4096, "retention": 100},
    "transform": {"transform": lambda r: shown.append(r) or r, "json": True}, "sync": {"async_write": False},
}.items():
    buffer = {"buffer_size": 1 << 26} if phase == "dies" and name not in ("sync", "small") else {}
    logger.add_sink(SinkConfig(path=folder / f"{name}.log", **buffer, **sink))
if phase == "lives":
    logger.add_sink(SinkConfig(function=shown.append))
    logger.add_sink(SinkConfig(function=logly.StdlibSink(logging.StreamHandler(sys.stdout))))
    logger.add_sink(SinkConfig(stream="stdout"))
    logger.add_sink(SinkConfig(stream="stderr", color=True))
    stream = io.StringIO()
    logger.add_sink(SinkConfig(stream=stream, json=True))
    logger.add_level("NOTICE", 22)

def nested():
    return {"user": "anna", "password": secret(), "list": [{"api_token": [secret()]}, ({"Authorization": secret()},)]}

def everything(logger):
    for _ in range(3):
        logger.info("login", password=secret(), user="anna")
        logger.info("login {password} of {user}", password=secret(), user="anna")
        logger.info("login {password!r:>20}", password=secret())
        logger.info("pin {password:05d}", password=secret())
        logger.info("nested", user=nested())
        logger.info("nested {user}", user=nested())
        logger.info("argument {} and {}", nested(), 1)
        logger.info("item {0[password]} {}".replace("{}", "{1}"), nested(), 1)
        logger.info("text password={} and {}", secret(), 1)
        logger.info(f"text password={secret()}")
        logger.info("long {} token: {}", "x" * 30_000, secret())
        logger.info("url {}", f"https://anna:{secret()}@example.com/")
        logger.info(f"header Authorization: Bearer {secret()}")
        logger.info("cannot be formatted {x.password} {}", 1, password=secret())
        logger.info(nested())
        logger.error("not ASCII ä€😀 {password}", password=secret() + "ä€😀")
        logger.bind(password=secret(), more=nested()).info("bound")
        with logger.contextualize(token=secret(), more=nested()):
            logger.info("context")
        logger.named("db").warning("named", authorization=secret())
        logger.once(key=secret()).info("once {password}", password=secret())
        logger.limit("1/s").info("limited", token=secret())
        logger.bind(session=1).debug("kept {password}", password=secret(), more=nested())
        logger.debug(f"kept password={secret()}")
        try:
            try:
                raise ValueError(f"password={secret()}")
            except ValueError as error:
                error.add_note(f"token={secret()}")
                raise RuntimeError(f"https://anna:{secret()}@example.com/") from error
        except RuntimeError:
            logger.exception("failed {password}", password=secret(), session=1)
        with logger.catch(message="caught"):
            raise KeyError(f"token={secret()}")
        for _ in range(3):
            logger.info("repeated", password=secret())
        logger.info("stack", stack_info=True, password=secret())
    logger.dump_recorder(f"token={'x'}") if phase == "lives" else None

everything(logger)
source = logging.getLogger("lib")
source.propagate = False
source.addHandler(StdlibHandler(logger))
source.warning("extra", extra={"password": secret(), "user": nested()})
source.warning("%(password)s", {"password": secret()})
source.warning("%s", nested())
source.warning("password=%s", secret())
source.warning(nested())
if phase == "dies":
    print(number)
    sys.stdout.flush()
    os._exit(0)
logger.close()
(folder / "records.txt").write_text("\\n".join(
    f"{r.message!r} {r.fields!r} {r.exception!r} {r.stack!r}" for r in shown))
(folder / "stream.txt").write_text(stream.getvalue())
stats = logger.stats()
kept = stats.kept + stats.overwritten
assert stats.emitted == stats.written + stats.dropped + stats.failed + stats.pending + kept, stats
print(number)
"""

RECOVER = """
import sys
from pathlib import Path
from logly import Logger, LoggerConfig, SinkConfig
folder = Path(sys.argv[1])
logger = Logger(LoggerConfig(
    redact=["password", "*token*", "authorization"], redact_text=True, spool=folder / "app.spool", recorder="debug"))
for name in ("text", "json", "logfmt", "keep", "indent", "fields"):
    logger.add_sink(SinkConfig(path=folder / f"{name}.log"))
logger.close()
"""


def found_in(folder: Path) -> dict[str, list[str]]:
    return {
        path.name: sorted(set(re.findall(r"[^\n]{0,60}hunter\d{4}", path.read_text("utf-8", "replace"))))
        for path in folder.iterdir()
        if re.search(r"hunter\d{4}", path.read_text("utf-8", "replace"))
    }


def test_no_output_has_a_secret(tmp_path: Path) -> None:
    result = run_program(PROGRAM, tmp_path, "lives", may_complain=True)
    assert int(result.stdout.splitlines()[-1]) > 150
    (tmp_path / "stdout.txt").write_text(result.stdout)
    (tmp_path / "stderr.txt").write_text(result.stderr)
    assert found_in(tmp_path) == {}
    for name in ("text", "json", "logfmt", "dedup", "filter", "transform", "sync"):
        assert (tmp_path / f"{name}.log").read_text().count("[redacted]") > 50


def test_nor_has_what_the_next_process_writes(tmp_path: Path) -> None:
    run_program(PROGRAM, tmp_path, "dies", may_complain=True)
    left = [path for path in tmp_path.iterdir() if path.name.startswith("app.spool")]
    assert any(b"hunter" in path.read_bytes() for path in left)
    run_program(RECOVER, tmp_path, may_complain=True)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("app.spool")] == []
    assert found_in(tmp_path) == {}
    assert (tmp_path / "text.log").read_text().count("[redacted]") > 50
