"""docs/trouble.md quotes what logly says when something is wrong. Each text of it is produced here, except one.

"N records dropped: there was no memory" is only looked for in the core's source.

In a text of the page, words in capitals stand for what changes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.bridge.oracle import SEES_CHANGES
from tests.support import ROOT
from tests.support.disks import enlarge, small_disk
from tests.support.programs import environment, run_program, run_python, start_program
from tests.support.waiting import wait_until

PAGE = ROOT / "docs" / "trouble.md"
CHANGES = {
    "N": r"\d+",
    "NAME": r".+?",
    "PATH": r".+?",
    "TEXT": r".*?",
    "ERROR": r"\w+",
    "LEVEL": r"[A-Z]+",
    "PLACE": r"\S+",
}

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here"),
    pytest.mark.skipif(sys.platform != "linux", reason="/dev/full, fork and the numbers of errors are those of Linux"),
]

ON_STDERR = """
import os, time
from logly import Logger, LoggerConfig, SinkConfig

# A disk that is full, and is still full at the end. A pipe without a reader.
full = Logger(LoggerConfig(stall_timeout=0.1))
full.add_sink("/dev/full")
for number in range(2):
    full.info("lost")
full.flush()
full.close()
given_up = Logger(LoggerConfig(stall_timeout=0.1))
sink = given_up.add_sink("/dev/full")
while not given_up.sink_stats(sink).failed:
    given_up.info("x" * 1000)
given_up.close()
reader, writer = os.pipe()
os.close(reader)
broken = Logger(LoggerConfig(stall_timeout=0.1))
broken.add_sink(SinkConfig(fd=writer))
broken.info("lost")
broken.flush()
broken.close()

log = Logger()
log.add_sink("closed.log")
log.info("a")
log.flush()
os.close(log.filenos()[0])
log.info("b")
log.flush()


def raises(record):
    raise ValueError("no such host")


with Logger() as called:
    called.add_sink(raises)
    called.info("for a function")
with Logger() as filtered:
    filtered.add_sink("filtered.log", filter=raises)
    filtered.info("for a filter")
with Logger() as wrong:
    wrong.add_sink("wrong.log", format="{message}")
    wrong.info("{:d}", "x")
    wrong.info("%s items", 3)
assert open("wrong.log").read() == "{:d} 'x'\\n%s items\\n"

with Logger() as batches:
    batches.add_sink(SinkConfig(batch=lambda lines, count: 1 / 0, batch_backlog=4096, batch_bytes=1024))
    for number in range(1000):
        batches.info("x" * 100)
    batches.flush(timeout=1)
    batches.close(timeout=1)

with Logger(level="info") as mistaken:
    mistaken.add_sink("twice.log")
    mistaken.add_sink("twice.log")
    mistaken.add_sink("debug.log", level="debug")
    mistaken.add_sink("name.log", format="{hostnam} {message}")
    mistaken.info("x")

spooled = Logger(LoggerConfig(spool="gone.spool"))
spooled.add_sink("spooled.log")
spooled.info("a")
spooled.flush()
[path] = [name for name in os.listdir() if name.startswith("gone.spool")]
os.unlink(path)
while not os.path.exists(path):
    spooled.info("b")
    time.sleep(0.01)
spooled.close()

many = [Logger() for _ in range(10)]
for number, one in enumerate(many):
    one.add_sink(f"many{number}.log")
    one.info("x")
for one in many:
    one.close()
"""

IN_THE_LOG = """
import os
from logly import Logger, LoggerConfig, SinkConfig

small = Logger(LoggerConfig(overflow="drop", async_buffer_size=4096))
small.add_sink("all.log")
small.add_sink("small.log", level="error", filter=lambda record: False)  # keeps no line of logly's own out
while not small.stats().dropped:
    for number in range(1000):
        small.info("tick {}", number)
for number in range(10):
    small.limit("5/h").info("retry {}", number)
small.close()

reader, writer = os.pipe()
stuck = Logger(LoggerConfig(stall_timeout=0.1))
stuck.add_sink(SinkConfig(fd=writer))
while not stuck.stats().failed:
    for number in range(1000):
        stuck.info("x" * 100)
pipe = open(reader, "rb")  # open to the end: what the flusher still writes is no broken pipe
os.set_blocking(reader, False)
said = b""
while b"no data\\n" not in said:
    said += pipe.read(1 << 20) or b""
    stuck.flush(timeout=0.01)
print(said[said.index(b"logly: "):].decode().splitlines()[0])
os._exit(0)
"""

INSTALLED = """
import logging
import logly

logging.basicConfig(handlers=[logging.FileHandler("/dev/full")], level="INFO")
logly.install()
for number in range(20_000):
    logging.info("x" * 100)
logging.shutdown()
"""

KILLED = """
import os, signal
from logly import Logger, LoggerConfig

log = Logger(LoggerConfig(spool="app.spool", async_flush_interval=3_600_000))
log.add_sink("app.log")
log.info("left")
if WAITS:
    print("here", flush=True)
    input()
