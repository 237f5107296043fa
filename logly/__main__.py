"""`python -m logly`: the command line."""

from __future__ import annotations

import argparse
import signal
import sys

from . import __version__


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    try:
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read stdout has read enough (`head`). The process ends as other commands do then, and says nothing.
        if hasattr(signal, "SIGPIPE"):
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            signal.raise_signal(signal.SIGPIPE)
        return 1


def _run(arguments: list[str] | None) -> int:
    about = "logly's commands; --help after one tells more."
    parser = argparse.ArgumentParser(prog="python -m logly", description=about)
    parser.add_argument("--version", action="version", version=f"logly {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="write two million lines from four threads, count them, and compare with the standard library",
        description="Writes lines from several threads to a real file and counts them; shows what a call cost.",
    )
    demo.add_argument("--lines", type=int, default=2_000_000, help="lines in all (default: %(default)s)")
    demo.add_argument("--threads", type=int, default=4, help="threads that log (default: %(default)s)")
    path_help = "a file that is not there yet (default: %(default)s, made anew)"
    demo.add_argument("--path", default="logs/async.log", help=path_help)
    _add_recover(commands)
    chosen = parser.parse_args(arguments)
    if chosen.command == "recover":
        from .commands.recover import recover

        return recover(chosen)
    from .commands.demo import run

    return run(lines=chosen.lines, threads=chosen.threads, path=chosen.path)


def _add_recover(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "recover",
        help="print what a process that died had logged and not written, or append it to a file",
        description=(
            "Print the records that a dead process had logged with LoggerConfig(spool=...) and not written. Printing "
            "changes nothing: the spool stays. With --append, append them to a file, each once, then remove the spool; "
            "a write that the process did not live to see the end of is finished in its log file first. The spool of "
            "a process that lives is not touched, and a damaged file is left as it is."
        ),
    )
    parser.add_argument("spool", metavar="SPOOL", help="the configured path, or one file (SPOOL.<pid>)")
    parser.add_argument("--append", metavar="FILE", help="append to this file, then remove the spool")
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--format", metavar="LAYOUT", help="layout of the lines, as in SinkConfig(format=...)")
    layout.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--any-owner",
        action="store_true",
        help="with --append: also spools of other users, and those that others may write to. What such a spool says "
        "about writes to log files is ignored, so a line that is appended may be in its log file already",
    )
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="per spool (default: 60)")


if __name__ == "__main__":
    sys.exit(main())
