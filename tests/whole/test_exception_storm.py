"""Very many exceptions: every line is there, each text is exact, and neither memory nor places grow."""

from __future__ import annotations

import gc
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from logly import _core
from tests.support.hooks import await_names, limit_registry, place_counts
from tests.support.output import Output
from tests.support.spooling import dies, revive
from tests.support.threads import run_threads

MIB = 1 << 20
THREADS = 4
SLACK_BYTES = 4 * MIB
"""80,000 exceptions come after the first look."""
BEGIN = "\x02"
"""Begins each record: no traceback contains it."""


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Output]:
    output = Output(tmp_path, BEGIN + "{message}", flush_level=None)
    yield output
    output.logger.close()


@pytest.fixture
def few_places() -> Iterator[None]:
    """Room for 50 more."""
    await_names()
    limit_registry(places=place_counts()[0] + 50)
    yield
    limit_registry()


def records(text: str) -> list[tuple[str, str]]:
    """The message of each record, and the traceback below it."""
    found = [record.partition("\n") for record in text.split(BEGIN)[1:]]
    return [(message, trace) for message, _, trace in found]


def order(number: object) -> None:
    raise ValueError(f"order {number} failed")


def again(number: object, times: int = 6) -> None:
    if times:
        again(number, times - 1)
    else:
        order(number)


def chained(number: object) -> None:
    try:
        order(number)
    except ValueError as error:
        raise RuntimeError(f"order {number} refused") from error


def grouped(number: object) -> None:
    errors = []
    for fail in (order, chained):
        try:
            fail(number)
        except Exception as error:  # noqa: BLE001
            errors.append(error)
    raise ExceptionGroup(f"orders like {number}", errors)


KINDS: list[Callable[[object], None]] = [order, again, chained, grouped]


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def storm(logger: Any, who: int, first: int, count: int) -> dict[int, str]:
    """Logs exceptions beside ordinary lines. Returns what `traceback` makes of some of them, by their number."""
    spots = {}
    for i in range(first, first + count):
        logger.info("t{} {}", who, i)
        try:
            KINDS[i & 3](f"{who}-{i}")
        except Exception as error:
            logger.exception("t{} {}", who, i)
            if i - first < 4 or i % 1000 < 4:
                spots[i] = "".join(traceback.format_exception(error))
    return spots


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_storm_from_four_threads(shown: Output) -> None:
    each, early = 25_000, 5_000
    spots = run_threads(*(partial(storm, shown.logger, who, 0, early) for who in range(THREADS)))
    assert shown.logger.flush(60)
    gc.collect()
    before, places = rss_bytes(), place_counts()
    more = run_threads(*(partial(storm, shown.logger, who, early, each - early) for who in range(THREADS)))
    assert shown.logger.flush(60)
    gc.collect()
    # There each new thread has a ring, and of CPython's a heap, whose pages come and go: 43 to 49 MiB without a logger,
    # 45 to 53 with one, over 800,000 exceptions (3.13).
    if not _core.IS_FREE_THREADED:
        assert rss_bytes() - before < SLACK_BYTES
    assert place_counts() == places, "all places were known"
    stats = shown.logger.stats()
    assert (stats.emitted, stats.written, stats.dropped, stats.failed) == (200_000, 200_000, 0, 0)
    found: list[list[tuple[str, str]]] = [[] for _ in range(THREADS)]
    for message, trace in records(shown.text()):
        found[int(message[1])].append((message, trace))
    for who in range(THREADS):
        expected = spots[who] | more[who]
        assert [message for message, _ in found[who]] == [f"t{who} {i}" for i in range(each) for _ in range(2)]
        assert all(trace == "" for _, trace in found[who][::2])
        # The same kind of exception differs in its number alone.
        kinds = [expected[i].replace(f"{who}-{i}", "NUMBER") for i in range(4)]
        for i, (_, trace) in enumerate(found[who][1::2]):
            assert trace == kinds[i & 3].replace("NUMBER", f"{who}-{i}")
        assert all(found[who][2 * i + 1][1] == text for i, text in expected.items())
    assert shown.told == []


MADE = """\
def made{0}(i):
    # a line of its own, {0}
    inner{0}(i)


def inner{0}(i):
    raise ValueError("made {0} failed" + str(i))
"""


def made(number: int, file: str = "<made>") -> Callable[[int], None]:
    """A function from code objects of its own, with lines of source of its own."""
    source = MADE.format(number)
    file = f"{file}{number}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(source, file, "exec"), scope)
    return scope[f"made{number}"]  # type: ignore[no-any-return]


