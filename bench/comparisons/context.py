"""What do fields of the surroundings cost the caller: `contextualize`, `context_from`, `trace_context`?

Goals: `trace_context` at most 15 ns more with the same span, 25 ns with a hundred tasks that take turns; `context_from`
at most 15 ns more with a ContextVar and 40 with a function that gives the same object.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import cache
from types import SimpleNamespace
from typing import Any

from comparisons.core import SHORT, TEXT, THREE, TWO
from harness.comparison import Bench, more

CALLS = {"text": TEXT, "two arguments": TWO, "three fields": THREE}
TASKS = 100
IN_TURN = "logger.runs[i % 100](logger.info, 'order {} filled at {:.2f}', i, x)"

FIGURES = [
    *(more(f"{name}: trace_context, no span: more ns", f"{name}, traced, no span", name) for name in CALLS),
    *(more(f"{name}: trace_context, the same span: more ns", f"{name}, traced", name, "15") for name in CALLS),
    more("two arguments: trace_context, 100 tasks in turn: more ns", "tasks, traced", "tasks", "25"),
    *(more(f"{name}: context_from=ContextVar: more ns", f"{name}, variable", name, "15") for name in CALLS),
    more("two arguments: its default, where it is not set: more ns", "two arguments, unset variable", "two arguments"),
    *(more(f"{name}: context_from=function: more ns", f"{name}, function", name, "40") for name in CALLS),
    *(more(f"{name}: contextualize: more ns", f"{name}, contextualize", name) for name in CALLS),
    more("two arguments: context_from=ContextVar of a dict: more ns", "two arguments, a dict", "two arguments"),
    more("two arguments: both, and contextualize: more ns", "two arguments, all of it", "two arguments"),
]


def subjects(bench: Bench) -> None:
    import logly

    block = logly.fields(user="ann", tenant=7)
    given: ContextVar[Any] = ContextVar("given")
    given.set(block)
    unset: ContextVar[Any] = ContextVar("unset", default=block)
    same: Callable[[], Any] = lambda: block  # noqa: E731  # the least that a function costs
    plain = bench.logger({"format": SHORT})
    targets = {
        "variable": bench.logger({"format": SHORT}, context_from=given),
        "unset variable": bench.logger({"format": SHORT}, context_from=unset),
        "function": bench.logger({"format": SHORT}, context_from=same),
        "contextualize": bench.logger({"format": SHORT}),
        "traced": bench.logger({"format": SHORT}, trace_context="opentelemetry"),
    }
    around = {"contextualize": lambda: targets["contextualize"].logger.contextualize(user="ann"), "traced": in_span}
    for name, statement in CALLS.items():
        bench.add(name, plain, statement)
        for kind, target in targets.items():
            bench.add(f"{name}, {kind}", target, statement, **({"around": around[kind]} if kind in around else {}))
        bench.add(f"{name}, traced, no span", targets["traced"], statement)
    add_tasks(bench, plain, targets["traced"])
    dicts: ContextVar[Any] = ContextVar("dicts")
    dicts.set({"user": "ann", "tenant": 7})
    of_dict = bench.logger({"format": SHORT}, context_from=dicts)
    bench.add("two arguments, a dict", of_dict, TWO)
    all_of_it = bench.logger({"format": SHORT}, context_from=given, trace_context="opentelemetry")

    @contextmanager
    def everything() -> Iterator[None]:
        with in_span(), all_of_it.logger.contextualize(user="ann"):
            yield

    bench.add("two arguments, all of it", all_of_it, TWO, around=everything)


def add_tasks(bench: Bench, plain: Any, traced: Any) -> None:
    contexts = [context_of_task() for _ in range(TASKS)]
    for name, target in {"tasks": plain, "tasks, traced": traced}.items():
        tasks = SimpleNamespace(runs=[context.run for context in contexts], info=target.logger.info)
        bench.add(name, target, IN_TURN, logger=tasks)


def context_of_task() -> Context:
    """The context of a task that has a span of its own."""

    def begin() -> Context:
        from opentelemetry import context, trace

        context.attach(trace.set_span_in_context(new_span()))
        return copy_context()

    return copy_context().run(begin)


@contextmanager
def in_span() -> Iterator[None]:
    """In the same context of OpenTelemetry each time, so that only the first of all calls finds it new."""
    from opentelemetry import context

    token = context.attach(span_context())
    try:
        yield
    finally:
        context.detach(token)


@cache
def span_context() -> Any:
    from opentelemetry import trace

    return trace.set_span_in_context(new_span())


def new_span() -> Any:
    """A valid span that does not record: the tracing library's SDK is not needed."""
    from opentelemetry import trace

    ids = random.getrandbits(128), random.getrandbits(64)
    return trace.NonRecordingSpan(trace.SpanContext(*ids, False, trace.TraceFlags(1)))
