"""What does one value's text cost? Nanoseconds per call, with str.format or std::to_chars beside it.

The best of many short loops, because a neighbour's load lengthens most of them.

    LOGLY_BUILD=probe python setup.py build_ext --inplace && python -m bench.text
"""

import random
import time
from collections.abc import Callable

from tests import _probe_text as probe

TIMES = 20_000
REPEATS = 50


def ns_per_call(loop: Callable[[int], object], times: int = TIMES) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        loop(times)
        best = min(best, (time.perf_counter_ns() - start) / times)
    return best


def python_ns(value: object, spec: str) -> float:
    def loop(times: int) -> None:
        for _ in range(times):
            format(value, spec)

    return ns_per_call(loop, TIMES // 10)


def row(name: str, native: float, other: float | None = None, label: str = "") -> None:
    print(f"{name:<34} {native:8.1f}" + (f" {other:10.1f}  {label}" if other is not None else ""))


def main() -> None:
    rng = random.Random(1)
    prices = [round(rng.uniform(1, 50_000), 2) for _ in range(64)]
    short = [rng.randrange(10**8) / 10**6 for _ in range(64)]
    full = [rng.random() * 1000 for _ in range(64)]
    print(f"{'':<34} {'ns':>8} {'compared':>10}")
    for value in (7, 12345, 1_234_567_890, -(10**18)):
        row(
            f"write_int {value}",
            ns_per_call(lambda n, v=value: probe.loop_write_int(v, n)),
            python_ns(value, ""),
            "format()",
        )
    for spec in ("d", "5d", "010,", "x", "#010x"):
        loop = ns_per_call(lambda n, s=spec: probe.loop_format_int(1234567, s.encode(), n))
        row(f"format_int {spec}", loop, python_ns(1234567, spec), "format()")
    for name, values in (("price 2 decimals", prices), ("6 decimals", short), ("17 digits", full)):
        loop = ns_per_call(lambda n, v=values: probe.loop_format_float(v, b"", n))
        row(
            f"write_float {name}",
            loop,
            ns_per_call(lambda n, v=values: probe.loop_to_chars(v, -1, n)),
            "to_chars",
        )
    for precision in (2, 6, 12):
        loop = ns_per_call(lambda n, p=precision: probe.loop_format_float(full, b".%df" % p, n))
        row(
            f"format_float .{precision}f",
            loop,
            ns_per_call(lambda n, p=precision: probe.loop_to_chars(full, p, n)),
            "to_chars",
        )
    for spec in ("10.2f", ",.2f", "+.3e", ".6g", ".1%"):
        loop = ns_per_call(lambda n, s=spec: probe.loop_format_float(full, s.encode(), n))
        row(f"format_float {spec}", loop, python_ns(full[0], spec), "format()")
    row("parse_spec '>10,.2f'", ns_per_call(lambda n: probe.loop_parse_spec(b">10,.2f", n)))
    strings = {
        "ASCII 24": "order 1234567 is filled.",
        "ASCII 200": "x" * 200,
        "Latin-1 24": "é" * 12 + "e" * 12,
        "UCS-2 24": "→" * 24,
        "UCS-4 24": "😀" * 24,
    }
    for name, value in strings.items():
        for function in ("text", "json", "logfmt", "controls", "repr"):
            row(
                f"{function} {name}",
                ns_per_call(lambda n, v=value, f=function: probe.loop_text(v, f, b"", n), TIMES // 4),
            )
    row("format_text '<8' 'INFO'", ns_per_call(lambda n: probe.loop_text("INFO", "format", b"<8", n)))


if __name__ == "__main__":
    main()
