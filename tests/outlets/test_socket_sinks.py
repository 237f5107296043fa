"""Sinks with a socket, against receivers in this process: what arrives, and what happens while a receiver is away."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from logly import Logger, SinkConfig
from tests.support.forks import children_end_well, fork
from tests.support.loggers import assert_books, make_logger
from tests.support.receivers import Datagrams, Server, filled, whole_frames
from tests.support.syslog_wire import parse_frames, parse_syslog
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets as Linux has them")


def syslog(logger: Logger, address: str, **fields: Any) -> int:
    return logger.add_sink(SinkConfig.syslog(address, **fields))


def texts(messages: list[bytes]) -> list[str]:
    return [parse_syslog(message).text for message in messages]


def numbered(count: int, *, start: int = 0) -> list[str]:
    return [f"message {number}\nof two lines" for number in range(start, start + count)]


def log_numbered(logger: Logger, count: int, *, start: int = 0) -> None:
    for text in numbered(count, start=start):
        logger.info(text)


# ---- everything arrives


def test_each_record_is_a_datagram_of_a_local_socket(tmp_path: Path) -> None:
    with Datagrams(tmp_path / "log") as receiver, make_logger() as logger:
        syslog(logger, receiver.address)
        log_numbered(logger, 5)
        assert texts(receiver.messages(5)) == numbered(5)
        assert logger.flush(60)
        assert_books(logger, 5)


def test_an_abstract_socket_is_named_by_an_at_sign() -> None:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"logly-test-{os.getpid()}"
    receiver.bind("\0" + name)
    receiver.settimeout(60)
    with make_logger() as logger:
        syslog(logger, f"unix:@{name}")
        logger.info("m")
        assert parse_syslog(receiver.recv(10_000)).text == "m"
    receiver.close()


def test_each_record_is_a_datagram_of_udp() -> None:
    with Datagrams() as receiver, make_logger() as logger:
        syslog(logger, receiver.address, facility="local0")
        log_numbered(logger, 5)
        messages = receiver.messages(5)
    assert texts(messages) == numbered(5)
    assert parse_syslog(messages[0]).facility == 16


def test_a_receiver_that_is_slow_gets_everything(tmp_path: Path) -> None:
    with Datagrams(tmp_path / "log") as receiver, make_logger() as logger:
        syslog(logger, receiver.address)
        log_numbered(logger, 2000)  # far more than the kernel's queue takes
        assert texts(receiver.messages(2000)) == numbered(2000)
        assert logger.flush(60)
        assert_books(logger, 2000)


def test_a_stream_has_each_record_with_its_length() -> None:
    with Server() as server, make_logger() as logger:
        syslog(logger, server.address)
        log_numbered(logger, 3000)
        assert logger.flush(60)
        assert texts(server.await_messages(3000)) == numbered(3000)
        assert len(server.connections) == 1
        assert_books(logger, 3000)


def test_a_large_record_goes_over_a_stream_as_a_whole() -> None:
    with Server() as server, make_logger() as logger:
        syslog(logger, server.address)
        logger.info("é" * 1_000_000)
        logger.info("m")
        assert texts(server.await_messages(2)) == ["é" * 1_000_000, "m"]


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_what_is_too_large_for_a_datagram_is_cut_and_says_so(kind: str, tmp_path: Path) -> None:
    receiver = Datagrams(tmp_path / "log" if kind == "unix" else None)
    with receiver, make_logger() as logger:
        syslog(logger, receiver.address)
        logger.info("before")
        logger.info("é" * 1_000_000)
        logger.info("m", field="é" * 1_000_000)
        logger.info("after")
        before, cut, without, after = map(parse_syslog, receiver.messages(4))
        assert logger.flush(60)
        assert_books(logger, 4)
    assert (before.text, after.text) == ("before", "after")
    shown, _, mark = cut.text.partition(" [logly: cut, ")
    assert set(shown) == {"é"}
    assert len(shown) > 30_000
    assert mark.endswith(" bytes in all]")
    assert (without.data, without.text.split(" [")[0]) == ({}, "m")


# ---- while the receiver is away


def told_of(errors: list[Exception], words: str) -> bool:
    return any(words in str(error) for error in errors)


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp"])
def test_what_waits_for_a_receiver_arrives_once_when_it_comes(kind: str, tmp_path: Path) -> None:
    errors: list[Exception] = []
    first: Any = Server() if kind == "tcp" else Datagrams(tmp_path / "log" if kind == "unix" else None)
    address, port = first.address, first.port
    first.close()
    with make_logger(on_error=errors.append) as logger:
        sink = syslog(logger, address)
        log_numbered(logger, 50)
        wait_until(lambda: logger.sink_stats(sink).write_errors, "a failure")
        wait_until(lambda: told_of(errors, address), "the report")
        path = tmp_path / "log" if kind == "unix" else None
        receiver: Any = Server(port) if kind == "tcp" else Datagrams(path, port=port)
        with receiver:
            messages = receiver.await_messages(50) if kind == "tcp" else receiver.messages(50)
            assert logger.flush(60)
            assert texts(messages) == numbered(50)
            assert kind == "tcp" or receiver.is_empty()
            assert_books(logger, 50)


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp"])
def test_a_receiver_that_is_started_anew_gets_what_comes_then(kind: str, tmp_path: Path) -> None:
    def start(port: int = 0) -> Any:
        return Server(port) if kind == "tcp" else Datagrams(tmp_path / "log" if kind == "unix" else None, port=port)

    receiver = start()
    with make_logger() as logger:
        syslog(logger, receiver.address)
        log_numbered(logger, 10)
        before = receiver.await_messages(10) if kind == "tcp" else receiver.messages(10)
        assert logger.flush(60)
        receiver.close()
        receiver = start(receiver.port)
        log_numbered(logger, 10, start=10)
        after = receiver.await_messages(10) if kind == "tcp" else receiver.messages(10)
        assert texts(before) + texts(after) == numbered(20)
        assert logger.flush(60)
        assert_books(logger, 20)
        receiver.close()


def test_more_than_the_backlog_is_given_up_counted_and_told(tmp_path: Path) -> None:
    errors: list[Exception] = []
    path = tmp_path / "log"
    with make_logger(on_error=errors.append) as logger:
        sink = syslog(logger, f"unix:{path}", batch_bytes=10_000, batch_backlog=50_000)
        log_numbered(logger, 3000)
        wait_until(lambda: told_of(errors, "given up"), "the report")
        with Datagrams(path) as receiver:
            logger.info("last")
            found = []
            while not found or found[-1] != "last":
                found += texts([receiver.message()])
            assert logger.flush(60)
            stats = logger.sink_stats(sink)
            kept = [text for text in found if text.startswith("message")]
            assert kept == numbered(len(kept), start=3000 - len(kept))  # the latest ones
            assert len(kept) + stats.failed == 3000
            assert_books(logger)


def test_callers_and_other_sinks_do_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))  # accepts nothing, reads nothing
    lines = []
    with make_logger() as logger:
        syslog(logger, f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        logger.add_sink(SinkConfig(function=lines.append))
        log_numbered(logger, 20_000)
        wait_until(lambda: len(lines) == 20_000, "the other sink")
        listener.close()


# ---- what is known of a stream


def test_after_a_reset_only_what_was_not_acknowledged_is_sent_again() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    with make_logger() as logger:
        syslog(logger, f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        log_numbered(logger, 4000)
        connection, _ = listener.accept()
        read = connection.recv(5000, socket.MSG_WAITALL)
        read += connection.recv(filled(connection, 10_000), socket.MSG_PEEK)
        connection.close()  # with something unread: a reset
        again, _ = listener.accept()
        again.settimeout(60)
        rest = bytearray()
        acknowledged = parse_frames(whole_frames(read))
        while len(parse_frames(whole_frames(bytes(rest)))) < 4000 - len(acknowledged):
            rest += again.recv(1 << 16)
        assert logger.flush(60)
        assert texts(acknowledged + parse_frames(bytes(rest))) == numbered(4000)
        assert_books(logger, 4000)
        again.close()
    listener.close()


def test_a_connection_that_the_other_side_has_closed_is_made_anew_before_anything_is_sent() -> None:
    with Server() as server, make_logger() as logger:
        syslog(logger, server.address)
        logger.info("one")
        server.await_messages(1)
        assert logger.flush(60)
        server.drop()
        logger.info("two")
        assert logger.flush(60)
        assert texts(server.await_messages(2)) == ["one", "two"]
        assert_books(logger, 2)


# ---- ends


def test_a_removed_sink_sends_what_it_holds_and_closes_the_connection() -> None:
    with Server() as server, make_logger(async_flush_interval=60_000) as logger:
        sink = syslog(logger, server.address)
        log_numbered(logger, 100)
        assert logger.remove_sink(sink)
        assert texts(server.await_messages(100)) == numbered(100)
        wait_until(lambda: server.ended, "the connection to be closed")


def test_a_child_has_a_connection_of_its_own() -> None:
    with Server() as server, make_logger() as logger:
        syslog(logger, server.address)
        logger.info("parent before")
        assert logger.flush(60)

        def in_child() -> None:
            logger.info("child")
            assert logger.flush(60)

        children_end_well([fork(in_child), fork(in_child)])
        logger.info("parent after")
        assert logger.flush(60)
        found = texts(server.await_messages(4))
    assert sorted(found) == ["child", "child", "parent after", "parent before"]
    by_connection = [texts(parse_frames(bytes(data))) for data in server.received]
    assert ["parent before", "parent after"] in by_connection
