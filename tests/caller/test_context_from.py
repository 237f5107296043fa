"""`LoggerConfig.context_from`: fields that a ContextVar or a function gives at each call."""

import asyncio
import collections
import contextvars
import gc
import json
import logging
import re
import threading
import types
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import logly
from logly import ConfigError, LoggerConfig, SinkConfig
from tests.support.lines import Lines

FORMAT = "{message} {fields}"
CURRENT: ContextVar[logly.Fields] = ContextVar("current")


def logger_from(source, **config):
    return Lines(LoggerConfig(level=0, context_from=source, **config), format=FORMAT)


def fields_of(line):
    return dict(re.findall(r"(\w+)=([^,]*)", line))


def all_ways(logger):
    """Calls of each way that a record can take, three times each: the first is careful, the others may be fast."""
    for number in range(3):
        logger.info("text")
        logger.info("two {} {}", number, 1.5)
        logger.info("fields", n=number)
        logger.info("object {}", object)
        logger.info("é")
        logger.log("info", "log")
        logger.named("db").info("named")
        logger.bind(b=1).info("bound")
        logger.every(1).info("light")
        logger.limit("1000/s").info("limited", n=number)
        try:
            raise ValueError
        except ValueError:
            logger.exception("failed")
        logger.info("long {}", "x" * 5000)


@pytest.mark.parametrize("kind", ["variable", "function"])
@pytest.mark.parametrize("shape", ["fields", "dict", "mapping"])
def test_each_record_has_the_fields_whatever_way_it_takes(kind, shape):
    made = {"fields": logly.fields, "dict": dict, "mapping": lambda **d: types.MappingProxyType(d)}[shape](
        user="ann", n=7
    )
    source = ContextVar("source", default=made) if kind == "variable" else lambda: made
    with logger_from(source) as lines:
        all_ways(lines.logger)
        found = [fields_of(line) for line in lines.lines() if line.count("=") >= 2]
        assert len(found) == 36
        assert {one["user"] for one in found} == {"ann"}
        stats = lines.logger.stats()
        assert stats.emitted == stats.written == 36


def test_a_variable_is_read_at_each_call():
    source = ContextVar("source")
    with logger_from(source) as lines:
        expected = []
        for value in (logly.fields(a=1), None, {"a": 2}, {"a": 2, "b": 3}, {}, logly.fields(), logly.fields(b=4)):
            lines.logger.info("before")
            expected.append(lines.text())
            source.set(value)
            lines.logger.info("m")
            expected.append(lines.text())
        assert expected == [
            "before \n", "m a=1\n", "before a=1\n", "m \n", "before \n", "m a=2\n", "before a=2\n", "m a=2, b=3\n",
            "before a=2, b=3\n", "m \n", "before \n", "m \n", "before \n", "m b=4\n",
        ]  # fmt: skip


def test_a_dict_is_encoded_as_it_is_at_the_call():
    current = {"step": 1}
    with logger_from(lambda: current) as lines:
        lines.logger.info("a")
        current["step"] = 2
        lines.logger.info("b")
        current.clear()
        lines.logger.info("c")
        assert lines.lines() == ["a step=1", "b step=2", "c "]


def test_values_of_fields_are_made_text_once():
    class Counted:
        calls = 0

        def __str__(self):
            Counted.calls += 1
            return f"counted {Counted.calls}"

    block = logly.fields(x=Counted())
    with logger_from(lambda: block) as lines:
        for _ in range(3):
            lines.logger.info("m")
        assert lines.lines() == ["m x=counted 1"] * 3
    assert repr(block) == "<logly.fields x>"


layers = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), max_size=4)


@pytest.fixture(scope="module")
def source():
    return ContextVar("source", default=None)


@pytest.fixture(scope="module")
def merged(source):
    with logger_from(source) as lines:
        yield lines


