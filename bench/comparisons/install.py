"""What does a call of `logging` cost with `logly.install()`, beside logly's own call and beside `logging` alone?

All write the same layout into files of their own. `alone` calls the functions that `logging.Logger` had before
`install`, in the same process. (They call `isEnabledFor`, which is installed and faster, so `alone` is a little cheaper
than in a process without logly.) `--write call` measures with each line written before the call returns.
"""

import argparse
import logging
from dataclasses import replace
from types import MethodType, SimpleNamespace

import logly
from harness import failures
from harness.comparison import Bench, Target, median, ratio
from harness.scenarios import SCENARIOS

LAYOUT = "%(asctime)s %(levelname)s %(name)s %(message)s"
OWN_LAYOUT = "{time:YYYY-MM-DD HH:mm:ss,SSS} {level} {name} {message}"
CALLS = {
    "two arguments": "logger.info('order %s filled at %.2f', i, x)",
    "text": "logger.info('a text of 24 characters.')",
    "a list": "logger.info('items %s', [i, x])",
    "extra of three": "logger.info('order filled', extra={'order': i, 'price': x, 'side': 'buy'})",
}
OWN = "logger.info('order {} filled at {:.2f}', i, x)"
OFF = "logger.debug('order %s filled at %.2f', i, x)"
OWN_OFF = "logger.debug('order {} filled at {:.2f}', i, x)"
LEFT = "logger.info('order %s filled at %.2f', i, x, stacklevel=1)"
EXCEPTION = "logger.error('order failed', exc_info=True)"
FAILURE = replace(SCENARIOS["exception"], fail=failures.deep(10))
FEW = 100
"""Calls in a burst of `logging` alone, each of which takes so much longer."""
ROUNDS = 60
PROCESSES = 3

FIGURES = [
    ratio("two arguments: installed / logly's own call", "two arguments", "own", "1.6"),
    *(ratio(f"{name}: alone / installed", f"{name}, alone", name) for name in CALLS),
    ratio("an exception: alone / installed", "exception, alone", "exception", "20"),
    ratio("off: installed / logly's own call", "off", "own, off", "1.6"),
    ratio("off: alone / installed", "off, alone", "off", "6"),
    ratio("left to logging: installed / alone", "left to logging", "left to logging, alone", "1.05"),
    *(median(f"{name}: ns", name) for name in (*CALLS, "own", "off", "own, off", "exception")),
    *(median(f"{name}, alone: ns", f"{name}, alone") for name in (*CALLS, "off", "exception")),
]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", choices=("auto", "call", "soon"), default="auto", help="as in logly.install (auto)")


def file_logger(bench: Bench, name: str) -> Target:
    """A logger of `logging` with a file of its own."""
    handler = logging.FileHandler(bench.path(f"{name}.log"))
    handler.setFormatter(logging.Formatter(LAYOUT))
    made = logging.getLogger(f"bench.{name}")
    made.setLevel(logging.INFO)
    made.propagate = False
    made.addHandler(handler)
    return bench.target(Target(name, made, [handler.baseFilename], handler.flush, handler.close))


def subjects(bench: Bench) -> None:
    before = {name: vars(logging.Logger)[name] for name in ("debug", "info", "error")}
    logly.install(write=bench.options.write)
    installed, plain = file_logger(bench, "installed"), file_logger(bench, "plain")
    own = bench.logger({"format": OWN_LAYOUT, "async_write": bench.options.write != "call"})
    alone = SimpleNamespace(**{name: MethodType(before[name], plain.logger) for name in before})
    for name, statement in CALLS.items():
        bench.add(name, installed, statement)
        bench.add(f"{name}, alone", plain, statement, logger=alone, calls=FEW)
    bench.add("own", own, OWN)
    bench.add("own, off", own, OWN_OFF, lines_per_call=0)
    bench.add("off", installed, OFF, lines_per_call=0)
    bench.add("off, alone", plain, OFF, logger=alone, lines_per_call=0)
    bench.add("left to logging", installed, LEFT, calls=FEW)
    bench.add("left to logging, alone", plain, LEFT, logger=alone, calls=FEW)
    # The marker of a line is in its message: a traceback has more lines.
    failing = {"exception": file_logger(bench, "failing"), "exception, alone": file_logger(bench, "failing-alone")}
    for name, target in failing.items():
        target.marker = FAILURE.marker
        logger = target.logger
        if name != "exception":
            logger = SimpleNamespace(error=MethodType(before["error"], target.logger))
        bench.add(name, target, EXCEPTION, logger=logger, calls=FEW, scenario=FAILURE)
