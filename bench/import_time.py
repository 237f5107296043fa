"""What does importing the library add to the start of Python?"""

import argparse
import statistics
import subprocess
import sys
import time
from typing import Any

from harness import REPOSITORY, Unsupported, load, main

MODULES = {"logly": "logly", "logging": "logging", "picologging": "picologging", "loguru": "loguru"}
MODULES |= {"structlog": "structlog, orjson", "logbook": "logbook", "logxide": "logxide"}


def start_ms(statement: str) -> float:
    command = [sys.executable, "-c", f"import sys; sys.path.append({str(REPOSITORY)!r}); {statement}"]
    begin = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e3


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    library = peer.split("_")[0].replace("stdlib", "logging")
    if peer.startswith("floor") or peer in ("logly_sync", "loguru_enqueue") or peer.endswith("_queue"):
        raise Unsupported("the same import as its sibling")
    load(peer)
    rounds = 3 if options.fast else 15
    pairs = [(start_ms("pass"), start_ms(f"import {MODULES[library]}")) for _ in range(rounds)]
    return {"import_ms": statistics.median(with_it - bare for bare, with_it in pairs)}


if __name__ == "__main__":
    main(__doc__, measure, ["import_ms"])
