"""What does a spool cost the caller? The same calls without, with one, and with one that is synced.

The goal for the spool is at most 1.15. "No site" is a layout that does not show the call site, which a record has
nevertheless when there is a spool. `--dir /dev/shm` puts it on a tmpfs; `--fsync` is the synced one's `spool_fsync`
in milliseconds. The longest single call of each is told, too, and how many calls a second a caller makes that does
nothing else.
"""

import argparse
import time

from comparisons.core import TEXT, TWO
from harness.comparison import BURST, FLUSH_MS, Bench, Target, most, per_second, ratio
from harness.loops import compile_loop, compile_paced

ROUNDS = 120
NO_PAUSE_S = 1.0
EACH_TIMED = 100 * BURST
EVERY = 40

FIGURES = [
    ratio("text, spool / without", "text, spool", "text, without", "1.15"),
    ratio("text, synced / without", "text, synced", "text, without"),
    ratio("two arguments, spool / without", "two arguments, spool", "two arguments, without", "1.15"),
    ratio("two arguments, synced / without", "two arguments, synced", "two arguments, without"),
    ratio("text, no site, spool / without", "text, no site, spool", "text, no site, without"),
    ratio("arguments, no site, spool / without", "two arguments, no site, spool", "two arguments, no site, without"),
    *(most(f"longest call, {kind}: ns", f"longest, {kind}") for kind in ("without", "spool", "synced")),
    *(per_second(f"no pause, {kind}: calls a second", f"no pause, {kind}") for kind in ("without", "spool", "synced")),
]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fsync", type=float, default=100, help="milliseconds (default: %(default)s)")


def subjects(bench: Bench) -> None:
    settings = {
        "without": {},
        "spool": {"spool": bench.path("bench.spool")},
        "synced": {"spool": bench.path("synced.spool"), "spool_fsync": bench.options.fsync},
    }
    for kind, config in settings.items():
        target = bench.logger({}, async_flush_interval=FLUSH_MS, **config)
        bench.add(f"text, {kind}", target, TEXT)
        bench.add(f"two arguments, {kind}", target, TWO)
        if kind != "synced":
            spare = config | ({"spool": bench.path("no-site.spool")} if config else {})
            target_without = bench.logger({"format": "{message}"}, async_flush_interval=FLUSH_MS, **spare)
            bench.add(f"text, no site, {kind}", target_without, TEXT)
            bench.add(f"two arguments, no site, {kind}", target_without, TWO)
        bench.add_slow(f"longest, {kind}", lambda target=target: longest_ns(target), EVERY)
        bench.add_slow(f"no pause, {kind}", lambda target=target: ns_without_a_pause(target), EVERY)


def longest_ns(target: Target) -> float:
    """One call after another, each timed; the ring never fills."""
    paced, clock = compile_paced(TWO, target.logger), time.perf_counter_ns
    taken = [0] * BURST
    longest = 0
    for _ in range(EACH_TIMED // BURST):
        paced(clock, 0, 0, BURST, taken, float("inf"))
        longest = max(longest, *taken)
        target.flush()
    target.expected += EACH_TIMED
    return longest


def ns_without_a_pause(target: Target) -> float:
    """What a call takes a caller that does nothing else, the last flush included."""
    loop = compile_loop(TWO, target.logger)
    calls, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < NO_PAUSE_S:
        loop(0, BURST)
        calls += BURST
    target.flush()
    target.expected += calls
    return (time.perf_counter() - begun) / calls * 1e9
