"""A question that each library answers in a process of its own, in turns.

A script of `bench/` says what is measured, as a `Question`, and ends with `main(__doc__, QUESTION)`. `run.py` asks the
same questions with more care for libraries that fail.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import turns
from harness.libraries import PEERS
from harness.processes import ask
from harness.rows import combine, figure
from harness.scenarios import Unsupported

TIMEOUT_S = 600


@dataclass(frozen=True)
class Question:
    measure: Callable[[str, argparse.Namespace], dict[str, Any]]
    """`measure(peer, options)` returns the figures of one round."""
    headline: tuple[str, ...]
    """Leads to the figure that stands for the others, in what `measure` returns."""
    rounds: int = 1
    """Of a full run of `run.py`, at most."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peer", action="append", choices=PEERS, metavar="PEER", help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each peer, in turns; medians are reported")
    parser.add_argument("--fast", action="store_true", help="a smoke run: too short to quote")
    parser.add_argument("--output", help="append one JSON line per peer to this file")
    parser.add_argument("--dir", help="where the log files go; default: the temporary directory")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)


def main(description: str | None, question: Question) -> None:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    options = parser.parse_args()
    options.peer = options.peer or PEERS
    if options.one:
        answer(question, options.peer[0], options)
    else:
        ask_all(Path(sys.argv[0]).stem, question, options)


def answer(question: Question, peer: str, options: argparse.Namespace) -> None:
    """Measures one library in this process, and prints its row. Does not return."""
    try:
        row = {"peer": peer, "status": "ok"} | question.measure(peer, options)
    except Unsupported as error:
        row = {"peer": peer, "status": "unsupported", "why": str(error)}
    # A line of its own, whatever the library has printed before.
    print(f"\n{json.dumps(row)}")
    sys.stdout.flush()
    # A library whose background thread never ends must not keep its finished measurement.
    os._exit(0)


def ask_all(script: str, question: Question, options: argparse.Namespace) -> None:
    def asked(peer: str) -> dict[str, Any]:
        row = ask(script, peer, fast=options.fast, directory=options.dir, timeout_s=TIMEOUT_S)
        print(json.dumps(row), flush=True)
        return row

    found = turns.take_turns({peer: (lambda peer=peer: asked(peer)) for peer in options.peer}, options.rounds)
    if options.output:
        with open(options.output, "a") as file:
            file.writelines(json.dumps(combine(rows, question.headline)) + "\n" for rows in found.values())
    print_table(found, question.headline)


def print_table(found: Mapping[str, list[dict[str, Any]]], headline: Sequence[str]) -> None:
    """The headline of each library, against the last one that has it; then those without."""
    good = {
        peer: [figure(row, headline) for row in rows]
        for peer, rows in found.items()
        if all(row["status"] == "ok" for row in rows)
    }
    if good:
        turns.print_table(headline[-1], good, base=list(good)[-1])
    for peer, rows in found.items():
        if peer not in good:
            row = combine(rows)
            print(f"{peer}: {row['status']} {row.get('why', '')}")
