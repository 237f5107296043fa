"""A process that logs at full speed until it is killed: what the tests of the spool start.

Each thread notes in a mapped file how many of its calls have returned: those records were committed.
"""

import argparse
import mmap
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig

COUNTERS = 64


def counters(folder: Path) -> memoryview:
    """The mapped numbers. (One store each: struct.pack_into clears the bytes first, and a kill would leave a zero.)"""
    with (folder / "progress").open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8 * COUNTERS)).cast("Q")


def start(*functions: Callable[[], None]) -> None:
    """Runs each function in a thread of its own, and says so."""
    threads = [threading.Thread(target=function, daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    print("running", flush=True)
    for thread in threads:
        thread.join()


def options_parser(*, interval: float) -> argparse.ArgumentParser:
    """The options that children with spools share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--ring", type=int, default=1 << 20)
    parser.add_argument("--interval", type=float, default=interval)
    parser.add_argument("--fsync", type=float, default=None)
    parser.add_argument("--size-limit", type=int, default=None)
    parser.add_argument("--sink", action="append", default=[])
    parser.add_argument("--sync", action="store_true")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    options.sink = options.sink or ["app.log"]
    sys.setswitchinterval(0.0005)
    return options


def run(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    progress = counters(folder)
    config = LoggerConfig(
        spool=folder / "app.spool",
        spool_fsync=options.fsync,
        async_buffer_size=options.ring,
        async_flush_interval=options.interval,
        flush_level=None,
    )
    logger = Logger(config, name="child")
    for name in options.sink:
        logger.add_sink(
            SinkConfig(
                path=folder / name,
                format="{message}",
                size_limit=options.size_limit,
                async_write=not options.sync,
                flush_interval=None if name != "second.log" else 1,
            )
        )

    def work(number: int) -> None:
        count = progress[number] if options.resume else 0
        filling = "x" * 30_000
        while True:
            if options.mixed and count % 1000 == 500:
                logger.info("r {} {} {}", number, count, filling)
            elif options.mixed and count % 3 == 0:
                logger.info(f"r {number} {count}")
            else:
                logger.info("r {} {} {:.3f}", number, count, count / 7)
            count += 1
            progress[number] = count

    start(*(partial(work, number) for number in range(options.threads)))


if __name__ == "__main__":
    parser = options_parser(interval=100)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--resume", action="store_true")
    run(parsed(parser))
