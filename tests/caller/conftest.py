"""A logger, and what becomes of what it is given."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from logly import Logger, Record
from tests.support.diagnosed import Diagnosed
from tests.support.loggers import assert_books, counting_logger, records_of
from tests.support.output import Output


@pytest.fixture
def output(tmp_path: Path):
    output = Output(tmp_path)
    yield output
    assert_books(output.logger)
    output.logger.close()
    stats = output.logger.stats()
    assert (stats.dropped, stats.failed, stats.pending) == (0, 0, 0)


@pytest.fixture
def shown(tmp_path: Path):
    """With every part of a record in the line."""
    output = Output(tmp_path, "{level}|{module}|{function}|{lineno}|{message}|{fields}|{exception}")
    yield output
    output.logger.close()


@pytest.fixture
def logger() -> Iterator[Logger]:
    yield from counting_logger()


@pytest.fixture
def records(logger: Logger) -> list[Record]:
    """What the logger has given a sink."""
    return records_of(logger)


@pytest.fixture
def diagnosed() -> Iterator[Diagnosed]:
    one = Diagnosed()
    yield one
    one.logger.close()
