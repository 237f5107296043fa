"""Where a thread of this process spends its processor time, by `perf`, where that is installed and allowed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

ROW = re.compile(r"\s*([\d.]+)%\s*;\s*(\S+)\s*;\s*\[(\S)\]\s*(\S+)")
KERNEL, RENDERING, REST = "the kernel: write(2)", "rendering", "reading the ring, routing, counting"
RENDERS = re.compile(r"__pyx_f_\w*?5logly_(?:4text|6layout)_|mem|to_chars")


def other_threads() -> list[int]:
    return [int(task.name) for task in Path("/proc/self/task").iterdir() if int(task.name) != os.getpid()]


def shares(thread: int, work: Callable[[], object], folder: str) -> dict[str, float]:
    """Percent of the thread's samples while `work` runs: the kernel, what renders, the rest. Empty without perf."""
    if not shutil.which("perf"):
        return {}
    file = os.path.join(folder, "perf.data")
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-t", str(thread), "-o", file]
    with subprocess.Popen(record, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        work()
        process.send_signal(signal.SIGINT)
        process.wait(60)
    report = ["perf", "report", "-i", file, "--stdio", "--percent-limit", "0", "--sort", "dso,sym", "-t", ";"]
    done = subprocess.run(report, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    Path(file).unlink(missing_ok=True)
    found = {KERNEL: 0.0, RENDERING: 0.0, REST: 0.0}
    for percent, _, place, symbol in ROW.findall(done.stdout):
        kind = KERNEL if place == "k" else RENDERING if RENDERS.search(symbol) else REST
        found[kind] += float(percent)
    whole = sum(found.values())
    return {kind: 100 * value / whole for kind, value in found.items()} if whole > 50 else {}