@given(layers, layers, layers, layers, st.booleans())
@settings(max_examples=max(1, settings().max_examples // 2))
def test_call_wins_over_bound_over_context_over_the_source(merged, source, given_, context, bound, call, is_block):
    source.set(logly.fields(**given_) if is_block else given_)
    with merged.logger.contextualize(**context):
        merged.logger.bind(**bound).info("m", **call)
    expected = {**given_, **context, **bound, **call}
    assert fields_of(merged.line()) == {name: str(value) for name, value in expected.items()}


def test_large_fields_of_several_places(merged, source):
    source.set(logly.fields(a="x" * 3000, b=1))
    with merged.logger.contextualize(a="y" * 2000, c=2):
        merged.logger.info("m")
        merged.logger.info("m")
    for line in merged.lines():
        assert fields_of(line) == {"a": "y" * 2000, "b": "1", "c": "2"}


# ---- functions


def test_a_function_is_called_once_for_each_record_that_is_made():
    calls = []

    def source():
        calls.append(1)
        return {"call": len(calls)}

    with Lines(LoggerConfig(level="info", context_from=source), format=FORMAT) as lines:
        all_ways(lines.logger)
        lines.logger.debug("off")
        assert len(calls) == lines.logger.stats().emitted == 36


def test_a_function_is_not_called_for_what_is_held_back():
    calls = []
    with logger_from(lambda: calls.append(1), sampling=(1, 0), sampling_level="error") as lines:
        for number in range(50):
            lines.logger.once().info("once")
            lines.logger.info("sampled {}", number)
        assert len(calls) == len(lines.lines()) < 60


def test_a_function_that_logs_itself_does_not_go_on_for_ever():
    with Lines(LoggerConfig(level=0), format=FORMAT) as lines:

        def source():
            lines.logger.info("inner {}", 1)
            return {"user": "ann"}

        lines.logger.configure(context_from=source)
        for _ in range(3):
            lines.logger.info("outer")
        assert lines.lines() == ["inner 1 ", "outer user=ann"] * 3


def test_a_value_that_logs_while_it_is_made_text():
    with Lines(LoggerConfig(level=0), format=FORMAT) as lines:

        class Chatty:
            def __str__(self):
                lines.logger.info("inner")
                return "chatty"

        lines.logger.configure(context_from=lambda: {"x": Chatty()})
        lines.logger.info("outer")
        assert lines.lines() == ["inner ", "outer x=chatty"]
        lines.logger.info("outer {}", Chatty())
        # What an argument logs is a record like any other; what the fields' own value logs has no such fields.
        assert lines.lines()[-4:] == ["inner ", "inner ", "inner x=chatty", "outer chatty x=chatty"]


class Told(list):
    def __call__(self, error):
        self.append(error)


@pytest.mark.parametrize(
    ("gives", "error"),
    [
        (lambda: 1 / 0, ZeroDivisionError),
        (lambda: 5, TypeError),
        (lambda: [("a", 1)], TypeError),
        (lambda: "text", TypeError),
        (lambda missing: {}, TypeError),
        (lambda: next(iter(())), StopIteration),
        (lambda: (_ for _ in ()).throw(MemoryError()), MemoryError),
        (lambda: collections.UserDict(a=1).missing, AttributeError),
    ],
)
def test_the_record_is_written_when_a_function_fails_and_the_error_told_once_a_second(gives, error):
    told = Told()
    with logger_from(gives, on_error=told) as lines:
        for number in range(20):
            lines.logger.info("m {}", number)
        assert lines.lines() == [f"m {number} " for number in range(20)]
        lines.logger.close()
        assert 1 <= len(told) < 20
        assert type(told[0]) is error
        assert "context_from" in "".join(getattr(told[0], "__notes__", [])) + str(told[0])
        assert lines.logger.stats().dropped == 0


def test_a_variable_with_a_wrong_value():
    told = Told()
    with logger_from(ContextVar("c", default=3), on_error=told) as lines:
        lines.logger.info("m")
        assert lines.line() == "m "
        lines.logger.close()
        assert [str(one) for one in told] == [
            "context_from gave 3, which is neither a mapping nor logly.fields(...) nor None"
        ]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RecursionError])
