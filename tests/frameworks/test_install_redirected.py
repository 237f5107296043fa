"""gunicorn writes stdout and stderr of its workers to its error log and opens it again: what is logged follows."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.both_ways import PAGE, WAYS, Program, by_process, check_same, get, masked
from tests.frameworks.test_install_recipes import LISTENING, PIDS, gunicorn
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the page is not here"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc says when the old file is closed"),
    pytest.mark.timeout(400),
]

TO_STREAMS = """
import sys
for number, stream in enumerate((sys.stdout, sys.stderr)):
    also = logging.StreamHandler(stream)
    also.setFormatter(logging.Formatter(f"%(asctime)s %(process)d {number} %(message)s"))
    log.addHandler(also)
"""


def wait_until_closed(group: int, path: Path) -> None:
    """Waits until no process of the group has the file open.

    The signal must not come while the worker writes a request's line: gunicorn's handler of the signal closes the
    files, which `logging` may be flushing then, and `logging` complains on stderr, with and without logly.
    """

    def has_open(descriptors: Path) -> bool:
        with contextlib.suppress(OSError):  # the process has ended
            if os.getpgid(int(descriptors.parent.name)) == group:
                return any(os.readlink(one) == str(path) for one in descriptors.iterdir())
        return False

    wait_until(lambda: not any(map(has_open, Path("/proc").glob("[0-9]*/fd"))), f"nobody to have {path} open")


@pytest.mark.parametrize("preload", [True, False])
def test_captured_output_follows_the_error_log(preload: bool, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    programs = []
    for way in WAYS:
        program = Program(tmp_path, way)
        program.change("shop.py", "log.setLevel(logging.INFO)\n", "log.setLevel(logging.INFO)" + TO_STREAMS)
        command = (*gunicorn(program, workers=1, preload=preload)[:-1], "--capture-output", "shop:application")
        with program.running(*command) as process:
            port = int(program.wait_for(process, "logs/error.log", LISTENING)[0])
            for turn in range(3):
                assert [get(port, f"/orders/{turn}{number}") for number in range(10)] == [200] * 10
                (program.logs / "error.log").rename(program.logs / f"error.log.{turn}")
                process.send_signal(signal.SIGUSR1)
                new = program.logs / "error.log"
                wait_until(new.exists, "the new file")
                program.wait_for(process, f"logs/error.log.{turn}", "(usr1)")
                wait_until_closed(process.pid, program.logs / f"error.log.{turn}")
                assert get(port, f"/moved/{turn}") == 200
                program.wait_for(process, "logs/error.log", f"/moved/{turn}")
        programs.append(program)

    def shown(name: str, text: str) -> Any:
        if name == "logs/access.log":
            return masked(text)
        found = by_process(text, r"^(?:\[\S+ \S+ \S+ \[|\S+ \S+ )(\d+)\]? ", *PIDS)
        # Which of the streams is flushed first is not the same each time.
        return sorted(sorted(one) for one in found)

    check_same(programs, shown)
    assert programs[0].files["logs/error.log.1"].count("/orders/1") == 20
