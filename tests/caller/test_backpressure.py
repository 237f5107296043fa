"""A ring that is too small for what is logged: nothing is lost unless dropping was asked for, and then it is told."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.forks import PipeReader
from tests.support.hooks import is_as_full_with_another
from tests.support.loggers import assert_books, file_logger
from tests.support.threads import run_threads
from tests.support.waiting import wait_until

SMALL = 4096


def numbers_by_thread(lines):
    """{thread: [numbers in the order of the file]} of lines "thread number ..."."""
    found = {}
    for line in lines:
        thread, number, *_ = line.split(" ")
        found.setdefault(int(thread), []).append(int(number))
    return found


def test_threads_of_different_speed_lose_nothing_and_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    counts = [8000, 4000, 2000, 500]

    def write(logger: Logger, thread: int, count: int) -> None:
        for i in range(count):
            logger.info("{} {} {}", thread, i, "x" * (i * 7 % 200))
            for _ in range(thread * 50):  # the later ones are slower
                pass

    with file_logger(path, async_buffer_size=SMALL) as logger:
        run_threads(*(lambda t=t, c=c: write(logger, t, c) for t, c in enumerate(counts)))
        assert logger.flush(30)
        stats = logger.stats()
        assert stats.ring_size == SMALL
        assert stats.ring_high_water <= SMALL
        assert (stats.emitted, stats.written, stats.dropped, stats.pending) == (sum(counts), sum(counts), 0, 0)
        lines = path.read_text().splitlines()
    assert numbers_by_thread(lines) == {t: list(range(c)) for t, c in enumerate(counts)}
    for line in lines:
        _, number, text = line.split(" ")
        assert text == "x" * (int(number) * 7 % 200)


def test_a_ring_that_is_emptied_while_a_caller_finds_it_full(tmp_path: Path) -> None:
    """Between its look at the full ring and its wait the flusher may take everything: nobody would wake it then."""

    def write(logger: Logger, thread: int) -> None:
        for i in range(1500):
            logger.info("{} {} {}", thread, i, "x" * (i * 7 % 200))

    for _ in range(400):
        with file_logger(tmp_path / "app.log", async_buffer_size=SMALL) as logger:
            run_threads(*(lambda t=t: write(logger, t) for t in range(3)))
            assert logger.flush(30)
            stats = logger.stats()
        assert stats.dropped == 0
        assert stats.blocked_ns < 2e9
        (tmp_path / "app.log").unlink()


def test_a_new_ring_in_the_memory_of_a_full_one_is_not_taken_for_it() -> None:
    """Nobody writes to it while all callers wait for its tail to move, so they would wait until they give up."""
    with Logger(LoggerConfig(auto_sink=False, async_buffer_size=SMALL)) as logger:
        assert is_as_full_with_another(logger) == (True, False)


def test_the_high_water_mark_of_a_burst_below_the_ring_s_half(tmp_path: Path) -> None:
    with file_logger(tmp_path / "app.log", async_buffer_size=1 << 20, async_flush_interval=60_000) as logger:
        for i in range(1000):
            logger.info("line {}", i)
        assert logger.flush(30)
        assert 1000 * 32 < logger.stats().ring_high_water < 1 << 19
        high = logger.stats().ring_high_water
        logger.info("one")
        assert logger.flush(30)
        assert logger.stats().ring_high_water == high


class Clogged:
    """A pipe as a sink, full before the logger writes its first byte."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        self.filled = 0
        for size in (65536, 1):
            try:
                while True:
                    self.filled += os.write(self.write_end, b"#" * size)
            except BlockingIOError:
                pass

    def read_on(self) -> PipeReader:
        return PipeReader(self.read_end)

    def text(self, reader: PipeReader) -> str:
        """What the logger has written; it must be closed."""
        os.close(self.write_end)
        return reader.close()[self.filled :].decode()


@pytest.fixture
def clogged():
    return Clogged()


def clogged_logger(clogged: Clogged, **config) -> Logger:
    logger = Logger(LoggerConfig(async_buffer_size=SMALL, stall_timeout=600, on_error=lambda error: None, **config))
    # No more than the ring may wait: the sink's buffer is small too.
    logger.add_sink(SinkConfig(fd=clogged.write_end, format="{message}", buffer_size=1024))
    return logger


def log_until(logger: Logger, done, text: str = "x" * 100) -> int:
    """Logs numbered lines until `done()`; returns how many."""
    count = 0
    while not done():
        logger.info("0 {} {}", count, text)
        count += 1
    return count


def test_drops_are_counted_and_told(clogged: Clogged) -> None:
    logger = clogged_logger(clogged, overflow="drop")
    count = log_until(logger, lambda: logger.stats().dropped >= 1000)
    assert_books(logger)
    reader = clogged.read_on()
    wait_until(lambda: logger.flush(1), "the flush")
    logger.info("0 {} after", count)
    assert logger.flush(30)
    stats = logger.stats()
    assert stats.emitted == count + 1
    assert stats.written + stats.dropped + stats.failed == stats.emitted
    logger.close()
    lines = clogged.text(reader).splitlines()
    told = [re.fullmatch(r"logly: (\d+) records? (?:dropped|lost).*", line) for line in lines]
    assert sum(int(match[1]) for match in told if match) == stats.dropped + stats.failed
    numbers = numbers_by_thread(line for line, match in zip(lines, told, strict=True) if not match)[0]
    assert numbers == sorted(numbers)
    assert numbers[-1] == count
    assert len(numbers) == stats.written


