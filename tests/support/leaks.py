"""What a process does with loggers in its life, again and again, for a leak checker to look at its end.

`python tools/sanitize.py leaks` runs it; the checker's reports that have one of logly's functions in their stack count.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.waiting import wait_until


def log(logger: Logger) -> None:
    for i in range(50):
        logger.info("order {} filled at {:.2f}", i, i / 3, symbol="ABCD")
    logger.info(f"made {1} by the caller", nested={"a": [1, None, "x"]}, big=2**80)
    logger.bind(user="me").info("x" * 30_000)  # too large for the ring: a block of its own
    logger.info("{} is not {", 1)  # cannot be formatted
    code = compile("logger.info('a template of its own {}', 1)", f"file{os.urandom(4).hex()}.py", "exec")
    exec(code, {"logger": logger})
    try:
        raise ValueError("on purpose")
    except ValueError:
        logger.exception("it failed: {}", "here")
    with logger.contextualize(request=7):
        threads = [threading.Thread(target=logger.info, args=("from a thread {}", i)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def sleeps(thread: Path) -> bool:
    try:
        return (thread / "stat").read_text().rpartition(") ")[2][0] == "S"
    except (FileNotFoundError, ProcessLookupError):
        return True  # it has ended


def await_quiet() -> None:
    """Until every other thread sleeps: a child of gcc 12's sanitizers gets their locks as they are."""
    tasks = Path("/proc/self/task")
    own = str(threading.get_native_id())
    wait_until(lambda: all(sleeps(path) for path in tasks.iterdir() if path.name != own), "a quiet moment")


def live(folder: Path, number: int) -> None:
    """One life of a logger: sinks come and go, it forks, it ends by close or by the collector."""
    spool = folder / "app.spool" if number % 2 else None
    config = LoggerConfig(auto_sink=False, spool=spool, async_buffer_size=1 << 16, on_error=lambda error: None)
    logger = Logger(config, name=f"life {number % 3}")
    file = logger.add_sink(SinkConfig(path=folder / "app.log", size_limit=20_000, retention=2))
    log(logger)
    other = logger.add_sink(SinkConfig(path=folder / "app.json", json=True, filter=lambda record: record.lineno % 2))
    function = logger.add_sink(SinkConfig(function=str))
    logger.add_level(f"LEVEL{number % 5}", 35 + number % 5)
    log(logger)
    logger.remove_sink(file)
    log(logger)
    logger.flush()
    await_quiet()
    pid = os.fork()
    if pid == 0:
        log(logger)
        logger.close()
        os._exit(0)  # unchecked: what the parent's flusher held on its stack is lost to a child
    assert os.waitpid(pid, 0)[1] == 0
    logger.remove_sink(function)
    logger.configure(LoggerConfig(auto_sink=False, level="WARNING"))
    logger.remove_sink(other)
    if number % 3:
        logger.close()
    del logger
    gc.collect()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("times", type=int)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory(prefix="logly-leaks-") as folder:
        for number in range(times):
            live(Path(folder), number)
    print(f"{times} lives")


if __name__ == "__main__":
    main()
