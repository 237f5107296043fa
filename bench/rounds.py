"""Several runs of one measurement: peers take turns, each run in a process of its own; medians are reported.

The machine changes its speed for seconds at a time. So a peer is not measured several times in a row but once in each
round, every other round in the opposite order, and ratios are formed between neighbours of one round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

TOTALS = ("expected", "written", "lines")


def in_turns(peers: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    for number in range(rounds):
        for peer in peers if number % 2 == 0 else reversed(peers):
            yield number, peer


def median_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of all figures, sums of what is counted; what is no number is taken from the first."""
    merged: dict[str, Any] = {}
    for key, first in rows[0].items():
        values = [row[key] for row in rows if key in row]
        if isinstance(first, dict):
            merged[key] = median_of(values)
        elif isinstance(first, (int, float)) and not isinstance(first, bool):
            merged[key] = sum(values) if key in TOTALS else statistics.median(values)
        else:
            merged[key] = first
    return merged


def combine(rows: Sequence[dict[str, Any]], headline: Sequence[str] = ()) -> dict[str, Any]:
    """One row for several rounds of one peer. A peer that failed once has failed."""
    for row in rows:
        if row["status"] != "ok":
            return row
    merged = median_of(rows) | {"rounds": len(rows)}
    if headline and len(rows) > 1:
        values = [figure(row, headline) for row in rows]
        merged["spread"] = [min(values), max(values)]
    return merged


def figure(row: dict[str, Any], path: Sequence[str]) -> float:
    value: Any = row
    for key in path:
        value = value[key]
    return float(value)


def run_peers(options: argparse.Namespace, headline: Sequence[str]) -> None:
    """Run this script again for each peer and round, and print what came of it."""
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in options.peer}
    for _, peer in in_turns(options.peer, options.rounds):
        command = [sys.executable, sys.argv[0], "--peer", peer, "--one"]
        command += ["--fast"] if options.fast else []
        command += ["--dir", options.dir] if options.dir else []
        found[peer].append(one_row(peer, command))
        print(json.dumps(found[peer][-1]), flush=True)
    if options.output:
        with open(options.output, "a") as file:
            file.writelines(json.dumps(combine(rows, headline)) + "\n" for rows in found.values())
    print_table(found, headline)


def one_row(peer: str, command: list[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=600, check=False, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        return {"peer": peer, "status": "hung"}
    # A peer that prints records to the console mixes them in.
    for line in reversed(done.stdout.splitlines()):
        if line.startswith('{"peer"'):
            return balance(json.loads(line))
    return {"peer": peer, "status": f"exit code {done.returncode}"}


def balance(result: dict[str, Any]) -> dict[str, Any]:
    """A peer whose lines are not all there is not "ok"."""
    expected, written = result.get("expected", 0), result.get("written", 0)
    if result["status"] == "ok" and written != expected:
        result["status"] = "lost" if written < expected else "repeated"
        result["why"] = f"{written} of {expected} lines written"
    return result


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def print_table(found: dict[str, list[dict[str, Any]]], headline: Sequence[str]) -> None:
    """Median, least and most of the headline, and its ratio to the last peer's in the same round."""
    last = list(found)[-1]
    base = {number: row for number, row in enumerate(found[last]) if row["status"] == "ok"}
    print(f"\n| {headline[-1]} | median | least | most | times {last} |\n| --- | ---: | ---: | ---: | ---: |")
    for peer, rows in found.items():
        good = {number: figure(row, headline) for number, row in enumerate(rows) if row["status"] == "ok"}
        if len(good) < len(rows):
            print(f"| {peer} | {combine(rows)['status']} | | | |")
            continue
        values = list(good.values())
        pairs = [(good[number], figure(row, headline)) for number, row in base.items()]
        ratios = [value / other for value, other in pairs if other]
        ratio = f"{statistics.median(ratios):.3g}" if ratios else ""
        print(
            f"| {peer} | {shown(statistics.median(values))} | {shown(min(values))} | {shown(max(values))} | {ratio} |"
        )
