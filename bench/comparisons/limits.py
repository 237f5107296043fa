"""What does a call cost that a limit holds back, and one of a logger that uses none?

Goals: held back by `once`, `first` or `every` that are kept in a variable, at most 1.5x an empty compiled method; by
`limit`, at most that and a reading of the clock; made in place, at most 15 ns more. Whoever uses none of it pays
nothing, which `compare_builds.py` measures.
"""

import statistics
from collections.abc import Callable
from typing import Any

from comparisons.core import FLOOR, TEXT, TWO
from harness.comparison import Bench, Figure, Target, more, ratio

NEVER_AGAIN = 1_000_000_000
KEPT: dict[str, Callable[[Any], Any]] = {
    "once": lambda logger: logger.once(),
    "first": lambda logger: logger.first(10),
    "every": lambda logger: logger.every(NEVER_AGAIN),
    "limit": lambda logger: logger.limit("1/h"),
}
IN_PLACE = {
    "once": TEXT.replace("logger", "logger.once()"),
    "first": TEXT.replace("logger", "logger.first(10)"),
    "every": TEXT.replace("logger", f"logger.every({NEVER_AGAIN})"),
    "limit": TEXT.replace("logger", "logger.limit('1/h')"),
    "once, by a key": TEXT.replace("logger", "logger.once(key=text)"),
}


def beyond_one_and_a_half(values: list[float], floor: list[float]) -> float:
    return statistics.median(value - 1.5 * least for value, least in zip(values, floor, strict=True))


FIGURES = [
    *(ratio(f"{name}, kept / the floor", f"{name}, kept", FLOOR, "1.5") for name in ("once", "first", "every")),
    Figure("limit, kept: ns more than 1.5 floors", ("limit, kept", FLOOR), beyond_one_and_a_half, "a clock's reading"),
    *(more(f"{name}, in place: more ns", f"{name}, in place", f"{name}, kept", "15") for name in KEPT),
    more("once, by a key: more ns", "once, by a key, in place", "once, kept"),
    more("text, sampled and passes: more ns", "text, sampled", "text"),
    more("two arguments, sampled and passes: more ns", "two arguments, sampled", "two arguments"),
]


def subjects(bench: Bench) -> None:
    bench.add(FLOOR, bench.floor, TEXT)
    plain = bench.logger({})
    bench.add("text", plain, TEXT)
    bench.add("two arguments", plain, TWO)
    for name, make in KEPT.items():
        light = make(plain.logger)
        plain.expected += use_up(light)
        bench.add(f"{name}, kept", plain, TEXT, logger=light, lines_per_call=0)
    for name, statement in IN_PLACE.items():
        bench.add(f"{name}, in place", plain, statement, lines_per_call=0)
        plain.expected += 11 if name == "first" else 2  # with the line at the end that tells of the others
    add_sampled(bench)


def use_up(light: Any) -> int:
    """Has the light logger hold back from now on. Returns how many lines it makes, with the one at the end."""
    for _ in range(10):
        light.info("a text of 24 characters.")
    return 11 if "first" in repr(light) else 2


def add_sampled(bench: Bench) -> None:
    passing: Target = bench.logger({}, sampling=(NEVER_AGAIN, 0))
    bench.add("text, sampled", passing, TEXT)
    bench.add("two arguments, sampled", passing, TWO)
