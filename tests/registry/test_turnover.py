"""Templates and call sites that the program has let go, or that nobody uses, make room for others."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from functools import partial
from pathlib import Path
from random import Random

import pytest

from logly import SinkConfig, _core
from tests.support.forks import children_end_well, fork
from tests.support.hooks import (
    alias_counts,
    await_names,
    collect_names,
    has_site,
    has_template,
    limit_registry,
    registry_counts,
)
from tests.support.loggers import assert_books, file_logger
from tests.support.output import Output
from tests.support.spooling import dies, revive
from tests.support.threads import run_threads
from tests.support.waiting import wait_until

with_gil = pytest.mark.skipif(_core.IS_FREE_THREADED, reason="without a GIL no name is given up while its code lives")


@pytest.fixture
def shown(tmp_path: Path):
    output = Output(tmp_path, "{module}|{function}|{lineno}|{message}|{fields}")
    yield output
    output.logger.close()


@pytest.fixture
def small_tables():
    """Room for 50 more of each."""
    await_names()
    templates, sites = registry_counts()
    limit_registry(templates + 50, sites + 50)
    yield
    limit_registry()


def rule(logger: object, number: int, text: str = "rule {}", size: int = 0):
    """A function of its own, from a code object of its own."""
    constant = f"x = {'c' * size!r}\n    " if size else ""
    scope = {"logger": logger, "__name__": "rules"}
    exec(f"def rule{number}(i):\n    {constant}logger.info({text!r}, i, n={number})", scope)
    return scope[f"rule{number}"]


# ---- what gets a place


def test_texts_that_the_program_makes_take_no_place(shown: Output) -> None:
    for i in range(30):
        shown.logger.info(f"warmed up {i} {{}}", i, action="x")
        shown.logger.info(f"warmed up {i}", action="x")
    before = registry_counts()[0], alias_counts()[0]
    for i in range(9000):
        shown.logger.info(f"user {i} did", action="x")
    for i in range(9000):
        shown.logger.info(f"user {i} did {{}}", i)
    assert (registry_counts()[0], alias_counts()[0]) == before
    lines = shown.text().splitlines()
    assert [line.split("|")[3] for line in lines[-18000:-9000]] == [f"user {i} did" for i in range(9000)]
    assert [line.split("|")[3] for line in lines[-9000:]] == [f"user {i} did {i}" for i in range(9000)]


@pytest.mark.parametrize(
    "text", ["user {name} did", "} {", "{}", "\u00e9t\u00e9", "\u4e2d", "\U0001f600 {", "\ud800", "x\0{y"]
)
def test_a_made_text_with_fields_is_written_as_it_is(shown: Output, text: str) -> None:
    for i in range(3):
        shown.logger.info("".join([text, "-", str(i)]), action="x")
    expected = [f"{text}-{i}".replace("\ud800", "\\ud800") for i in range(3)]
    assert [line.split("|")[3] for line in shown.text().splitlines()] == expected
    shown.has_failed(0)


def test_a_constant_takes_a_place_at_its_first_call(shown: Output) -> None:
    text = "a constant of this function alone {}"
    assert not has_template("".join([text[:10], text[10:]]))
    shown.logger.info("a constant of this function alone {}", 1)
    assert has_template(text)


def test_a_template_that_comes_twice_takes_a_place(shown: Output) -> None:
    made = "".join(["made once", " {}"])
    shown.logger.info(made, 1)
    assert not has_template(made)
    shown.logger.info(made, 2)
    assert has_template(made)
    again = "".join(["made twice", " {}"])
    shown.logger.info(again, 1)
    assert not has_template(again)
    shown.logger.info("".join(["made twice", " {}"]), 2)
    assert has_template(again)
    assert [line.split("|")[3] for line in shown.text().splitlines()] == [
        "made once 1",
        "made once 2",
        "made twice 1",
        "made twice 2",
    ]


def test_the_same_template_in_many_modules_is_found_from_each(shown: Output) -> None:
    rules = [rule(shown.logger, i, "many modules say {}") for i in range(40)]
    for one in rules:
        one(0)
        one(0)  # again, because much code may have ended in this process
    before = registry_counts(), alias_counts()
    for one in rules:
        one(1)
    assert (registry_counts(), alias_counts()) == before
    assert len({id(one.__code__.co_consts) for one in rules}) == 40


# ---- what goes


@with_gil
def test_a_template_that_the_program_lets_go_is_let_go(shown: Output) -> None:
    def log_made(i: int) -> None:
        made = "".join(["let go ", str(i), " {}"])
        shown.logger.info(made, 1)
        shown.logger.info(made, 2)

    log_made(0)
    before, aliases = registry_counts()[0], alias_counts()[0]
    for i in range(1, 2000):
        log_made(i)
    assert alias_counts()[0] < aliases + 1000
    assert registry_counts()[0] < before + 2000
    lines = shown.text().splitlines()
    assert [line.split("|")[3] for line in lines] == [f"let go {i} {j}" for i in range(2000) for j in (1, 2)]


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="CPython without a GIL keeps the constants of code itself")
def test_code_is_not_kept_alive(shown: Output) -> None:
    gc.collect()
    rules = [rule(shown.logger, i, size=1000) for i in range(100)]
    for one in rules:
        one(1)
        one(2)
    watched = [weakref.ref(one.__code__) for one in rules]
    with_sites = alias_counts()[1]
    del rules, one
    wait_until(lambda: gc.collect() >= 0 and [one() for one in watched] == [None] * 100, "the end of the code")
    assert alias_counts()[1] == with_sites - 100
    assert [line.split("|")[1:4:2] for line in shown.text().splitlines()] == [
        [f"rule{i}", f"rule {j}"] for i in range(100) for j in (1, 2)
    ]
    sites = registry_counts()[1]
    wait_until(collect_names, "the engine")
    assert registry_counts()[1] == sites - 100


@pytest.mark.usefixtures("small_tables")
def test_numbers_are_given_again_and_never_to_a_record_of_before(shown: Output, tmp_path: Path) -> None:
    staged: list[tuple[str, str]] = []
    shown.logger.add_sink(SinkConfig(function=lambda record: staged.append((record.function, record.message))))
    wanted = [f"rule{i}" for i in range(1, 3000, 2)]
    shown.logger.add_sink(SinkConfig(path=tmp_path / "odd.log", format="{function}", filter_function=wanted))
    for i in range(3000):
        one = rule(shown.logger, i, f"rule {i % 70} says {{}}")
        for j in range(3):
            one(j)
    lines = [line.split("|") for line in shown.text().splitlines()]
    expected = [(f"rule{i}", f"rule {i % 70} says {j}") for i in range(3000) for j in range(3)]
    assert [(line[1], line[3]) for line in lines] == expected
    assert staged == expected
    odd = (tmp_path / "odd.log").read_text().split()
    assert odd == [name for name in wanted for _ in range(3)]
    shown.has_failed(0)


@with_gil
@pytest.mark.usefixtures("small_tables")
def test_what_no_record_has_named_for_a_while_makes_room(shown: Output) -> None:
    rules = [rule(shown.logger, i, f"crowd {i} {{}}") for i in range(60)]
    for one in rules:
        one(0)
    late = rule(shown.logger, 1000, "late {}")

    def late_has_a_place() -> bool:
        late(1)
        return shown.logger.flush(30) and has_site(late.__code__)

    wait_until(late_has_a_place, "a place for a late call site")
    for i, one in enumerate(rules):
        one(i)
    lines = [line.split("|") for line in shown.text().splitlines()]
    assert [(line[1], line[3]) for line in lines[-60:]] == [(f"rule{i}", f"crowd {i} {i}") for i in range(60)]


@pytest.mark.usefixtures("small_tables")
def test_threads_that_make_code_and_texts_all_the_time(shown: Output) -> None:
    def work(number: int) -> None:
        mine = rule(shown.logger, number, f"steady {number} {{}}")
        for i in range(400):
            rule(shown.logger, number * 1000 + i, f"t{number} {i} {{}}")(i)
            mine(i)
            made = f"made {number} {i} {{}}"
            shown.logger.info(made, i)
            shown.logger.info(made, i)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    finally:
        sys.setswitchinterval(before)
    lines = [line.split("|") for line in shown.text().splitlines()]
    for number in range(1, 5):
        steady = [line[3] for line in lines if line[1] == f"rule{number}"]
        assert steady == [f"steady {number} {i}" for i in range(400)]
        fresh = [(line[1], line[3]) for line in lines if line[1].startswith(f"rule{number}") and len(line[1]) == 8]
        assert fresh == [(f"rule{number * 1000 + i}", f"t{number} {i} {i}") for i in range(400)]
        made = [line[3] for line in lines if line[3].startswith(f"made {number} ")]
        assert made == [f"made {number} {i} {i}" for i in range(400) for _ in range(2)]
    shown.has_failed(0)


@with_gil
@pytest.mark.usefixtures("small_tables")
def test_a_template_is_not_given_up_between_its_lookup_and_its_record(shown: Output) -> None:
    crowd = [rule(shown.logger, i, f"crowd {i} {{}}") for i in range(200)]

    class Slow:
        def __str__(self) -> str:
            for _ in range(3):
                for one in crowd:
                    one(0)
            return "slow"

    def log(value: object) -> None:
        shown.logger.info("the outer one {}", 1, value=value)

    for _ in range(5):
        log(Slow())
    lines = [line.split("|") for line in shown.text().splitlines()]
    outer = [line for line in lines if line[3].startswith("the outer")]
    assert [(line[1], line[3]) for line in outer] == [("log", "the outer one 1")] * 5
    assert all(line[3] == f"crowd {line[1][4:]} 0" for line in lines if line[1].startswith("rule"))


@pytest.mark.usefixtures("small_tables")
def test_a_forked_child_gives_numbers_back_too(shown: Output, tmp_path: Path) -> None:
    def make_much(first: int) -> None:
        for i in range(first, first + 500):
            rule(shown.logger, i, f"rule {i} {{}}")(i)

    make_much(0)
    child = fork(lambda: (make_much(1000), shown.logger.close()))
    make_much(500)
    children_end_well([child])
    lines = [line.split("|") for line in shown.text().splitlines()]
    assert all(line[3] == f"rule {line[1][4:]} {line[1][4:]}" for line in lines)
    numbers = [int(line[1][4:]) for line in lines]
    assert [number for number in numbers if number < 1000] == list(range(1000))
    assert [number for number in numbers if number >= 1000] == list(range(1000, 1500))


@pytest.mark.parametrize("written", ["", "logger.flush()"])
def test_a_killed_process_had_given_numbers_twice(tmp_path: Path, written: str) -> None:
    registry_counts()
    made = f"""
