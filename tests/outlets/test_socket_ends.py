"""Ends of connections: of whom refuses them, of a child that has them, too, and of a sink while its thread sends."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import struct
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from logly import Logger, RetryBatch, SinkConfig
from logly._core import Frames
from logly.config.socket_address import parse_socket
from logly.outlets import socket_outlet, streams
from logly.outlets.datagrams import Unsent
from logly.outlets.socket_outlet import SocketFunction
from tests.support.forks import children_end_well, fork
from tests.support.loggers import assert_books, make_logger
from tests.support.receivers import Server, filled, whole_frames
from tests.support.syslog_wire import parse_frames, parse_syslog
from tests.support.waiting import PATIENCE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets as Linux has them")


@pytest.fixture
def context(certificates: Path) -> ssl.SSLContext:
    """A server's, which wants a certificate of the client."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    made.load_verify_locations(certificates / "ca.pem")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def logger() -> Iterator[Logger]:
    made = make_logger()
    yield made
    made.close(0)


def texts(messages: list[bytes]) -> list[str]:
    return [parse_syslog(message).text for message in messages]


def framed(count: int, size: int = 10) -> bytes:
    return b"".join(b"%d %b\n" % (size, b"%0*d" % (size, number)) for number in range(count))


def function_of(address: str, on_loss: Any = None) -> SocketFunction:
    return SocketFunction(parse_socket(address), is_journal=False, context=None, on_loss=on_loss or (lambda _: None))


class Channel:
    """A connection that takes some messages of a batch and then ends; None: it takes them all."""

    is_closed = has_ended_early = False
    loss = None

    def __init__(self, *takes: int | None) -> None:
        self._takes = list(takes)

    def open(self) -> None:
        pass

    def send(self, frames: Frames) -> None:
        taken = self._takes.pop(0)
        if taken is not None:
            raise Unsent(taken, errno.EPIPE, "ended")

    def close(self) -> None:
        self.is_closed = True


def test_where_two_connections_end_what_either_has_taken_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = [Channel(None, 2), Channel(3)]
    function = function_of("tcp://127.0.0.1:1")
    monkeypatch.setattr(function, "_made", lambda: channels.pop(0))
    function(framed(10), 10)
    with pytest.raises(RetryBatch) as caught:
        function(framed(10), 10)
    assert caught.value.again == tuple(range(5, 10))


# ---- whom refuses a connection


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_nothing_counts_as_written_where_the_server_wants_a_certificate_and_gets_none(
    certificates: Path, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 the client hears of it after its own handshake; the kernel has acknowledged a batch by then."""
    context.minimum_version = context.maximum_version = version
    errors: list[Exception] = []
    mine = ssl.create_default_context(cafile=certificates / "ca.pem")
    with Server(context=context) as server, make_logger(on_error=errors.append, stall_timeout=3600) as logger:
        sink = logger.add_sink(SinkConfig.syslog(f"tls://localhost:{server.port}", tls=mine))
        for number in range(10):
            logger.info("message {}", number)
        wait_until(lambda: logger.sink_stats(sink).write_errors >= 2, "two refusals")
        assert logger.sink_stats(sink).written == 0
        wait_until(lambda: any("alert" in str(error) for error in errors), "the reason")
        assert server.messages() == []
        mine.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        assert texts(server.await_messages(10)) == [f"message {number}" for number in range(10)]
        assert logger.flush(60)
        assert_books(logger, 10)


def test_a_refusal_that_comes_late_sends_the_batch_again(
    certificates: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server looks at the handshake's end when the first batch was acknowledged. No later batch is risked."""
    monkeypatch.setattr(socket_outlet, "GRACE_S", {"tls": 0.0})
    channel, accepted = late_server(certificates, context)
    frames = Frames(framed(10))
    acknowledge, look = streams.unacknowledged, threading.Event()

    def unacknowledged(sock: Any) -> int:
        left = acknowledge(sock)
        if left == 0 and not look.is_set():
            look.set()
            accepted()
        return left

    monkeypatch.setattr(streams, "unacknowledged", unacknowledged)
    with pytest.raises(Unsent, match="alert") as caught:
        channel.send(frames)
    assert caught.value.number == 0
    assert channel.loss is None
    assert channel.is_closed


def late_server(certificates: Path, context: ssl.SSLContext) -> tuple[Any, Any]:
    """A connection whose server has not read the client's part of the handshake, and what makes it read that."""
    listener = socket.create_server(("127.0.0.1", 0))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    connections = []

    def begin() -> None:
        connection, _ = listener.accept()
        connections.append(connection)
        incoming.write(connection.recv(1 << 16))
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read())

    def end() -> None:
        incoming.write(connections[0].recv(1 << 16))
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        connections[0].sendall(outgoing.read())
        connections[0].close()
        listener.close()

    server = threading.Thread(target=begin)
    server.start()
    mine = ssl.create_default_context(cafile=certificates / "ca.pem")
    address = parse_socket(f"tls://localhost:{listener.getsockname()[1]}")
    channel = streams.TlsChannel(address, 0.0, mine)
    channel.open()
    server.join(PATIENCE_S)
    return channel, end


