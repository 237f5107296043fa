"""Fields: of the call, bound, of the context; who wins, and who sees what."""

import asyncio
import contextlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.lines import Lines

layers = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), max_size=4)


@pytest.fixture(scope="module")
def lines():
    lines = Lines(format="{message} {fields}")
    yield lines
    lines.close()


def fields_of(line):
    return dict(pair.split("=") for pair in line.partition(" ")[2].split(", ") if pair)


@given(layers, layers, layers, layers)
@settings(max_examples=max(1, settings().max_examples // 4))
def test_call_wins_over_bind_and_bind_over_context(lines, outer, inner, bound, call):
    with lines.logger.contextualize(**outer), lines.logger.contextualize(**inner):
        lines.logger.bind(**bound).info("m", **call)
    merged = {**outer, **inner, **bound, **call}
    assert fields_of(lines.line()) == {name: str(value) for name, value in merged.items()}


def test_a_field_keeps_its_type_in_text(lines):
    lines.logger.info("m", i=1, f=1.0, t=True, n=None, s="a b", b=b"x", d={"k": [1, "é"]}, big=2**70)
    assert lines.line() == f'm i=1, f=1.0, t=True, n=None, s=a b, b=b\'x\', d={{"k":[1,"é"]}}, big={2**70}'


def test_fields_fill_the_message_and_stay_fields(lines):
    lines.logger.info("{user} has {n:03}", user="ann", n=7)
    assert lines.line() == "ann has 007 user=ann, n=7"


def test_bound_fields_do_not_fill_the_message(lines):
    lines.logger.bind(user="ann").info("{user}")
    assert lines.line() == "{user} user=ann"


def test_binding_again_replaces_and_unbinding_removes(lines):
    one = lines.logger.bind(a=1, b=2)
    two = one.bind(b=3, c=4)
    for logger in (one, two, two.unbind("a", "nothing"), two.unbind("a", "b", "c"), lines.logger.unbind("a")):
        logger.info("m")
    assert lines.lines() == ["m a=1, b=2", "m a=1, b=3, c=4", "m b=3, c=4", "m ", "m "]


def test_names_of_parameters_can_be_fields(lines):
    with lines.logger.contextualize(self=1, function=2):
        lines.logger.bind(self=3, message=4, level=5).info("m", args=6, fields=7)
    found = {"self": "3", "function": "2", "message": "4", "level": "5", "args": "6", "fields": "7"}
    assert fields_of(lines.line()) == found


def test_a_message_may_be_given_by_name(lines):
    lines.logger.info(message="m", a=1)
    lines.logger.exception(message="e", a=1)
    assert lines.lines() == ["m a=1", "e a=1"]


def test_exc_info_and_stacklevel_are_fields_where_they_are_bound(lines):
    lines.logger.bind(exc_info=True, stacklevel=3).info("m")
    assert lines.line() == "m exc_info=True, stacklevel=3"


def test_values_with_code_of_their_own_run_it_once_at_bind(lines):
    class Counted:
        calls = 0

        def __str__(self):
            Counted.calls += 1
            return f"counted {Counted.calls}"

    bound = lines.logger.bind(x=Counted())
    for _ in range(3):
        bound.info("m")
    bound.bind(y=1).info("m")
    assert [fields_of(line)["x"] for line in lines.lines()] == ["counted 1"] * 4


def test_a_value_that_logs_while_it_is_made_text(lines):
    class Chatty:
        def __str__(self):
            lines.logger.info("inner", a=1)
            return "chatty"

    lines.logger.info("outer", x=Chatty())
    assert lines.lines() == ["inner a=1", "outer x=chatty"]


# ---- context


def test_the_context_ends_with_the_block_also_when_it_raises(lines):
    with contextlib.suppress(ZeroDivisionError), lines.logger.contextualize(a=1):
        lines.logger.info("in")
        1 / 0  # noqa: B018
    lines.logger.info("out")
    assert lines.lines() == ["in a=1", "out "]


def test_one_object_can_be_entered_again_inside_itself(lines):
    context = lines.logger.contextualize(a=1)
    with context:
        with lines.logger.contextualize(a=2), context:
            lines.logger.info("x")
        lines.logger.info("y")
    lines.logger.info("z")
    assert lines.lines() == ["x a=1", "y a=1", "z "]


def test_threads_have_contexts_of_their_own(lines):
    shared = lines.logger.contextualize(shared=1)
    inside, done = threading.Barrier(2, timeout=30), threading.Barrier(2, timeout=30)

    def work(name):
        with shared, lines.logger.contextualize(thread=name):
            inside.wait()
            lines.logger.info(name)
            done.wait()
        lines.logger.info(f"{name} after")

    with lines.logger.contextualize(main=1):
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert sorted(lines.lines()) == ["a after ", "a shared=1, thread=a", "b after ", "b shared=1, thread=b"]


def test_tasks_inherit_and_do_not_mix(lines):
    shared = lines.logger.contextualize(shared=1)

    @lines.logger.contextualize(decorated=1)
    async def task(n, turn):
        with shared, lines.logger.contextualize(task=n):
            await turn.wait()
            lines.logger.info("in")
        lines.logger.info("out")

    async def main():
        with lines.logger.contextualize(main=1):
            turn = asyncio.Event()
            tasks = [asyncio.create_task(task(n, turn)) for n in range(3)]
            await asyncio.sleep(0)
            turn.set()
            await asyncio.gather(*tasks)
            lines.logger.info("main")

    asyncio.run(main())
    found = lines.lines()
    assert sorted(found[:-1]) == sorted(
        [f"in main=1, decorated=1, shared=1, task={n}" for n in range(3)] + ["out main=1, decorated=1"] * 3
    )
    assert found[-1] == "main main=1"


def test_decorators_of_every_kind_of_function(lines):
    context = lines.logger.contextualize(a=1)

    @context
    def plain(n):
        lines.logger.info("plain")
        return plain(n - 1) if n else "end"

    @context
    async def coroutine():
        lines.logger.info("coroutine")
        return "awaited"

    assert plain(1) == "end"
    assert plain.__name__ == "plain"
    assert asyncio.run(coroutine()) == "awaited"
    lines.logger.info("after")
    assert lines.lines() == ["plain a=1", "plain a=1", "coroutine a=1", "after "]


def test_a_generator_has_its_fields_and_its_consumer_does_not(lines):
    @lines.logger.contextualize(a=1)
    def generator():
        got = None
        try:
            while got != "stop":
                lines.logger.info("generator")
                got = yield got
        except KeyError:
            lines.logger.info("thrown")
            yield "caught"
        finally:
            lines.logger.info("closed")
        return "value"

    def consume():
        return (yield from generator())

    one = consume()
    next(one)
    lines.logger.info("consumer")
    assert one.send("x") == "x"
    with pytest.raises(StopIteration) as end:
        one.send("stop")
    assert end.value.value == "value"
    two = generator()
    next(two)
    assert two.throw(KeyError()) == "caught"
    two.close()
    lines.logger.info("consumer")
    assert lines.lines() == [
        *("generator a=1", "consumer ", "generator a=1", "closed a=1"),
        *("generator a=1", "thrown a=1", "closed a=1", "consumer "),
    ]


def test_an_async_generator_too_and_it_is_closed_with_its_wrapper(lines):
    @lines.logger.contextualize(a=1)
    async def generator():
        try:
            got = None
            while True:
                await asyncio.sleep(0)
                try:
                    got = yield got
                except KeyError:
                    got = "caught"
                lines.logger.info("generator")
        finally:
            lines.logger.info("closed")

    async def main():
        one = generator()
        assert await anext(one) is None
        assert await one.asend("x") == "x"
        lines.logger.info("consumer")
        assert await one.athrow(KeyError()) == "caught"
        await one.aclose()
        lines.logger.info("consumer")

    asyncio.run(main())
    assert lines.lines() == ["generator a=1", "consumer ", "generator a=1", "closed a=1", "consumer "]


def test_a_suspended_with_does_not_stay_for_ever(lines):
    def generator():
        with lines.logger.contextualize(inner=1):
            yield

    one = generator()
    next(one)
    with lines.logger.contextualize(outer=1):
        next(one, None)
        lines.logger.info("x")
    lines.logger.info("y")
    assert lines.lines() == ["x outer=1", "y "]


def test_an_async_generator_closed_in_another_context(lines):
    async def generator():
        with lines.logger.contextualize(a=1):
            yield

    async def main():
        one = generator()
        await asyncio.create_task(anext_of(one))
        await one.aclose()
        lines.logger.info("x")

    async def anext_of(one):
        await anext(one)

    asyncio.run(main())
    assert lines.line() == "x "


def test_loggers_have_contexts_of_their_own(lines):
    other = Lines(format="{message} {fields}")
    with lines.logger.contextualize(a=1):
        other.logger.info("other")
    assert other.line() == "other "
    other.close()
