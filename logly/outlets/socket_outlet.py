"""The function of a sink with a `socket`: sends batches of frames to a syslog daemon or to systemd's journal.

It runs on the thread of a batch sink (logly/outlets/outlet.py), which tries again later what it has not sent. It
connects when there is something to send.
"""

from __future__ import annotations

from logly._core import Frames
from logly.errors import RetryBatch
from logly.system.unpatched import TryLock, monotonic, pause

from .datagrams import DatagramChannel, JournalChannel, Unsent
from .streams import CONNECT_S, StreamChannel, TlsChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from logly.config.socket_address import SocketAddress

__all__ = ["SocketFunction"]

GRACE_S = {"tcp": 0.25, "tls": 1.0}
"""How long a connection that was just made may be refused, before anything is sent over it. It doubles with each one
that has ended early, so that few batches go to whom accepts connections and reads nothing."""
PAUSE_S = 0.001
RESOLVE_AGAIN_S = 300.0
"""A receiver of UDP never closes a connection, so its name is resolved again after this time."""


class SocketFunction:
    """Sends batches; callable with the frames and the number of records.

    Args:
        address: where to.
        is_journal: the frames are entries of systemd's journal.
        context: what is trusted, with TLS.
        on_loss: called with an error where messages that counted as written have perhaps not been read.
    """

    def __init__(
        self,
        address: SocketAddress,
        *,
        is_journal: bool,
        context: SSLContext | None,
        on_loss: Callable[[Exception], None],
    ) -> None:
        self.address = address
        self._is_journal = is_journal
        self._context = context
        self._on_loss = on_loss
        self._channel: DatagramChannel | StreamChannel | None = None
        self._connected_at = 0.0
        self._grace_s = GRACE_S.get(address.kind, 0.0)
        self._is_to_close = False
        self._busy = TryLock()

    def __call__(self, lines: bytes, _count: int) -> None:
        """Send the messages.

        Raises:
            RetryBatch: some of them were not sent; says which.
            OSError: none was sent.
        """
        while not self._has_sent(lines):
            pause(PAUSE_S)  # another thread is closing the connection

    def _has_sent(self, lines: bytes) -> bool:
        try:
            with self._busy as is_mine:
                if is_mine:
                    self._send_batch(lines)
            return is_mine
        finally:
            if self._is_to_close:  # another thread has asked for it meanwhile
                self.close()

    def _send_batch(self, lines: bytes) -> None:
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
                self._learn(channel)

    def _learn(self, channel: DatagramChannel | StreamChannel) -> None:
        """From how a connection has ended."""
        if channel.has_ended_early:
            self._grace_s = min(2 * self._grace_s, CONNECT_S)
        else:
            self._grace_s = GRACE_S.get(self.address.kind, 0.0)
        if channel.loss is not None:
            text = f"{self.address}: {channel.loss.strerror or channel.loss}; what was sent before is perhaps not read"
            error = OSError(channel.loss.errno, text)
            error.__cause__ = channel.loss
            self._on_loss(error)

    def _connect(self) -> DatagramChannel | StreamChannel:
        channel = self._channel = self._made()  # from now on a child of a fork finds its descriptor
        try:
            channel.open()
        except BaseException as error:
            channel.forget()
            self._channel = None
            if not isinstance(error, OSError):
                raise
            raise OSError(error.errno, f"{self.address}: {error.strerror or error}") from error
        self._connected_at = monotonic()
        return channel

    def _made(self) -> DatagramChannel | StreamChannel:
        address = self.address
        if address.kind == "tls":
            assert self._context is not None
            return TlsChannel(address, self._grace_s, self._context)
        if address.is_stream:
            return StreamChannel(address, self._grace_s)
        return JournalChannel(address) if self._is_journal else DatagramChannel(address)

    def _refresh(self) -> None:
        if self.address.kind != "udp" or self._channel is None:
            return
        if monotonic() - self._connected_at > RESOLVE_AGAIN_S:
            self._connected_at = monotonic()
            channel = DatagramChannel(self.address)
            try:
                channel.open()
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
        """Close the connection: now, or at the end of a call that another thread is at. A later call connects again."""
        self._is_to_close = True
        with self._busy as is_mine:
            if is_mine:
                self._is_to_close = False
                channel, self._channel = self._channel, None
                if channel is not None:
                    channel.close()

    def forget(self) -> None:
        """In a child of a fork: close the descriptor of the connection, which the parent goes on using."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.forget()
