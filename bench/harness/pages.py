"""The tables of README and docs whose figures are those of the last full run: `run.py --report-only` writes them again.

A page marks the place, and says no figure of the run elsewhere:

    <!-- run.py: calls -->
    ...
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import REPOSITORY, front, tables
from harness.cells import number, table
from harness.report import Report

PLACE = re.compile(r"(<!-- run\.py: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def first(report: Report) -> list[str]:
    return front.first_table(report)


def calls(report: Report) -> list[str]:
    """What one call costs, beside what it is compared with."""
    goals = [table for table in parts(report, "core") if table["title"] == "medians of the rounds"]
    return tables.markdown(tables.Table(**goals[0])) if goals else ["This run has not measured it."]


def installed(report: Report) -> list[str]:
    found = report.further_table(*front.HANDLERS)
    kinds = [name.removesuffix(", after") for name in found if name.endswith(", after")]
    rows = []
    for kind in kinds:
        before, after = found[f"{kind}, before"][0], found[f"{kind}, after"][0]
        rows.append([f"`{kind}`" if " " not in kind else kind, number(before), number(after), f"{before / after:.0f}x"])
    return table(["one call of `logging`, ns", "before", "after `install()`", "cheaper"], rows)


def all_of(part: str) -> Callable[[Report], list[str]]:
    def found(report: Report) -> list[str]:
        lines = [line for one in parts(report, part) for line in [*tables.markdown(tables.Table(**one)), ""]]
        return lines or ["This run has not measured it.", ""]

    return found


def parts(report: Report, part: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = report.results.get("further", {}).get(part, {}).get("tables", [])
    return found


TABLES: dict[str, Callable[[Report], list[str]]] = {
    "first": first,
    "calls": calls,
    "installed": installed,
    "flusher": all_of("flusher"),
    "quill": all_of("quill"),
}


def filled(text: str, report: Report) -> str:
    """The page with the tables of this run."""

    def fill(place: re.Match[str]) -> str:
        lines = "\n".join(TABLES[place[2]](report)).strip("\n")
        return f"{place[1]}\n{lines}\n\n{place[3]}"

    return PLACE.sub(fill, text)


def paths() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def write(results: dict[str, Any]) -> None:
    report = Report(results)
    for path in paths():
        text = path.read_text(encoding="utf-8")
        if (new := filled(text, report)) != text:
            path.write_text(new, encoding="utf-8")
            print(f"tables of this run written into {path.name}")
