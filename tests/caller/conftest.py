"""A logger, and what becomes of what it is given."""

from pathlib import Path

import pytest

from tests.support.loggers import assert_books
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
