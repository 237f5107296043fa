"""The libraries that are compared: one module of `bench/peers/` each."""

from __future__ import annotations

import importlib
import sys
from typing import Any

#: Every peer, in the order of the report. A name is a module of `bench/peers/`.
PEERS = [
    "logly_async",
    "logly_sync",
    "stdlib_file",
    "stdlib_queue",
    "picologging_file",
    "picologging_queue",
    "loguru_plain",
    "loguru_enqueue",
    "structlog_orjson",
    "logbook_file",
    "logxide_file",
    "logust_plain",
    "logust_enqueue",
    "floor_loop",
    "floor_fstring",
    "floor_write",
    "floor_buffered",
]
EXIT_MISSING = 77
#: Measured by a second interpreter, if one is named: the library that needs it, and what it is compared with.
BESIDE = ["logly_async", "logxide_file", "floor_loop"]


def module_of(peer: str) -> str:
    """The module of `bench/peers/`: a peer of the second interpreter is called `MODULE@VERSION`."""
    return peer.partition("@")[0]


def is_beside(peer: str) -> bool:
    return "@" in peer


def with_beside(names: list[str], version: str) -> list[str]:
    """The peers of a run with a second interpreter. What only that one can show is not asked of the first."""
    own = [name for name in names if name not in BESIDE or name == "logly_async" or name.startswith("floor_")]
    return own + [f"{name}@{version}" for name in BESIDE if name in names]


def load(peer: str) -> Any:
    """The adapter module of `peer`. Exits with `EXIT_MISSING` where its library cannot be imported."""
    try:
        return importlib.import_module(f"peers.{peer}")
    except ImportError as error:
        print(f"{peer}: {error}", file=sys.stderr)
        sys.exit(EXIT_MISSING)


def facts(peer: str) -> dict[str, str]:
    """What the report says of the library."""
    # Here, because it imports much: memory.py measures what a library adds.
    import importlib.metadata

    module = load(peer)
    try:
        version = importlib.metadata.version(module.DISTRIBUTION) if module.DISTRIBUTION else ""
    except importlib.metadata.PackageNotFoundError:
        version = "(from this tree)"
    return {
        "label": module.LABEL,
        "distribution": module.DISTRIBUTION,
        "version": version,
        "note": getattr(module, "NOTE", ""),
    }
