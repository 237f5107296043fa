"""`python -m logly run`: starts a program in which the calls of `logging` go through logly."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from typing import NoReturn

from logly.bridge.at_start import CONFIG, HANDLERS, WRITE

__all__ = ["SITE", "run"]

SITE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bridge", "site")
"""The folder whose `sitecustomize.py` calls `install`."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""Exit codes of `env`, `nohup` and the shells for a program that did not start."""


def run(
    words: list[str], *, is_module: bool, config: str | None = None, handlers: str | None = None, write: str | None = None
) -> int:
    """Start a program in place of this process.

    Args:
        words: the program and its arguments.
        is_module: the first word is a module, as after `python -m`.
        config: a TOML file, for `LOGLY_CONFIG`.
        handlers: for `LOGLY_HANDLERS`.
        write: for `LOGLY_WRITE`.

    Returns:
        The exit code, if the program could not be started; on Windows, where no process takes another's place, the
        program's own.
    """
    environment = dict(os.environ)
    path = None if config is None else os.path.abspath(config)
    environment.update({name: value for name, value in ((CONFIG, path), (HANDLERS, handlers), (WRITE, write)) if value})
    if environment.get("LOGLY_INSTALL") != "0":
        _add_site(environment)
    if is_module or _is_for_this_python(words[0]):
        # _args_from_interpreter_flags: the options of this interpreter, as multiprocessing hands them on.
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        words = [sys.executable, *options, *(["-m"] if is_module else []), *words]
    try:
        if sys.platform == "win32":
            return _start_and_wait(words, environment)
        _become(words, environment)
    except OSError as trouble:
        print(f"logly run: {words[0]!r}: {trouble.strerror}", file=sys.stderr)
        return NOT_FOUND if trouble.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def _add_site(environment: dict[str, str]) -> None:
    """Put the folder first in PYTHONPATH, once."""
    if os.pathsep in SITE:
        text = f"logly run: nothing is installed: PYTHONPATH can hold no path with {os.pathsep!r}: {SITE}"
        print(text, file=sys.stderr)
        return
    before = environment.get("PYTHONPATH", "")
    others = [path for path in before.split(os.pathsep) if path != SITE] if before else []
    environment["PYTHONPATH"] = os.pathsep.join([SITE, *others])


def _is_for_this_python(program: str) -> bool:
    """Whether it is a Python file that does not itself say what runs it."""
    if not program.endswith((".py", ".pyw")) or not os.path.isfile(program):
        return False
    if sys.platform == "win32" or not os.access(program, os.X_OK):
        return True
    with open(program, "rb") as file:
        return file.read(2) != b"#!"


def _become(words: list[str], environment: dict[str, str]) -> NoReturn:
    # CPython ignores these signals, and a program inherits what is ignored.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if words[0].endswith((".py", ".pyw")) and os.path.isfile(words[0]):
        words = [os.path.join(os.curdir, words[0]), *words[1:]]  # a Python file is meant where it is, not on PATH
    try:
        os.execvpe(words[0], words, environment)
    except OSError as trouble:
        if trouble.errno != errno.ENOEXEC:
            raise
    # A script without a first line that names its interpreter: execvp(3) and the shells leave it to the shell.
    found = shutil.which(words[0]) or words[0]
    os.execve("/bin/sh", ["/bin/sh", found, *words[1:]], environment)


def _start_and_wait(words: list[str], environment: dict[str, str]) -> int:
    program = shutil.which(words[0])
    if program is None:
        kind = errno.EACCES if os.path.exists(words[0]) else errno.ENOENT
        raise OSError(kind, os.strerror(kind), words[0])
    with subprocess.Popen([program, *words[1:]], env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the program has got it too, and decides
