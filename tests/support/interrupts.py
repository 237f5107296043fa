"""Cuts one public call of a logger at each of its instants, and looks whether the logger is sound after each cut.

`python -m tests.support.interrupts CALL HOW FOLDER [FIRST [STEP]]`, where HOW is one of

- `once`: a signal handler raises KeyboardInterrupt at the n-th instant at which CPython runs handlers; n = 1, 2, ...
  until the call is through before that;
- `hammered`: and at every instant after that, so that no cleanup that is written in Python comes far;
- `memory`: the n-th allocation fails.

`python -m tests.support.interrupts storm FOLDER TIMES SEED` cuts calls by a timer, at random.

See `test_interrupts.py`.
"""

from __future__ import annotations

import gc
import os
import pty
import shutil
import signal
import sys
import threading
import tty
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from logly import Logger, LoggerConfig, SinkConfig
from logly.files.housekeeper import housekeeper
from tests.probe.interrupts import Cutter, run_out_of_memory  # type: ignore[import-not-found]
from tests.support.interrupted_batches import *  # noqa: F403  # calls, as those below
from tests.support.soundness import assert_sound, descriptors, threads
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # What is checked afterwards (None: whatever the call made is nobody's any more), and the call.
    Case = Iterator[tuple[Logger | None, Callable[[], object]]]

ROTATING = {"size_limit": 4096, "rotation": "daily", "retention": 3, "compression": "gzip"}


def made(path: Path | None = None, **config: object) -> Logger:
    logger = Logger(LoggerConfig(auto_sink=False, on_error=TROUBLE.append, **config))  # type: ignore[arg-type]
    if path is not None:
        logger.add_sink(SinkConfig(path=path, format="{message}"))
    return logger


TROUBLE: list[BaseException] = []


# ---- one public call each


def add_sink(folder: Path) -> Case:
    logger = made()
    yield logger, lambda: logger.add_sink(SinkConfig(path=folder / "app.log"))


def add_sink_beside_another(folder: Path) -> Case:
    logger = made(folder / "other.log")
    logger.info("one")
    yield logger, lambda: logger.add_sink(SinkConfig(path=folder / "app.log", filter_module=["a"]))


def add_sink_that_rotates(folder: Path) -> Case:
    logger = made()
    path = folder / "app.log"
    path.write_text("x" * 5000 + "\n")  # more than the limit: it is rotated at once
    yield logger, lambda: logger.add_sink(SinkConfig(path=path, **ROTATING))


def add_sink_of_function(folder: Path) -> Case:
    logger = made()
    yield logger, lambda: logger.add_sink(SinkConfig(function=lambda record: None))


def add_sink_of_terminal(folder: Path) -> Case:
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    logger = made()
    yield logger, lambda: logger.add_sink(SinkConfig(fd=terminal))
    os.close(terminal)
    os.close(master)


def add_sink_for_automatic_one(folder: Path) -> Case:
    logger = Logger(LoggerConfig(global_console_display=False))
    yield logger, lambda: logger.add_sink(SinkConfig(path=folder / "app.log"))


def add_sink_to_spool(folder: Path) -> Case:
    logger = made(spool=folder / "app.spool", async_buffer_size=4096)
    yield logger, lambda: logger.add_sink(SinkConfig(path=folder / "app.log"))


def remove_sink(folder: Path) -> Case:
    logger = made(folder / "app.log")
    sink = logger.add_sink(SinkConfig(path=folder / "other.log", **ROTATING))
    logger.info("one")
    yield logger, lambda: logger.remove_sink(sink)


def remove_sink_of_function(folder: Path) -> Case:
    logger = made(folder / "app.log")
    sink = logger.add_sink(SinkConfig(function=lambda record: None))
    logger.info("one")
    yield logger, lambda: logger.remove_sink(sink)


