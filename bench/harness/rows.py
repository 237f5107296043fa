"""Rows of results: one library's figures in one script, of one round or combined from several."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

TOTALS = ("expected", "written", "lines")


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
    """One row for several rounds of one library. A library that failed once has failed."""
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


def balance(row: dict[str, Any]) -> dict[str, Any]:
    """A library whose lines are not all there is not "ok"."""
    expected, written = row.get("expected", 0), row.get("written", 0)
    if row["status"] == "ok" and written != expected:
        row["status"] = "lost" if written < expected else "repeated"
        row["why"] = f"{written} of {expected} lines written"
    return row
