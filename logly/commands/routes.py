"""`python -m logly routes`: runs a program's set-up and shows what its loggers do with calls."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import sys
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from logly._core import find_logging_route
from logly.bridge import install
from logly.bridge.at_start import install_at_start
from logly.control.reports import as_one_line
from logly.errors import LoglyError

if TYPE_CHECKING:
    from logly.bridge.install import Route

__all__ = ["show_routes"]

RAISED = 1
WRONG = 2
MOST_CHARACTERS = 60
"""Of the handlers of a logger, in the table. `--json` shows them whole."""
HEAD = 15


class Wrong(Exception):
    """The arguments are wrong; says how."""


def show_routes(target: str, *, as_json: bool) -> int:
    """Import a module, call its set-up, install, and print a table of the loggers.

    Args:
        target: `MODULE` or `MODULE:FUNCTION`; the function may be a dotted attribute.
        as_json: print one line, a list of JSON objects.

    Returns:
        The exit code: 0; 1 if the set-up raised; 2 if there is no such module or function.
    """
    try:
        if os.environ.get("LOGLY_INSTALL") == "0":
            raise Wrong("LOGLY_INSTALL=0 is in the environment: nothing is installed")
        if not _set_up(target):
            return RAISED
        if install._installed is None:
            install_at_start()
    except (Wrong, LoglyError, OSError) as trouble:
        if sys.stderr is not None:  # `print` would take stdout instead
            print(as_one_line(f"logly routes: {trouble}"), file=sys.stderr)
        return WRONG
    found = _all_routes()
    _print(found, as_json=as_json)
    return 0


def _set_up(target: str) -> bool:
    """Run the program's set-up. False: it raised, and its traceback is on stderr."""
    module, colon, attribute = target.partition(":")
    if not all(part.isidentifier() for part in module.split(".")) or (colon and not attribute):
        raise Wrong(f"{target!r} is not MODULE or MODULE:FUNCTION")
    here = os.getcwd()
    # `python -m` has put the working directory there. The command `logly` has its own folder there.
    if not sys.flags.safe_path and here not in sys.path[:1]:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        if attribute:
            function = _attribute(found, target, attribute)
            if inspect.iscoroutinefunction(function):
                raise Wrong(f"{target} is asynchronous: name a function that can be called without an event loop")
            function()
    except (Wrong, KeyboardInterrupt):
        raise
    except BaseException as trouble:  # noqa: BLE001  # a SystemExit too: the set-up has not come to its end
        name = getattr(trouble, "name", None)
        if isinstance(trouble, ModuleNotFoundError) and name and f"{module}.".startswith(f"{name}."):
            raise Wrong(f"there is no module {name}") from None
        traceback.print_exc()
        return False
    return True


def _attribute(found: Any, target: str, dotted: str) -> Any:
    for name in dotted.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise Wrong(f"{target}: there is no {name} in {found!r}") from None
    if not callable(found):
        raise Wrong(f"{target} cannot be called: {found!r}")
    return found


def _all_routes() -> list[Route]:
    """The routes of all loggers that there are, also of those that nobody has used."""
    found: dict[str, Route] = {}
    for logger in (logging.root, *list(logging.root.manager.loggerDict.values())):
        if isinstance(logger, logging.Logger):
            why_not = find_logging_route(logger)
            handlers = [install.shown(handler) for handler in install.reached(logger)]
            found[logger.name] = install.Route(logger.name, False, handlers, why_not)
    for route in install.routes():
        found[route.name] = route
    return [found[name] for name in sorted(found)]


def _cut(handlers: str) -> str:
    """At most a column's width of it. The end stays, where the name of a file is."""
    if len(handlers) <= MOST_CHARACTERS:
        return handlers
    return f"{handlers[:HEAD]}...{handlers[len(handlers) - MOST_CHARACTERS + HEAD + 3 :]}"


def _print(routes: list[Route], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(route) for route in routes]))
        return
    rows = [("logger", "fast", "handlers", "why not")]
    for route in routes:
        why_not = route.why_not or ("" if route.is_fast else "no level is on")
        handlers = ", ".join(route.handlers) or "none"
        is_fast = "yes" if route.is_fast else "no"
        rows.append((as_one_line(route.name), is_fast, _cut(as_one_line(handlers)), as_one_line(why_not)))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        columns = [text.ljust(width) for text, width in zip(row[:3], widths, strict=True)]
        print("  ".join([*columns, row[3]]).rstrip())
