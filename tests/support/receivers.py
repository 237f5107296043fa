"""Receivers of what sinks send over sockets, in this process: they keep what they get, and can go away."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.support.syslog_wire import parse_frames
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext


class Datagrams:
    """A local socket (`path`), or one of UDP on this machine, that is not read until `messages` is called."""

    def __init__(self, path: Path | None = None, *, port: int = 0, room: int | None = None) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_DGRAM)
        if room is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.bind(str(path) if path else ("127.0.0.1", port))
        self.port = 0 if path else int(self.socket.getsockname()[1])
        self.socket.settimeout(60)
        self.memfds = 0

    @property
    def address(self) -> str:
        return f"unix:{self.path}" if self.path else f"udp://127.0.0.1:{self.port}"

    def message(self) -> bytes:
        """The next message; what has come as a file is read from it, if it is sealed as the journal wants it."""
        data, rights, _, _ = self.socket.recvmsg(1 << 20, 64)
        if not rights:
            return data
        assert data == b""
        [(level, kind, raw)] = rights
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        [fd] = array.array("i", raw)
        with os.fdopen(fd, "rb") as file:
            wanted = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == wanted
            self.memfds += 1
            size = os.fstat(fd).st_size
            return os.pread(file.fileno(), size, 0)

    def messages(self, count: int) -> list[bytes]:
        return [self.message() for _ in range(count)]

    def is_empty(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(60)
        return False

    def close(self) -> None:
        self.socket.close()
        if self.path:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server:
    """A server of TCP on this machine, whose connections are read by threads.

    Args:
        port: 0: a free one.
        context: for TLS.
    """

    def __init__(self, port: int = 0, *, context: SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self.listener.getsockname()[1])
        self.context = context
        self.received: list[bytearray] = []
        """What each connection has got, in the order in which they were made."""
        self.connections: list[socket.socket] = []
        self.ended = 0
        """So many connections the other side has closed."""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"{'tls' if self.context else 'tcp'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            data = bytearray()
            self.connections.append(connection)
            self.received.append(data)
            thread = threading.Thread(target=self._read, args=(connection, data), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _read(self, connection: socket.socket, data: bytearray) -> None:
        try:
            while part := connection.recv(1 << 16):
                data.extend(part)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.ended += 1

    def messages(self) -> list[bytes]:
        """Those that have come whole, over all connections."""
        return [message for data in self.received for message in parse_frames(whole_frames(bytes(data)))]

    def await_messages(self, count: int) -> list[bytes]:
        wait_until(lambda: len(self.messages()) >= count, f"{count} messages")
        return self.messages()

    def drop(self) -> None:
        """Closes the connections; new ones are accepted."""
        for connection in self.connections:
            shut(connection)

    def close(self) -> None:
        shut(self.listener)
        self.drop()
        for thread in self._threads:
            thread.join(60)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shut(connection: socket.socket) -> None:
    """Closes a socket in which another thread waits."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def whole_frames(data: bytes) -> bytes:
    """Without the last frame if it is cut."""
    at = 0
    while at < len(data):
        length, _, _ = data[at : at + 24].partition(b" ")
        if not length.isdigit():
            break
        end = at + len(length) + 1 + int(length)
        if end > len(data):
            break
        at = end
    return data[:at]


def filled(connection: socket.socket, least: int) -> int:
    """Waits until the kernel holds that much for the reader and takes no more. Returns how much it holds."""
    seen: list[int] = []

    def is_full() -> bool:
        seen.append(unread(connection))
        return seen[-1] >= least and len(seen) > 25 and len(set(seen[-25:])) == 1

    wait_until(is_full, "the kernel to be full")
    return seen[-1]


def unread(connection: socket.socket) -> int:
    """Bytes that the kernel holds for the reader."""
    answer = fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, "little")
