"""Which ways of seeing changes this Python has. `LOGLY_SIGHT` names one, in a build for tests."""

from __future__ import annotations

import sys

from logly import _core
from tests.bridge.oracle import SEES_CHANGES

OTHER_SIGHTS: tuple[str, ...]
if not SEES_CHANGES:
    USUAL_SIGHT, OTHER_SIGHTS = "nothing", ()
elif sys.version_info < (3, 12):
    USUAL_SIGHT, OTHER_SIGHTS = "versions", ()
elif sys.version_info < (3, 13):
    USUAL_SIGHT, OTHER_SIGHTS = "versions", ("watchers", "comparing", "comparing-slowly")
elif sys.version_info < (3, 13, 1):
    USUAL_SIGHT, OTHER_SIGHTS = "comparing", ("comparing-slowly",)  # it does not tell of all changes
else:
    USUAL_SIGHT, OTHER_SIGHTS = "watchers", ("comparing", "comparing-slowly")
if not hasattr(_core, "inject_outcomes"):
    OTHER_SIGHTS = ()  # nothing reads the variable