from logly import _core
templates, sites = _core.registry_counts()
_core.limit_registry(templates + 50, sites + 50)
for i in range(2000):
    scope = dict(logger=logger)
    exec(f"def rule{{i}}(j):\\n    logger.info('rule {{i}} {{{{}}}}', j, n={{i}})", scope)
    for j in range(3):
        scope[f"rule{{i}}"](j)
    if i == 1000:
        {written or "pass"}
"""
    dies(tmp_path, made, "os.kill(os.getpid(), signal.SIGKILL)")
    assert revive(tmp_path, "app.log", layout="{function}|{message}") == []
    lines = (tmp_path / "app.log").read_text().splitlines()
    found = [line.rpartition("|")[2] if "|" in line else line for line in lines]
    texts = [line.split(" | ")[-2] if " | " in line else found[i] for i, line in enumerate(lines)]
    assert texts == [f"rule {i} {j}" for i in range(2000) for j in range(3)]
    for line in lines:
        number = line.split("rule")[1].split("|")[0].split(":")[0].strip()
        assert f"rule {number} " in line, line


def test_threads_remember_messages_in_the_same_place(tmp_path: Path) -> None:
    """Without a GIL, two threads that put their message in the place of the same third one both let that one go."""
    with file_logger(tmp_path / "log") as logger:
        places = (f"{{}} {number}" for number in itertools.count())
        texts = [text for text in itertools.islice(places, 20_000) if hash(text) % 64 == 0]
        shared = [text[:1] + text[1:] for text in texts]  # no constants of this code
        before = [sys.getrefcount(text) for text in shared]

        def work(seed: int) -> None:
            choose = Random(seed)
            for _ in range(4000):
                text = choose.choice(shared)
                logger.info(text[:2] + text[2:] if choose.random() < 0.5 else text, 1)

        run_threads(*(partial(work, seed) for seed in range(4)))
        assert logger.flush()
        # What the registry holds now is at least what it held before: no count was given back twice.
        after = [sys.getrefcount(text) for text in shared]
        assert all(now >= then for now, then in zip(after, before, strict=True)), (before, after)
        assert_books(logger, 16_000)
