"""`python -m logly routes`: runs a program's set-up and shows what its loggers do with calls."""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import traceback
from dataclasses import asdict
from functools import reduce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly.bridge.install import Route

__all__ = ["show_routes"]

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


def show_routes(target: str, *, as_json: bool) -> int:
    """Import a module, call its set-up, install, and print a table of the loggers.

    Args:
        target: `MODULE` or `MODULE:FUNCTION`; the function may be a dotted attribute.
        as_json: print a list of JSON objects.

    Returns:
        The exit code: 0; 1 if the set-up raised.
    """
    from logly.bridge.install import install, routes

    if not sys.flags.safe_path and sys.path[:1] not in ([""], [os.getcwd()]):
        sys.path.insert(0, os.getcwd())  # the command `logly` has its own folder there
    module, _, attribute = target.partition(":")
    try:
        found = importlib.import_module(module)
        if attribute:
            reduce(getattr, attribute.split("."), found)()  # type: ignore[operator]
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # a SystemExit too: the set-up has not come to its end
        traceback.print_exc()
        return 1
    if not _is_installed():
        install()
    _ask_all_loggers()
    _print(routes(), as_json=as_json)
    return 0


def _is_installed() -> bool:
    from logly.bridge import install

    return install._installed is not None


def _ask_all_loggers() -> None:
    """Ask each logger for its levels, which finds out its routes; a set-up alone makes no call."""
    for logger in (logging.root, *list(logging.root.manager.loggerDict.values())):
        if isinstance(logger, logging.Logger):
            for level in LEVELS:
                logger.isEnabledFor(level)


def _print(routes: list[Route], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(route) for route in routes], indent=1))
        return
    rows = [("logger", "fast", "handlers", "why not")]
    for route in routes:
        handlers = ", ".join(route.handlers) or "none"
        rows.append((route.name, "yes" if route.is_fast else "no", handlers, route.why_not or ""))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        columns = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        print("  ".join([*columns, row[3]]).rstrip())
