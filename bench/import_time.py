"""What does importing the library add to the start of Python?

The difference of two starts of the interpreter, with and without the import; the two take turns.
"""

import argparse
import subprocess
import sys
import time
from typing import Any

from harness import tree_to_measure, turns
from harness.libraries import load
from harness.questions import Question, main
from harness.scenarios import Unsupported

MODULES = {"logly": "logly", "logging": "logging", "picologging": "picologging", "loguru": "loguru"}
MODULES |= {"structlog": "structlog, orjson", "logbook": "logbook", "logxide": "logxide", "logust": "logust"}


def start_ms(statement: str, tree: str = "", python: str = sys.executable) -> float:
    """Milliseconds that Python takes to start, with `tree` in front of its path, run the statement and end."""
    place = f"sys.path.insert(0, {tree!r}); " if tree else ""
    begin = time.perf_counter()
    # -P: the folder that the benchmark was started in is no place to import from.
    subprocess.run([python, "-P", "-c", f"import sys; {place}{statement}"], check=True, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1e3


def measure(peer: str, options: argparse.Namespace) -> dict[str, Any]:
    library = peer.split("_", maxsplit=1)[0].replace("stdlib", "logging")
    if peer.startswith("floor") or peer == "logly_sync" or peer.endswith(("_enqueue", "_queue")):
        raise Unsupported("the same import as its sibling")
    load(peer)
    tree = tree_to_measure() if library == "logly" else ""
    starts = {
        "bare": lambda: start_ms("pass", tree),
        "with it": lambda: start_ms(f"import {MODULES[library]}", tree),
    }
    found = turns.take_turns(starts, 3 if options.fast else 15)
    return {"import_ms": turns.difference(found["with it"], found["bare"])}


QUESTION = Question(measure, ("import_ms",))

if __name__ == "__main__":
    main(__doc__, QUESTION)
