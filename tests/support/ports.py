"""Ports of this machine for servers that are started, ended, and started again."""

from __future__ import annotations

import random
import socket

FIRST, BEHIND = 10_240, 32_768
"""Below the ports that systems give to clients. A client that connects to one of those while nobody listens there may
be given that port itself, and is then connected to itself."""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody has now."""
    while True:
        port = random.SystemRandom().randrange(FIRST, BEHIND)  # else all workers would try the same ones
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
