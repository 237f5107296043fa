"""Every script with every library, in passes: one round of all scripts, then the next round while there is time."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness import per_call, processes
from harness.libraries import is_beside, module_of
from harness.questions import Question
from harness.rows import combine
from harness.scenarios import SCENARIOS
from harness.turns import in_turns

#: The key in the results, and the scenario that `cost.py` is given.
PER_CALL = {f"cost_{name}": name for name, scenario in SCENARIOS.items() if scenario.is_in_full_run}
ROUNDS_PER_CALL = 5


class Passes:
    """Runs each script once per pass, for each library in turn, until it has its rounds or the time is used up."""

    def __init__(
        self,
        peers: Sequence[str],
        scripts: Sequence[str],
        questions: Mapping[str, Question],
        options: argparse.Namespace,
    ) -> None:
        self.peers, self.scripts, self.questions, self.options = peers, scripts, questions, options
        self.rows: dict[str, dict[str, list[dict[str, Any]]]] = {s: {p: [] for p in peers} for s in scripts}
        self.seconds = dict.fromkeys(scripts, 0.0)
        self.started = time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    def run(self, save: Callable[[], None]) -> None:
        wanted = {script: self.rounds_of(script) for script in self.scripts}
        for number in range(max(wanted.values(), default=0)):
            for script in self.scripts:
                last = self.seconds[script] / max(number, 1)
                if number < wanted[script] and (number == 0 or self.elapsed() + last < self.options.minutes * 60):
                    self.run_script(script, number)
                    # An interrupted run keeps what it has.
                    save()

    def rounds_of(self, script: str) -> int:
        if self.options.fast:
            return 1
        return self.options.rounds or (ROUNDS_PER_CALL if script in PER_CALL else self.questions[script].rounds)

    def run_script(self, script: str, number: int) -> None:
        begun = time.perf_counter()
        for peer in in_turns(self.peers, 1, first=number):
            rows = self.rows[script][peer]
            # One that fails is not tried again.
            if all(row["status"] == "ok" for row in rows):
                rows.append(self.measure(script, peer))
                if rows[-1]["status"] not in ("ok", "unsupported"):
                    print(f"{'':7} {script:14} {peer:18} {rows[-1]['status']}: {rows[-1].get('why', '')}", flush=True)
        took = time.perf_counter() - begun
        self.seconds[script] += took
        print(f"{self.elapsed():5.0f} s {script:14} round {number + 1}, {took:.0f} s", flush=True)

    def measure(self, script: str, peer: str) -> dict[str, Any]:
        ask, name = (per_call.ask, PER_CALL[script]) if script in PER_CALL else (processes.ask, script)
        options = self.options
        facts = {"fast": options.fast, "directory": options.dir, "timeout_s": options.timeout}
        return ask(name, module_of(peer), python=options.beside if is_beside(peer) else sys.executable, **facts)

    def headline(self, script: str) -> Sequence[str]:
        """Leads to the figure whose spread is kept."""
        if script in PER_CALL:
            return [] if SCENARIOS[PER_CALL[script]].texts else ["ns"]
        return self.questions[script].headline

    def combined(self) -> dict[str, dict[str, Any]]:
        return {
            script: {peer: combine(rows, self.headline(script)) for peer, rows in peers.items() if rows}
            for script, peers in self.rows.items()
        }
