"""CPython's own tests of `logging` have the same result with `install` as without.

Once as they are, which proves the original way (their streams have no descriptor), and once logging to a real file.
Most calls of the suite go to handlers of classes that are never served (queues, sockets, memory, mail). Of the others
at least a third must make no `LogRecord`: on 3.11 it is 32 of 73.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bridge.oracle import SEES_CHANGES
from tests.support.programs import environment

if TYPE_CHECKING:
    from pathlib import Path

HAS_SUITE = importlib.util.find_spec("test") is not None and importlib.util.find_spec("test.test_logging") is not None
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not HAS_SUITE, reason="this CPython came without its tests"),
]

CUSTOMIZE = """
import os
if os.environ.get("LOGLY_SUITE") == "install":
    from logly.bridge.install import install
    install(write="call")
if os.environ.get("LOGLY_SUITE_FILE"):
    import atexit, importlib.abc, importlib.machinery, sys
    sys.path.insert(0, os.environ["LOGLY_SUITE_FILE"])
    import real_file
    real_file.prepare()
"""

REAL_FILE = """
# Patches BaseTest of test.test_logging: the root's handler writes to a real file, and `stream.getvalue` reads it back.
import atexit, os, sys, tempfile

def patch(module):
    import logging
    before_up, before_down = module.BaseTest.setUp, module.BaseTest.tearDown
    def set_up(self):
        before_up(self)
        fd, path = tempfile.mkstemp()
        os.close(fd)
        handler = logging.FileHandler(path)
        handler.setFormatter(self.root_formatter)
        root = self.root_logger
        if root.hasHandlers() and self.root_hdlr in root.handlers:
            root.removeHandler(self.root_hdlr)
        self.root_hdlr.close()
        self.root_hdlr = handler
        root.addHandler(handler)
        stream = self.stream
        class Stream:
            def getvalue(_):
                with open(path) as file:
                    return file.read()
            def close(_):
                stream.close()
                handler.close()
                if os.path.exists(path):
                    os.unlink(path)
            def __getattr__(_, name):
                return getattr(stream, name)
        self.stream = Stream()
    module.BaseTest.setUp = set_up

def prepare():
    import importlib.abc, importlib.machinery
    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name != "test.test_logging":
                return None
            sys.meta_path.remove(self)
            spec = importlib.machinery.PathFinder.find_spec(name, path)
            execute = spec.loader.exec_module
            def exec_module(module):
                execute(module)
                patch(module)
            spec.loader.exec_module = exec_module
            return spec
    sys.meta_path.insert(0, Finder())
    def tell():
        if os.environ.get("LOGLY_SUITE") == "install":
            from logly.bridge.install import routes
            found = routes()
            found = [one for one in found if " is not served" not in (one.why_not or "")]
            total = [sum(getattr(one, n) for one in found) for n in ("fast", "rendered", "original")]
            with open(os.environ["LOGLY_SUITE_COUNTS"], "a") as file:
                file.write(" ".join(map(str, total)) + "\\n")
    atexit.register(tell)
"""

RESULT = re.compile(r"^(test\w+) \((\S+)\)(?:\n.*?)?? \.\.\. (ok|FAIL|ERROR|skipped.*)$", re.MULTILINE)


def results(mode: str, folder: Path, *, to_file: bool) -> tuple[set[tuple[str, ...]], str]:
    """(what came of each test, the whole output)."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(CUSTOMIZE)
    (site / "real_file.py").write_text(REAL_FILE)
    more = {"LOGLY_SUITE_FILE": str(site)} if to_file else {}
    env = environment(site, LOGLY_SUITE=mode, LOGLY_SUITE_COUNTS=str(folder / "counts"), **more)
    work = folder / mode
    work.mkdir(exist_ok=True)
    # From 3.12 on CPython warns of a fork beside a thread, in the middle of the lines that are looked for.
    words = [
        sys.executable,
        "-W",
        "ignore:This process:DeprecationWarning",
        "-m",
        "unittest",
        "-v",
        "test.test_logging",
    ]
    done = subprocess.run(words, cwd=work, env=env, timeout=500, check=False, capture_output=True, text=True)
    return {one.groups() for one in RESULT.finditer(done.stderr)}, done.stderr


@pytest.mark.parametrize("to_file", [False, True], ids=["as-it-is", "to-a-file"])
def test_the_suite_has_the_same_result(to_file: bool, tmp_path: Path) -> None:
    plain, _ = results("plain", tmp_path, to_file=to_file)
    installed, said = results("install", tmp_path, to_file=to_file)
    assert len(plain) > 150, said[-3000:]
    assert installed == plain, f"{sorted(installed ^ plain)}\n{said[-3000:]}"
    if to_file and SEES_CHANGES and sys.version_info < (3, 12):  # the suites of later versions have other calls
        fast, rendered, original = map(int, (tmp_path / "counts").read_text().split())
        assert 3 * (fast + rendered) >= fast + rendered + original
