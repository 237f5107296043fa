"""What was logged is written before the process ends itself, however it does that."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment, run_program, run_python

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import logging, os, signal, sys
import logly.bridge.install as bridge
if sys.argv[1] == "install":
    bridge.install()
log = logging.getLogger("enemy")
log.addHandler(logging.FileHandler(sys.argv[2]))
log.setLevel(logging.INFO)
for number in range(1000):
    log.info("line %d", number)
"""
ENDS = {
    "os._exit": "os._exit(0)",
    "os.abort": "os.abort()",
    "os.execv": "os.execv(sys.executable, [sys.executable, '-c', ''])",
    "os.execlp": "os.execlp(sys.executable, sys.executable, '-c', '')",
    "signal.raise_signal": "signal.raise_signal(signal.SIGTERM)",
    "os.kill itself": "os.kill(os.getpid(), signal.SIGTERM)",
    "os.kill the group": "os.kill(0, signal.SIGTERM)",
    "os.killpg": "os.killpg(os.getpgrp(), signal.SIGKILL)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_lost_when_the_process_ends_itself(end: str, tmp_path: Path) -> None:
    left = []
    for way in ("plain", "install"):
        path = tmp_path / way
        done = run_program(PROGRAM + ENDS[end], way, path, returncode=None, start_new_session=True)
        left.append((done.returncode, done.stdout, path.read_text()))
    assert left[1] == left[0]
    assert left[0][2].count("\n") == 1000


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_signals_are_sent_as_before(tmp_path: Path) -> None:
    code = """
def attempt(call):
    try:
        print(call())
    except Exception as error:
        print(type(error), error)
signal.signal(signal.SIGUSR1, lambda *_: print("got it"))
attempt(lambda: os.kill(os.getpid(), signal.SIGUSR1))
attempt(lambda: os.kill(os.getpid(), 0))
attempt(lambda: os.kill())
attempt(lambda: os.kill("no", "number"))
attempt(lambda: os.kill([], 9))
attempt(lambda: os.killpg(os.getpgrp(), 0))
attempt(lambda: signal.raise_signal(signal.SIGUSR1))
attempt(lambda: signal.raise_signal(signalnum=signal.SIGUSR1))
attempt(lambda: os.kill(os.getpid(), 10000))
"""
    said = [
        run_program(PROGRAM + code, way, tmp_path / way, start_new_session=True).stdout for way in ("plain", "install")
    ]
    assert said[1] == said[0]


KILLED = """
import logging, os, signal, sys
import logly
config = logly.LoggerConfig(auto_sink=False, spool=sys.argv[1] + "/spool", level=0, async_flush_interval=60_000)
logger = logly.Logger(config)
logger.add_sink(logly.SinkConfig(path=sys.argv[1] + "/own.log", format="{message}"))
logly.install(logger)
log = logging.getLogger("enemy")
log.addHandler(logging.FileHandler(sys.argv[1] + "/handler.log"))
log.setLevel(logging.INFO)
other = logging.getLogger("other")
other.setLevel(logging.INFO)
for number in range(1000):
    log.info("line %d", number)
    other.info("other %d", number)
print([one.why_not for one in logly.routes() if one.name == "enemy"])
sys.stdout.flush()
while True:
    pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_with_a_spool_nothing_is_lost_by_sigkill(tmp_path: Path) -> None:
    """Handlers are not served then: each line of theirs is in its file when the call returns."""
    words = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    if SEES_CHANGES:
        assert said == "['handler FileHandler: a spool is set']\n"
    assert (tmp_path / "handler.log").read_text().splitlines() == [f"line {number}" for number in range(1000)]
    done = run_python("-m", "logly", "recover", tmp_path / "spool", "--append", tmp_path / "own.log", may_complain=True)
    assert done.returncode == 0
    found = (tmp_path / "own.log").read_text().splitlines()
    assert [line.rpartition("| ")[2] for line in found] == [
        f"{what} {number}" for number in range(1000) for what in ("line", "other")
    ]


POOL = """
import logging, multiprocessing, sys
import logly
if sys.argv[1] == "install":
    logly.install()
handler = logging.FileHandler(sys.argv[2], delay=sys.argv[3] == "spawn")
logging.getLogger("pool").addHandler(handler)
logging.getLogger("pool").setLevel(logging.INFO)

def work(number):
    logging.getLogger("pool").info("task %d", number)

if __name__ == "__main__":
    logging.getLogger("pool").info("begin %d", 1)
    logging.getLogger("pool").info("begin %d", 2)
    with multiprocessing.get_context(sys.argv[3]).Pool(2) as pool:
        pool.map(work, range(100))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_no_line_of_a_pools_worker_is_lost(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(POOL)
    left = []
    for way in ("plain", "install"):
        path = tmp_path / way
        run_python(program, way, path, method)
        left.append(sorted(path.read_text().splitlines()))
    assert left[1] == left[0]
    assert len(left[0]) >= 102
