"""Floor: evaluating the f-string of the two-argument scenarios, and logging nothing."""

from harness.scenarios import Scenario, Session

LABEL = "(f-string alone)"
DISTRIBUTION = ""
FSTRING = 'f"order {i} filled at {x:.2f}"'


def setup(path: str, scenario: Scenario) -> Session:
    full = 'f"Iteration: {i} int: {i * 2} double: {i / 2}"'
    return Session(None, {"args": FSTRING, "fstring": FSTRING, "site": FSTRING, "full": full})
