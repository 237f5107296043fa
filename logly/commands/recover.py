"""``python -m logly recover``: prints what a dead process had logged and not written, or appends it to a file."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from logly.config.schema import LoggerConfig, SinkConfig
from logly.control.recovery import deliver
from logly.control.reports import as_one_line
from logly.errors import LoglyError, SinkError, SpoolError
from logly.spool.spools import UNFINISHED, finish_writes, names_of, open_dead

if TYPE_CHECKING:
    from logly._core import DeadSpool

__all__ = ["recover"]


def recover(options: argparse.Namespace) -> int:
    """Runs the command. Returns the exit status: 1 if a spool could not be recovered, 2 for wrong options."""
    try:
        base = os.path.abspath(options.spool)
    except OSError as trouble:
        gone = f"the working directory is gone ({trouble.strerror})"
        _print_to_stderr(f"{options.spool}: {gone}: name the spool by its whole path")
        return 2
    paths = [base] if os.path.isfile(base) else names_of(base)
    if not options.append:
        # Nothing can be in a spool that was not finished, and printing does not remove it.
        paths = [path for path in paths if not path.endswith(UNFINISHED)]
    if not paths:
        _print_to_stderr(f"no spool {options.spool}: nothing to recover")
        return 1
    try:
        if options.any_owner and not options.append:
            raise LoglyError("--any-owner is for --append: printing takes the spools of all users")
        sink = _sink(options)
        LoggerConfig(redact=options.redact, redact_text=options.redact_text, spool=None).validate()
    except (LoglyError, OSError) as mistake:
        _print_to_stderr(mistake)
        return 2
    # A copy is printed, so that printing changes nothing, and so that it does not matter who may write to the file.
    opens = partial(open_dead, is_copy=not options.append, takes_foreign=options.any_owner or not options.append)
    readable = finish_writes(paths, _print_to_stderr, opens)
    results = [_recover_one(path, sink, options, opens) for path in readable]
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


def _recover_one(path: str, sink: SinkConfig, options: argparse.Namespace, opens: partial[DeadSpool | None]) -> bool:
    try:
        file = opens(path)
        if file is None:
            _print_to_stderr(f"{path}: its process lives (or somebody recovers it now); left alone")
            return False
        with file:
            process = file.process
            count, is_complete, _, has_kept, late, _ = deliver(
                file,
                LoggerConfig(redact=options.redact, redact_text=options.redact_text, spool=None),
                [sink],
                options.timeout,
                _print_to_stderr,
                keeps=not options.append,
                takes_kept=options.recorder,
            )
    except (SpoolError, LoglyError, OSError) as trouble:
        _print_to_stderr(trouble)
        return False
    if not is_complete:
        how = "not everything could be written; the spool stays:"
    elif options.append and has_kept:
        how = "appended; the spool stays because of its flight recorder's records, until --recorder:"
    elif options.append:
        how = "appended, and removed"
    else:
        how = "printed; the spool stays until a logger that names it starts, or until --append FILE:"
    kept = f", and {late} of its flight recorder" if late else ""
    _print_to_stderr(f"{how} {path} (process {process}, {count} records held{kept})")
    return is_complete


def _print_to_stderr(what: object) -> None:
    if sys.stderr is not None:  # `print` would take stdout instead, which has the records
        # A file's name may contain control sequences, which a terminal must not obey.
        print(as_one_line(f"logly: {what}"), file=sys.stderr)
