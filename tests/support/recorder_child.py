"""A process with a flight recorder that logs at full speed until it is killed: for tests/spool/test_recorder_kills.py.

Each thread says in each record how many of its calls came before, of both kinds. It notes in a mapped file how many
have returned.

    r THREAD WRITTEN KEPT        a record that is written
    k THREAD KEPT WRITTEN        one for the flight recorder
"""

import argparse
import os
import threading
from functools import partial
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.spool_child import counters, options_parser, parsed, start

KEPT = 16
"""From this counter on: kept ones, by thread."""
LOST = 63
"""The counter of records that were dropped or overwritten."""
AHEAD = 40
"""So many written records a paced thread may be ahead of the slowest one."""


def run(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    progress = counters(folder)
    config = LoggerConfig(
        spool=folder / "app.spool",
        spool_fsync=options.fsync,
        async_buffer_size=options.ring,
        async_flush_interval=options.interval,
        flush_level=None,
        recorder="debug",
        recorder_size=options.recorder,
        recorder_field=options.field,
    )
    logger = Logger(config, name="child")
    for name in options.sink:
        logger.add_sink(
            SinkConfig(
                path=folder / name,
                format="{message}",
                size_limit=options.size_limit,
                flush_interval=None if name != "second.log" else 1,
                buffer_size=65536 if name != "second.log" else 256,
                async_write=not options.sync,
            )
        )
    filling = "x" * 140_000

    def pace(number: int) -> None:
        """Waits for the flusher, and for the other threads: what a slow one has kept is held until its next error."""
        stats = logger.stats()
        while stats.pending > options.pace or progress[number] > min(progress[: options.threads].tolist()) + AHEAD:
            os.sched_yield()
            stats = logger.stats()
        progress[LOST] = stats.dropped + stats.overwritten

    def work(number: int) -> None:
        written = kept = turn = 0
        while not options.calls or written < options.calls:
            for _ in range(options.kept):
                tail = filling if options.large and kept % options.large == 1 else ""
                logger.debug("k {} {} {} {}", number, kept, written, tail, request=number)
                kept += 1
                progress[KEPT + number] = kept
            turn += 1
            if options.trigger_every and turn % options.trigger_every == number % options.trigger_every:
                logger.error("r {} {} {} error", number, written, kept, request=number)
            else:
                logger.info("r {} {} {}", number, written, kept)
            written += 1
            progress[number] = written
            if options.pace:
                pace(number)
        threading.Event().wait()

    def dump() -> None:
        while True:
            logger.dump_recorder("asked" if options.reason else None)

    dumping = [dump] if options.dump else []
    start(*(partial(work, number) for number in range(options.threads)), *dumping)


if __name__ == "__main__":
    parser = options_parser(interval=20)
    parser.add_argument("--recorder", type=int, default=1 << 20)
    parser.add_argument("--field", default=None)
    parser.add_argument("--kept", type=int, default=5)
    parser.add_argument("--calls", type=int, default=0, help="of written ones, per thread; then nothing more is logged")
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--trigger-every", type=int, default=0)
    parser.add_argument("--pace", type=int, default=0)
    parser.add_argument("--dump", action="store_true")
    parser.add_argument("--reason", action="store_true")
    run(parsed(parser))
