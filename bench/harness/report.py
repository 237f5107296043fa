"""Turns the results of `run.py` into a Markdown report with three plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import goals, standings, svg
from harness.scenarios import SCENARIOS

#: Columns of the table of costs.
COSTS = {scenario.name: scenario.column for scenario in SCENARIOS.values() if scenario.column}
#: Those that the plot shows, where there is room for six.
PLOTTED = ("disabled", "text", "args", "fstring", "fields", "site")
BASELINE = "stdlib_file"


def number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    align = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in [head, align, *rows]] + [""]


class Report:
    """Reads one results dictionary; every method makes one section."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        self.peers = {name: facts for name, facts in results["peers"].items() if facts["status"] == "ok"}

    def label(self, peer: str) -> str:
        return self.peers[peer]["label"]

    def row(self, script: str, peer: str) -> dict[str, Any]:
        return self.results["scripts"].get(script, {}).get(peer, {"status": "not run"})

    def cell(self, script: str, peer: str, show: Callable[[dict[str, Any]], str]) -> str:
        row = self.row(script, peer)
        if row["status"] == "ok":
            return show(row)
        return {"unsupported": "n/a", "not run": "", "missing": ""}.get(row["status"], f"**{row['status']}**")

    def section(self, script: str, columns: dict[str, Callable[[dict[str, Any]], str]]) -> list[str]:
        rows = []
        for peer in self.peers:
            cells = [self.cell(script, peer, show) for show in columns.values()]
            if any(cell not in ("", "n/a") for cell in cells):
                rows.append([self.label(peer), *cells])
        return table(["", *columns], rows)

    def machine(self) -> list[str]:
        facts = [[name, value] for name, value in self.results["machine"].items()]
        versions = [
            f"{facts['distribution']} {facts['version']}" for facts in self.peers.values() if facts["distribution"]
        ]
        facts.append(["libraries", ", ".join(dict.fromkeys(versions))])
        missing = [name for name, facts in self.results["peers"].items() if facts["status"] != "ok"]
        if missing:
            facts.append(["could not be imported", ", ".join(missing)])
        return table(["machine", ""], facts)

    def costs(self) -> list[str]:
        keys = {title: f"cost_{scenario}" for scenario, title in COSTS.items()}
        # Results that are older than a scenario have no column for it.
        columns = {title: key for title, key in keys.items() if key in self.results["scripts"]}
        rows = []
        for peer in self.peers:
            cells = [self.cell(script, peer, lambda row: number(row["ns"])) for script in columns.values()]
            rows.append([self.label(peer), *cells])
        lines = table(["ns per call", *columns], rows)
        base = self.row("cost_args", BASELINE)
        if base["status"] == "ok":
            ratios = []
            for peer in self.peers:
                row = self.row("cost_args", peer)
                if row["status"] == "ok" and row["ns"] > 0:
                    ratios.append([self.label(peer), f"{base['ns'] / row['ns']:.3g}x"])
            lines += [f"Two arguments, times cheaper than {self.label(BASELINE)}:", ""]
            lines += table(["", "ratio"], ratios)
        return lines

    def sizes(self) -> list[str]:
        rows = self.results["scripts"].get("cost_sizes", {})
        sizes = list(dict.fromkeys(size for row in rows.values() for size in row.get("sizes", {})))
        columns = {f"{int(size):,} B": (lambda row, size=size: number(row["sizes"][size])) for size in sizes}
        return self.section("cost_sizes", columns) if columns else []

    def threads(self) -> list[str]:
        columns: dict[str, Callable[[dict[str, Any]], str]] = {}
        for count in ("1", "2", "4"):
            columns[f"{count}: ns/call"] = lambda row, n=count: number(row["threads"][n]["call_ns"])
            columns[f"{count}: lines/s"] = lambda row, n=count: number(row["threads"][n]["lines_per_s"])
        return self.section("threads", columns)

    def trouble(self) -> list[str]:
        rows = []
        for script, peers in self.results["scripts"].items():
            for peer, row in peers.items():
                if row["status"] in ("lost", "repeated", "hung", "too slow", "raised"):
                    rows.append([script, self.label(peer), row["status"], row.get("why", "").replace("|", "/")])
        return table(["script", "peer", "", "what happened"], rows) if rows else ["None in this run.", ""]

    def standing(self) -> list[str]:
        places = standings.standings(self.results["scripts"], list(self.peers))
        rows = [
            [
                place.contest.title,
                f"{number(place.ours)} {place.contest.unit}",
                f"{number(place.best)} {place.contest.unit}",
                self.label(place.best_peer),
                standings.times(place),
            ]
            for place in places
        ]
        lines = table(["scenario", "logly", "best other", "which", "logly is"], rows)
        lines += ["### Where logly is not first", ""]
        behind = [place for place in places if standings.is_behind(place)]
        # One paragraph per reason, not per figure.
        by_reason: dict[tuple[str, str], list[str]] = {}
        for place in behind:
            by_reason.setdefault(standings.reason(place.contest), []).append(
                f"{place.contest.title} ({self.label(place.best_peer)}, {place.behind:.2f}x)"
            )
        for (why, step), titles in by_reason.items():
            lines += [f"- **{'; '.join(titles)}.** {why} *Next step:* {step}"]
        return [*lines, ""] if behind else [*lines, "Nowhere in this run.", ""]

    def goals(self) -> list[str]:
        rows = goals.answers(self.results["scripts"], number)
        return table(["measure", "goal", "this run"], list(rows)) if rows else []

    def notes(self) -> list[str]:
        notes: dict[str, list[str]] = {}
        for facts in self.peers.values():
            if facts.get("note"):
                notes.setdefault(facts["note"], []).append(facts["label"])
        return [f"- {', '.join(labels)}: {note}." for note, labels in notes.items()] + [""]

    @staticmethod
    def trouble_of(row: dict[str, Any]) -> str:
        why = row.get("why", "")
        return f"{row['status']}: {why}" if why else row["status"]

    def cost_plot(self) -> str:
        rows = []
        for peer in self.peers:
            series = {}
            for scenario in PLOTTED:
                row = self.row(f"cost_{scenario}", peer)
                if row["status"] == "ok":
                    series[COSTS[scenario]] = row["ns"]
            if series:
                rows.append((self.label(peer), series, ""))
        subtitle = "time of the calling thread per call, bursts of 1,000; logarithmic axis, left is better"
        return svg.log_dots("What a log call costs the caller", subtitle, "ns", rows)

    def throughput_plot(self) -> str:
        rows = []
        for peer in self.peers:
            row = self.row("throughput", peer)
            if row["status"] == "ok" and peer != "floor_fstring":
                rows.append((self.label(peer), row["lines_per_s"], ""))
            elif not peer.startswith("floor_"):
                rows.append((self.label(peer), 0.0, self.trouble_of(row)))
        subtitle = "lines a second, one caller, from the first call to the last line in the file"
        return svg.bars("End to end throughput", subtitle, "lines/s", rows)

    def latency_plot(self) -> str:
        rows = []
        for peer in self.peers:
            row = self.row("latency", peer)
            if row["status"] == "ok":
                rows.append((self.label(peer), {k: row["ns"][k] for k in ("p50", "p99", "p99.9", "max")}, ""))
            elif not peer.startswith("floor_"):
                rows.append((self.label(peer), {}, self.trouble_of(row)))
        subtitle = "duration of one call at a paced 100,000 records a second; logarithmic axis, left is better"
        return svg.log_dots("How long one call takes", subtitle, "ns", rows)

    def markdown(self) -> str:
        fast = "> **A smoke run** (`--fast`): the figures are too short to be quoted.\n" if self.results["fast"] else ""
        parts = [
            "# Benchmarks",
            "",
            "What logly and other libraries cost, side by side. One command reproduces this page: "
            "`python bench/run.py`, in an environment with pyperf and those of the libraries that you want to see. "
            "Every peer runs in a process of its own, and every line is counted in the file afterwards. The peers "
            "take turns: each script runs several rounds, and the figures are medians over the rounds. All write to a "
            "file what the scenario asks for; names in brackets are floors, not loggers.",
            "",
            fast,
            *self.machine(),
            "What the libraries do differently from what they were asked for:",
            "",
            *self.notes(),
            "## Where logly stands",
            "",
            "Against the best of the other libraries in each scenario. An asynchronous library's call does less than a "
            "synchronous one's, so the scenarios that count lines in the file are the ones to compare such with.",
            "",
            *self.standing(),
            "## The goals",
            "",
            "Ratios of medians over the rounds (`bench/throughput.py` with `--rounds` forms its ratio within each "
            "round). Those that need the floor of an empty compiled method: `bench/core_cost.py`, "
            "`bench/cost.py layout`; the idle logger: `bench/idle.py`.",
            "",
            *self.goals(),
            "## What a call costs the caller",
            "",
            "![caller's cost](benchmarks/cost.svg)",
            "",
            "Nanoseconds per call, median burst of 1,000 into an idle logger (pyperf; loop overhead, the empty "
            "loop, not taken off; flushing between the bursts not timed).",
            "",
            *self.costs(),
            "### By message size (ns per call)",
            "",
            *self.sizes(),
            "## End to end throughput",
            "",
            "![throughput](benchmarks/throughput.svg)",
            "",
            '`"Iteration: {} int: {} double: {}"` with `i, i * 2, i / 2`, time, thread, file and line, level.',
            "",
            *self.section(
                "throughput",
                {
                    "lines/s": lambda row: number(row["lines_per_s"]),
                    "ns per call": lambda row: number(row["call_ns"]),
                    "lines": lambda row: f"{row['lines']:,}",
                },
            ),
            "## Latency at 100,000 records a second",
            "",
            "![latency](benchmarks/latency.svg)",
            "",
            "The empty loop is the price of reading the clock twice. `rate`: what was really reached.",
            "",
            *self.section(
                "latency",
                {k: (lambda row, k=k: number(row["ns"][k])) for k in ("p50", "p99", "p99.9", "max")}
                | {"rate": lambda row: number(row["rate"])},
            ),
            "## Threads",
            "",
            "Two arguments, the same number of records shared out over 1, 2 and 4 threads.",
            "",
            *self.threads(),
            "## A burst of 100,000 into an idle logger",
            "",
            *self.section(
                "burst",
                {
                    "ns per call": lambda row: number(row["call_ns"]),
                    "seconds until all is in the file": lambda row: f"{row['in_file_s']:.3f}",
                },
            ),
            "## Sustained full speed",
            "",
            "One caller for two seconds. Unbounded queues look fast here and pay in memory.",
            "",
            *self.section(
                "sustained",
                {
                    "calls/s": lambda row: number(row["calls_per_s"]),
                    "lines/s": lambda row: number(row["lines_per_s"]),
                    "drained after (s)": lambda row: f"{row['drain_s']:.2f}",
                    "slowest 1,000, ns per call": lambda row: number(row["slowest_call_ns"]),
                    "memory grew (MiB)": lambda row: f"{row['grown_mib']:.1f}",
                },
            ),
            "## A CPU-bound thread beside a busy logger",
            "",
            "Time of a pure-Python loop, against the same loop with the logger idle (1.00: nothing lost). "
            "Backlog: it computes while 10,000 records of its own are drained. Beside: another thread logs "
            "about 20,000 a second.",
            "",
            *self.section(
                "interference",
                {
                    "backlog": lambda row: f"{row['backlog_ratio']:.2f}",
                    "beside": lambda row: f"{row['beside_ratio']:.2f}",
                },
            ),
            "## Memory and import",
            "",
            *self.section(
                "memory",
                {
                    "one file sink (MiB)": lambda row: f"{row['sink_mib']:.1f}",
                    "+ burst of 50,000 (MiB)": lambda row: f"{row['burst_mib']:.1f}",
                },
            ),
            *self.section("import_time", {"import (ms)": lambda row: number(row["import_ms"])}),
            "## Peers that lost lines, hung or raised",
            "",
            *self.trouble(),
        ]
        return "\n".join(parts).rstrip("\n") + "\n"


def write(results: dict[str, Any], path: Path) -> None:
    """Write the Markdown report to `path` and its plots to a folder of the same name beside it."""
    report = Report(results)
    plots = path.with_suffix("")
    plots.mkdir(parents=True, exist_ok=True)
    (plots / "cost.svg").write_text(report.cost_plot())
    (plots / "throughput.svg").write_text(report.throughput_plot())
    (plots / "latency.svg").write_text(report.latency_plot())
    path.write_text(report.markdown())
