"""The function of a sink with a `socket`: sends batches of frames to a syslog daemon or to systemd's journal.

It runs on the thread of a batch sink (logly/outlets/outlet.py), which tries again later what it has not sent. It
connects when there is something to send.
"""

from __future__ import annotations

from logly._core import Frames
from logly.errors import RetryBatch
from logly.system.unpatched import monotonic

from .datagrams import DatagramChannel, JournalChannel, Unsent
from .streams import StreamChannel, TlsChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext

    from logly.config.socket_address import SocketAddress

__all__ = ["SocketFunction"]

RESOLVE_AGAIN_S = 300.0
"""A receiver of UDP never closes a connection, so its name is resolved again after this time."""


class SocketFunction:
    """Sends batches; callable with the frames and the number of records.

    Args:
        address: where to.
        is_journal: the frames are entries of systemd's journal.
        context: what is trusted, with TLS.
    """

    def __init__(self, address: SocketAddress, *, is_journal: bool, context: SSLContext | None) -> None:
        self.address = address
        self._is_journal = is_journal
        self._context = context
        self._channel: DatagramChannel | StreamChannel | None = None
        self._connected_at = 0.0

    def __call__(self, lines: bytes, _count: int) -> None:
        """Send the messages.

        Raises:
            RetryBatch: some of them were not sent; says which.
            OSError: none was sent.
        """
        frames = Frames(lines)
        self._refresh()
        was_connected = self._channel is not None
        try:
            self._send(frames)
        except Unsent as trouble:
            # A daemon that was started anew listens already: the first failure of a connection is no reason to wait.
            if not was_connected:
                raise self._again(frames, trouble) from trouble
            rest = lines[frames.begin_of(trouble.number) :]
            try:
                self._send(Frames(rest))
            except Unsent as second:
                second.number += trouble.number
                raise self._again(frames, second) from second
            except OSError as second:
                trouble.strerror = second.strerror or str(second)
                raise self._again(frames, trouble) from second

    def _send(self, frames: Frames) -> None:
        channel = self._channel or self._connect()
        try:
            channel.send(frames)
        except Unsent:
            channel.close()
            raise
        finally:
            if channel.is_closed:
                self._channel = None

    def _connect(self) -> DatagramChannel | StreamChannel:
        try:
            self._channel = self._connected()
        except OSError as error:
            raise OSError(error.errno, f"{self.address}: {error.strerror or error}") from error
        self._connected_at = monotonic()
        return self._channel

    def _connected(self) -> DatagramChannel | StreamChannel:
        address = self.address
        if address.kind == "tls":
            assert self._context is not None
            return TlsChannel(address, self._context)
        if address.is_stream:
            return StreamChannel(address)
        return JournalChannel(address) if self._is_journal else DatagramChannel(address)

    def _refresh(self) -> None:
        if self.address.kind != "udp" or self._channel is None:
            return
        if monotonic() - self._connected_at > RESOLVE_AGAIN_S:
            self._connected_at = monotonic()
            try:
                channel = DatagramChannel(self.address)
            except OSError:
                return  # the name servers are in trouble, and the receiver is not
            self._channel.close()
            self._channel = channel

    def _again(self, frames: Frames, trouble: Unsent) -> Exception:
        text = trouble.strerror or str(trouble)
        if str(self.address) not in text:
            text = f"{self.address}: {text}"
        if trouble.number == 0:
            return OSError(trouble.errno, text)
        begin, end = frames.lines_before(trouble.number), frames.lines_before(len(frames))
        return RetryBatch(text, again=range(begin, end))

    def close(self) -> None:
        """Closes the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
