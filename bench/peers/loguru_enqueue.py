"""loguru with `enqueue=True`: a worker thread behind a multiprocessing queue."""

from harness.scenarios import Scenario, Session
from peers import loguru_plain

LABEL = "loguru enqueue=True"
DISTRIBUTION = "loguru"


def setup(path: str, scenario: Scenario) -> Session:
    return loguru_plain.setup(path, scenario, enqueue=True)
