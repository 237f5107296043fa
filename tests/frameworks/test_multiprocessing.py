"""Processes of `multiprocessing`: they end by os._exit, and their last lines are there all the same."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.log_files import lines_of
from tests.support.loggers import file_logger

if TYPE_CHECKING:
    from logly import Logger

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


inherited: list[Logger] = []


def work(path: Path, who: int) -> None:
    logger = inherited[0] if inherited else file_logger(path)
    for i in range(500):
        logger.info("{} {}", who, i)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_last_lines_of_a_child_are_there(tmp_path: Path, method: str) -> None:
    path = tmp_path / "log"
    context = multiprocessing.get_context(method)
    logger = file_logger(path)
    logger.info("parent 0")
    if method == "fork":
        inherited.append(logger)
    try:
        children = [context.Process(target=work, args=(path, who)) for who in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == 0
    finally:
        inherited.clear()
    logger.close()
    assert Counter(lines_of(path)) == Counter(["parent 0", *(f"{who} {i}" for who in range(3) for i in range(500))])
