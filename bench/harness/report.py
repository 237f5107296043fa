"""Turns the results of `run.py` into a Markdown report with its plots. `front.py` has what it leads with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import front, goals, standings, svg, tables
from harness.cells import number, table
from harness.libraries import is_beside, module_of
from harness.scenarios import SCENARIOS

#: Columns of the table of costs.
COSTS = {scenario.name: scenario.column for scenario in SCENARIOS.values() if scenario.column}
#: Those that the plot shows, where there is room for six.
PLOTTED = ("disabled", "text", "args", "fstring", "fields", "site")
BASELINE = "stdlib_file"


class Report:
    """Reads one results dictionary; every method makes one section."""

    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        self.peers = {name: facts for name, facts in results["peers"].items() if facts["status"] == "ok"}

    def label(self, peer: str) -> str:
        return self.peers[peer]["label"]

    def row(self, script: str, peer: str) -> dict[str, Any]:
        return self.results["scripts"].get(script, {}).get(peer, {"status": "not run"})

    def further_table(self, part: str, title: str) -> dict[str, list[float]]:
        """The rows of a table of `further.py`'s; none where this run has none."""
        tables_of = self.results.get("further", {}).get(part, {}).get("tables", [])
        return next((table["rows"] for table in tables_of if table["title"] == title), {})

    def further_row(self, part: str, title: str, row: str) -> list[float]:
        return self.further_table(part, title).get(row, [])

    def further(self) -> list[str]:
        """A section for each script that compares logly with itself."""
        lines = []
        for facts in self.results.get("further", {}).values():
            lines += [f"### {facts['title']}", "", f"`{facts['command']}`", ""]
            if facts["status"] != "ok":
                lines += [f"**{facts['status']}**: {facts.get('why', '')}", ""]
            for one in facts.get("tables", []):
                lines += [*tables.markdown(tables.Table(**one)), ""]
        return lines

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

    def place(self) -> str:
        facts = self.results["machine"]
        return f"on {facts['cores']} cores ({facts['cpu']}), {facts['python']}"

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
        own = [peer for peer in self.peers if not is_beside(peer)]
        places = standings.standings(self.results["scripts"], {peer: peer for peer in own})
        lines = self.places(places)
        beside = {module_of(peer): peer for peer in self.peers if is_beside(peer)}
        if beside:
            lines += ["### On the second interpreter", "", "What needs another CPython, beside logly there.", ""]
            there = standings.standings(self.results["scripts"], beside)
            lines += self.places(there)
            places += there
        return [*lines, *self.behind(places)]

    def places(self, places: list[standings.Standing]) -> list[str]:
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
        return table(["scenario", "logly", "best other", "which", "logly is"], rows)

    def behind(self, places: list[standings.Standing]) -> list[str]:
        lines = ["### Where logly is not first", ""]
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

    def kinds_plot(self) -> str:
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
        return svg.log_dots("Kinds of call", subtitle, "ns", rows)

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
            f"What logly and other libraries cost: one run of `python bench/run.py`, {self.place()}.",
            "",
            fast,
            *front.first_table(self),
            "![What a log call costs the caller](benchmarks/cost.svg)",
            "",
            "![Lines a second, end to end](benchmarks/throughput.svg)",
            "",
            "![Existing logging, before and after install](benchmarks/install.svg)",
            "",
            "That is all, if you have a minute. The rest of this page is how it was measured, and everything else.",
            "",
            "## The run",
            "",
            "Every library runs in a process of its own, and every line is counted in the file afterwards. The "
            "libraries take turns: each script runs several rounds, and the figures are medians over the rounds. All "
            "write to a file what the scenario asks for; names in brackets are floors, not loggers. A bold word in "
            "place of a figure says what a library did instead: [below](#peers-that-lost-lines-hung-or-raised).",
            "",
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
            "![kinds of call](benchmarks/kinds.svg)",
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
            "## logly with and without",
            "",
            "One feature at a time, in turns with the same without it, with a floor, or with another library "
            "([how](performance.md#how-it-is-measured)).",
            "",
            *self.further(),
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
    (plots / "cost.svg").write_text(front.cost_picture(report))
    (plots / "throughput.svg").write_text(front.throughput_picture(report))
    (plots / "install.svg").write_text(front.install_picture(report))
    (plots / "kinds.svg").write_text(report.kinds_plot())
    (plots / "latency.svg").write_text(report.latency_plot())
    path.write_text(report.markdown())