def test_a_full_ring_holds_the_caller_up_without_the_gil(clogged: Clogged) -> None:
    logger = clogged_logger(clogged)
    progress = [0]

    def write() -> None:
        for i in range(200_000):
            logger.info("0 {} {}", i, "y" * 100)
            progress[0] = i + 1
            if stop.is_set():
                return

    stop = threading.Event()
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    # This thread runs on while the other waits: that is what is tested here.
    seen = [-1]

    def is_held_up() -> bool:
        same, seen[0] = seen[0] == progress[0], progress[0]
        return same and progress[0] > 0 and logger.stats().ring_high_water > SMALL // 2

    for _ in range(20):
        wait_until(is_held_up, "the caller was not held up")
    assert_books(logger)
    stop.set()
    reader = clogged.read_on()
    writer.join(30)
    assert not writer.is_alive()
    assert logger.flush(30)
    stats = logger.stats()
    assert (stats.written, stats.dropped, stats.failed) == (progress[0], 0, 0)
    assert stats.blocked_ns > 0
    logger.close()
    assert numbers_by_thread(clogged.text(reader).splitlines()) == {0: list(range(progress[0]))}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX interval timers")
@pytest.mark.parametrize("raised", [KeyboardInterrupt, TimeoutError])
def test_a_signal_ends_the_wait_for_a_full_ring(clogged: Clogged, raised: type[BaseException]) -> None:
    logger = clogged_logger(clogged)

    def handler(*_: object) -> None:
        raise raised

    before = signal.signal(signal.SIGALRM, handler)
    count = 0
    try:
        with pytest.raises(raised):  # noqa: PT012 -- whichever call is blocked then
            signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
            while True:
                logger.info("0 {} {}", count, "z" * 100)
                count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_books(logger)
    stats = logger.stats()
    # The interrupted record was given up: it is in the books as dropped.
    assert (stats.emitted, stats.dropped) == (count + 1, 1)
    reader = clogged.read_on()
    assert logger.flush(30)
    logger.close()
    lines = [line for line in clogged.text(reader).splitlines() if not line.startswith("logly: ")]
    assert numbers_by_thread(lines) == {0: list(range(count))}


@pytest.mark.parametrize("capacity", [4096, 8192])
def test_messages_larger_than_the_ring(tmp_path: Path, capacity: int) -> None:
    path = tmp_path / "app.log"
    texts = [
        str(i) * size for i, size in enumerate([10, 1000, 2000, 5000, 100_000, 3, 2_000_000, 8200, 1, 4096, 70_000])
    ]
    with file_logger(path, async_buffer_size=capacity) as logger:
        for text in texts:
            logger.info(text)
            logger.info("{}|{}", text, 1)
            logger.info("{!r}", [text])
        assert logger.flush(30)
        stats = logger.stats()
        assert (stats.written, stats.dropped, stats.pending) == (3 * len(texts), 0, 0)
    expected = "".join(f"{text}\n{text}|1\n{[text]!r}\n" for text in texts)
    assert path.read_text() == expected


def test_large_and_small_messages_of_several_threads(tmp_path: Path) -> None:
    path = tmp_path / "app.log"

    def write(logger: Logger, thread: int, size: int, count: int) -> None:
        for i in range(count):
            logger.info("{} {} {}", thread, i, chr(97 + thread) * size)

    with file_logger(path, async_buffer_size=SMALL) as logger:
        sizes = [(0, 10, 3000), (1, 900, 800), (2, 20_000, 60), (3, 600_000, 6)]
        run_threads(*(lambda t=t, s=s, c=c: write(logger, t, s, c) for t, s, c in sizes))
        assert logger.flush(30)
    lines = path.read_text().splitlines()
    assert numbers_by_thread(lines) == {thread: list(range(count)) for thread, _, count in sizes}
    for line in lines:
        thread, _, text = line.split(" ")
        assert text == chr(97 + int(thread)) * sizes[int(thread)][1]


def test_flush_returns_under_continuous_load(tmp_path: Path) -> None:
    stop = threading.Event()

    def write(logger: Logger, thread: int) -> int:
        count = 0
        while not stop.is_set():
            logger.info("{} {}", thread, count)
            count += 1
        return count

    def flush_often(logger: Logger) -> int:
        try:
            for i in range(50):
                logger.info("9 {}", i)
                assert logger.flush(30)
                with (tmp_path / "app.log").open("rb") as file:
                    file.seek(-min(file.seek(0, 2), 1 << 22), 2)
                    assert f"9 {i}\n".encode() in file.read()
        finally:
            stop.set()
        return 50

    with file_logger(tmp_path / "app.log", async_buffer_size=SMALL) as logger:
        counts = run_threads(lambda: write(logger, 0), lambda: write(logger, 1), lambda: flush_often(logger))
        assert logger.flush(30)
        assert logger.stats().written == sum(counts)


def test_flush_with_a_timeout_says_that_it_was_not_done(clogged: Clogged) -> None:
    logger = clogged_logger(clogged)
    logger.info("0 0 waits")
    assert not logger.flush(0.05)
    assert not logger.flush(0)
    assert logger.stats().pending == 1
    reader = clogged.read_on()
    assert logger.flush(30)
    assert logger.stats().pending == 0
    logger.close()
    assert clogged.text(reader) == "0 0 waits\n"
