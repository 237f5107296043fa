"""`python -m logly`: the command line."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m logly", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="write two million lines from four threads, count them, and compare with the standard library",
        description="Writes lines from several threads to a real file and counts them; shows what a call cost.",
    )
    demo.add_argument("--lines", type=int, default=2_000_000, help="lines in all (default: %(default)s)")
    demo.add_argument("--threads", type=int, default=4, help="threads that log (default: %(default)s)")
    demo.add_argument("--path", default="logs/async.log", help="the file (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    from .demo import run

    return run(lines=chosen.lines, threads=chosen.threads, path=chosen.path)


if __name__ == "__main__":
    sys.exit(main())
