"""Programs that give a descriptor another file while a handler that has it is served."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bridge.oracle import check_equal
from tests.support.programs import run_program, run_python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors")

PROGRAM = """
import logging, os, sys
import logly.bridge.install as bridge
way, folder = sys.argv[1:]
if way == "install":
    bridge.install(write="auto")
elif way == "call":
    bridge.install(write="call")
os.chdir(folder)
log = logging.getLogger("enemy")
log.setLevel(logging.INFO)
log.propagate = False
def use(handler):
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    log.addHandler(handler)
    return handler
def say(what, times=100):
    for number in range(times):
        log.info("%s %d", what, number)
def open_file(name):
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
"""

CHANGES = {
    "a stream is redirected and comes back": """
use(logging.StreamHandler(sys.STREAM))
say("before")
saved = os.dup(NUMBER)
for name in ("one", "two"):
    fd = open_file(name)
    os.dup2(fd, NUMBER)
    os.close(fd)
    say(name)
os.dup2(saved, NUMBER)
say("after")
""",
    "before anything was logged": """
use(logging.StreamHandler(sys.STREAM))
os.dup2(open_file("one"), NUMBER)
say("one")
""",
    "a file": """
handler = use(logging.FileHandler("zero"))
use(logging.StreamHandler(sys.STREAM))
say("before")
os.dup2(open_file("one"), handler.stream.fileno(), inheritable=False)
say("after")
""",
    "a file for two streams": """
use(logging.StreamHandler(sys.stdout))
use(logging.StreamHandler(sys.stderr))
say("before")
os.dup2(open_file("one"), 1)
os.dup2(1, 2)
say("after")
""",
    "what is wrong stays wrong": """
use(logging.StreamHandler(sys.STREAM))
say("before")
for call in (
    lambda: os.dup2(1000, NUMBER),
    lambda: os.dup2(),
    lambda: os.dup2("a", []),
    lambda: os.dup2(fd=NUMBER, fd2=NUMBER),
):
    try:
        call()
    except Exception as error:
        print(type(error), error, file=sys.stderr if NUMBER == 1 else sys.stdout)
say("after")
""",
}


@pytest.mark.parametrize("way", ["install", "call"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_descriptor_is_given_another_file(change: str, stream: str, way: str, tmp_path: Path) -> None:
    code = PROGRAM + CHANGES[change].replace("STREAM", stream).replace("NUMBER", str(1 + (stream == "stderr")))
    left = []
    for one in ("plain", way):
        folder = tmp_path / one
        folder.mkdir()
        done = run_program(code, one, folder, may_complain=True)
        files = {path.name: path.read_text() for path in sorted(folder.iterdir())}
        left.append({"stdout": done.stdout, "stderr": done.stderr, **files})
    assert left[1] == left[0]


CAPTURED = """
import logging, os, sys
import pytest

log = logging.getLogger("enemy")
log.setLevel(logging.INFO)
for stream in (sys.stderr, sys.__stderr__, sys.__stdout__):
    log.addHandler(logging.StreamHandler(stream))

def speak(count=50):
    for number in range(count):
        log.info("line %d", number)

@pytest.mark.parametrize("times", [1, 2])
def test_capfd(capfd, times):
    for _ in range(times):
        speak()
        logging.shutdown()
        print(capfd.readouterr())
    assert False

def test_capsys(capsys):
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    speak()
    log.removeHandler(handler)
    logging.shutdown()
    print(capsys.readouterr())
    assert False

def test_disabled(capfd):
    speak()
    with capfd.disabled():
        speak()
    speak()
    logging.shutdown()
    print(capfd.readouterr())
    assert False

def test_caplog(caplog):
    speak(3)
    with caplog.at_level(logging.ERROR, "enemy"):
        speak(3)
        log.error("error %s", 1)
    print(caplog.record_tuples, caplog.text, caplog.messages)
    caplog.clear()
    log.warning("after")
    print(caplog.record_tuples)
    assert False

def test_nothing_is_captured():
    speak(2)
    assert False
"""


@pytest.mark.parametrize(
    ("options", "write"),
    [
        ((), "auto"),
        ((), "call"),
        (("--capture=sys",), "auto"),
        (("--capture=no",), "auto"),
        (("-p", "no:logging"), "auto"),
        (("--log-cli-level=INFO",), "auto"),
    ],
)
def test_pytest_captures_the_same(options: tuple[str, ...], write: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(CAPTURED)
    words = [
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "--show-capture=all",
        *options,
        "test_it.py",
    ]
    said = []
    for way in ([], ["-m", "logly", "run", "--write", write]):
        done = run_python(*way, *words, cwd=tmp_path, returncode=1)
        said.append((_without_times(done.stdout), _without_times(done.stderr)))
    check_equal("stdout", said[1][0], said[0][0])
    check_equal("stderr", said[1][1], said[0][1])


def _without_times(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not (line.startswith("=") and line.endswith("="))]
    return [re.sub("0x[0-9a-f]+", "0x", line) for line in lines]
