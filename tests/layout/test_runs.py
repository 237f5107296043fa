"""The part of a line that is kept from record to record (thread, call site, level): always that of this record."""

from __future__ import annotations

import json
import os
import random
import threading
from pathlib import Path

from logly import Logger, LoggerConfig, SinkConfig
from tests.support.forks import children_end_well
from tests.support.log_files import lines_of
from tests.support.threads import run_threads

LAYOUT = "{thread} {process} {name} {module}:{function}:{lineno}|{level:<9}|{filename} {message}"
LEVELS = ["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "FAIL", "CRITICAL"]


def open_logger(path: Path, layout: str | None = LAYOUT, **sink: object) -> Logger:
    logger = Logger(LoggerConfig(auto_sink=False, level=0), name="runs")
    logger.add_sink(SinkConfig(path=path, format=layout, **sink))  # type: ignore[arg-type]
    return logger


def functions_of_many_lengths(count: int) -> list:
    """Functions `log(logger, level, text)` with names from short to longer than what is kept."""
    made = []
    for i in range(count):
        name = f"f{i}_" + "n" * (i * 7 % 150)
        namespace = {"__name__": f"module_{i}"}
        source = "\n" * i + f"def {name}(logger, level, text):\n    logger.log(level, text)\n"
        exec(compile(source, f"file_{i}.py", "exec"), namespace)
        made.append((name, i, namespace[name]))
    return made


def test_threads_sites_and_levels_in_any_order(tmp_path: Path) -> None:
    functions = functions_of_many_lengths(60)  # more than there are places for

    def write(seed: int) -> None:
        source = random.Random(seed)
        for n in range(1500):
            name, i, log = source.choice(functions)
            level = source.choice(LEVELS)
            front = f"{threading.get_ident()} {os.getpid()} runs module_{i}:{name}:{i + 2}|{level:<9}|file_{i}.py "
            log(logger, level, f"{n}#{front}")

    logger = open_logger(tmp_path / "log")
    run_threads(*(lambda seed=seed: write(seed) for seed in range(3)))
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert len(lines) == 4500
    for line in lines:
        expected = line.partition("#")[2]
        assert line.startswith(expected)
        assert line[len(expected) :].split("#")[0].isdigit()


def test_json_of_threads_sites_and_levels_in_any_order(tmp_path: Path) -> None:
    functions = functions_of_many_lengths(60)

    def write(seed: int) -> None:
        source = random.Random(seed)
        for _ in range(1500):
            name, i, log = source.choice(functions)
            level = source.choice(LEVELS)
            log(logger, level, f"{level} module_{i} {name} {i + 2}")

    logger = open_logger(tmp_path / "log", None, json=True)
    run_threads(*(lambda seed=seed: write(seed) for seed in range(3)))
    logger.close()
    lines = [json.loads(line) for line in lines_of(tmp_path / "log")]
    assert len(lines) == 4500
    for line in lines:
        assert line["message"] == f"{line['level']} {line['module']} {line['function']} {line['lineno']}"


def test_a_level_whose_colour_changes(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log", "{level} {message}", color=True)
    for color, code in [("red", "31"), ("green", "32"), ("bold yellow", "1;33")] * 2:
        logger.add_level("AUDIT", 35, color)
        for i in range(2):
            logger.log("AUDIT", "{}", i)
        assert logger.flush(30)
        assert lines_of(tmp_path / "log")[-2:] == [f"\x1b[{code}mAUDIT\x1b[0m 0", f"\x1b[{code}mAUDIT\x1b[0m 1"]
    logger.close()


def test_a_forked_child_shows_its_own_process(tmp_path: Path) -> None:
    logger = open_logger(tmp_path / "log", "{process} {message}")
    pids = []
    for i in range(6):
        if i in (1, 3):
            pid = os.fork()
            if pid == 0:
                logger.info("child {}", os.getpid())
                logger.close()
                os._exit(0)
            pids.append(pid)
        logger.info("parent {}", os.getpid())
    children_end_well(pids)
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert sorted(lines) == sorted([f"{os.getpid()} parent {os.getpid()}"] * 6 + [f"{pid} child {pid}" for pid in pids])


def test_the_site_is_unknown_or_in_the_record(tmp_path: Path) -> None:
    """A place that `emit_from` names is in the record and not in the registry: nothing of it is kept."""
    import logging

    from logly import StdlibHandler

    logger = open_logger(tmp_path / "log", "{module}:{function}:{lineno} {level}|{message}")
    handler = StdlibHandler(logger)
    for i in range(20):
        record = logging.LogRecord(f"m{i % 3}", 20, "/p/file.py", i, f"t{i}", None, None, func=f"f{i}")
        handler.emit(record)
        logger.info("own")
    logger.close()
    lines = lines_of(tmp_path / "log")
    assert lines[0::2] == [f"m{i % 3}:f{i}:{i} INFO|t{i}" for i in range(20)]
    assert {line.partition(":")[2] for line in lines[1::2]} == {lines[1].partition(":")[2]}
    assert lines[1].endswith("INFO|own")
