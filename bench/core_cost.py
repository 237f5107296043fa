"""What does a log call cost the caller, and are the goals of the core met? The same as `cost.py core`."""

import sys

from harness import comparison

if __name__ == "__main__":
    comparison.main("core", sys.argv[1:])
