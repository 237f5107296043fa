"""logust with a file sink and its queue: a thread of its own writes."""

from harness.scenarios import Scenario, Session
from peers import logust_plain

LABEL = "logust enqueue=True"
DISTRIBUTION = "logust"
NOTE = logust_plain.NOTE


def setup(path: str, scenario: Scenario) -> Session:
    return logust_plain.setup(path, scenario, enqueue=True)
