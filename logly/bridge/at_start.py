"""`install` before a program starts, for `logly run`: what the environment says is what `install` is called with."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from logly._logger import Logger

__all__ = ["CONFIG", "HANDLERS", "WRITE", "install_at_start"]

CONFIG = "LOGLY_CONFIG"
HANDLERS = "LOGLY_HANDLERS"
WRITE = "LOGLY_WRITE"


def install_at_start() -> None:
    """Call `install` with the settings that the environment has.

    `LOGLY_CONFIG` names a TOML file, whose logger gets what reaches the root; `LOGLY_HANDLERS` and `LOGLY_WRITE` are the
    arguments of these names. A variable that is empty counts as not set.

    Raises:
        ConfigError: a variable, or the file, has a wrong value.
    """
    from .install import install

    logger: Logger | None = None
    if path := os.environ.get(CONFIG):
        from logly._logger import Logger

        logger = Logger.from_file(path)
    install(logger, handlers=os.environ.get(HANDLERS) or "serve", write=os.environ.get(WRITE) or "auto")
