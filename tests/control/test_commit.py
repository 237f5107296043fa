"""A change is made in one step: all of it or nothing, whatever its parts do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from logly._core import Core, change_count, commit
from tests.support.loggers import make_logger


@pytest.fixture
def core() -> Iterator[Core]:
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        yield logger._controller.core


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_change_that_was_prepared_for_another_state_is_not_made(core: Core) -> None:
    done: list[int] = []
    seen = change_count(core)
    assert commit(core, seen, [(done.append, (1,))], [], [(done.append, (2,))])
    assert not commit(core, seen, [(done.append, (3,))], [(done.append, (4,))], [(done.append, (5,))])
    assert done == [1, 2]


def test_a_change_that_fails_is_undone_and_goes_no_further(core: Core) -> None:
    done: list[str] = []
    may_fail = [(done.append, ("begun",)), (fail, ("no memory",)), (done.append, ("never",))]
    with pytest.raises(ValueError, match="no memory"):
        commit(core, change_count(core), may_fail, [(done.remove, ("begun",))], [(done.append, ("step",))])
    assert done == []


def test_the_steps_are_all_made_even_if_one_raises(core: Core) -> None:
    done: list[str] = []
    steps = [(done.append, ("one",)), (fail, ("two",)), (done.append, ("three",))]
    with pytest.raises(ValueError, match="two"):
        commit(core, change_count(core), [], [(done.append, ("undone",))], steps)
    assert done == ["one", "three"]


def test_the_core_does_not_know_a_sink_that_was_removed(tmp_path: Path) -> None:
    with make_logger() as logger:
        number = logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
        sink = logger._controller.sinks[number]
        assert sink.handle.is_registered
        assert logger.remove_sink(number)
        assert not sink.handle.is_registered
        assert sink.layout is not None
        with pytest.raises(KeyError):
            sink.handle.stats()
        with pytest.raises(KeyError):
            sink.handle.set_layout(sink.layout)
        with pytest.raises(KeyError):
            sink.handle.replace_file(sink.files, None, None, sink.path)
