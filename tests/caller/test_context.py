"""set_context() and clear_context(): fields for the rest of a context, and how they nest with contextualize()."""

import asyncio
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly._core import FieldBlock
from tests.support.lines import Lines


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format="{message} {fields}")
    yield lines
    lines.close()


@pytest.fixture(autouse=True)
def no_context(lines):
    lines.logger.clear_context()
    yield
    lines.logger.clear_context()


def fields_of(line):
    return dict(pair.split("=") for pair in line.partition(" ")[2].split(", ") if pair)


def test_fields_are_set_for_the_rest_of_the_context(lines):
    assert lines.logger.set_context(request="r1", user="ann") is None
    lines.logger.info("a")
    lines.logger.set_context(user="bob")
    lines.logger.bind(user="cat").info("b", n=1)
    lines.logger.info("c")
    lines.logger.clear_context()
    lines.logger.info("d")
    assert [fields_of(line) for line in lines.lines()] == [
        {"request": "r1", "user": "ann"},
        {"request": "r1", "user": "cat", "n": "1"},
        {"request": "r1", "user": "bob"},
        {},
    ]


def test_fields_that_are_set_in_a_with_stay_when_it_is_left(lines):
    with lines.logger.contextualize(a=1, b=1):
        lines.logger.set_context(b=2, c=2)
        lines.logger.info("in")
    lines.logger.info("out")
    assert [fields_of(line) for line in lines.lines()] == [{"a": "1", "b": "2", "c": "2"}, {"b": "2", "c": "2"}]


def test_a_with_that_is_entered_later_wins_inside(lines):
    lines.logger.set_context(a=1)
    with lines.logger.contextualize(a=2):
        lines.logger.info("in")
    lines.logger.info("out")
    assert lines.lines() == ["in a=2", "out a=1"]


def test_what_is_cleared_in_a_with_does_not_come_back(lines):
    lines.logger.set_context(a=1)
    with lines.logger.contextualize(b=2):
        lines.logger.clear_context()
        lines.logger.info("cleared")
        lines.logger.set_context(c=3)
        lines.logger.info("in")
    lines.logger.info("out")
    assert lines.lines() == ["cleared ", "in c=3", "out c=3"]


class Model:
    """What a context holds: a stack of (owner, fields). `set_context` is the owner None."""

    def __init__(self):
        self.stack = []

    def leave(self, owner):
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at][0] is owner:
                del self.stack[at]
                return

    def fields(self):
        return {name: str(value) for _, fields in self.stack for name, value in fields.items()}


names = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), names),
        st.tuples(st.just("enter"), names),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(st.just("clear"), st.none()),
    ),
    max_size=12,
)


@given(steps)
@settings(max_examples=max(1, settings().max_examples // 2))
def test_any_order_of_steps_is_that_of_a_stack(lines, steps):
    """Also one in which a ``with`` is left that is not the innermost, as generators do."""
    lines.logger.clear_context()
    model, entered, expected = Model(), [], []
    for step, value in steps:
        if step == "set":
            lines.logger.set_context(**value)
            model.stack.append((None, value))
        elif step == "enter":
            guard = lines.logger.contextualize(**value)
            guard.__enter__()
            entered.append(guard)
            model.stack.append((guard, value))
        elif step == "leave" and entered:
            guard = entered.pop(value % len(entered))
            guard.__exit__(None, None, None)
            model.leave(guard)
        elif step == "clear":
            lines.logger.clear_context()
            model.stack.clear()
        lines.logger.info("m")
        expected.append(model.fields())
    assert [fields_of(line) for line in lines.lines()] == expected


def test_setting_again_and_again_keeps_one_block(lines):
    """A worker that sets the fields of each job in turn, inside and outside of a ``with``, must not grow."""
    variable = lines.logger._controller.context_variable()
    for number in range(200):
        lines.logger.set_context(job=number)
        with lines.logger.contextualize(step=number):
            lines.logger.set_context(inside=number)
    block, blocks = variable.get(), 0
    while block is not None:
        blocks += 1
        [block] = [one for one in referents(block) if isinstance(one, FieldBlock)] or [None]
    assert blocks == 1
    lines.logger.info("m")
    assert fields_of(lines.line()) == {"job": "199", "inside": "199"}


def referents(block):
    import gc

    return gc.get_referents(block)


def test_threads_and_tasks_have_contexts_of_their_own(lines):
    def work():
        lines.logger.set_context(where="thread")
        lines.logger.info("t")

    async def task(number):
        lines.logger.info("before")
        lines.logger.set_context(task=number)
        await asyncio.sleep(0)
        lines.logger.info("after")

    async def main():
        lines.logger.set_context(main=1)
        await asyncio.gather(task(1), task(2))
        lines.logger.info("end")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    asyncio.run(main())
    lines.logger.info("outside")
    assert lines.lines() == [
        "t where=thread",
        *["before main=1"] * 2,
        "after main=1, task=1",
        "after main=1, task=2",
        "end main=1",
        "outside ",
    ]


def test_loggers_of_one_engine_share_their_context_and_others_do_not(lines):
    lines.logger.set_context(a=1)
    lines.logger.named("db").bind(b=2).info("child")
    with Lines(format="{message} {fields}") as other:
        other.logger.info("other")
        assert other.line() == "other "
    assert lines.line() == "child a=1, b=2"


def test_a_value_is_taken_as_it_is_at_the_call(lines):
    value = [1]
    lines.logger.set_context(value=value)
    value.append(2)
    lines.logger.info("m")
    assert lines.line() == "m value=[1]"


def test_a_value_that_sets_the_context_while_it_is_made_text(lines):
    class Nested:
        def __str__(self):
            lines.logger.set_context(inner=1)
            return "nested"

    lines.logger.set_context(outer=Nested())
    lines.logger.info("m")
    assert lines.line() == "m inner=1, outer=nested"


def test_any_name_can_be_set(lines):
    lines.logger.set_context(self=1, fields=2, variable=3)
    lines.logger.info("m")
    assert fields_of(lines.line()) == {"self": "1", "fields": "2", "variable": "3"}


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts references")
def test_a_context_that_is_gone_keeps_nothing(lines):
    import contextvars
    import gc

    def count():
        gc.collect()
        return sum(isinstance(one, FieldBlock) for one in gc.get_objects())

    before = count()
    for number in range(50):
        contextvars.Context().run(lines.logger.set_context, number=number)
    assert count() == before
