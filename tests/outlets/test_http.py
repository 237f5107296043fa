"""`HttpSink`: what goes over the wire, and what each answer, and each kind of failure, means for a batch."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from logly import BatchRefused, ConfigError, Logger, RetryBatch, SinkConfig
from tests.support.forks import children_end_well, fork
from tests.support.http_servers import HttpServer, Request, problem, raw_server, reset
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import wait_until

urllib3 = pytest.importorskip("urllib3")
from logly.http import Envelope, HttpSink  # noqa: E402

LINES = b'{"n":0}\n{"n":1}\n{"n":2}\n{"n":3}\n'


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def json_logger(batch: Any, **config: Any) -> Logger:
    logger = make_logger(**{"on_error": lambda _: None, "stall_timeout": 60, **config})
    logger.add_sink(SinkConfig(batch=batch, format="json", flush_interval=5))
    return logger


def test_a_batch_is_a_post_with_its_lines_compressed_on_a_connection_that_stays() -> None:
    with HttpServer() as server:
        sink = HttpSink(f"{server.url}/logs?team=shop", headers={"X-Api-Key": "k", "content-type": "text/plain"})
        with json_logger(sink) as logger:
            for number in range(3):
                logger.info("order {}", number)
                assert logger.flush(30)
        assert server.connections == 1
        lines = b"".join(server.bodies).splitlines()
        assert [json.loads(line)["message"] for line in lines] == ["order 0", "order 1", "order 2"]
        request = server.requests[0]
        assert request.path == "/logs?team=shop"
        assert request.headers["content-encoding"] == "gzip"
        assert request.headers["x-api-key"] == "k"
        assert request.headers["content-type"] == "text/plain"
        assert request.headers["user-agent"].startswith("logly/")
        assert_books(logger, 3)


def test_without_compression_the_lines_are_sent_as_they_are() -> None:
    with HttpServer() as server:
        HttpSink(server.url, compression=None)(LINES, 4)
        assert server.bodies == [LINES]
        assert "content-encoding" not in server.requests[0].headers
        assert server.requests[0].headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_gets_the_batch_again(status: int) -> None:
    with HttpServer() as server:
        server.replies.extend([problem(status, "busy"), problem(status, "busy")])
        with json_logger(HttpSink(server.url)) as logger:
            logger.info("one")
            assert logger.flush(30)
            assert len(server.bodies) == 3
            assert len(set(server.bodies)) == 1
            assert_books(logger, 1)


@pytest.mark.parametrize("status", [301, 400, 409, 422])
def test_a_server_that_refuses_a_batch_does_not_get_it_again(status: int) -> None:
    told: list[Exception] = []
    with HttpServer() as server:
        server.replies.append(problem(status, "unwanted"))
        with json_logger(HttpSink(server.url), on_error=told.append) as logger:
            logger.info("one")
            assert logger.flush(30)
            assert len(server.bodies) == 1
            assert logger.stats().failed == 1
            logger.info("two")
            assert logger.flush(30)
            assert_books(logger)
        assert any(f"HTTP {status}: unwanted" in str(error) for error in told)


@pytest.mark.parametrize("kind", [{}, {"envelope": "otlp"}, {"envelope": "loki"}])
@pytest.mark.parametrize("status", [401, 403, 404])
def test_every_envelope_keeps_a_batch_while_a_token_is_wrong(kind: dict[str, Any], status: int) -> None:
    with HttpServer() as server:
        server.replies.append(problem(status, "not yet"))
        with pytest.raises(RetryBatch, match=f"HTTP {status}: not yet"):
            HttpSink(server.url, **kind)(LINES, 4)


def test_headers_from_a_function_are_those_of_each_request() -> None:
    tokens = iter(["old", "new"])
    with HttpServer() as server:
        server.replies.append(problem(401, "who are you"))
        sink = HttpSink(server.url, headers=lambda: {"Authorization": f"Bearer {next(tokens)}"})
        with json_logger(sink) as logger:
            logger.info("one")
            assert logger.flush(30)
            assert_books(logger, 1)
        assert [one.headers["authorization"] for one in server.requests] == ["Bearer old", "Bearer new"]
        assert len({one.headers["content-type"] for one in server.requests}) == 1


def test_a_function_of_headers_that_fails_keeps_the_batch() -> None:
    answers: list[Any] = [OSError("no vault"), 5, {"X": "a\r\nY: b"}, {"X": "good"}]

    def headers() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with HttpServer() as server:
        sink = HttpSink(server.url, headers=headers)
        for told in ("headers failed: OSError: no vault", "headers = 'int' is not valid", "headers = 'X' is not valid"):
            with pytest.raises(RetryBatch, match=told) as caught:
                sink(LINES, 4)
            assert "Y: b" not in str(caught.value)
            assert server.requests == []
        sink(LINES, 4)
        assert [one.headers["x"] for one in server.requests] == ["good"]


def test_a_pause_that_the_server_asks_for_is_kept() -> None:
    with HttpServer() as server:
        for value, least, most in (("120", 120, 120), (formatdate(time.time() + 100, usegmt=True), 90, 100)):
            server.replies.append((429, {"Retry-After": value}, b"slow down"))
            with pytest.raises(RetryBatch) as told:
                HttpSink(server.url)(LINES, 4)
            assert told.value.after is not None
            assert least <= told.value.after <= most
            assert told.value.again is None
        for value, after in (("soon", None), ("-5", 0.0), ("1e9", 3600.0), ("nan", None)):
            server.replies.append((503, {"Retry-After": value}, b""))
            with pytest.raises(RetryBatch) as told:
                HttpSink(server.url)(LINES, 4)
            assert told.value.after == after


def test_a_batch_that_is_too_large_for_the_server_is_halved() -> None:
    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        return problem(413, "too large") if len(request.body) > 20 else (200, {}, b"")

    with HttpServer(answer) as server:
        HttpSink(server.url)(LINES, 4)
        taken = [body for body in server.bodies if len(body) <= 20]
        assert b"".join(taken) == LINES
        assert len(taken) == 2
        with pytest.raises(BatchRefused) as told:
            HttpSink(server.url)(LINES + b'{"text":"longer than the server takes"}\n', 5)
        assert told.value.refused == (4,)
        with pytest.raises(BatchRefused) as told:
            HttpSink(server.url)(b'{"text":"longer than the server takes"}\n', 1)
        assert told.value.refused is None


def test_halves_that_fail_later_are_sent_again_alone() -> None:
    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        if len(request.body) > 20:
            return problem(413, "too large")
        return problem(503, "busy") if b"2" in request.body else (200, {}, b"")

    with HttpServer(answer) as server, pytest.raises(RetryBatch) as told:
        HttpSink(server.url)(LINES, 4)
    assert list(told.value.again or ()) == [2, 3]


# ---- connections that fail


def test_a_server_that_is_not_there_is_an_error_of_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(urllib3.exceptions.HTTPError):
        HttpSink(f"http://127.0.0.1:{port}")(LINES, 4)


def test_a_server_that_does_not_answer_does_not_hold_the_sink_for_ever() -> None:
    done = threading.Event()
    with raw_server(lambda _: done.wait(30)) as url, pytest.raises(urllib3.exceptions.TimeoutError):  # type: ignore[arg-type]
        HttpSink(url, timeout_s=0.2)(LINES, 4)
    done.set()


def test_a_server_that_does_not_read_does_not_hold_the_sink_for_ever() -> None:
    done = threading.Event()
    large = b'{"x":"' + os.urandom(8 << 20).hex().encode() + b'"}\n'
    with raw_server(lambda _: done.wait(30)) as url, pytest.raises((OSError, urllib3.exceptions.HTTPError)):  # type: ignore[arg-type]
        HttpSink(url, timeout_s=0.3, compression=None)(large, 1)
    done.set()


def test_an_answer_that_trickles_or_never_ends_fails() -> None:
    def trickles(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            done.wait(0.05)

    done = threading.Event()
    with raw_server(trickles) as url, pytest.raises(urllib3.exceptions.HTTPError):
        HttpSink(url, timeout_s=0.3)(LINES, 4)
    done.set()


def test_a_connection_that_is_reset_keeps_the_batch() -> None:
    resets = 2

    def behave(connection: socket.socket) -> None:
        nonlocal resets
        received = connection.recv(65536)
        if resets:
            resets -= 1
            reset(connection)
            return
        got.append(received)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    got: list[bytes] = []
    with raw_server(behave) as url, json_logger(HttpSink(url)) as logger:
        logger.info("one")
        assert logger.flush(30)
        assert len(got) == 1
        assert_books(logger, 1)


def test_a_connection_that_the_server_has_closed_meanwhile_is_made_anew() -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        served.append(1)

    served: list[int] = []
    with raw_server(behave) as url, json_logger(HttpSink(url)) as logger:
        for number in range(3):
            logger.info("{}", number)
            assert logger.flush(30)
        assert len(served) == 3
        assert_books(logger, 3)


def test_a_child_makes_connections_of_its_own() -> None:
    with HttpServer() as server:
        sink = HttpSink(server.url)
        sink(LINES, 4)
        children_end_well([fork(lambda: sink(LINES, 4)) for _ in range(3)])
        sink(LINES, 4)
        assert server.bodies == [LINES] * 5
        assert server.connections == 4


# ---- TLS and proxies


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Any:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path_factory.mktemp("ca") / "ca.pem"))
    return authority


def server_context(authority: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_a_server_is_trusted_by_its_authority_only(authority: Any, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with HttpServer(context=server_context(authority)) as server:
        HttpSink(server.url, ca=tmp_path / "ca.pem")(LINES, 4)
        assert server.bodies == [LINES]
        with pytest.raises(urllib3.exceptions.SSLError):
            HttpSink(server.url)(LINES, 4)
        with pytest.raises(urllib3.exceptions.SSLError):
            HttpSink(server.url.replace("localhost", "127.0.0.1"), ca=tmp_path / "ca.pem")(LINES, 4)
        assert len(server.bodies) == 1


def test_a_server_that_asks_for_a_certificate_gets_it(authority: Any, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    context = server_context(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    own = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    own.load_cert_chain(str(tmp_path / "client.pem"))
    with HttpServer(context=context) as server:
        HttpSink(server.url, ca=tmp_path / "ca.pem", cert=str(tmp_path / "client.pem"))(LINES, 4)
        HttpSink(server.url, ssl_context=own)(LINES, 4)
        assert len(server.bodies) == 2
        with pytest.raises((OSError, urllib3.exceptions.HTTPError)):
            HttpSink(server.url, ca=tmp_path / "ca.pem")(LINES, 4)
        assert len(server.bodies) == 2


def test_a_proxy_gets_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpServer() as proxy:
        HttpSink("http://collector.example:4318/in", proxy=proxy.url)(LINES, 4)
        assert proxy.requests[0].path == "http://collector.example:4318/in"
        monkeypatch.setenv("http_proxy", proxy.url)
        HttpSink("http://collector.example/in")(LINES, 4)
        assert proxy.requests[1].path == "http://collector.example/in"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with HttpServer() as server:
            HttpSink(server.url)(LINES, 4)
            monkeypatch.delenv("no_proxy")
            HttpSink(server.url, proxy="")(LINES, 4)
            assert len(server.requests) == 2
        assert len(proxy.requests) == 2


def test_a_proxy_tunnels_tls(authority: Any, tmp_path: Path) -> None:
    def tunnel(connection: socket.socket) -> None:
        asked.append(connection.recv(65536).split(b"\r\n")[0])
        with socket.create_connection(("127.0.0.1", server.port)) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(other, connection), daemon=True)
            back.start()
            pump(connection, other)
            back.join(10)

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    asked: list[bytes] = []
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with HttpServer(context=server_context(authority)) as server, raw_server(tunnel) as proxy:
        HttpSink(server.url, ca=tmp_path / "ca.pem", proxy=proxy)(LINES, 4)
        assert server.bodies == [LINES]
        assert asked[0].startswith(f"CONNECT localhost:{server.port} ".encode())


# ---- settings


def test_a_password_in_the_url_is_sent_and_shown_nowhere() -> None:
    told: list[Exception] = []
    with HttpServer() as server:
        sink = HttpSink(server.url.replace("http://", "http://ann:s%40crt@"))
        server.replies.append(problem(400, "no"))
        with json_logger(sink, on_error=told.append) as logger:
            logger.info("one")
            assert logger.flush(30)
        assert server.requests[0].headers["authorization"] == "Basic YW5uOnNAY3J0"
    wait_until(lambda: told)
    shown = repr(sink) + sink.url + "".join(map(str, told))
    assert "s%40crt" not in shown
    assert "s@crt" not in shown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "collector:4318"}, "is not valid: use a URL like https://collector:4318"),
        ({"url": "ftp://collector"}, "is not valid: use a URL like https://collector:4318"),
        ({"url": 5}, "url = 5 is not valid"),
        ({"envelope": "otpl"}, "envelope = 'otpl' is not valid"),
        ({"envelope": "otpl"}, "did you mean 'otlp'?"),
        ({"compression": "zstd"}, "compression = 'zstd' is not valid: use \"gzip\" or None"),
        ({"timeout_s": 0}, "timeout_s = 0 is not valid"),
        ({"timeout_s": True}, "timeout_s = True is not valid"),
        ({"labels": {"job": "shop"}}, "labels = {'job': 'shop'} is not valid: use labels with envelope=\"loki\" only"),
        ({"envelope": "loki", "labels": {"a-b": "shop"}}, "labels = 'a-b' is not valid"),
        ({"envelope": "loki", "labels": {"job": 5}}, "labels['job'] = 5 is not valid"),
        ({"envelope": "elasticsearch"}, 'use it with index="..."'),
        ({"envelope": "elasticsearch", "url": "http://h/logs/_bulk", "index": "logs"}, 'use it with index="..."'),
        ({"envelope": "elasticsearch", "index": "a/b"}, "index = 'a/b' is not valid"),
        ({"index": "logs"}, 'use an index with envelope="elasticsearch" only'),
        ({"headers": {"X": "a\r\nY: b"}}, "headers = 'X' is not valid"),
        ({"headers": {"X": 5}}, "headers = 'X' is not valid"),
        ({"ca": "ca.pem"}, "ca = 'ca.pem' is not valid: use it with an https:// URL only"),
        ({"url": "https://h", "ca": "/none/ca.pem"}, "ca = '/none/ca.pem' is not valid: use a file or a folder"),
        ({"url": "https://h", "cert": "/none/c.pem"}, "cert = '/none/c.pem' is not valid"),
        ({"proxy": "socks5://h"}, "is not valid: use the URL of an HTTP proxy"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as told:
        HttpSink(**{"url": "http://127.0.0.1:1", **settings})
    assert message in str(told.value)
    assert "Y: b" not in str(told.value)


def test_an_envelope_of_ones_own_says_what_a_request_is() -> None:
    class Array(Envelope):
        content_type = "application/json"
        path = "/api/v2/logs"

        def body(self, lines: bytes) -> bytes:
            return b"[" + lines[:-1].replace(b"\n", b",") + b"]"

    with HttpServer() as server:
        HttpSink(server.url, envelope=Array())(LINES, 4)
        assert json.loads(server.bodies[0]) == [{"n": number} for number in range(4)]
        assert server.requests[0].path == "/api/v2/logs"
