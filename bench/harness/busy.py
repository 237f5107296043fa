"""Work that has nothing to do with logging: what else a processor is busy with."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
SPIN = "print(flush=True)\nwhile True: pass"


def compute(units: int) -> float:
    """Seconds that a pure-Python loop takes."""
    begun = time.perf_counter()
    total = 0
    for i in range(units):
        total += i & 7
    return time.perf_counter() - begun


def beside_a_busy_process(measure: Callable[[], Result]) -> Result:
    with subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return measure()
        finally:
            process.kill()
