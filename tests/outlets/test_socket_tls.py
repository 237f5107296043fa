"""TLS: what arrives, whom it trusts, and what it knows after a failure."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from logly import ConfigError, Logger, SinkConfig
from tests.support.loggers import assert_books, make_logger
from tests.support.receivers import Server, filled
from tests.support.syslog_wire import parse_syslog
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sockets as Linux has them")


@pytest.fixture
def context(certificates: Path) -> ssl.SSLContext:
    """A server's."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return made


def syslog(logger: Logger, server: Server, tls: Any, host: str = "localhost") -> int:
    return logger.add_sink(SinkConfig.syslog(f"tls://{host}:{server.port}", tls=tls))


def texts(messages: list[bytes]) -> list[str]:
    return [parse_syslog(message).text for message in messages]


def log_numbered(logger: Logger, count: int, *, start: int = 0) -> list[str]:
    texts = [f"message {number}\n{'x' * (number % 300)}" for number in range(start, start + count)]
    for text in texts:
        logger.info(text)
    return texts


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_record_arrives_encrypted(certificates: Path, context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    context.minimum_version = context.maximum_version = version
    with Server(context=context) as server, make_logger() as logger:
        syslog(logger, server, certificates / "ca.pem")
        sent = log_numbered(logger, 3000)
        assert logger.flush(60)
        assert texts(server.await_messages(3000)) == sent
        assert server.connections[0].version() == version.name.replace("_", ".")  # type: ignore[attr-defined]
        assert_books(logger, 3000)


def test_a_context_of_ones_own_may_have_a_certificate(certificates: Path, context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "ca.pem")
    mine = ssl.create_default_context(cafile=certificates / "ca.pem")
    mine.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    with Server(context=context) as server, make_logger() as logger:
        syslog(logger, server, mine)
        logger.info("m")
        assert texts(server.await_messages(1)) == ["m"]
        assert server.connections[0].getpeercert()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("tls", "host"), [(None, "localhost"), ("ca.pem", "127.0.0.2")])
def test_nothing_is_sent_to_whom_is_not_trusted(
    tls: str | None, host: str, certificates: Path, context: ssl.SSLContext
) -> None:
    errors: list[Exception] = []
    server = Server(context=context)
    relay = socket.create_server((host if host[0].isdigit() else "127.0.0.1", 0))
    threading.Thread(target=lambda: forward(relay, server.port), daemon=True).start()
    logger = make_logger(on_error=errors.append)
    trusted = None if tls is None else certificates / tls
    logger.add_sink(SinkConfig.syslog(f"tls://{host}:{relay.getsockname()[1]}", tls=trusted))
    logger.info("secret")
    wait_until(lambda: any("certificate verify failed" in str(error) for error in errors), "the report")
    assert server.messages() == []
    logger.close(0)
    relay.close()
    server.close()


def forward(relay: socket.socket, port: int) -> None:
    """Joins the next connection with that port."""
    client, _ = relay.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        copy(client, server)
        back.join(60)


def copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_file_that_has_no_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    with make_logger() as logger:
        for name in ("missing", "empty"):
            with pytest.raises(ConfigError, match="certificates in PEM form") as caught:
                logger.add_sink(SinkConfig.syslog("tls://localhost", tls=tmp_path / name))
            assert caught.value.field == "tls"
        assert logger.list_sinks() == []


def test_a_server_that_closes_gets_the_next_records_over_another_connection(
    certificates: Path, context: ssl.SSLContext
) -> None:
    with Server(context=context) as server, make_logger() as logger:
        syslog(logger, server, certificates / "ca.pem")
        sent = log_numbered(logger, 100)
        server.await_messages(100)
        assert logger.flush(60)
        server.drop()
        sent += log_numbered(logger, 100, start=100)
        assert logger.flush(60)
        assert texts(server.await_messages(200)) == sent
        assert len(server.connections) == 2
        assert_books(logger, 200)


def test_a_server_that_speaks_no_tls_is_told_of() -> None:
    errors: list[Exception] = []
    with Server() as server:
        logger = make_logger(on_error=errors.append)
        logger.add_sink(SinkConfig.syslog(f"tls://localhost:{server.port}"))
        logger.info("m")
        wait_until(lambda: server.connections, "a connection")
        server.drop()
        wait_until(lambda: any("closed the connection" in str(error) for error in errors), "the report")
        logger.close(0)


def test_a_relay_that_resets_in_between_loses_nothing_that_it_had_not_taken(
    certificates: Path, context: ssl.SSLContext
) -> None:
    """The relay passes on all that its kernel has taken, and then resets. So nothing may be missing, or come twice."""
    with Server(context=context) as server, make_logger() as logger:
        relay = socket.create_server(("127.0.0.1", 0))
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000)
        logger.add_sink(
            SinkConfig.syslog(
                f"tls://localhost:{relay.getsockname()[1]}", tls=certificates / "ca.pem", batch_bytes=200_000
            )
        )
        resets = threading.Thread(target=lambda: [pass_on(relay, server.port, limit) for limit in (60_000, None)])
        resets.start()
        sent = log_numbered(logger, 2000)
        got = texts(server.await_messages(2000))
        assert got == sent
        assert logger.flush(60)
        assert_books(logger, 2000)
        logger.close()
        resets.join(60)
        relay.close()


def pass_on(relay: socket.socket, port: int, limit: int | None) -> None:
    """Joins the next connection with that port. After `limit` bytes, passes on what the kernel holds, and resets."""
    client, _ = relay.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=copy, args=(server, client), daemon=True)
        back.start()
        passed = 0
        while (limit is None or passed < limit) and (data := client.recv(4000)):
            server.sendall(data)
            passed += len(data)
        if limit is not None:
            server.sendall(client.recv(filled(client, 4000), socket.MSG_PEEK))
            client.close()  # with something unread
        server.shutdown(socket.SHUT_WR)
        back.join(60)
