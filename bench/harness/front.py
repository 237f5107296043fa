"""What the report leads with: one table and three pictures that are understood in a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import svg
from harness.cells import number, table
from harness.libraries import module_of

if TYPE_CHECKING:
    from harness.report import Report

#: One row for each library, as it is mostly used.
LEADING = [
    "logly_async",
    "stdlib_file",
    "picologging_file",
    "loguru_plain",
    "structlog_orjson",
    "logust_plain",
    "logxide_file",
]
HANDLERS = ("handlers", "one call, ns")
QUILL = ("quill", "million lines a second")
COLUMNS = (
    "two arguments, ns a call",
    "times logly's",
    "one call in a thousand, µs",
    "an exception, µs",
    "lines a second",
)


def leading(report: Report) -> list[str]:
    """Those of `LEADING` that could be imported. logxide may be there for a second interpreter only."""
    found = []
    for name in LEADING:
        beside = [peer for peer in report.peers if peer.startswith(f"{name}@")]
        found += [name] if name in report.peers else beside
    return found


def first_table(report: Report) -> list[str]:
    def ns(script: str, peer: str, *path: str, per: float = 1.0) -> str:
        def show(row: dict[str, object]) -> str:
            value: object = row
            for key in path:
                value = value[key]  # type: ignore[index]
            return number(float(value) / per)  # type: ignore[arg-type]

        return report.cell(script, peer, show)

    rows = []
    for peer in leading(report):
        # Against logly on the same interpreter.
        base = report.row("cost_args", "logly_async" + peer[len(module_of(peer)) :])
        row = report.row("cost_args", peer)
        times = f"{row['ns'] / base['ns']:,.0f}x" if row["status"] == base["status"] == "ok" else ""
        rows.append(
            [
                report.label(peer),
                ns("cost_args", peer, "ns"),
                "" if peer == "logly_async" else times,
                ns("latency", peer, "ns", "p99.9", per=1000),
                ns("cost_exception", peer, "ns", per=1000),
                ns("throughput", peer, "lines_per_s"),
            ]
        )
    quill = report.further_row(*QUILL, "quill")
    if quill:
        ours = report.further_row(*QUILL, "logly")
        beside = f"; logly in turns with it: {number(ours[0] * 1e6)}" if ours else ""
        rows.append(["quill (C++)", "", "", "", "", number(quill[0] * 1e6) + beside])
    return table(["", *COLUMNS], rows)


def cost_picture(report: Report) -> str:
    rows = []
    for peer in leading(report):
        row = report.row("cost_args", peer)
        word = "" if row["status"] == "ok" else report.trouble_of(row)
        rows.append((report.label(peer), row.get("ns", 0.0), word))
    subtitle = "time of the calling thread for one call with two arguments; shorter is better"
    return svg.bars("What a log call costs the caller", subtitle, "ns", rows)


def throughput_picture(report: Report) -> str:
    rows = []
    for peer in leading(report):
        row = report.row("throughput", peer)
        word = "" if row["status"] == "ok" else report.trouble_of(row)
        rows.append((report.label(peer), row.get("lines_per_s", 0.0), word))
    quill = report.further_row(*QUILL, "quill")
    if quill:
        rows.append(("quill (C++)", quill[0] * 1e6, ""))
    subtitle = "one caller, from the first call to the last line in the file; longer is better"
    return svg.bars("Lines a second, end to end", subtitle, "lines/s", rows)


def install_picture(report: Report) -> str:
    found = report.further_table(*HANDLERS)
    kinds = [name.removesuffix(", after") for name in found if name.endswith(", after")]
    rows = [(kind, found[f"{kind}, before"][0], found[f"{kind}, after"][0]) for kind in kinds]
    subtitle = "one call of logging, before (grey) and after (blue) logly.install(), by handler; shorter is better"
    return svg.pairs("Your existing logging", subtitle, "ns", rows)
