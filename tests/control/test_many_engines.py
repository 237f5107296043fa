"""More engines than a program mostly needs are told once, with what to do instead."""

import pytest

from tests.support.programs import run_program

PROGRAM = """
from logly import Logger, LoggerConfig
told = []
def make(count):
    return [Logger(LoggerConfig(auto_sink=False, on_error=told.append), name=f"n{i}") for i in range(count)]
def flushed(loggers):
    for logger in loggers:
        logger.info("x")
        logger.close()
"""


@pytest.mark.parametrize(
    ("program", "times"),
    [
        pytest.param("flushed(make(8))", 0, id="eight"),
        pytest.param("flushed(make(9) + make(9))", 1, id="eighteen"),
        pytest.param("for _ in range(5): flushed(make(8))", 0, id="eight-at-a-time"),
        pytest.param("for _ in range(30): flushed(make(1))", 0, id="one-at-a-time"),
        pytest.param("one = make(1)[0]; flushed([one.named(str(i)) for i in range(100)])", 0, id="names"),
    ],
)
def test_more_than_eight_engines_are_told_once(program: str, times: int) -> None:
    said = run_program(f"{PROGRAM}\n{program}\nprint(*told, sep='\\n')").stdout.split("\n")
    said = [line for line in said if line]
    assert len(said) == times
    assert all("logger.named(name)" in line and "get_logger" in line for line in said)
