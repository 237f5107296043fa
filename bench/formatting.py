"""What does the text of one value cost? Nanoseconds per call, with str.format or std::to_chars beside it, in turns.

The best of many short loops, because a neighbour's load lengthens most of them.

    LOGLY_BUILD=probe python setup.py build_ext --inplace && python bench/formatting.py
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from harness import REPOSITORY, turns

TIMES = 20_000
REPEATS = 50

Loop = Callable[[int], object]
"""Makes so many calls."""


def burst(loop: Loop, times: int) -> Callable[[], float]:
    def timed() -> float:
        start = time.perf_counter_ns()
        loop(times)
        return (time.perf_counter_ns() - start) / times

    return timed


def in_python(value: object, spec: str) -> Loop:
    def loop(times: int) -> None:
        for _ in range(times):
            format(value, spec)

    return loop


def row(name: str, native: Loop, other: Loop | None = None, label: str = "", times: int = TIMES) -> None:
    bursts = {"native": burst(native, times)}
    if other is not None:
        bursts["other"] = burst(other, times // 10)
    best = {way: min(values) for way, values in turns.take_turns(bursts, REPEATS).items()}
    print(f"{name:<34} {best['native']:8.1f}" + (f" {best['other']:10.1f}  {label}" if other is not None else ""))


def numbers(probe: Any) -> None:
    rng = random.Random(1)
    prices = [round(rng.uniform(1, 50_000), 2) for _ in range(64)]
    short = [rng.randrange(10**8) / 10**6 for _ in range(64)]
    full = [rng.random() * 1000 for _ in range(64)]
    for value in (7, 12345, 1_234_567_890, -(10**18)):
        row(f"write_int {value}", partial(probe.loop_write_int, value), in_python(value, ""), "format()")
    for spec in ("d", "5d", "010,", "x", "#010x"):
        native = partial(probe.loop_format_int, 1234567, spec.encode())
        row(f"format_int {spec}", native, in_python(1234567, spec), "format()")
    for name, values in (("price 2 decimals", prices), ("6 decimals", short), ("17 digits", full)):
        native = partial(probe.loop_format_float, values, b"")
        row(f"write_float {name}", native, partial(probe.loop_to_chars, values, -1), "to_chars")
    for precision in (2, 6, 12):
        native = partial(probe.loop_format_float, full, b".%df" % precision)
        row(f"format_float .{precision}f", native, partial(probe.loop_to_chars, full, precision), "to_chars")
    for spec in ("10.2f", ",.2f", "+.3e", ".6g", ".1%"):
        native = partial(probe.loop_format_float, full, spec.encode())
        row(f"format_float {spec}", native, in_python(full[0], spec), "format()")
    row("parse_spec '>10,.2f'", partial(probe.loop_parse_spec, b">10,.2f"))


def strings(probe: Any) -> None:
    texts = {
        "ASCII 24": "order 1234567 is filled.",
        "ASCII 200": "x" * 200,
        "Latin-1 24": "é" * 12 + "e" * 12,
        "UCS-2 24": "→" * 24,
        "UCS-4 24": "😀" * 24,
    }
    for name, value in texts.items():
        for function in ("text", "json", "logfmt", "controls", "repr"):
            row(f"{function} {name}", partial(probe.loop_text, value, function, b""), times=TIMES // 4)
    row("format_text '<8' 'INFO'", partial(probe.loop_text, "INFO", "format", b"<8"))


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    sys.path.insert(1, str(REPOSITORY))
    try:
        from tests.probe import text as probe
    except ImportError as error:
        sys.exit(f"{error}: build it with LOGLY_BUILD=probe python setup.py build_ext --inplace")
    print(f"{'':<34} {'ns':>8} {'compared':>10}")
    numbers(probe)
    strings(probe)


if __name__ == "__main__":
    main()
