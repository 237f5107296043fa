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
from logly.config.toml import load_file
from logly.control.reports import as_one_line
from logly.errors import LoglyError

__all__ = ["SITE", "run"]

SITE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bridge", "site")
"""The folder whose `sitecustomize.py` calls `install`."""

USUAL_CONFIG = "logly.toml"
WRONG_OPTION = 2
NOT_FOUND = 127
NOT_EXECUTABLE = 126
"""Exit codes of `env`, `nohup` and the shells for a program that did not start."""

PYTHON_FILES = (".py", ".pyw")


def run(words: list[str], *, is_module: bool, config: str | None, handlers: str | None, write: str | None) -> int:
    """Start a program in place of this process.

    Args:
        words: the program and its arguments.
        is_module: the first word is a module, as after `python -m`.
        config: a TOML file, for `LOGLY_CONFIG`; None: what the environment says, or else `logly.toml` in the working
            directory, if there is one.
        handlers: for `LOGLY_HANDLERS`; None: what the environment says.
        write: for `LOGLY_WRITE`; None: what the environment says.

    Returns:
        The exit code, if the program could not be started; on Windows, where no process takes another's place, the
        program's own.
    """
    environment = dict(os.environ)
    if config is None and CONFIG not in environment and os.path.isfile(USUAL_CONFIG):
        config = USUAL_CONFIG
    try:
        if config is not None:
            load_file(config)
        # Children may run in other folders.
        path = None if config is None else os.path.abspath(config)
    except (LoglyError, OSError) as mistake:
        _complain(str(mistake))
        return WRONG_OPTION
    environment.update({name: value for name, value in ((CONFIG, path), (HANDLERS, handlers), (WRITE, write)) if value})
    if environment.get("LOGLY_INSTALL") != "0":
        _add_site(environment)
    try:
        if not (is_module or words[0]):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))  # `exec` has another error for that
        if is_module or _is_for_this_python(words[0]):
            words = [*_this_python(), *(["-m"] if is_module else []), *words]
        if sys.platform == "win32":
            return start_and_wait(words, environment)
        _become(words, environment)
    except OSError as trouble:
        _complain(f"{words[0]}: {trouble.strerror or trouble}")
        return NOT_FOUND if trouble.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


def _complain(text: str) -> None:
    if sys.stderr is not None:  # `print` would take stdout instead
        print(as_one_line(f"logly run: {text}"), file=sys.stderr)


def _add_site(environment: dict[str, str]) -> None:
    """Put the folder first in PYTHONPATH, once."""
    if os.pathsep in SITE:
        _complain(f"nothing is installed: PYTHONPATH cannot hold a path with {os.pathsep!r} in it, {SITE}")
        return
    before = environment.get("PYTHONPATH")
    # An empty entry is the working directory. An empty variable has no entries.
    others = [path for path in before.split(os.pathsep) if path != SITE] if before else []
    environment["PYTHONPATH"] = os.pathsep.join([SITE, *others])


def _is_for_this_python(program: str) -> bool:
    """Whether it is a Python file that does not say itself what runs it."""
    if not program.endswith(PYTHON_FILES) or not os.path.isfile(program):
        return False
    if sys.platform == "win32" or not os.access(program, os.X_OK):
        return True
    with open(program, "rb") as file:
        return file.read(2) != b"#!"


def _this_python() -> list[str]:
    """This interpreter with its options, as `multiprocessing` hands them on."""
    if not sys.executable:
        raise FileNotFoundError(errno.ENOENT, "the interpreter does not know its own path")
    if sys.flags.ignore_environment or sys.flags.no_site:
        _complain("nothing is installed: this Python was started with -E, -I or -S")
    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [sys.executable, *options]


def _become(words: list[str], environment: dict[str, str]) -> NoReturn:
    # CPython ignores these signals, and a program inherits what is ignored.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if words[0].endswith(PYTHON_FILES) and os.path.isfile(words[0]):
        # A Python file is meant where it is, and not on PATH.
        words = [os.path.join(os.curdir, words[0]), *words[1:]]
    try:
        os.execvpe(words[0], words, environment)
    except OSError as trouble:
        if trouble.errno != errno.ENOEXEC:
            raise
    # A script whose first line names no interpreter. execvp(3) and the shells leave it to the shell.
    os.execve("/bin/sh", ["/bin/sh", shutil.which(words[0]) or words[0], *words[1:]], environment)


def start_and_wait(words: list[str], environment: dict[str, str]) -> int:
    """Run a program as a child, for Windows, and return its exit code."""
    program = shutil.which(words[0])
    if program is None:
        kind = errno.EACCES if os.path.exists(words[0]) else errno.ENOENT
        raise OSError(kind, os.strerror(kind), words[0])
    with subprocess.Popen([program, *words[1:]], env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # the console has sent it to the program, too, which decides
