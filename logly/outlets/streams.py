"""Connections for frames with octet counting (RFC 6587): TCP, and TLS over it (RFC 5425).

What the other side's kernel has acknowledged is known, so after a failure only the messages from the first one that
was not acknowledged as a whole are sent again. What that kernel holds and the daemon has not read is lost when the
daemon ends: no protocol of syslog tells.
"""

from __future__ import annotations

import _socket
import errno
import sys
from contextlib import suppress

from logly.system.unpatched import monotonic, pause

from .datagrams import Unsent, host_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import MemoryBIO, SSLContext, SSLObject

    from logly._core import Frames
    from logly.config.socket_address import SocketAddress

__all__ = ["StreamChannel", "TlsChannel"]

CONNECT_S = 10.0
"""How long connecting to one address, and each answer of a handshake, may take."""
STALL_S = 30.0
"""How long the other side may take, or acknowledge, nothing."""
FIRST_PAUSE_S = 0.0002
LONGEST_PAUSE_S = 0.02
"""Between two looks at what has been acknowledged, for which the system has no event."""
READ_BYTES = 65_536


class StreamChannel:
    """A connection to a syslog daemon.

    Raises:
        OSError: there is none.
    """

    chunk_bytes = 65_536
    """About so many bytes go to the kernel at a time."""

    def __init__(self, address: SocketAddress) -> None:
        self.is_closed = False
        self._taken = 0
        """Bytes that the kernel has taken."""
        self._socket = connected(address)
        self._chunks: list[tuple[int, int, int, int]] = []
        """Of the present batch: the first byte and the end in all bytes taken, the first message, and the next one."""

    def send(self, frames: Frames) -> None:
        """Send each message, and wait until all of them have been acknowledged.

        Raises:
            Unsent: some of them were not.
        """
        number = 0
        self._chunks = []
        try:
            if self._is_over():
                raise ConnectionResetError(errno.ECONNRESET, "the other side has closed the connection")
            while number < len(frames):
                data, after = frames.stream(number, self.chunk_bytes)
                data = self._wrapped(data)
                self._chunks.append((self._taken, self._taken + len(data), number, after))
                self._put(data)
                number = after
            self._await_acknowledged()
        except OSError as error:
            number = self._first_unsent(frames)
            self.abort()
            if number < len(frames):
                raise Unsent(number, error.errno or errno.ETIMEDOUT, error.strerror or str(error)) from error

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            size = self._socket.send(left)
            self._taken += size
            left = left[size:]

    def _wrapped(self, data: bytes) -> bytes:
        """What goes over the wire."""
        return data

    def _await_acknowledged(self) -> None:
        before, since, wait_s = -1, monotonic(), FIRST_PAUSE_S
        while left := unacknowledged(self._socket):
            if left != before:
                before, since = left, monotonic()
            elif monotonic() - since > STALL_S:
                raise TimeoutError(errno.ETIMEDOUT, "the other side acknowledges nothing")
            if self._is_over() and unacknowledged(self._socket):
                raise ConnectionResetError(errno.ECONNRESET, "the other side has closed the connection")
            pause(wait_s)
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)

    def _first_unsent(self, frames: Frames) -> int:
        """The number of the first message of the batch that has not been acknowledged as a whole."""
        acknowledged = self._taken - unacknowledged(self._socket)
        number = 0
        for begin, end, first, after in self._chunks:
            if acknowledged < end:
                return self._whole(frames, first, acknowledged - begin) if acknowledged > begin else number
            number = after
        return number

    def _whole(self, frames: Frames, first: int, size: int) -> int:
        """The number of the message behind those that are whole in the first bytes of a chunk."""
        return frames.whole(first, size)

    def _is_over(self) -> bool:
        """Whether the other side has closed the connection. What it says is read: no daemon says anything of use."""
        self._socket.settimeout(0)
        try:
            while data := self._socket.recv(READ_BYTES):
                self._heard(data)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._socket.settimeout(STALL_S)
        return True

    def _heard(self, data: bytes) -> None:
        """What the other side has said."""

    # ---- the end

    def close(self) -> None:
        """Closes the connection so that the other side gets everything."""
        if self.is_closed:
            return
        with suppress(OSError):
            self._is_over()  # what is unread would make the kernel reset the connection
            self._say_goodbye()
            self._socket.shutdown(_socket.SHUT_WR)
        self._socket.close()
        self.is_closed = True

    def _say_goodbye(self) -> None:
        """Sends what ends the connection."""

    def abort(self) -> None:
        """Closes the connection. What has not been acknowledged is dropped, because the next one sends it again."""
        with suppress(OSError):
            linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, linger)
        self._socket.close()
        self.is_closed = True


class TlsChannel(StreamChannel):
    """A connection that is encrypted. TLS runs in memory, so what was acknowledged is known here, too.

    Args:
        address: the other side; its certificate must be for the host.
        context: what is trusted.

    Raises:
        OSError: there is no connection, or the other side is not trusted (`ssl.SSLError`).
    """

    chunk_bytes = 16_000
    """A record of TLS has 16 KiB at most."""

    def __init__(self, address: SocketAddress, context: SSLContext) -> None:
        import ssl

        super().__init__(address)
        self._again = ssl.SSLWantReadError
        self._incoming: MemoryBIO = ssl.MemoryBIO()
        self._outgoing: MemoryBIO = ssl.MemoryBIO()
        self._tls: SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=address.host)
        try:
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except self._again:
                pass
            except OSError:
                self._put(self._outgoing.read())  # an alert, which tells the other side why
                raise
            else:
                self._put(self._outgoing.read())
                return
            self._put(self._outgoing.read())
            self._socket.settimeout(CONNECT_S)
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the other side has closed the connection")
            self._incoming.write(data)

    def _wrapped(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    def _whole(self, frames: Frames, first: int, size: int) -> int:
        return first  # a part of a record of TLS is nothing

    def _heard(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            while self._tls.read(READ_BYTES):
                pass
        except self._again:
            return
        raise ConnectionResetError(errno.ECONNRESET, "the other side has closed the connection")

    def _say_goodbye(self) -> None:
        with suppress(OSError):
            self._tls.unwrap()
        self._put(self._outgoing.read())


def connected(address: SocketAddress) -> _socket.socket:
    """A socket that is connected to one of the host's addresses. Resolves the name."""
    trouble: OSError | None = None
    host = host_name(address.host)
    for family, kind, protocol, _, place in _socket.getaddrinfo(host, address.port, 0, _socket.SOCK_STREAM):
        made = _socket.socket(family, kind, protocol)
        try:
            made.settimeout(CONNECT_S)
            made.connect(place)
            made.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
            made.settimeout(STALL_S)
        except OSError as error:
            made.close()
            trouble = error
        else:
            return made
    raise trouble or OSError(errno.EADDRNOTAVAIL, f"{address.host} has no address")


def unacknowledged(socket: _socket.socket) -> int:
    """Bytes that the other side's kernel has not acknowledged. 0 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    import fcntl
    import termios

    answer = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