def test_nothing_goes_to_whom_closes_each_connection_at_once() -> None:
    """As a load balancer does that has no daemon."""
    listener = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []
    closing = threading.Thread(target=close_each, args=(listener, got, 3))
    closing.start()
    errors: list[Exception] = []
    with make_logger(on_error=errors.append, stall_timeout=3600) as logger:
        sink = logger.add_sink(SinkConfig.syslog(f"tcp://127.0.0.1:{listener.getsockname()[1]}"))
        logger.info("m")
        closing.join(PATIENCE_S)
        assert not closing.is_alive()
        assert logger.sink_stats(sink).written == 0
        wait_until(lambda: any("closed the connection" in str(error) for error in errors), "the report")
        daemon, _ = listener.accept()
        data = bytearray()
        while not whole_frames(bytes(data)):
            data += daemon.recv(1 << 16)
        assert texts(parse_frames(bytes(data))) == ["m"]
        assert logger.flush(60)
        daemon.close()
    listener.close()


def close_each(listener: socket.socket, got: list[bytes], count: int) -> None:
    for _ in range(count):
        connection, _ = listener.accept()
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(1 << 16):
            got.append(data)
        connection.close()


def test_each_connection_that_ends_early_makes_the_next_one_wait_longer_and_is_told_of() -> None:
    losses: list[Exception] = []
    with Server() as server:
        function = function_of(server.address, losses.append)
        function(framed(1), 1)
        first = function._grace_s
        server.await_messages(1)
        server.drop()
        wait_until(lambda: server.ended, "the end")
        function(framed(1), 1)
        assert function._grace_s == 2 * first
        assert "closed the connection; what was sent before" in str(losses[0])
        function.close()


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_reset_is_told_of_and_a_regular_end_is_not(is_reset: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "EARLY_S", 0.0)
    losses: list[Exception] = []
    listener = socket.create_server(("127.0.0.1", 0))
    function = function_of(f"tcp://127.0.0.1:{listener.getsockname()[1]}", losses.append)
    function(framed(1), 1)
    connection, _ = listener.accept()
    assert connection.recv(100) == framed(1)[:-1]
    if is_reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    await_end(function)
    function(framed(1), 1)
    assert ["what was sent before" in str(loss) for loss in losses] == [True] * is_reset
    function.close()
    listener.close()


def await_end(function: SocketFunction) -> None:
    """Waits until the kernel knows that the other side has ended the connection."""
    poll = select.poll()
    poll.register(function._channel._socket, select.POLLIN)  # type: ignore[union-attr]
    assert poll.poll(1000 * PATIENCE_S)


# ---- a child has the connection, too