def remove_all_sinks(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.add_sink(SinkConfig(path=folder / "other.log"))
    logger.info("one")
    yield logger, logger.remove_all_sinks


def disable_sink(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    yield logger, lambda: logger.disable_sink(1)


def enable_sink(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    logger.disable_sink(1)
    yield logger, lambda: logger.enable_sink(1)


def disable(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, logger.disable


def enable(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.disable()
    yield logger, logger.enable


def configure(folder: Path) -> Case:
    logger = made(folder / "app.log")
    config = LoggerConfig(level="WARNING", auto_sink=False, async_buffer_size=8192, custom_levels={"AUDIT": 35})
    yield logger, lambda: logger.configure(config)


def configure_by_keywords(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.configure(level="WARNING", async_buffer_size=8192, custom_levels={"AUDIT": 35})


def configure_file_storage_off(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    yield logger, lambda: logger.configure(LoggerConfig(auto_sink=False, global_file_storage=False))


def configure_automatic_sink(folder: Path) -> Case:
    logger = made()
    yield logger, lambda: logger.configure(LoggerConfig(global_console_display=False))


def configure_spool(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    config = LoggerConfig(auto_sink=False, spool=folder / "app.spool", async_buffer_size=4096)
    yield logger, lambda: logger.configure(config)


def reopen(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    logger.flush()
    (folder / "app.log").rename(folder / "old.log")
    yield logger, logger.reopen


def reopen_one_that_rotates(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(path=folder / "app.log", **ROTATING))
    logger.info("one")
    yield logger, logger.reopen


def make(folder: Path) -> Case:
    yield None, lambda: Logger()


def make_with_spool(folder: Path) -> Case:
    config = LoggerConfig(auto_sink=False, spool=folder / "app.spool", async_buffer_size=4096)
    yield None, lambda: Logger(config)


def make_and_recover(folder: Path) -> Case:
    (folder / "app.spool.1").write_bytes(spool_of_the_dead(folder))
    logger = made(folder / "app.log", spool=folder / "app.spool", async_buffer_size=4096)
    yield logger, lambda: logger.flush(5)


@cache
def spool_of_the_dead(folder: Path) -> bytes:
    if (pid := os.fork()) == 0:
        logger = made(spool=folder / "dead.spool", async_buffer_size=4096)
        logger.info("of the dead")
        os._exit(0)
    os.waitpid(pid, 0)
    return (folder / f"dead.spool.{pid}").read_bytes()


def from_dict(folder: Path) -> Case:
    settings = {"auto_sink": False, "sinks": [{"path": str(folder / "a.log")}, {"path": str(folder / "b.log")}]}
    yield None, lambda: Logger.from_dict(settings)


def close(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    yield logger, logger.close


def close_with_spool(folder: Path) -> Case:
    logger = made(folder / "app.log", spool=folder / "app.spool", async_buffer_size=4096)
    logger.info("one")
    yield logger, logger.close


def drop(folder: Path) -> Case:
    held = [made(folder / "app.log")]
    held[0].info("one")
    yield None, held.clear


def flush(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.info("one")
    yield logger, logger.flush


def first_record(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.info("one {}", 1)


def record_to_synchronous_sink(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(path=folder / "app.log", async_write=False))
    yield logger, lambda: logger.info("one {}", 1)


def record_after_close(folder: Path) -> Case:
    logger = made(folder / "app.log")
    logger.close()
    yield logger, lambda: logger.info("one {}", 1)


def rotation_after_close(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(path=folder / "app.log", format="{message}", **ROTATING))
    logger.info("x" * 4000)
    logger.close()
    logger.info("x" * 50)
    yield logger, lambda: logger.info("y" * 500)


def function_after_close(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(function=lambda record: None, filter=lambda record: True))
    logger.close()
    yield logger, lambda: logger.info("one {}", 1)


def stream_after_close(folder: Path) -> Case:
    logger = made()
    stream = open(os.devnull, "w")  # noqa: SIM115
    logger.add_sink(SinkConfig(stream=stream))
    logger.close()
    yield logger, lambda: logger.info("one {}", 1)
    stream.close()


class TextStream:
    """One without a descriptor: only Python can write to it."""

    def write(self, text: str) -> None:
        pass


def object_after_close(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(stream=TextStream()))
    logger.close()
    yield logger, lambda: logger.info("one {}", 1)


def record_to_synchronous_object(folder: Path) -> Case:
    logger = made()
    logger.add_sink(SinkConfig(stream=TextStream(), async_write=False))
    yield logger, lambda: logger.info("one {}", 1)


def add_level(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.add_level("AUDIT", 35, "bold red")


def set_level(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.set_level("warning,x=debug")


def set_sink_level(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.set_sink_level(logger.list_sinks()[0], "warning,x=debug")


def at_level(folder: Path) -> Case:
    logger = made(folder / "app.log")

    def act() -> None:
        with logger.at_level("debug,x=off"):
            logger.info("one")

    yield logger, act
    assert logger._controller.layers.overlays == (), "an overlay is left"


def bind(folder: Path) -> Case:
    logger = made(folder / "app.log")
    yield logger, lambda: logger.bind(user="me").named("shop").info("one")


def contextualize(folder: Path) -> Case:
    logger = made(folder / "app.log")

    def act() -> None:
        with logger.contextualize(request=7):
            logger.info("one")

    yield logger, act
    # The context is as it was.
    variable = logger._controller.context_variable()
    assert variable.get(None) is None, "fields are left in the context"


def set_context(folder: Path) -> Case:
    logger = made(folder / "app.log")

    def act() -> None:
        logger.set_context(user="me")
        logger.info("one")
        logger.clear_context()

    yield logger, act
    logger.clear_context()


def catch(folder: Path) -> Case:
    logger = made(folder / "app.log")

    def act() -> None:
        with logger.catch():
            raise ValueError

    yield logger, act


CALLS = {
    name: function
    for name, function in list(globals().items())
    if getattr(function, "__annotations__", {}).get("return") == "Case"
}
HOW = ("once", "hammered", "memory")


# ---- cut


def attempt(case: Case, cut: Callable[[Callable[[], object]], bool]) -> bool:
    logger, act = next(case)
    was_cut = cut(act)
    del act
    if logger is not None:
        assert_sound(logger)
    for _ in case:
        raise AssertionError("one call at a time")
    return was_cut


def run(name: str, how: str, folder: Path, first: int = 1, step: int = 1) -> int:
    """Returns how many instants there were."""
    cutter = Cutter(signal.SIGALRM)
    signal.signal(signal.SIGALRM, cutter)
    quiet: list[object] = []
    sys.unraisablehook = quiet.append  # a cut in a `__del__` is told there

    def cut(act: Callable[[], object]) -> bool:
        nonlocal error
        if how == "memory":
            error, seen = run_out_of_memory(act, number, 1)
            return bool(seen >= number)
        error = cutter.run(act, number, how == "hammered")
        return bool(cutter.seen >= number)

    error: BaseException | None = None
    number = 10**9
    for _ in range(2):  # imports, caches
        attempt(CALLS[name](fresh(folder)), cut)
    error = None
    housekeeper.drain(10)
    gc.collect()
    gc.freeze()
    before, threads_before = descriptors(), threads()
    number, was_cut = first, True
    while was_cut:
        quiet.clear()
        TROUBLE.clear()
        try:
            was_cut = attempt(CALLS[name](fresh(folder)), cut)
            error = None
            quiet.clear()
            TROUBLE.clear()
            housekeeper.drain(10)
            gc.collect()
            wait_until(lambda: threads() <= threads_before, "the threads to end", 10)
            wait_until(lambda: descriptors() == before, "the descriptors to be closed", 2)
        except BaseException:
            place = "" if how == "memory" else f" in {cutter.place}"
            print(f"cut number {number}{place}: {error!r}; on_error {TROUBLE}, {quiet}", descriptors(), file=sys.stderr)
            raise
        number += step
    return number - step


def storm(folder: Path, times: int, seed: int) -> int:
    """Returns how many calls were cut."""
    random = Random(seed)
    cutter = Cutter(signal.SIGALRM)
    signal.signal(signal.SIGALRM, cutter)
    sys.unraisablehook = lambda told: None

    def cut(act: Callable[[], object]) -> bool:
        # A shorter interval would leave the process no time for anything but signals.
        interval_s = random.choice([0, 10 ** random.uniform(-4, -3)])
        cutter.run_against_clock(act, 10 ** random.uniform(-6, -2.5), interval_s)
        return bool(cutter.seen)

    for prepare in CALLS.values():  # imports, caches
        attempt(prepare(fresh(folder)), lambda act: bool(act()))
    housekeeper.drain(10)
    gc.collect()
    gc.freeze()
    before, threads_before = descriptors(), threads()
    cuts = 0
    for number in range(times):
        name = random.choice(list(CALLS))
        try:
            cuts += attempt(CALLS[name](fresh(folder)), cut)
            TROUBLE.clear()
            housekeeper.drain(10)
            gc.collect()
            wait_until(lambda: threads() <= threads_before, "the threads to end", 10)
            wait_until(lambda: descriptors() == before, "the descriptors to be closed", 2)
        except BaseException:
            print(f"call {number}, {name}, cut in {cutter.place}", descriptors(), file=sys.stderr)
            raise
    return cuts


def fresh(folder: Path) -> Path:
    housekeeper.drain(10)  # or it may make a file there meanwhile
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def main() -> None:
    name, how, folder, *rest = sys.argv[1:]
    if name == "storm":
        print(storm(Path(how), int(folder), *map(int, rest)))
        return
    print(run(name, how, Path(folder), *map(int, rest)))
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
