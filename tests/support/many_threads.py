"""Numbered records of many threads, and whether all of them are there."""

import collections
import sysconfig

import pytest

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
needs_free_threading = pytest.mark.skipif(not FREE_THREADED, reason="one ring: this CPython has a GIL")
THREADS = 6
RECORDS = 2_000
RING = 65536


def writer(logger, name, records=RECORDS):
    def write():
        for i in range(records):
            logger.info("{} {}", name, i)

    return write


def writers(logger, records=RECORDS):
    return [writer(logger, name, records) for name in range(THREADS)]


def of_threads(lines):
    """The numbers that each thread has written, in the order of the lines."""
    numbers = collections.defaultdict(list)
    for line in lines:
        name, number = line.split()[-2:]
        numbers[int(name)].append(int(number))
    return numbers


def assert_complete(lines, threads=THREADS, records=RECORDS):
    """Every record once, each thread's in the order in which it was logged."""
    numbers = of_threads(lines)
    assert sorted(numbers) == list(range(threads))
    for written in numbers.values():
        assert written == list(range(records))