def connections_to(port: int) -> list[int]:
    """Descriptors of this process that are connected to that port."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as one:
            if one.family == socket.AF_INET and one.getpeername()[1] == port:
                found.append(int(name))
    return found


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_child_has_no_connection_of_its_parents(is_busy: bool, logger: Logger) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000)
    port = listener.getsockname()[1]
    logger.add_sink(SinkConfig.syslog(f"tcp://127.0.0.1:{port}"))
    logger.info("m" * (20_000_000 if is_busy else 1))
    connection, _ = listener.accept()
    if is_busy:
        filled(connection, 1000)
    else:
        assert logger.flush(60)
    assert len(connections_to(port)) == 1

    def in_child() -> None:
        assert connections_to(port) == []

    children_end_well([fork(in_child)])
    connection.close()
    listener.close()


def test_a_child_that_is_made_while_the_sink_connects_has_no_connection(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_outlet, "GRACE_S", {"tcp": 600.0})
    with Server() as server:
        logger.add_sink(SinkConfig.syslog(server.address))
        logger.info("m")
        wait_until(lambda: connections_to(server.port), "the connection")

        def in_child() -> None:
            assert connections_to(server.port) == []

        children_end_well([fork(in_child)])
        server.drop()


def test_a_connection_that_is_given_up_ends_also_where_another_process_has_it() -> None:
    """Its kernel would go on sending what is sent again over the next connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000)
    channel = streams.StreamChannel(parse_socket(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), 0.0)
    channel.open()
    connection, _ = listener.accept()
    channel._socket.settimeout(0)
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += channel._socket.send(bytes(1 << 16))
    before = filled(connection, 1000)
    others = os.dup(channel._socket.fileno())  # stands for a descriptor in a child
    assert streams.unacknowledged(channel._socket)
    channel.abort()
    assert read_until_reset(connection) <= before < sent
    os.close(others)
    connection.close()
    listener.close()


def read_until_reset(connection: socket.socket) -> int:
    """How many bytes come. A regular end is an error."""
    got = 0
    connection.settimeout(PATIENCE_S)
    try:
        while data := connection.recv(1 << 16):
            got += len(data)
    except ConnectionResetError:
        return got
    raise AssertionError(f"a regular end after {got} bytes")


# ---- the kernel tells nothing


def test_where_the_kernel_does_not_tell_what_was_acknowledged_nothing_comes_twice(
    logger: Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(*_: object) -> bytes:
        raise OSError(errno.ENOTTY, "as a sandbox says")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with Server() as server:
        sink = logger.add_sink(SinkConfig.syslog(server.address))
        logger.info("m")
        assert logger.flush(60)
        assert logger.sink_stats(sink).written == 1
        assert texts(server.await_messages(1)) == ["m"]
        logger.remove_sink(sink)
        wait_until(lambda: server.ended, "the end")
        assert len(server.messages()) == 1


# ---- a sink's end while its thread sends


class SlowChannel:
    """A channel whose `send` ends when it is told to."""

    loss = None
    has_ended_early = is_closed = False

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.closed_while_sending = False
        self.is_sending = False

    def send(self, _frames: Frames) -> None:
        self.is_sending = True
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        self.is_sending = False

    def close(self) -> None:
        self.closed_while_sending = self.is_sending
        self.is_closed = True


def test_a_connection_is_not_closed_while_the_thread_sends_over_it() -> None:
    """Its descriptor's number could be another file's by then."""
    function, channel = function_of("tcp://127.0.0.1:1"), SlowChannel()
    function._channel = channel  # type: ignore[assignment]
    thread = threading.Thread(target=function, args=(framed(1), 1))
    thread.start()
    assert channel.begun.wait(PATIENCE_S)
    function.close()
    assert not channel.is_closed
    channel.may_end.set()
    thread.join(PATIENCE_S)
    assert channel.is_closed
    assert not channel.closed_while_sending
    assert function._channel is None


def test_a_sink_asks_its_function_to_close_whether_it_is_at_work_or_not(logger: Logger) -> None:
    """Nobody can go by `is_calling`, which is set a moment before the function begins."""
    with Server() as server:
        number = logger.add_sink(SinkConfig.syslog(server.address))
        logger.info("m")
        assert logger.flush(60)
        sink: Any = logger._controller.sinks[number]  # type: ignore[attr-defined]
        sink.outlet.is_calling = True
        sink.outlive_modules()
        wait_until(lambda: server.ended, "the end")
