"""What does a log call cost the caller, as a ratio to an empty compiled method with the same signature?

The goals of the core: disabled at most 1.15x the floor; 24 characters of text at most 3x; two arguments at most half of
what evaluating the f-string costs; call site at most 30 ns more; three fields at most 3.5x.
"""

from harness.comparison import Bench, more, ratio

SHORT = "{time} {level} {message}"
TEXT = "logger.info('a text of 24 characters.')"
TWO = "logger.info('order {} filled at {:.2f}', i, x)"
THREE = "logger.info('order', order=i, price=x, symbol='ABCD')"
FLOOR = "floor: same signature"

FIGURES = [
    ratio("disabled / floor", "disabled", FLOOR, "1.15"),
    ratio("text / floor", "text", FLOOR, "3"),
    ratio("text / floor of one argument", "text", "floor: one argument"),
    ratio("two arguments / f-string", "two arguments", "f-string alone", "0.5"),
    ratio("two arguments / floor", "two arguments", FLOOR + ", two arguments"),
    ratio("three fields / floor", "three fields", FLOOR + ", three fields", "3.5"),
    more("call site, text: more ns", "text, default layout", "text", "30"),
    more("call site, two arguments: more ns", "two arguments, default layout", "two arguments", "30"),
]


def subjects(bench: Bench) -> None:
    floor = bench.floor
    short = bench.logger({"format": SHORT})
    default = bench.logger({})
    bench.add("floor: one argument", floor, TEXT.replace("info", "one"))
    bench.add(FLOOR, floor, TEXT)
    bench.add(FLOOR + ", two arguments", floor, TWO)
    bench.add(FLOOR + ", three fields", floor, THREE)
    bench.add("f-string alone", floor, "f'order {i} filled at {x:.2f}'")
    bench.add("disabled", short, TEXT.replace("info", "debug"), lines_per_call=0)
    bench.add("text", short, TEXT)
    bench.add("two arguments", short, TWO)
    bench.add("three fields", short, THREE)
    bench.add("text, default layout", default, TEXT)
    bench.add("two arguments, default layout", default, TWO)
