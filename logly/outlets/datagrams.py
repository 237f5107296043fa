"""Connected sockets for datagrams: one message in each. UDP, local sockets, and that of systemd's journal."""

from __future__ import annotations

import _socket
import errno
import os

from logly._core import Frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from logly.config.socket_address import SocketAddress

__all__ = ["DatagramChannel", "JournalChannel", "Unsent", "datagram_addresses", "host_name", "shortened"]

FULL_MS = 1000
"""How long a receiver may take nothing before that is an error."""
UDP_PAUSE_NS = 500_000
"""After 64 datagrams of UDP, which has no other way to spare a receiver: less than 128,000 are sent in a second."""
LARGEST = 65_507
"""The most of a datagram of UDP over IPv4. A local socket would take more, of which a daemon reads the beginning."""
LEAST_BYTES = 480
"""What every receiver must take (RFC 5426, section 3.2)."""


class Unsent(OSError):
    """The messages from a number on have not been sent.

    Attributes:
        number: of the first that was not sent.
    """

    def __init__(self, number: int, code: int, text: str) -> None:
        super().__init__(code, text)
        self.number = number


def datagram_addresses(address: SocketAddress) -> list[tuple[int, int, Any]]:
    """Families, protocols and addresses to try in turn. Resolves the host's name."""
    if address.kind == "unix":
        name = "\0" + address.host[1:] if address.host.startswith("@") else address.host
        return [(_socket.AF_UNIX, 0, name)]
    found = _socket.getaddrinfo(host_name(address.host), address.port, 0, _socket.SOCK_DGRAM)
    return [(family, protocol, place) for family, _, protocol, _, place in found]


def host_name(host: str) -> str | bytes:
    """What `getaddrinfo` gets. For text it would import a codec, on a thread of the sink's own."""
    return host.encode() if host.isascii() else host


class DatagramChannel:
    """A socket that is connected to a receiver of datagrams.

    Raises:
        OSError: there is none.
    """

    largest = LARGEST

    def __init__(self, address: SocketAddress) -> None:
        self.is_closed = False
        self._is_udp = address.kind == "udp"
        trouble: OSError | None = None
        for family, protocol, place in datagram_addresses(address):
            self._socket = _socket.socket(family, _socket.SOCK_DGRAM, protocol)
            try:
                self._socket.settimeout(FULL_MS / 1000)
                self._socket.connect(place)
            except OSError as error:
                self._socket.close()
                trouble = error
            else:
                break
        else:
            raise trouble or OSError(errno.EADDRNOTAVAIL, f"{address.host} has no address")

    def send(self, frames: Frames) -> None:
        """Send each message.

        Raises:
            Unsent: some of them were not sent.
        """
        number, pause_ns = 0, UDP_PAUSE_NS if self._is_udp else 0
        while True:
            number, code = frames.send(self._socket.fileno(), number, self.largest, FULL_MS, pause_ns)
            if code == 0 and self._is_udp:
                # The answer to the last message, which has come at once where the receiver is on this machine.
                code = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if code == 0:
                return
            if code != errno.EMSGSIZE:
                # Of UDP, the error is the answer to the message before.
                lost = 1 if self._is_udp and code == errno.ECONNREFUSED and number else 0
                text = f"it has taken nothing for {FULL_MS} ms" if code == errno.EAGAIN else os.strerror(code)
                raise Unsent(number - lost, code, text)
            code = self._send_large(frames, number)
            if code:
                raise Unsent(number, code, os.strerror(code))
            number += 1

    def _send_large(self, frames: Frames, number: int) -> int:
        """Sends the beginning of a message that is too large for a datagram. Returns errno, or 0."""
        message = frames.message_at(number)
        room = min(self.largest, len(message) - 1)
        while True:
            cut = shortened(message, room)
            _, code = Frames(b"%d %b\n" % (len(cut), cut)).send(self._socket.fileno(), 0, room, FULL_MS, 0)
            if code != errno.EMSGSIZE or room < LEAST_BYTES:
                return code
            room = room * 7 // 8

    def close(self) -> None:
        self._socket.close()
        self.is_closed = True


class JournalChannel(DatagramChannel):
    """The socket of systemd's journal. What is too large for a datagram is handed over as a sealed memfd."""

    largest = 128 << 10  # less than every buffer's default

    def _send_large(self, frames: Frames, number: int) -> int:
        return frames.hand_over(self._socket.fileno(), number, FULL_MS)


def shortened(message: bytes, room: int) -> bytes:
    """A message of RFC 5424 in at most `room` bytes: its text is cut between two characters, and the end says so.

    Where the fields alone are too long, they are left out.
    """
    mark = f" [logly: cut, {len(message)} bytes in all]".encode()
    head = header_end(message)
    text = elements_end(message, head)
    front = message[:text]
    if text + len(mark) > room:
        front = message[:head] + b"-"
    rest = message[text:]
    size = min(len(rest), max(0, room - len(front) - len(mark)))
    while 0 < size < len(rest) and rest[size] & 0xC0 == 0x80:
        size -= 1
    return (front + rest[:size] + mark)[:room]


def header_end(message: bytes) -> int:
    """Where the structured data begins: behind the sixth space."""
    at = 0
    for _ in range(6):
        at = message.index(b" ", at) + 1
    return at


def elements_end(message: bytes, at: int) -> int:
    """Where the structured data, which begins at `at`, ends."""
    is_quoted = False
    while True:
        character = message[at : at + 1]
        if is_quoted and character == b"\\":
            at += 1
        elif character == b'"':
            is_quoted = not is_quoted
        elif not is_quoted and character in (b"]", b""):
            return at + 1
        at += 1
