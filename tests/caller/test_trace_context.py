"""`LoggerConfig.trace_context`: the ids of OpenTelemetry's current span on every record.

The oracle is `trace.get_current_span()`. Spans that do not record need no SDK of OpenTelemetry, so these tests need
opentelemetry-api only.
"""

import asyncio
import contextvars
import gc
import json
import logging
import random
import sys
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logly
from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.lines import Lines
from tests.support.programs import run_python

pytest.importorskip("opentelemetry.trace", reason="opentelemetry-api is not installed")

from opentelemetry import baggage, trace
from opentelemetry import context as otel

from logly.control.trace_context import find_span_variable, span_fields

NAMES = ("trace_id", "span_id", "trace_flags")


class Span(trace.NonRecordingSpan):
    """A span that can be watched, as those of an SDK can."""


def new_span(*, flags=1, trace_id=None):
    ids = trace_id or random.getrandbits(128) | 1, random.getrandbits(64) | 1
    return Span(trace.SpanContext(*ids, False, trace.TraceFlags(flags)))


@pytest.fixture(scope="module")
def lines():
    with Lines(LoggerConfig(level=0, trace_context="opentelemetry"), json=True) as lines:
        yield lines


def expected():
    """What the record of a call made now must have."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return dict(
        zip(NAMES, (f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags)), strict=True)
    )


def ids_of(record):
    return {name: record[name] for name in NAMES if name in record}


def check(lines, calls):
    """Makes the calls, each of which returns what its record must have."""
    wanted = [call() for call in calls]
    assert [ids_of(record) for record in lines.objects()] == wanted


def log(lines, *args):
    wanted = expected()
    lines.logger.info(*(args or ("m",)))
    return wanted


def test_a_record_has_the_ids_of_the_current_span_and_none_without_one(lines):
    wanted = [log(lines)]
    with trace.use_span(new_span(flags=1)):
        wanted += [log(lines), log(lines, "two {} {}", 1, 2.5), log(lines, "é"), log(lines, "object {}", object)]
        with trace.use_span(new_span(flags=0)):
            wanted += [log(lines), log(lines)]
        wanted.append(log(lines))
    wanted.append(log(lines))
    found = lines.objects()
    assert [ids_of(record) for record in found] == wanted
    assert wanted[0] == wanted[-1] == {}
    assert len({str(one) for one in wanted}) == 3
    inside = ids_of(found[1])
    assert (len(inside["trace_id"]), len(inside["span_id"]), inside["trace_flags"]) == (32, 16, 1)
    assert [type(inside[name]) for name in NAMES] == [str, str, int]


def test_the_variable_is_found_and_nothing_of_the_search_is_left():
    before = dict(contextvars.copy_context().items())
    variable = find_span_variable()
    assert type(variable) is contextvars.ContextVar
    assert dict(contextvars.copy_context().items()) == before
    with trace.use_span(new_span()):
        assert variable.get() is otel.get_current()
    assert find_span_variable() is variable


class Steps:
    """Contexts and spans that a property test chooses from, and tasks that take turns."""

    def __init__(self):
        self.spans = [new_span(flags=number % 2) for number in range(4)] + [trace.INVALID_SPAN]
        self.contexts = [trace.set_span_in_context(span, otel.Context()) for span in self.spans]
        self.contexts.append(otel.Context())
        self.tasks = [contextvars.copy_context() for _ in range(6)]
        self.tokens = [[] for _ in self.tasks]

    def attach(self, task, which):
        self.tokens[task].append(otel.attach(self.contexts[which]))

    def use(self, task, which):
        self.tokens[task].append(otel.attach(trace.set_span_in_context(self.spans[which % len(self.spans)])))

    def carry(self, task, which):
        """Another context, with the same span."""
        self.tokens[task].append(otel.attach(baggage.set_baggage("n", which)))

    def detach(self, task, which):
        if self.tokens[task]:
            otel.detach(self.tokens[task].pop())

    def forget(self, task, which):
        """Spans and contexts that are gone, so that others get their addresses."""
        self.spans[which % 4] = new_span(flags=which % 2)
        self.contexts[which % 4] = trace.set_span_in_context(self.spans[which % 4], otel.Context())


steps = st.lists(
    st.tuples(st.sampled_from(["attach", "use", "carry", "detach", "forget"]), st.integers(0, 5), st.integers(0, 5)),
    max_size=40,
)


@given(steps)
@settings(max_examples=max(1, settings().max_examples // 4))
def test_any_order_of_contexts_gives_the_current_span(lines, steps):
    world, wanted = Steps(), []
    for name, task, which in steps:
        world.tasks[task].run(getattr(world, name), task, which)
        wanted.extend(one.run(log, lines) for one in (world.tasks[task], world.tasks[which]))
    assert [ids_of(record) for record in lines.objects()] == wanted


def test_a_hundred_tasks_that_take_turns(lines):
    async def task(number):
        with trace.use_span(new_span()):
            for step in range(10):
                wanted.append(log(lines, "task {} {}", number, step))
                await asyncio.sleep(0)
                if step == 5:
                    with trace.use_span(new_span()):
                        wanted.append(log(lines))
                        await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(task(number) for number in range(100)))

    wanted = []
    asyncio.run(main())
    assert [ids_of(record) for record in lines.objects()] == wanted
    assert len({one["span_id"] for one in wanted}) == 200


def test_more_contexts_than_the_table_has_room_for(lines):
    contexts = [trace.set_span_in_context(new_span(), otel.Context()) for _ in range(3000)]
    wanted = []
    for _ in range(2):
        for context in contexts:
            token = otel.attach(context)
            wanted.append(log(lines))
            otel.detach(token)
    assert [ids_of(record) for record in lines.objects()] == wanted


def test_threads(lines):
    def work(number):
        for _ in range(200):
            with trace.use_span(new_span()):
                for _ in range(3):
                    wanted[number].append(expected())
                    lines.logger.info("m", thread=number)

    wanted = [[] for _ in range(4)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = [[] for _ in range(4)]
    for record in lines.objects():
        found[record["thread"]].append(ids_of(record))
    assert found == wanted


def test_spans_that_are_over_are_collected(lines):
    gone = []
    for number in range(2000):
        span = new_span()
        gone.append(weakref.ref(span))
        with trace.use_span(span):
            lines.logger.info("m {}", number)
            gone.append(weakref.ref(otel.get_current()))
    del span
    lines.objects()
    gc.collect()
    assert sum(one() is not None for one in gone) == 0


def test_a_new_context_at_an_old_address_is_another(lines):
    """Contexts die and others get their memory: each record must have the ids of its own time."""
    addresses, wanted, contexts = [], [], []
    for _ in range(30):
        contexts.clear()
        contexts.extend(trace.set_span_in_context(new_span(), otel.Context()) for _ in range(100))
        for context in contexts:
            addresses.append(id(context))
            token = otel.attach(context)
            wanted.append(log(lines))
            otel.detach(token)
    assert [ids_of(record) for record in lines.objects()] == wanted
    if sys.implementation.name == "cpython":
        assert len(set(addresses)) < len(addresses), "no address came twice, so nothing was tried"


def test_precedence_of_fields_of_the_same_name(lines):
    with trace.use_span(new_span()):
        wanted = expected()
        lines.logger.info("m", trace_id="call")
        lines.logger.bind(trace_id="bound").info("m")
        with lines.logger.contextualize(trace_id="context", span_id="context"):
            lines.logger.info("m")
        lines.logger.configure(context_from=lambda: {"trace_flags": "given"})
        lines.logger.info("m")
        with lines.logger.contextualize(trace_flags="context"):
            lines.logger.info("m")
        lines.logger.configure(context_from=None)
    assert [ids_of(record) for record in lines.objects()] == [
        wanted | {"trace_id": "call"},
        wanted | {"trace_id": "bound"},
        wanted | {"trace_id": "context", "span_id": "context"},
        wanted | {"trace_flags": "given"},
        wanted | {"trace_flags": "context"},
    ]


def test_records_of_all_kinds_have_them():
    with Lines(
        LoggerConfig(level="info,tests=debug", trace_context="opentelemetry", recorder="trace"), json=True
    ) as lines:
        handler = logly.StdlibHandler(lines.logger)
        stdlib = logging.getLogger("tests.trace_context")
        stdlib.propagate, stdlib.handlers, stdlib.level = False, [handler], logging.INFO
        with trace.use_span(new_span()):
            wanted = expected()
            for number in range(3):
                lines.logger.trace("kept {}", number)
                lines.logger.debug("by a directive {}", number)
                lines.logger.every(1).info("light {}", number)
                stdlib.info("stdlib %s", number, extra={"n": 1})
                lines.logger.info("x" * 5000)
                try:
                    raise ValueError
                except ValueError:
                    lines.logger.exception("with a traceback")
        stdlib.handlers = []
        found = lines.objects()
        assert len(found) == 18
        assert [ids_of(record) for record in found] == [wanted] * 18


def test_installed_calls_of_logging_have_them(tmp_path):
    program = f"""
