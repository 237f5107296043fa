"""Floor: one unbuffered `file.write` of a finished line per call."""

from harness.scenarios import TEXT, Scenario, Session

LABEL = "(file.write, unbuffered)"
DISTRIBUTION = ""
LINE = f"2026-01-01 00:00:00.000 | INFO     | {TEXT}\n".encode()


class Line:
    """What the loop calls `logger`: a file and the finished line."""

    def __init__(self, path: str, buffering: int) -> None:
        self.file = open(path, "ab", buffering=buffering)  # noqa: SIM115 (closed by close())
        self.write = self.file.write
        self.line = LINE


STATEMENTS = {
    "text": "logger.write(logger.line)",
    "args": 'logger.write(b"2026-01-01 00:00:00.000 | INFO     | order %d filled at %.2f\\n" % (i, x))',
    "full": 'logger.write(b"2026-01-01 00:00:00.000 1 a.py:1 INFO     Iteration: %d int: %d double: %f\\n"'
    " % (i, i * 2, i / 2))",
    "sizes": "logger.write(text.encode())",
}


def setup(path: str, scenario: Scenario, *, buffering: int = 0) -> Session:
    line = Line(path, buffering)
    return Session(line, STATEMENTS, line.file.flush, line.file.close)
