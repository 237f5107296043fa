"""What do layouts, fields and further sinks cost, and how fast is JSON end to end?

Goals: a JSON sink and a second sink cost the caller nothing (equal within 5 %); a bound logger with four fields at
most 15 ns more than the plain call, four fields of the context at most 30 ns more; three keyword fields at most 3.5x
an empty compiled method with that signature, and 30x less than structlog with orjson; JSON with four fields end to end
at least 15x structlog with orjson. What needs structlog is left out where it cannot be imported.
"""

import time

from comparisons.core import THREE, TWO
from harness.comparison import BURST, FLUSH_MS, Bench, Target, more, per_second, ratio
from harness.loops import compile_loop

JSON = {"json": True}
FOUR = "logger.info('order filled', order=i, price=x, symbol='ABCD', live=True)"
FIELDS = {"order": 42, "price": 1234.5678, "symbol": "ABCD", "live": True}
ROUNDS = 200

FIGURES = [
    ratio("the same measured twice (the noise)", "text sink, again", "text sink"),
    ratio("JSON sink / text sink", "JSON sink", "text sink", "0.95 to 1.05"),
    ratio("two sinks / one", "text and JSON sinks", "text sink", "0.95 to 1.05"),
    more("bound, four fields: more ns", "bound, four fields", "text sink", "15"),
    more("context, four fields: more ns", "context, four fields", "text sink", "30"),
    more("context left again: more ns", "context left again", "text sink"),
    ratio("three fields / floor", "three fields", "floor, three fields", "3.5"),
    ratio("structlog / three fields", "structlog, three fields", "three fields", "30"),
    ratio("end to end, structlog / logly", "structlog, end to end", "logly, end to end", "15"),
    per_second("end to end, lines a second", "logly, end to end"),
]


def subjects(bench: Bench) -> None:
    bench.add("floor, three fields", bench.floor, THREE)
    bench.add("text sink", bench.logger({}), TWO)
    bench.add("JSON sink", bench.logger(JSON), TWO)
    bench.add("text and JSON sinks", bench.logger({}, JSON), TWO)
    bench.add("text sink, again", bench.logger({}), TWO)
    bound = bench.logger({})
    bench.add("bound, four fields", bound, TWO, logger=bound.logger.bind(**FIELDS))
    context = bench.logger({})
    bench.add("context, four fields", context, TWO, around=lambda: context.logger.contextualize(**FIELDS))
    left = bench.logger({})
    with left.logger.contextualize(**FIELDS):
        pass
    bench.add("context left again", left, TWO)
    bench.add("three fields", bench.logger(JSON), THREE)
    add_end_to_end(bench, "logly", bench.logger(JSON, async_flush_interval=FLUSH_MS), 40_000)
    if structlog := bench.library("structlog_orjson", "fields"):
        # A tenth of the calls, because each takes so much longer.
        bench.add("structlog, three fields", structlog, THREE, calls=BURST // 10)
        add_end_to_end(bench, "structlog", structlog, 1_000)


def add_end_to_end(bench: Bench, name: str, target: Target, records: int) -> None:
    """Several rings full of records, and short enough to be left in peace now and then."""
    loop, clock = compile_loop(FOUR, target.logger), time.perf_counter_ns

    def measure() -> float:
        """Nanoseconds a record, until the last one has been handed to the operating system."""
        target.settle()
        begun = clock()
        loop(0, records)
        target.flush()
        took = clock() - begun
        target.expected = records
        target.settle()
        return took / records

    bench.add_slow(f"{name}, end to end", measure, every=4)
