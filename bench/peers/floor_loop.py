"""Floor: the loop with nothing in it."""

from harness.scenarios import Scenario, Session

LABEL = "(empty loop)"
DISTRIBUTION = ""


def setup(path: str, scenario: Scenario) -> Session:
    return Session(None, {"disabled": "pass", "text": "pass"})
