"""Programs that run twice, with and without `install`, and the bytes of all files and streams that they leave."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.bridge.oracle import check_equal
from tests.support import ROOT
from tests.support.pages import write_files
from tests.support.programs import environment, start_python
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "existing-logging.md"
PATIENCE_S = 60
WAYS = ("0", "auto", "call")
"""`logging` alone; files are written soon; everything is written at the call."""

AT_START = """
import atexit, json, os, sys

def tell():
    bridge = sys.modules.get("logly.bridge.install")
    if bridge is None:
        return
    found = [(one.name, one.fast, one.rendered, one.original, one.why_not) for one in bridge.routes()]
    with open(os.path.join(os.environ["WHERE_ROUTES_GO"], f"{os.getpid()}.json"), "w") as file:
        json.dump(found, file)

atexit.register(tell)
if os.environ["WRITE"] == "call":
    import logly, logly.bridge.install as bridge
    original = bridge.install
    logly.install = lambda: original(write="call")
"""
"""sitecustomize: says at the end which calls were fast, and has the recipe's `install()` write at the call."""

LATIN_TIMES = [
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[,.]\d+)?", "TIME"),
    (r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", "[TIME]"),
    (r"0x[0-9a-f]{6,}", "0x"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
]
"""What may differ between two runs of one program."""


class Program:
    """A recipe's files in a folder of its own, run one of the `WAYS`.

    Attributes:
        folder: where it runs; the same for each way, because tracebacks and mails show it.
        logs: where its log files are.
        files: once it has ended: what is in each log file and stream. Bytes that are no UTF-8 stay what they are.
        ways: once it has ended: (fast, rendered, original) calls by logger, of all processes that ended well.
    """

    def __init__(self, folder: Path, way: str) -> None:
        self.way = way
        self.folder = folder / "program"
        self.logs = self.folder / "logs"
        self.routes = self.folder / "routes"
        self.site = self.folder / "site"
        for one in (self.folder, self.logs, self.routes, self.site):
            one.mkdir(parents=True)
        self.files: dict[str, str] = {}
        self.ways: dict[str, tuple[int, int, int]] = {}
        (self.site / "sitecustomize.py").write_text(AT_START)
        if PAGE.exists():
            write_files(PAGE, self.folder)

    def change(self, name: str, old: str, new: str) -> None:
        """What a test must have different from the page: it says exactly what."""
        text = (self.folder / name).read_text()
        assert text.count(old) == 1, f"{name}: {old}"
        (self.folder / name).write_text(text.replace(old, new))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def env(self) -> dict[str, str]:
        more = {"LOGLY_INSTALL": "0"} if self.way == "0" else {}
        more |= {"WRITE": self.way, "WHERE_ROUTES_GO": str(self.routes), "PYTHONDONTWRITEBYTECODE": "1"}
        more |= {"PYTHONFAULTHANDLER": "1"}
        return environment(self.site, self.folder, **more)

    @contextmanager
    def running(self, *words: str, stop: int = signal.SIGTERM, code: int = 0) -> Iterator[subprocess.Popen[str]]:
        """A process that must end well after the block, with the code."""
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("wb") as err:
            process = start_python(
                *words, cwd=self.folder, env=self.env(), stdout=out, stderr=err, start_new_session=True
            )
        try:
            yield process
            process.send_signal(stop)
            assert process.wait(PATIENCE_S) == code, self.said()
            self._end()
        except BaseException as trouble:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGABRT)  # faulthandler says where each of its processes was
                process.wait(PATIENCE_S)
                trouble.add_note(f"with install ({self.way}):\n{self.said()}")
            raise
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE_S)

    def said(self) -> str:
        return "\n".join((self.folder / name).read_text() for name in ("stdout", "stderr"))

    def wait_for(self, process: subprocess.Popen[str], name: str, pattern: str, times: int = 1) -> list[str]:
        """Waits until a file has a pattern as often; returns what its group was each time."""
        found: list[str] = []

        def is_there() -> bool:
            assert process.poll() is None, self.said()
            path = self.folder / name
            found[:] = re.findall(pattern, path.read_text()) if path.exists() else []
            return len(found) >= times

        wait_until(is_there, f"{times} times {pattern!r} in {name}")
        return found

    def _end(self) -> None:
        paths = [*sorted(self.logs.rglob("*")), self.folder / "stdout", self.folder / "stderr"]
        for path in paths:
            if path.is_file():
                text = path.read_bytes().decode("utf-8", "surrogateescape")
                self.files[str(path.relative_to(self.folder))] = text
        for path in self.routes.glob("*.json"):
            for name, *counts, _ in json.loads(path.read_text()):
                before = self.ways.get(name, (0, 0, 0))
                self.ways[name] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
        self.folder.rename(self.folder.with_name(f"with-{self.way}"))


def masked(text: str, *more: tuple[str, str]) -> str:
    for pattern, to in (*more, *LATIN_TIMES):
        text = re.sub(pattern, to, text)
    return text


def by_process(text: str, pattern: str, *more: tuple[str, str]) -> list[list[str]]:
    """The records of each process, in order; `pattern` finds the process in a record's first line.

    Lines without it belong to the record before them. Which of two processes writes first is nobody's promise, so the
    processes are sorted by what they wrote, and their numbers are masked: where the pattern has them and nowhere else,
    because a young machine's processes have the numbers that times and statuses have, too. All groups of the pattern
    together are one process.
    """
    found: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines(keepends=True):
        match = re.search(pattern, line)
        if match:
            current = " ".join(filter(None, match.groups()))
            for group in range(len(match.groups()), 0, -1):
                if (match[group] or "").isdigit():
                    line = line[: match.start(group)] + "PID" + line[match.end(group) :]
        found.setdefault(current, []).append(masked(line, *more))
    return sorted(found.values())


def check_same(programs: list[Program], shown: Callable[[str, str], Any]) -> None:
    """All ways have left the same; `shown` masks what a file's text has, given its name."""
    first, *others = [{name: shown(name, text) for name, text in one.files.items()} for one in programs]
    for program, files in zip(programs[1:], others, strict=True):
        assert files.keys() == first.keys(), program.way
        for name in first:
            found, expected = (
                one[name].splitlines() if isinstance(one[name], str) else one[name] for one in (files, first)
            )
            check_equal(f"{name} with install ({program.way}), part", found, expected)


def get(port: int, path: str) -> int:
    """The answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers={"User-Agent": "test", "Connection": "close"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
