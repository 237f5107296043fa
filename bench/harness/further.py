"""What `run.py` measures besides the libraries: scripts that write their tables by `--json`, one `Part` each."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import BENCH
from harness.processes import run_process, verdict

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Part:
    """One script, as it is called in a full run and in a smoke run."""

    title: str
    command: tuple[str, ...]
    full: tuple[str, ...] = ()
    fast: tuple[str, ...] = ("--rounds", "1")


def cost(title: str, name: str, *full: str) -> Part:
    return Part(title, ("cost.py", name), full, ("--rounds", "1", "--processes", "1"))


PARTS = {
    "core": cost("One call, beside a floor", "core", "--processes", "3"),
    "handlers": cost("`install()`: one call of `logging` before and after, by handler", "handlers"),
    "install": cost("`install()`: one call of `logging` before and after, by kind of call", "install"),
    "exceptions": cost("Exceptions, beside loguru and `logging`", "exceptions", "--rounds", "30"),
    "limits": cost("Calls that a limit holds back", "limits", "--processes", "3"),
    "kept": cost("Calls that the flight recorder keeps", "recorder", "--processes", "3"),
    "recorder": Part("The flight recorder: the flusher", ("recorder.py",), (), ("--rounds", "1", "--records", "20000")),
    "json_keys": cost("JSON with other keys, and presets: the caller", "json_keys", "--processes", "3"),
    "json_layouts": Part(
        "JSON with other keys, and presets: the flusher",
        ("json_layouts.py",),
        ("--rounds", "7"),
        ("--rounds", "1", "--lines", "5000"),
    ),
    "context": cost("Context and traces", "context", "--rounds", "200"),
    "redaction": Part(
        "Redaction", ("redaction.py",), ("--rounds", "11"), ("--rounds", "1", "--records", "5000")
    ),
    "batch_calls": cost("Batch sinks: the caller", "batches", "--rounds", "200"),
    "batches": Part(
        "Batch sinks: lines a second", ("batches.py",), ("--rounds", "7"), ("--rounds", "1", "--lines", "5000")
    ),
    "names": cost("Named loggers (1 and 500), and levels by name", "names", "--processes", "3"),
    "layout": cost("Layouts, fields, JSON", "layout", "--processes", "3"),
    "storm": Part(
        "Ordinary lines beside a storm of exceptions",
        ("exception_storm.py",),
        ("--rounds", "7", "--seconds", "1.5"),
        ("--rounds", "1", "--seconds", "0.1", "--threads", "2"),
    ),
    "flusher": Part(
        "What limits the flusher", ("flusher_limit.py",), (), ("--rounds", "20", "--seconds", "1")
    ),
    "quill": Part(
        "Beside C++'s quill", ("beside_quill.py",), ("--rounds", "7"), ("--rounds", "1", "--lines", "20000")
    ),
}  # fmt: skip


def run(part: Part, *, fast: bool, directory: str | None, more: Sequence[str] = ()) -> dict[str, Any]:
    """What the results hold of it: the command, and its tables or what went wrong."""
    script, *words = part.command
    words += [*(part.fast if fast else part.full), *more]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tables.json")
        place = ["--dir", directory] if directory and script not in ("recorder.py", "redaction.py") else []
        begun = time.perf_counter()
        command = [sys.executable, str(BENCH / script), *words, *place, "--json", str(path)]
        code, _, errors = run_process(command, TIMEOUT_S)
        facts = {"title": part.title, "command": f"python bench/{' '.join(part.command)}"}
        facts["seconds"] = round(time.perf_counter() - begun)
        if code != 0 or not path.exists():
            return facts | verdict(code, errors, TIMEOUT_S)
        return facts | {"status": "ok", "tables": json.loads(path.read_text())}


def run_all(names: Sequence[str], found: dict[str, Any], save: Callable[[], None], options: Any) -> None:
    """Puts what each part found into `found`, and saves after each."""
    for name in names:
        more = []
        if name == "quill":
            if not options.quill:
                print(f"{'':7} {name:14} left out: --quill names no checkout", flush=True)
                continue
            more = ["--quill", str(options.quill)]
        found[name] = run(PARTS[name], fast=options.fast, directory=options.dir, more=more)
        facts = found[name]
        print(f"{'':7} {name:14} {facts['status']}, {facts['seconds']} s {facts.get('why', '')}", flush=True)
        save()
