"""`install` with the settings of the environment, before a program's own code runs: for `logly run`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly._logger import Logger

__all__ = ["CONFIG", "HANDLERS", "WRITE", "install_at_start"]

CONFIG = "LOGLY_CONFIG"
HANDLERS = "LOGLY_HANDLERS"
WRITE = "LOGLY_WRITE"

_is_done = False


def install_at_start() -> None:
    """Call `install` with the settings that the environment has; once in a process.

    `LOGLY_CONFIG` names a TOML file, whose logger gets what reaches the root. `LOGLY_HANDLERS` and `LOGLY_WRITE` are
    the arguments of these names. An empty variable counts as none.

    Raises:
        ConfigError: a variable, or the file, has a wrong value.
        SinkError, SpoolError: what the file names cannot be opened.
    """
    global _is_done
    if _is_done or os.environ.get("LOGLY_INSTALL") == "0":
        return
    _is_done = True  # a second `sitecustomize` of another logly finds it done
    from .install import install

    logger: Logger | None = None
    path = os.environ.get(CONFIG)
    if path:
        from logly._logger import Logger

        logger = Logger.from_file(path)
    try:
        install(logger, handlers=os.environ.get(HANDLERS) or "serve", write=os.environ.get(WRITE) or "auto")
    except BaseException:
        if logger is not None:
            logger.close()
        raise
