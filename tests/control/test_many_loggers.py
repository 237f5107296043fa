"""A process with many loggers: all of them are found at its exit and at a fork."""

import sys
import threading

from logly.control import process
from tests.support.loggers import make_logger


def test_the_loggers_can_be_listed_while_threads_make_others() -> None:
    kept = [make_logger() for _ in range(100)]
    is_over = threading.Event()

    def make() -> None:
        while not is_over.is_set():
            make_logger()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            found = set(map(id, process.controllers()))
            assert found.issuperset(id(logger._controller) for logger in kept)
    finally:
        is_over.set()
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join()
    for logger in kept:
        logger.close()