os.kill(os.getpid(), signal.SIGKILL)
"""


@cache
def texts(begin: str, end: str) -> list[str]:
    """The first cells of a table between two lines of the page."""
    page = PAGE.read_text(encoding="utf-8")
    part = page[page.index(begin) : page.index(end)]
    return re.findall(r"^\| `(.+?)` \|", part, re.MULTILINE)


def is_in(text: str, said: str) -> bool:
    """Whether a text of the page was said, in a line of its own or at the end of one."""
    words = re.split(r"\b(N|NAME|PATH|TEXT|ERROR|LEVEL|PLACE)\b", text)
    pattern = "".join(CHANGES.get(word, re.escape(word).replace("records", "records?")) for word in words)
    return re.search(rf"{pattern}$", said, re.MULTILINE) is not None


def missing(wanted: list[str], said: str) -> list[str]:
    return [text for text in wanted if not is_in(text, said)]


def what_the_command_says(folder: Path) -> str:
    """All that `python -m logly recover` says of a spool: in use, printed, appended, gone."""
    lives = start_program(KILLED.replace("WAITS", "True"), cwd=folder, stdin=subprocess.PIPE, says="here")
    said = run_python("-m", "logly", "recover", "app.spool", cwd=folder, returncode=1).stderr
    lives.kill()
    lives.communicate()
    for words in ((), ("--append", "app.log")):
        done = run_python("-m", "logly", "recover", "app.spool", *words, cwd=folder, may_complain=True)
        said += done.stderr
    return said + run_python("-m", "logly", "recover", "app.spool", cwd=folder, returncode=1).stderr


def test_each_text_on_stderr_is_said(tmp_path: Path) -> None:
    said = run_program(ON_STDERR, cwd=tmp_path, may_complain=True).stderr
    for more in ({"LOGLY_LEVLE": "debug"}, {"LOGLY_LEVEL": "debgu"}):
        program = "from logly import Logger; Logger(auto_sink=False).info('x')"
        said += run_program(program, cwd=tmp_path, env=environment(**more), may_complain=True).stderr
    said += what_the_command_says(tmp_path)
    wanted = texts("On stderr:", "In the log itself")
    assert len(wanted) > 15
    assert missing(wanted, said) == [], said


def test_each_text_in_the_log_is_there(tmp_path: Path) -> None:
    printed = run_program(IN_THE_LOG, cwd=tmp_path, may_complain=True).stdout
    said = (tmp_path / "small.log").read_text() + printed
    # The first one is produced by the next test, on a disk of its own.
    elsewhere = ["logly: N records lost: No space left on device", "logly: N records dropped: there was no memory"]
    assert missing(texts("In the log itself", "Handlers of `logging`"), said) == elsewhere, said
    core = ROOT / "logly" / "flusher" / "deliver.pxd"
    if core.exists():
        assert '"there was no memory"' in core.read_text(encoding="utf-8")
    assert missing([r"logly: N records dropped: the ring was full"], said) == []


def test_a_disk_that_was_full_has_the_line_of_the_page(tmp_path: Path) -> None:
    with small_disk(tmp_path, "256k") as disk:
        log = Logger(LoggerConfig(stall_timeout=0.1, on_error=lambda error: None))
        log.add_sink(SinkConfig(path=disk / "app.log"))
        while not log.stats().failed:
            for _ in range(1000):
                log.info("x" * 100)
        enlarge(disk, "64m")
        wait_until(lambda: log.flush(timeout=1), "room on the disk")
        log.close()
        said = (disk / "app.log").read_text()
    assert missing(["logly: N records lost: No space left on device"], said) == []
    told = re.findall(r"logly: (\d+) records? lost", said)
    assert sum(map(int, told)) == log.stats().failed


@pytest.mark.skipif(not SEES_CHANGES, reason="no handler is served: calls go the way of logging")
def test_each_text_of_a_served_handler_is_said(tmp_path: Path) -> None:
    said = run_program(INSTALLED, cwd=tmp_path, may_complain=True).stderr
    wanted = texts("Handlers of `logging`", "## Greps")
    assert len(wanted) == 2
    assert missing(wanted, said) == []
    assert re.search(r"^Arguments: \(\d+,\)$", said, re.MULTILINE)


def test_a_backlog_lasts_as_long_as_the_page_says(tmp_path: Path) -> None:
    program = """
import sys
from logly import Logger, LoggerConfig, SinkConfig

size, spool = int(sys.argv[1]), sys.argv[2] or None
log = Logger(LoggerConfig(stall_timeout=0.1, spool=spool, async_flush_interval=1, on_error=lambda error: None))
sink = log.add_sink(SinkConfig(path="/dev/full", buffer_size=size, format="{message}"))
log.info("first")
while log.flush(timeout=0.2):
    pass
count = 0
while not log.stats().failed:
    for _ in range(100):
        log.info("x" * 99)
    count += 100
    log.flush(timeout=1)  # returns when the flusher has seen them: the sink takes nothing
print(count)
log.close(timeout=0)
"""
    for size, spool, record_bytes, backlog in (
        (65_536, "", 100, 1 << 20),
        (1 << 20, "", 100, 4 << 20),
        (1 << 20, "x.spool", 136, 1 << 19),
    ):
        done = run_program(program, size, spool, cwd=tmp_path, may_complain=True)
        assert 0.9 < int(done.stdout) * record_bytes / backlog < 1.3, (size, spool, done.stdout)