def logged(logger: Any, fail: Callable[[int], None], number: int, i: int) -> tuple[str, str]:
    """Logs what the function raises. Returns the record that there must be."""
    try:
        fail(i)
    except ValueError as error:
        logger.error("{} {}", number, i, exc_info=error)
        return f"{number} {i}", "".join(traceback.format_exception(error))
    raise AssertionError


@pytest.mark.parametrize("few", [False, True])
def test_code_that_ends_all_the_time(shown: Output, few: bool, request: pytest.FixtureRequest) -> None:
    if few:
        request.getfixturevalue("few_places")

    def work(who: int) -> list[tuple[str, str]]:
        expected = []
        for number in range(who, 2000, THREADS):
            fail = made(number)
            expected += [logged(shown.logger, fail, number, i) for i in range(1, 4)]
            del linecache.cache[f"<made>{number}.py"]
        return expected

    await_names()
    before = place_counts()[0]
    expected = run_threads(*(partial(work, who) for who in range(THREADS)))
    found = records(shown.text())
    assert sorted(found) == sorted(record for some in expected for record in some)
    gc.collect()
    await_names()
    if not _core.IS_FREE_THREADED:
        assert place_counts()[0] < before + 50
    assert shown.told == []


def test_all_entries_of_a_deep_traceback_get_places_at_the_second_sight(shown: Output) -> None:
    """Also where the program makes code all the time. Then nothing gets a place at the first sight."""
    for number in range(1100):
        logged(shown.logger, made(number), number, 0)
    gc.collect()
    await_names()
    before = place_counts()[0]
    lines = [f"def deep{i}():\n    deep{i + 1}()\n" for i in range(60)]
    source = "".join(lines) + "def deep60():\n    raise ValueError('deep')\n"
    scope: dict[str, Any] = {}
    exec(compile(source, "<deep>", "exec"), scope)
    with pytest.raises(ValueError, match="deep") as caught:
        scope["deep0"]()
    expected = "".join(traceback.format_exception(caught.value))
    for _ in range(2):
        shown.logger.error("deep", exc_info=caught.value)
    assert place_counts()[0] >= before + 60
    assert records(shown.text())[-2:] == [("deep", expected)] * 2


@pytest.mark.usefixtures("few_places")
def test_more_code_than_there_are_places(shown: Output) -> None:
    """What finds no place is shown all the same."""
    limit = place_counts()[0] + 50
    fails = [made(number) for number in range(200)]
    expected = [logged(shown.logger, fail, number, i) for i in range(1, 6) for number, fail in enumerate(fails)]
    assert records(shown.text()) == expected
    assert place_counts()[0] <= limit


@pytest.mark.skipif(_core.IS_FREE_THREADED, reason="CPython 3.13 without a GIL keeps code for ever, and its places")
def test_texts_are_bounded_by_their_bytes(shown: Output) -> None:
    """Places whose texts are long take the room of many."""
    fails = []
    for number in range(300):
        file = f"<{'long' * 10_000}>{number}"
        source = "def fail(i):\n    raise ValueError(i)\n"
        scope: dict[str, Any] = {}
        exec(compile(source, file, "exec"), scope)
        fails.append(scope["fail"])
    for i in range(1, 3):
        for number, fail in enumerate(fails):
            expected = logged(shown.logger, fail, number, i)
            assert place_counts()[1] <= 8 * MIB
            if number % 50 == 0:
                assert records(shown.text())[-1] == expected
    assert len(records(shown.text())) == 600
    fails.clear()
    del scope, fail
    gc.collect()
    assert place_counts()[1] < MIB, "the code's places go with it"


@pytest.mark.parametrize("limit", ["", "_core.limit_registry(places=_core.place_counts()[0] + 50)"])
def test_a_killed_process_had_given_places_twice(tmp_path: Path, limit: str) -> None:
    place_counts()
    program = f"""
import linecache
from pathlib import Path
import traceback
from logly import _core
from tests.whole.test_exception_storm import MADE, logged, made
{limit}
logger.add_sink(SinkConfig(path=folder / "storm.log", format={BEGIN + "{message}"!r}, newlines="keep"))
expected = []
for number in range(1500):
    fail = made(number)
    for i in range(1, 3):
        expected.append(logged(logger, fail, number, i)[1])
    if number == 700:
        logger.flush()
(folder / "expected").write_text("{BEGIN}".join(expected))
"""
    dies(tmp_path, program, "os.kill(os.getpid(), signal.SIGKILL)")
    assert revive(tmp_path, "app.log", "storm.log", layout=BEGIN + "{message}", newlines="keep") == []
    found = [trace for _, trace in records((tmp_path / "storm.log").read_text())]
    assert found == (tmp_path / "expected").read_text().split(BEGIN)
