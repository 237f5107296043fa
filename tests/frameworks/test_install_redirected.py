"""gunicorn writes stdout and stderr of its workers to its error log and opens it again: what is logged follows."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.frameworks.both_ways import PAGE, WAYS, Program, by_process, check_same, get, masked
from tests.frameworks.test_install_recipes import LISTENING, PIDS, gunicorn
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="the page is not here"),
    pytest.mark.skipif(sys.platform == "win32", reason="the servers are stopped by signals"),
    pytest.mark.timeout(400),
]

TO_STREAMS = """
import sys
for number, stream in enumerate((sys.stdout, sys.stderr)):
    also = logging.StreamHandler(stream)
    also.setFormatter(logging.Formatter(f"%(asctime)s %(process)d {number} %(message)s"))
    log.addHandler(also)
"""


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
                number = 0

                def has_moved() -> bool:
                    """The worker hears of it a little later than the master."""
                    nonlocal number
                    number += 1
                    return get(port, f"/moved/{turn}") == 200 and "moved" in new.read_text()  # noqa: B023

                wait_until(has_moved, "the worker")
        programs.append(program)

    def shown(name: str, text: str) -> Any:
        if name == "logs/access.log":
            return masked("".join(line for line in text.splitlines(keepends=True) if "/moved/" not in line))
        found = by_process(text, r"^(?:\[\S+ \S+ \S+ \[|\S+ \S+ )(\d+)\]? ", *PIDS)
        # How many of them it took, and which of the streams is flushed first, is not the same each time.
        return sorted(sorted(line for line in one if "/moved/" not in line) for one in found)

    check_same(programs, shown)
    assert programs[0].files["logs/error.log.1"].count("/orders/1") == 20
