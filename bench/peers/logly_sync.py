"""logly with `async_write=False`: the record is in the kernel when the call returns."""

from harness.scenarios import Scenario, Session
from peers import logly_async

LABEL = "logly, async_write=False"
DISTRIBUTION = "logly"


def setup(path: str, scenario: Scenario) -> Session:
    return logly_async.setup(path, scenario, async_write=False)