import json, logging
import logly
from opentelemetry import trace
logger = logly.Logger(logly.LoggerConfig(auto_sink=False, trace_context="opentelemetry"))
logger.add_sink(logly.SinkConfig(path={str(tmp_path / "app.json")!r}, json=True))
logly.install(logger)
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))
for number in range(4):
    with trace.use_span(span):
        log.info("order %s", number)
    log.info("outside")
logger.close()
"""
    run_python("-c", program)
    found = [ids_of(json.loads(line)) for line in (tmp_path / "app.json").read_text().splitlines()]
    assert found == [{"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "trace_flags": 1}, {}] * 4


def test_functions_and_text_see_them(tmp_path):
    records = []
    logger = logly.Logger(LoggerConfig(auto_sink=False, trace_context="opentelemetry"))
    logger.add_sink(SinkConfig(function=records.append))
    logger.add_sink(SinkConfig(path=tmp_path / "app.log", format="{trace_id} {message}"))
    with trace.use_span(new_span()):
        wanted = expected()
        logger.info("m")
    logger.close()
    assert [record.fields for record in records] == [wanted]
    assert (tmp_path / "app.log").read_text() == f"{wanted['trace_id']} m\n"


def test_a_spool_has_them_for_who_recovers_it(tmp_path):
    program = f"""
