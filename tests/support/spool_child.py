"""A process that logs at full speed until it is killed: what the tests of the spool start.

Each thread notes in a mapped file how many of its calls have returned: those records were committed.
"""

import argparse
import mmap
import sys
import threading
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig

COUNTERS = 64


def run(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    with (folder / "progress").open("r+b") as file:
        # One store per count. (struct.pack_into clears the bytes first: a kill in between would leave a zero.)
        progress = memoryview(mmap.mmap(file.fileno(), 8 * COUNTERS)).cast("Q")
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

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(options.threads)]
    for thread in threads:
        thread.start()
    print("running", flush=True)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--ring", type=int, default=1 << 20)
    parser.add_argument("--interval", type=float, default=100)
    parser.add_argument("--fsync", type=float, default=None)
    parser.add_argument("--size-limit", type=int, default=None)
    parser.add_argument("--sink", action="append", default=[])
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    options.sink = options.sink or ["app.log"]
    sys.setswitchinterval(0.0005)
    run(options)
