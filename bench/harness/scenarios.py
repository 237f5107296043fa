"""The kinds of log call that are measured with every library: one entry of `SCENARIOS` each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness import failures

TEXT = "a text of 24 characters."


@dataclass(frozen=True)
class Scenario:
    """One kind of log call.

    `marker` occurs exactly once in each line that the call writes, and lines are counted by it: a library that
    forgets the line break, or repeats it, is counted right. `brace` is the call in the idiom of a library with `{}`
    templates, `percent` in that of one with `%` templates (the same, where it is not given). The call may use
    `logger`, `i` (an int), `x` (a float) and `text`. `layout` is what the library must print: "short" (time, level,
    message), "site" (and module, function, line), "full" (and thread id, file and line), "json" (time, level,
    message, fields). `column` is the heading in the report's table of costs; without one there is no column.
    """

    name: str
    question: str
    marker: bytes
    brace: str
    percent: str = ""
    column: str = ""
    layout: str = "short"
    lines_per_call: int = 1
    fail: Callable[[], Any] | None = None
    """Raises what is handled while the call is made."""
    each_fails: bool = False
    """It raises for each call, not once for all."""
    prepare: Callable[[int], Any] = lambda calls: None
    """Called before the time of so many calls is taken."""
    burst: int = 1000
    """At most so many calls are timed at a stretch."""
    texts: dict[str, str] = field(default_factory=dict)
    """Measured once with each of these as `text`, by its label; without any, once."""
    is_in_full_run: bool = True


NEVER_SEEN = failures.NeverSeen(30)


def failing(name: str, question: str, fail: Callable[[], Any], column: str = "", **options: Any) -> Scenario:
    call = 'logger.exception("order failed")'
    return Scenario(
        name, question, b"order failed", call, column=column, fail=fail, is_in_full_run=bool(column), **options
    )


SCENARIOS = {
    s.name: s
    for s in [
        Scenario(
            "disabled",
            "What does a call below the threshold cost?",
            TEXT.encode(),
            f'logger.debug("{TEXT}")',
            column="disabled",
            lines_per_call=0,
        ),
        Scenario(
            "text",
            "What does a constant message of 24 characters cost the caller?",
            TEXT.encode(),
            f'logger.info("{TEXT}")',
            column="24 characters",
        ),
        Scenario(
            "args",
            "What does a message with an int and a float argument cost the caller?",
            b"filled at",
            'logger.info("order {} filled at {:.2f}", i, x)',
            'logger.info("order %d filled at %.2f", i, x)',
            column="two arguments",
        ),
        Scenario(
            "fstring",
            "What does a message that the caller has formatted cost?",
            b"filled at",
            'logger.info(f"order {i} filled at {x:.2f}")',
            column="f-string",
        ),
        Scenario(
            "fields",
            "What do four structured fields, written as JSON, cost the caller?",
            b'"ABCD"',
            'logger.info("order filled", order=i, price=x, symbol="ABCD", live=True)',
            'logger.info("order filled", extra={"order": i, "price": x, "symbol": "ABCD", "live": True})',
            column="4 fields, JSON",
            layout="json",
        ),
        Scenario(
            "site",
            "What does the default layout with module, function and line cost the caller?",
            b"filled at",
            'logger.info("order {} filled at {:.2f}", i, x)',
            'logger.info("order %d filled at %.2f", i, x)',
            column="with call site",
            layout="site",
        ),
        failing(
            "exception",
            "What does a record with a traceback of 30 frames cost the caller?",
            failures.deep(30),
            column="exception",
        ),
        failing(
            "exception_deep",
            "What does one of 60 frames cost?",
            failures.deep(60),
        ),
        failing(
            "exception_chained",
            "What does an exception of 15 frames cost that was raised `from` another one of 15?",
            failures.chained(15),
        ),
        failing(
            "exception_recursive",
            "What do 30 frames of one recursive function cost?",
            failures.recursive(30),
        ),
        failing(
            "exception_group",
            "What does a group of two cost, 10 frames each?",
            failures.group(10),
        ),
        failing(
            "exception_group_deep",
            "What does a group of two cost, 30 frames each?",
            failures.group(30),
        ),
        failing(
            "exception_shallow",
            "What does a record with a traceback of 3 frames cost?",
            failures.deep(3),
        ),
        failing(
            "exception_chained_shallow",
            "What does an exception of 3 frames cost that was raised `from` another one of 3?",
            failures.chained(3),
        ),
        failing(
            "exception_recursive_shallow",
            "What do 4 frames of one recursive function cost?",
            failures.recursive(4),
        ),
        failing(
            "exception_group_shallow",
            "What does a group of two cost, 3 frames each?",
            failures.group(3),
        ),
        failing(
            "exception_hint",
            "What does a NameError of 30 frames cost, to which Python adds `Did you mean`?",
            failures.deep(30, failures.guess),
        ),
        failing(
            "exception_new",
            "What does a traceback of 30 frames cost whose code has never been seen before?",
            NEVER_SEEN,
            each_fails=True,
            prepare=NEVER_SEEN.prepare,
            burst=50,
        ),
        Scenario(
            "sizes",
            "How does the caller's cost grow with the message, from 16 bytes to 64 KiB?",
            b"<size>",
            "logger.info(text)",
            texts={str(size): "<size>".ljust(size, "x") for size in (16, 64, 256, 1024, 4096, 16384, 65536)},
        ),
        Scenario(
            "full",
            "What does the line of throughput.py cost the caller: three numbers, thread, file and line?",
            b"Iteration: ",
            'logger.info("Iteration: {} int: {} double: {}", i, i * 2, i / 2)',
            'logger.info("Iteration: %d int: %d double: %s", i, i * 2, i / 2)',
            layout="full",
            is_in_full_run=False,  # throughput.py has it
        ),
    ]
}

BRACE = {scenario.name: scenario.brace for scenario in SCENARIOS.values()}
PERCENT = {scenario.name: scenario.percent or scenario.brace for scenario in SCENARIOS.values()}


class Unsupported(Exception):
    """This library has no such feature; the report says so."""


@dataclass
class Session:
    """A library that is set up and ready: what `setup(path, scenario)` of a module of `bench/peers/` returns."""

    logger: Any
    statements: dict[str, str]
    flush: Callable[[], Any] = lambda: None
    close: Callable[[], Any] = lambda: None

    def statement(self, scenario: Scenario) -> str:
        if scenario.name not in self.statements:
            raise Unsupported(f"no {scenario.name} scenario")
        return self.statements[scenario.name]
