"""The tables of figures that a script prints, kept so that `--json FILE` can write them: the one way into the results.

    tables.add_option(parser)
    tables.show(Table("million lines a second", ["median", "least"], {"logly": [5.1, 4.9]}))
    tables.write(options.json)

`further.py` runs the scripts with `--json` and puts their tables into `results.json`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """Rows of figures. `title` says what they are, with the unit."""

    title: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[float | None]]
    goals: Mapping[str, str] = field(default_factory=dict)
    """By row, where a row has one."""


kept: list[Table] = []
"""What this process has shown."""


def shown(value: float | None) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def markdown(table: Table) -> list[str]:
    columns = [*table.columns, *(["goal"] if table.goals else [])]
    lines = [f"| {' | '.join([table.title, *columns])} |", f"| --- |{' ---: |' * len(columns)}"]
    for name, values in table.rows.items():
        cells = [name, *(shown(value) for value in values), *([table.goals.get(name, "")] if table.goals else [])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def show(table: Table) -> None:
    kept.append(table)
    print("\n" + "\n".join(markdown(table)), flush=True)


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")


def write(path: Path | None) -> None:
    """All tables that were shown or kept; nothing without a path."""
    if path:
        path.write_text(json.dumps([plain(table) for table in kept], indent=1) + "\n")


def plain(table: Table) -> dict[str, object]:
    """As JSON has it: what is no number is null."""
    rows = {
        name: [None if value is None or math.isnan(value) else round(value, 4) for value in values]
        for name, values in table.rows.items()
    }
    return asdict(table) | {"columns": list(table.columns), "rows": rows, "goals": dict(table.goals)}