def test_what_ends_a_program_goes_up(error):
    fails = [True]

    def source():
        if fails[0]:
            raise error
        return {"a": 1}

    with logger_from(source) as lines:
        for call in (lambda: lines.logger.info("m"), lambda: lines.logger.info("m {}", object)):
            with pytest.raises(error):
                call()
        fails[0] = False
        lines.logger.info("after")
        assert lines.line() == "after a=1"


def test_a_function_that_recurses_without_an_end_goes_up():
    def source():
        return source()

    with logger_from(source) as lines, pytest.raises(RecursionError):
        lines.logger.info("m")


def test_a_function_that_changes_the_settings():
    with Lines(LoggerConfig(level=0), format=FORMAT) as lines:

        def source():
            lines.logger.configure(context_from=None)
            gc.collect()
            return {"last": 1}

        lines.logger.configure(context_from=source)
        lines.logger.info("m")
        lines.logger.info("n")
        assert lines.lines() == ["m last=1", "n "]


def test_a_mapping_that_changes_while_its_values_are_made_text():
    shared = {}

    class Grows:
        def __str__(self):
            shared[f"n{len(shared)}"] = 1
            return "grows"

    shared["x"] = Grows()
    with logger_from(lambda: shared) as lines:
        lines.logger.info("m")
        assert lines.line() == "m x=grows"


def test_any_key_is_a_name():
    with logger_from(lambda: {1: "one", "\ud800": 2, "message": 3, "": 4}) as lines:
        lines.logger.info("m")
        assert lines.line() == "m 1=one, \\ud800=2, message=3, =4"


# ---- where the records go


def test_tasks_and_threads_have_values_of_their_own():
    source = ContextVar("source", default=None)

    async def task(number):
        source.set(logly.fields(task=number))
        for _ in range(5):
            lines.logger.info("m {}", number)
            await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*(task(number) for number in range(100)))

    def work(number):
        source.set({"task": number})
        for _ in range(50):
            lines.logger.info("m {}", number)

    with logger_from(source) as lines:
        asyncio.run(main())
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        found = lines.lines()
        assert len(found) == 700
        assert all(line.split()[1] == line.partition("task=")[2] for line in found)


