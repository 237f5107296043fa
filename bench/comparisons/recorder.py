"""What does a call for the flight recorder cost the caller?

Goals: a kept call costs at most 1.05x the same call written, and a call that is written costs with a recorder what it
costs without. `python bench/recorder.py` measures the flusher's side.
"""

from comparisons.core import TEXT, THREE, TWO
from harness.comparison import Bench, ratio

CALLS = {"text": TEXT, "two arguments": TWO, "three fields": THREE}

FIGURES = [
    *(ratio(f"{name}: kept / written", f"{name}, kept", name, "1.05") for name in CALLS),
    *(ratio(f"{name}: written with a recorder / without", f"{name}, with a recorder", name, "1") for name in CALLS),
]


def subjects(bench: Bench) -> None:
    plain, keeping = bench.logger({}), bench.logger({}, recorder="debug")
    for name, statement in CALLS.items():
        bench.add(name, plain, statement)
        bench.add(f"{name}, kept", keeping, statement.replace("info", "debug"), lines_per_call=0)
        bench.add(f"{name}, with a recorder", keeping, statement)
