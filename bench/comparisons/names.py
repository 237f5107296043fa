"""What do names of loggers and levels by name cost the caller?

Goals: a call of a named logger costs what it costs without a name, written or switched off; where levels differ by
module, a written call on a known site costs at most 4 ns more, and a call that only its module switches off at most
1.2x an empty compiled method plus 4 ns. A site's first call decides (see `first call` below): that is once for each
site, and once more after each change of the levels.
"""

import statistics
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from comparisons.core import FLOOR, SHORT, TEXT, THREE, TWO
from harness.comparison import Bench, Figure, Target, more, ratio

DEBUG = TEXT.replace("info", "debug")
NAME = "shop.db"
ROUNDS = 200
MANY = 500
IN_TURN = f"logger[i % {MANY}].info('a text of 24 characters.')"
CALLS = {"text": TEXT, "two arguments": TWO, "three fields": THREE}


def beyond_the_floor(values: list[float], floor: list[float]) -> float:
    return statistics.median(value - 1.2 * least for value, least in zip(values, floor, strict=True))


FIGURES = [
    ratio("switched off: named / without a name", "off, named", "off", "1"),
    *(ratio(f"{name}: named / without a name", f"{name}, named", name, "1") for name in CALLS),
    *(more(f"{name}: levels by module: more ns", f"{name}, levels by module", f"{name}, again", "4") for name in CALLS),
    ratio(f"text, {MANY} named loggers in turn / one", f"text, {MANY} named", "text, one named", "1"),
    ratio("text, named: levels by module / without", "text, levels by module, named", "text, again, named", "1"),
    Figure("off by its module only: ns more than 1.2 floors", ("off by its module only", FLOOR), beyond_the_floor, "4"),
    Figure(
        "off by a name without a number: the same", ("off by a name without a number", FLOOR), beyond_the_floor, "4"
    ),
    more("text, short layout: levels by module: more ns", "short, levels by module", "short"),
    more("text, first call after a change: more ns", "text, first call", "text, levels by module"),
    more("off, first call after a change: more ns", "off, first call", "off by its module only"),
    more("text, a name without a number: more ns", "text, a name without a number", "text"),
]


def subjects(bench: Bench) -> None:
    bench.add(FLOOR, bench.floor, TEXT)
    plain, again = bench.logger({}), bench.logger({})
    own = plain.logger.named(NAME)
    bench.add("off", plain, DEBUG, lines_per_call=0)
    bench.add("off, named", plain, DEBUG, logger=own, lines_per_call=0)
    for name, statement in CALLS.items():
        bench.add(name, plain, statement)
        bench.add(f"{name}, named", plain, statement, logger=own)
    many = bench.logger({})
    bench.add("text, one named", many, IN_TURN, logger=[many.logger.named(NAME)] * MANY)
    loggers = [many.logger.named(f"shop.module_{number}") for number in range(MANY)]
    bench.add(f"text, {MANY} named", many, IN_TURN, logger=loggers)
    # As many records as with levels by module go through this ring, so that the caches hold as much of it.
    for name, statement in CALLS.items():
        bench.add(f"{name}, again", again, statement)
    bench.add("text, again, named", again, TEXT, logger=again.logger.named(NAME))
    bench.add("short", bench.logger({"format": SHORT}), TEXT)
    bench.add("text, a name without a number", plain, TEXT, logger=plain.logger.named("n" * 300))
    add_levels(bench)


def add_levels(bench: Bench) -> None:
    """With levels by module: DEBUG for some module, and nothing below INFO for that of the loops."""
    target = bench.logger({})
    use_levels(target, "elsewhere")
    for name, statement in CALLS.items():
        bench.add(f"{name}, levels by module", target, statement)
    bench.add("text, levels by module, named", target, TEXT, logger=target.logger.named(NAME))
    bench.add("off by its module only", target, DEBUG, lines_per_call=0)
    unnumbered = target.logger.named("n" * 300)
    bench.add("off by a name without a number", target, DEBUG, logger=unnumbered, lines_per_call=0)
    short = bench.logger({"format": SHORT})
    use_levels(short, "elsewhere")
    bench.add("short, levels by module", short, TEXT)
    changing = bench.logger({"format": SHORT})
    use_levels(changing, "elsewhere")

    def change() -> Any:
        use_levels(changing, "elsewhere")
        return nullcontext()

    add_first_calls(bench, "text, first call", changing, TEXT, change, 1)
    add_first_calls(bench, "off, first call", changing, DEBUG, change, 0)


def add_first_calls(
    bench: Bench, name: str, target: Target, statement: str, change: Callable[[], Any], lines: int
) -> None:
    bench.add(name, target, statement, around=change, calls=1, lines_per_call=lines)


def use_levels(target: Target, module: str) -> None:
    assert module not in sys.modules  # the loops are of another one
    target.logger.set_level(f"info,{module}=debug")
