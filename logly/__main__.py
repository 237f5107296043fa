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
    started = _add_run(commands)
    _add_routes(commands)
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["run"]:
        return _start(started, words[1:])
    chosen = parser.parse_args(words)
    if chosen.command == "routes":
        from .commands.routes import show_routes

        return show_routes(chosen.target, as_json=chosen.json)
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
    parser.add_argument(
        "--recorder",
        action="store_true",
        help="after that, also what the flight recorder of the process had kept; without this, that stays in the spool",
    )
    parser.add_argument(
        "--redact",
        action="append",
        metavar="NAME",
        help="replace the values of fields with this name, as LoggerConfig(redact=[...]) does; may be repeated",
    )
    parser.add_argument(
        "--redact-text",
        action="store_true",
        help="search messages and tracebacks for secrets, as redact_text=True does",
    )
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="per spool (default: 60)")


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "run",
        allow_abbrev=False,
        help="start a program whose calls of the standard library's logging go through logly",
        usage=(
            "%(prog)s [-h] [--config FILE] [--handlers HOW] [--write WHEN] [--] PROGRAM [ARGUMENT ...]\n"
            "       %(prog)s [-h] [--config FILE] [--handlers HOW] [--write WHEN] -m MODULE [ARGUMENT ...]"
        ),
        description=(
            "Start a program in which logly.install() is called before its own code runs, and in the Python processes "
            "that it starts. The program takes the place of this process, so its process id, its exit code and its "
            "signals are its own. A program that is not found ends with 127, one that cannot be run with 126. With "
            "LOGLY_INSTALL=0 in the environment the program starts as it would alone."
        ),
    )
    parser.add_argument("-m", dest="module", metavar="MODULE", help="a module, started as by python -m")
    parser.add_argument("--config", metavar="FILE", help="logly.toml; its sinks get the root's records (LOGLY_CONFIG)")
    parser.add_argument("--handlers", choices=("serve", "keep"), help="as in install (default: serve; LOGLY_HANDLERS)")
    parser.add_argument("--write", choices=("auto", "call", "soon"), help="as in install (default: auto; LOGLY_WRITE)")
    return parser


def _start(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Read what comes before the program. All that comes after it is the program's own."""
    end = 0
    while words[end : end + 1] and words[end].startswith("-") and words[end] not in ("-", "--"):
        if words[end].startswith("-m"):
            break
        end += 2 if words[end] in ("--config", "--handlers", "--write") else 1
    chosen = parser.parse_args(words[:end])
    rest = words[end:]
    is_module = bool(rest) and rest[0].startswith("-m")
    if is_module and rest[0] != "-m":
        rest[0] = rest[0].removeprefix("-m")
    elif is_module or rest[:1] == ["--"]:
        del rest[0]
    if not rest:
        parser.error("a module is missing after -m" if is_module else "a program is missing")
    from .commands.run import run

    return run(rest, is_module=is_module, config=chosen.config, handlers=chosen.handlers, write=chosen.write)


def _add_routes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "routes",
        help="run a program's set-up and show which loggers of the standard library's logging are fast",
        description=(
            "Import MODULE, and call FUNCTION(), which should configure logging as the program does. Then call "
            "logly.install(), unless that has been done, and print for each logger whether its calls are fast, the "
            "handlers that its records reach, and why its calls are not fast. No record is logged. What the set-up "
            "prints comes first. Ends with 1 if the set-up raises, and with 2 if there is no such module or function."
        ),
    )
    parser.add_argument("target", metavar="MODULE[:FUNCTION]", help="FUNCTION may be dotted: app:Service.set_up")
    parser.add_argument("--json", action="store_true", help="one line, a list of objects, for programs")


if __name__ == "__main__":
    sys.exit(main())
