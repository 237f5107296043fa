"""``python -m logly recover``: prints or appends what a dead process had logged and not written."""

from __future__ import annotations

import argparse
import errno
import os
import sys

from logly.config.schema import LoggerConfig, SinkConfig
from logly.control.recovery import deliver
from logly.control.reports import as_one_line
from logly.errors import LoglyError, SinkError, SpoolError
from logly.spool.spools import finish_writes, names_of, open_dead

__all__ = ["recover"]


def recover(options: argparse.Namespace) -> int:
    """Runs the command. Returns the exit status: 1 if a spool could not be recovered, 2 for wrong options."""
    base = os.path.abspath(options.spool)
    paths = [base] if os.path.isfile(base) else names_of(base)
    if not paths:
        _print_to_stderr(f"no spool {options.spool}: nothing to recover")
        return 1
    try:
        sink = _sink(options)
    except (LoglyError, OSError) as mistake:
        _print_to_stderr(mistake)
        return 2
    readable = finish_writes(paths, _print_to_stderr)
    results = [_recover_one(path, sink, options.timeout) for path in readable]
    return 0 if len(readable) == len(paths) and all(results) else 1


def _sink(options: argparse.Namespace) -> SinkConfig:
    sink = SinkConfig(format=options.format, json=options.json or None, color=False)
    if options.append:
        sink.path = options.append
    else:
        if sys.stdout is None:
            raise SinkError(errno.EBADF, "stdout is closed: name a file with --append")
        sys.stdout.flush()
        sink.fd = sys.stdout.fileno()
    return sink.resolved()


def _recover_one(path: str, sink: SinkConfig, timeout: float) -> bool:
    try:
        file = open_dead(path)
        if file is None:
            _print_to_stderr(f"{path}: its process lives (or somebody recovers it now); left alone")
            return False
        with file:
            process = file.process
            count, is_complete, _ = deliver(file, LoggerConfig(), [sink], timeout, _print_to_stderr)
    except (SpoolError, LoglyError, OSError) as trouble:
        _print_to_stderr(trouble)
        return False
    how = "recovered" if is_complete else "not everything could be written; the spool stays:"
    _print_to_stderr(f"{how} {path} (process {process}, {count} records held)")
    return is_complete


def _print_to_stderr(what: object) -> None:
    # A file's name may contain control sequences, which a terminal must not obey.
    print(as_one_line(f"logly: {what}"), file=sys.stderr)
