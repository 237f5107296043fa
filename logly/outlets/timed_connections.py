"""Connections of urllib3 with one time limit for a whole request: from the connection to the end of the answer.

The time limits of urllib3 and `http.client` are for each call of the socket. So an answer whose headers come by bytes
would take for ever.
"""

from __future__ import annotations

import io
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from logly.system.unpatched import monotonic

if TYPE_CHECKING:
    import socket
    from typing import Any

__all__ = ["use_timed_connections"]

PIECE_BYTES = 65536


def limit(sock: socket.socket, deadline: float) -> None:
    """Gives the next call of the socket the time that is left."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    sock.settimeout(left)


class Timed(io.RawIOBase):
    """The bytes of an answer. Each read has the time that is left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self.raw = raw
        self.sock = sock
        self.deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        limit(self.sock, self.deadline)
        return self.raw.readinto(buffer)

    def close(self) -> None:
        self.raw.close()
        super().close()


class TimedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        raw: Any = self.fp.detach()
        self.fp = io.BufferedReader(Timed(raw, sock, deadline))


class TimedCalls:
    """Of a connection: the limit begins with the connection, or with the request where there is one already."""

    deadline = 0.0
    is_new = False
    timeout: Any
    sock: Any

    def begin(self) -> None:
        self.deadline = monotonic() + float(self.timeout)

    def connect(self) -> None:
        self.begin()
        self.is_new = True
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **named: Any) -> None:
        if not self.is_new:
            self.begin()
        super().request(*args, **named)  # type: ignore[misc]
        self.is_new = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        sock: Any = self.sock
        rest = memoryview(data)
        while rest:
            limit(sock, self.deadline)
            rest = rest[sock.send(rest[:PIECE_BYTES]) :]

    @property
    def response_class(self) -> Any:
        return partial(TimedResponse, deadline=self.deadline)


class TimedConnection(TimedCalls, HTTPConnection):  # type: ignore[override]
    pass


class TimedTlsConnection(TimedCalls, HTTPSConnection):  # type: ignore[override]
    pass


class Pool(HTTPConnectionPool):
    ConnectionCls = TimedConnection  # pyright: ignore[reportAssignmentType]


class TlsPool(HTTPSConnectionPool):
    ConnectionCls = TimedTlsConnection  # pyright: ignore[reportAssignmentType]


def use_timed_connections(pools: PoolManager) -> PoolManager:
    """Has a new manager of pools make such connections. Each needs a time limit."""
    pools.pool_classes_by_scheme = {"http": Pool, "https": TlsPool}
    return pools