def test_functions_filters_directives_and_json_see_the_fields(tmp_path):
    records = []
    logger = logly.Logger(LoggerConfig(level="info,tests=debug", auto_sink=False, context_from=lambda: {"user": "ann"}))
    logger.add_sink(SinkConfig(function=records.append, filter=lambda record: record.fields["user"] == "ann"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    logger.debug("order {}", 1, n=2)
    logger.close()
    assert [record.fields for record in records] == [{"user": "ann", "n": 2}]
    [line] = (tmp_path / "app.json").read_text().splitlines()
    assert (json.loads(line)["user"], json.loads(line)["message"]) == ("ann", "order 1")


def test_the_flight_recorder_finds_records_by_such_a_field():
    source = ContextVar("source")
    with Lines(
        LoggerConfig(level="info", recorder="debug", recorder_field="request", context_from=source), format=FORMAT
    ) as lines:
        for request in (1, 2):
            source.set(logly.fields(request=request))
            for number in range(3):
                lines.logger.debug("kept {}", number)
        lines.logger.error("failed")
        assert lines.lines() == [*(f"[recorder] kept {number} request=2" for number in range(3)), "failed request=2"]


def test_a_full_recorder_leaves_no_fields_behind():
    """A kept record for which there is no room is counted, and what the function gave for it is let go."""
    made = []

    class Watched(logly.Fields):
        __slots__ = ()

    def source():
        made.append(0)
        return Watched({"a": 1})

    config = LoggerConfig(level="info", recorder="debug", context_from=source, async_buffer_size=4096)
    with Lines(config, format=FORMAT) as lines:
        for number in range(2000):
            lines.logger.debug("kept {}", number)
        assert len(made) == 2000
        gc.collect()
        assert sum(isinstance(one, Watched) for one in gc.get_objects()) <= 1


def test_records_of_the_standard_library_have_them(tmp_path):
    CURRENT.set(logly.fields(user="ann"))
    for source in (CURRENT, lambda: {"user": "ann"}):
        with logger_from(source) as lines:
            handler = logly.StdlibHandler(lines.logger)
            log = logging.getLogger("tests.context_from")
            log.propagate, log.handlers, log.level = False, [handler], logging.INFO
            try:
                for number in range(3):
                    log.info("order %s", number, extra={"n": number})
                    log.info("plain")
            finally:
                log.handlers = []
            found = [fields_of(line) for line in lines.lines() if "user" in line]
            assert len(found) == 6
            assert found[0]["user"] == "ann"


def test_a_spool_has_them_for_who_recovers_it(tmp_path):
    from tests.support.programs import run_python

    program = f"""
import os, signal
import logly
from contextvars import ContextVar
logger = logly.Logger(logly.LoggerConfig(auto_sink=False, spool={str(tmp_path / "s")!r}, async_flush_interval=60000,
    context_from=ContextVar("c", default=logly.fields(user="ann"))))
logger.add_sink(logly.SinkConfig(path={str(tmp_path / "app.json")!r}, json=True))
for number in range(3):
    logger.info("order {{}}", number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_python("-c", program, returncode=-9)
    logger = logly.Logger(LoggerConfig(auto_sink=False, spool=tmp_path / "s"))
    logger.add_sink(SinkConfig(path=tmp_path / "app.json", json=True))
    logger.info("alive")
    logger.close()
    found = [json.loads(line) for line in (tmp_path / "app.json").read_text().splitlines()]
    assert [one.get("user") for one in found] == ["ann"] * 3 + [None]


# ---- settings


@pytest.mark.parametrize("wrong", [3, "user", {"a": 1}, logly.fields(a=1)])
def test_what_is_neither_variable_nor_function_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"context_from.* = .*a ContextVar, or a function"):
        LoggerConfig(context_from=wrong).validate()


def test_a_coroutine_function_is_refused():
    async def source():
        return {}

    with pytest.raises(ConfigError, match="context_from"):
        LoggerConfig(context_from=source).validate()


def test_it_is_switched_on_and_off_while_the_logger_runs():
    with Lines(LoggerConfig(level=0), format=FORMAT) as lines:
        lines.logger.info("a")
        lines.logger.configure(context_from=lambda: {"x": 1})
        lines.logger.info("b")
        lines.logger.set_context(y=2)
        sink = lines.logger.add_sink(SinkConfig(function=lambda record: None))  # other needs are published
        lines.logger.info("c")
        lines.logger.remove_sink(sink)
        lines.logger.configure(level="info")
        lines.logger.info("d")
        lines.logger.configure(context_from=None)
        lines.logger.info("e")
        lines.logger.clear_context()
        assert lines.lines() == ["a ", "b x=1", "c x=1, y=2", "d x=1, y=2", "e y=2"]


def test_a_logger_that_its_function_refers_to_is_collected():
    import weakref

    class Owner:
        def __init__(self):
            self.logger = logly.Logger(LoggerConfig(auto_sink=False, context_from=self.fields))

        def fields(self):
            return {}

    owner = Owner()
    owner.logger.info("m")
    gone = weakref.ref(owner)
    owner.logger.close()
    del owner
    gc.collect()
    assert gone() is None


def test_a_copied_context_takes_its_value_with_it():
    source = ContextVar("source", default=None)
    with logger_from(source) as lines:
        context = contextvars.copy_context()
        context.run(source.set, logly.fields(a=1))
        for _ in range(2):
            context.run(lines.logger.info, "in")
            lines.logger.info("out")
        assert lines.lines() == ["in a=1", "out "] * 2
