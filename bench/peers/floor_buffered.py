"""Floor: one `file.write` of a finished line per call, through a 64 KiB buffer."""

from harness.scenarios import Scenario, Session
from peers import floor_write

LABEL = "(file.write, buffered)"
DISTRIBUTION = ""


def setup(path: str, scenario: Scenario) -> Session:
    return floor_write.setup(path, scenario, buffering=65536)
