"""Do other keys, further members or presets cost the caller anything?

Goal: nothing (equal within 5 %). `python bench/json_layouts.py` measures the flusher's side.
"""

from comparisons.core import THREE, TWO
from harness.comparison import Bench, ratio

PLAIN = {"json": True}
KEYS = {"json_keys": {"level": "severity", "message": "msg", "timestamp": "time"}}
LAYOUTS = {
    "plain, again": PLAIN,
    "json_keys": PLAIN | KEYS,
    "json_static": PLAIN | {"json_static": {"service": "shop", "env": "prod"}},
    "json_fields": PLAIN | {"json_fields": "fields"},
    "ecs": {"format": "ecs"},
    "gcp": {"format": "gcp"},
    "datadog": {"format": "datadog"},
}
STATEMENTS = {"two arguments": TWO, "three fields": THREE}

FIGURES = [
    ratio(f"{name}, {what} / plain JSON", f"{name}, {what}", f"plain, {what}", "0.95 to 1.05")
    for what in STATEMENTS
    for name in LAYOUTS
]


def subjects(bench: Bench) -> None:
    for what, statement in STATEMENTS.items():
        bench.add(f"plain, {what}", bench.logger(PLAIN), statement)
        for name, sink in LAYOUTS.items():
            bench.add(f"{name}, {what}", bench.logger(sink), statement)
