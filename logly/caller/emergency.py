"""Loads what a log call may need in an emergency. Importing this module is all; each `Logger` does it when it is made.

A process without a free descriptor, or without memory, cannot import anything, and neither can a thread while the
interpreter ends. Just then errors are logged and counts are read. None of this is imported by ``import logly`` itself,
whose time it would double; `tests/house/test_lazy_imports.py` lists what is imported later than this, and why that may
fail.
"""

import _contextvars  # noqa: F401  # `Logger.contextualize`
import sys

import logly.stats  # noqa: F401  # `Logger.stats`, `Logger.sink_stats`

# `Logger.once` and its sisters; `Logger.catch`, `Logger.contextualize`; exceptions; fields that are objects
from . import call_place, frame_values, guards, limit_rules, tracebacks, value_classes  # noqa: F401

try:
    import _json  # noqa: F401  # fields that hold dicts and lists; see caller/json_value.pxi
except ImportError:  # a Python without the compiled part
    import json.encoder  # noqa: F401

# What `linecache` imports when it reads a source file; before CPython 3.13 when it is itself imported.
import tokenize  # noqa: F401

# What `traceback` imports lazily, and when it marks a part of a source line.
if sys.version_info >= (3, 15):
    import _colorize  # noqa: F401
if sys.version_info >= (3, 13):
    import ast  # noqa: F401
if sys.version_info >= (3, 12):
    import unicodedata  # noqa: F401

__all__: list[str] = []