import os, signal
import logly
from opentelemetry import trace
logger = logly.Logger(logly.LoggerConfig(auto_sink=False, spool={str(tmp_path / "s")!r}, async_flush_interval=60000,
    trace_context="opentelemetry"))
logger.add_sink(logly.SinkConfig(path={str(tmp_path / "app.json")!r}, json=True))
with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))):
    for number in range(3):
        logger.info("order {{}}", number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_python("-c", program, returncode=-9)
    logger = logly.Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "s"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    logger.info("alive")
    logger.close()
    found = [ids_of(json.loads(line)) for line in (tmp_path / "app.json").read_text().splitlines()]
    assert found == [{"trace_id": f"{1:032x}", "span_id": f"{2:016x}", "trace_flags": 1}] * 3 + [{}]


# ---- where OpenTelemetry is another, or none


otel.get_current()  # old releases choose their implementation at the first use


class Other:
    """An implementation that does not keep the context in a ContextVar."""

    def __init__(self):
        self.current = threading.local()

    def attach(self, context):
        before = self.get_current()
        self.current.value = context
        return before

    def get_current(self):
        return getattr(self.current, "value", otel.Context())

    def detach(self, token):
        self.current.value = token


def test_where_the_variable_is_not_found_each_call_asks(monkeypatch):
    monkeypatch.setattr(otel, "_RUNTIME_CONTEXT", Other())
    assert find_span_variable() is None
    with Lines(LoggerConfig(level=0, trace_context="opentelemetry"), json=True) as lines:
        wanted = [log(lines)]
        with trace.use_span(new_span()):
            wanted += [log(lines), log(lines, "m {}", 1)]
            with trace.use_span(new_span()):
                wanted += [log(lines)]
            wanted += [log(lines)]
        assert [ids_of(record) for record in lines.objects()] == wanted


def test_an_implementation_that_computes_its_context_is_not_read_in_its_variable(monkeypatch):
    class Computing(type(otel._RUNTIME_CONTEXT)):
        def get_current(self):
            return otel.Context(super().get_current())

    monkeypatch.setattr(otel, "_RUNTIME_CONTEXT", Computing())
    assert find_span_variable() is None


class Failing(Span):
    def __init__(self, error):
        super().__init__(new_span().get_span_context())
        self.error = error

    def get_span_context(self):
        if isinstance(self.error, BaseException):
            raise self.error
        return self.error


@pytest.mark.parametrize("error", [ValueError("no"), MemoryError(), None, object()])
def test_a_span_that_fails_costs_no_record(error):
    told = []
    config = LoggerConfig(level=0, trace_context="opentelemetry", on_error=told.append)
    with Lines(config, json=True) as lines:
        token = otel.attach(trace.set_span_in_context(Failing(error)))
        try:
            for _ in range(5):
                lines.logger.info("m")
        finally:
            otel.detach(token)
        assert [ids_of(record) for record in lines.objects()] == [{}] * 5
        lines.logger.close()
        assert len(told) == 1
        assert "trace_context" in told[0].__notes__[0]


def test_a_span_that_logs_while_it_is_asked(lines):
    class Chatty(Span):
        def get_span_context(self):
            lines.logger.info("inner")
            return super().get_span_context()

    token = otel.attach(trace.set_span_in_context(Chatty(new_span().get_span_context())))
    try:
        lines.logger.info("outer")
        wanted = span_fields()
        lines.objects()
        lines.logger.info("again")
    finally:
        otel.detach(token)
    assert [ids_of(record) for record in lines.objects()] == [wanted]


def test_another_word_is_refused():
    with pytest.raises(ConfigError, match=r"trace_context = 'zipkin'.*'opentelemetry'"):
        LoggerConfig(trace_context="zipkin").validate()


def test_without_the_library_it_is_refused_and_all_else_works():
    program = """
import sys
sys.modules["opentelemetry"] = None
import logly
logger = logly.Logger()
try:
    logger.configure(trace_context="opentelemetry")
except logly.ConfigError as error:
    print(error)
logger.close()
"""
    said = run_python("-c", program).stdout
    assert "trace_context = 'opentelemetry'" in said
    assert "opentelemetry-api is not installed" in said


def test_a_program_may_log_before_it_imports_the_library():
    program = """
import sys
import logly
assert not any(name.startswith("opentelemetry") for name in sys.modules)
records = []
logger = logly.Logger(logly.LoggerConfig(trace_context="opentelemetry"))
logger.add_sink(logly.SinkConfig(function=records.append))
logger.info("early")
from opentelemetry import trace
with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))):
    logger.info("late")
logger.close()
print([record.fields.get("trace_id", "none")[-1] for record in records])
"""
    assert run_python("-c", program).stdout == "['e', '1']\n"


def test_a_fork_in_a_span(tmp_path):
    program = f"""
import os
import logly
from opentelemetry import trace
logger = logly.Logger(logly.LoggerConfig(auto_sink=False, trace_context="opentelemetry"))
logger.add_sink(logly.SinkConfig(path={str(tmp_path / "app.log")!r}, format="{{message}} {{fields}}"))
with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))):
    logger.info("parent")
    pid = os.fork()
    logger.info("child" if pid == 0 else "parent")
    if pid == 0:
        logger.close()
        os._exit(0)
    os.waitpid(pid, 0)
logger.close()
"""
    run_python("-c", program, may_complain=True)
    found = sorted((tmp_path / "app.log").read_text().splitlines())
    ids = f"trace_id={1:032x}, span_id={2:016x}, trace_flags=1"
    assert found == [f"child {ids}", f"parent {ids}", f"parent {ids}"]
