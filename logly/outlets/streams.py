"""Connections for frames with octet counting (RFC 6587): TCP, and TLS over it (RFC 5425).

What the other side's kernel has acknowledged is known, so after a failure only the messages from the first one that
was not acknowledged as a whole are sent again. What that kernel holds and the daemon has not read is lost when the
daemon ends: no protocol of syslog tells. So nothing is sent to whom closes, or refuses, a connection that was just
made: a load balancer that has no daemon behind it, or a server of TLS 1.3, which looks at the client's certificate when
the client has long finished.
"""

from __future__ import annotations

import _socket
import errno
import sys
from contextlib import suppress

from logly._core import abort_connection
from logly.system.unpatched import monotonic, pause

from .datagrams import Unsent, host_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import MemoryBIO, SSLContext, SSLObject
    from typing import Any

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
ALERT_BYTES = 64
"""More than a record of TLS with an alert has."""
EARLY_S = 10.0
"""A connection that ends sooner, and on which nothing was heard, has perhaps not reached a daemon."""


class Closed(ConnectionResetError):
    """The other side has ended the connection in the regular way, which it does when it has read everything."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the other side has closed the connection")


class StreamChannel:
    """A connection to a syslog daemon, which `open` makes.

    Args:
        address: the other side.
        grace_s: how long `open` waits for the other side to close the connection, unless it says something before.
    """

    chunk_bytes = 65_536
    """About so many bytes go to the kernel at a time."""

    def __init__(self, address: SocketAddress, grace_s: float) -> None:
        self.is_closed = False
        self.loss: OSError | None = None
        """Why messages that were acknowledged have perhaps not been read."""
        self.has_ended_early = False
        self._address = address
        self._grace_s = grace_s
        self._socket: Any = None
        self._opened_at = 0.0
        self._has_heard = False
        """Whether the other side has said anything, so that there is more than a kernel."""
        self._taken = 0
        """Bytes that the kernel has taken."""
        self._greeting = self._begin = 0
        """The same when the handshake was done, and when the present batch began."""
        self._chunks: list[tuple[int, int, int, int]] = []
        """Of the present batch: the first byte and the end in all bytes taken, the first message, and the next one."""

    # ---- connecting

    def open(self) -> None:
        """Connect.

        Raises:
            OSError: there is nobody, or the connection is refused.
        """
        self._connect()
        self._greeting, self._opened_at = self._taken, monotonic()
        self._await_refusal()

    def _connect(self) -> None:
        """Connects a socket to one of the host's addresses. Resolves the name."""
        trouble: OSError | None = None
        host, port = host_name(self._address.host), self._address.port
        for family, kind, protocol, _, place in _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
            # Kept before it is connected: a child of a fork finds and closes it.
            self._socket = made = _socket.socket(family, kind, protocol)
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
                return
        raise trouble or OSError(errno.EADDRNOTAVAIL, f"{self._address.host} has no address")

    def _await_refusal(self) -> None:
        deadline = monotonic() + self._grace_s
        while not self._has_heard and (left := deadline - monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                break
            if not data:
                raise Closed
            self._heard(data)
        self._socket.settimeout(STALL_S)

    # ---- sending

    def send(self, frames: Frames) -> None:
        """Send each message, and wait until all of them have been acknowledged.

        Raises:
            Unsent: some of them were not.
        """
        number = 0
        self._chunks, self._begin = [], self._taken
        try:
            self._look()
            while number < len(frames):
                data, after = frames.stream(number, self.chunk_bytes)
                data = self._wrapped(data)
                self._chunks.append((self._taken, self._taken + len(data), number, after))
                self._put(data)
                number = after
            self._await_acknowledged()
            self._look_for_refusal()
        except OSError as raised:
            error = self._reason(raised)
            number = self._first_unsent(frames, error)
            self._end(error)
            if number < len(frames):
                raise Unsent(number, error.errno or errno.ETIMEDOUT, error.strerror or str(error)) from error

    def _end(self, error: OSError) -> None:
        """Ends a connection that is broken."""
        left = unacknowledged(self._socket)
        kept = self._begin if self._is_refusal(error) else self._taken - left
        self.has_ended_early = not self._has_heard and monotonic() - self._opened_at < EARLY_S
        if kept > self._greeting and (self.has_ended_early or not isinstance(error, Closed)):
            self.loss = error
        if left:
            self.abort()
        else:
            self.forget()

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
            self._look()
            pause(wait_s)
            wait_s = min(2 * wait_s, LONGEST_PAUSE_S)

    def _look_for_refusal(self) -> None:
        """Called when everything has been acknowledged.

        Raises:
            OSError: the other side refuses the connection.
        """

    def _is_refusal(self, _error: OSError) -> bool:
        """Whether this says that the other side has read nothing at all."""
        return False

    def _reason(self, error: OSError) -> OSError:
        """What the other side has said before this error, where that is the reason."""
        return error

    def _first_unsent(self, frames: Frames, error: OSError) -> int:
        """The number of the first message of the batch that has not been acknowledged as a whole."""
        if self._is_refusal(error):
            return 0
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

    def _look(self) -> None:
        """Reads what the other side says: no daemon says anything of use.

        Raises:
            OSError: it has closed the connection, or broken it.
        """
        self._socket.settimeout(0)
        try:
            while data := self._socket.recv(READ_BYTES):
                self._heard(data)
        except BlockingIOError:
            return
        finally:
            self._socket.settimeout(STALL_S)
        raise Closed

    def _heard(self, _data: bytes) -> None:
        """What the other side has said. May raise OSError: it ends the connection, or refuses it."""
        self._has_heard = True

    # ---- the end

    def close(self) -> None:
        """Closes the connection so that the other side gets everything."""
        if self.is_closed:
            return
        with suppress(OSError):
            self._look()  # what is unread would make the kernel reset the connection
            self._say_goodbye()
            self._socket.shutdown(_socket.SHUT_WR)
        self._socket.close()
        self.is_closed = True

    def _say_goodbye(self) -> None:
        """Sends what ends the connection."""

    def abort(self) -> None:
        """Closes the connection. What has not been acknowledged is dropped, because the next one sends it again."""
        abort_connection(self._socket.fileno())  # also where a child of a fork has a descriptor of it
        with suppress(OSError):
            linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
            self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, linger)
        self.forget()

    def forget(self) -> None:
        """Closes the descriptor, and does nothing to the connection where another process has one, too."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self.is_closed = True


class TlsChannel(StreamChannel):
    """A connection that is encrypted. TLS runs in memory, so what was acknowledged is known here, too.

    Args:
        address: the other side; its certificate must be for the host.
        grace_s: as of `StreamChannel`.
        context: what is trusted.
    """

    chunk_bytes = 16_000
    """A record of TLS has 16 KiB at most."""

    def __init__(self, address: SocketAddress, grace_s: float, context: SSLContext) -> None:
        import ssl

        super().__init__(address, grace_s)
        self._said = 0
        """Bytes since the handshake."""
        self._again = ssl.SSLWantReadError
        self._refusal = ssl.SSLError
        self._incoming: MemoryBIO = ssl.MemoryBIO()
        self._outgoing: MemoryBIO = ssl.MemoryBIO()
        self._tls: SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=address.host)

    def _connect(self) -> None:
        super()._connect()
        self._shake_hands()
        if self._tls.version() != "TLSv1.3":
            self._has_heard = True  # it has answered what the client has said last
        elif self._incoming.pending:
            self._heard(self._incoming.read())

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
                raise Closed
            self._incoming.write(data)

    def _wrapped(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    def _whole(self, frames: Frames, first: int, size: int) -> int:
        return first  # a part of a record of TLS is nothing

    def _look_for_refusal(self) -> None:
        if not self._has_heard:
            self._look()

    def _is_refusal(self, error: OSError) -> bool:
        return isinstance(error, self._refusal) and not self._has_heard

    def _reason(self, error: OSError) -> OSError:
        if not isinstance(error, self._refusal):
            try:
                self._look()
            except self._refusal as refusal:
                return refusal
            except OSError:
                pass
        return error

    def _heard(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            while self._tls.read(READ_BYTES):
                pass
        except self._again:
            self._said += len(data)
            self._has_heard = self._has_heard or self._said > ALERT_BYTES  # a ticket, and not a part of an alert
            return
        raise Closed

    def _say_goodbye(self) -> None:
        with suppress(OSError):
            self._tls.unwrap()
        self._put(self._outgoing.read())


def unacknowledged(socket: _socket.socket) -> int:
    """Bytes that the other side's kernel has not acknowledged. 0 where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return 0
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0  # a sandbox does not allow it
    return int.from_bytes(answer, sys.byteorder)
