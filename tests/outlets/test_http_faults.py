"""`HttpSink`: secrets, proxies that want a password, time limits, and answers that make no sense."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from logly import ConfigError, LoglyError, RetryBatch, SinkConfig
from tests.support.http_servers import HttpServer, Request, raw_server
from tests.support.loggers import assert_books, make_logger
from tests.support.waiting import wait_until

urllib3 = pytest.importorskip("urllib3")
from logly.http import HttpSink  # noqa: E402

LINES = b'{"n":0}\n{"n":1}\n{"n":2}\n'


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


# ---- secrets


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "https://user:hunter2@collector:999999/v1"},
        {"url": "https://user:hunter2@[bad"},
        {"url": "https://user:hun ter2@host:x/y"},
        {"url": "htp://user:hunter2@host/x"},
        {"url": "user:hunter2@host"},
        {"url": "https://user:hunter2@h/?token=hunter2", "envelope": "elasticsearch"},
        {"url": "https://c:4318", "proxy": "socks5://user:hunter2@p:1080"},
        {"url": "https://c:4318", "proxy": "http://user:hunter2@p:999999"},
        {"url": "https://c:4318", "proxy": "user:hunter2@p:3128"},
    ],
)
def test_a_wrong_url_is_not_shown(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as told:
        HttpSink(**settings)
    assert told.value.field == ("proxy" if "proxy" in settings else "url")
    shown = f"{told.value}{told.value.value!r}{told.value.__cause__!r}"
    assert "ter2" not in shown
    assert "user" not in shown


def test_a_wrong_proxy_of_the_environment_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:hunter2@p:999999")
    with pytest.raises(ConfigError) as told:
        HttpSink("https://c:4318")
    assert "hunter2" not in str(told.value)


def test_a_query_is_sent_and_shown_nowhere() -> None:
    with HttpServer() as server:
        sink = HttpSink(f"{server.url}/in?token=hunter2#x")
        sink(LINES, 3)
        assert server.requests[0].path == "/in?token=hunter2"
        server.replies.append((503, {}, b"busy"))
        with pytest.raises(RetryBatch) as told:
            sink(LINES, 3)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises((OSError, urllib3.exceptions.HTTPError)) as gone:
        HttpSink(f"http://127.0.0.1:{port}/in?token=hunter2")(LINES, 3)
    assert "hunter2" not in f"{sink!r}{sink.url}{told.value}{gone.value}{gone.value!r}"


def test_a_password_may_have_any_letters() -> None:
    with HttpServer() as server:
        HttpSink(server.url.replace("http://", "http://ann:p€s%40s@"))(LINES, 3)
        kind, _, value = server.requests[0].headers["authorization"].partition(" ")
        assert (kind, b64decode(value).decode()) == ("Basic", "ann:p€s@s")


# ---- proxies


def test_a_proxy_gets_its_user_and_password_and_the_server_does_not() -> None:
    with HttpServer() as proxy:
        HttpSink("http://collector.example/in", proxy=proxy.url.replace("http://", "http://ann:p%40ss@"))(LINES, 3)
        request = proxy.requests[0]
        assert b64decode(request.headers["proxy-authorization"].split()[1]) == b"ann:p@ss"
        assert "authorization" not in request.headers


def test_a_tunnel_is_asked_for_with_user_and_password() -> None:
    def refuses(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    asked: list[bytes] = []
    with raw_server(refuses) as url, pytest.raises((OSError, urllib3.exceptions.HTTPError)) as told:
        HttpSink("https://collector.example", proxy=url.replace("http://", "http://ann:hunter2@"))(LINES, 3)
    assert b"proxy-authorization: basic yw5uomh1bnrlcji=" in asked[0].lower()
    assert "hunter2" not in str(told.value)


def test_a_proxy_that_wants_another_password_keeps_the_batch() -> None:
    with HttpServer() as proxy:
        proxy.replies.append((407, {"Proxy-Authenticate": "Basic"}, b""))
        with pytest.raises(RetryBatch) as told:
            HttpSink("http://collector.example/in", envelope="otlp", proxy=proxy.url)(LINES, 3)
        assert told.value.again is None


# ---- the time limit


def test_headers_that_trickle_do_not_hold_the_sink() -> None:
    def trickles(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not done.wait(0.02):
            connection.sendall(b"X: 1\r\n")

    done = threading.Event()
    with raw_server(trickles) as url:
        try:
            with pytest.raises((TimeoutError, urllib3.exceptions.TimeoutError)):
                HttpSink(url, timeout_s=0.5)(LINES, 3)
        finally:
            done.set()


def test_a_server_that_reads_by_drops_does_not_hold_the_sink() -> None:
    def sips(connection: socket.socket) -> None:
        while not done.wait(0.02):
            connection.recv(1000)

    done = threading.Event()
    with raw_server(sips) as url:
        try:
            with pytest.raises((OSError, urllib3.exceptions.HTTPError)):
                HttpSink(url, timeout_s=0.5, compression=None)(b'{"x":"' + b"x" * (64 << 20) + b'"}\n', 1)
        finally:
            done.set()


def test_a_proxy_that_trickles_does_not_hold_the_sink() -> None:
    def trickles(connection: socket.socket) -> None:
        connection.recv(65536)
        while not done.wait(0.02):
            connection.sendall(b"H")

    done = threading.Event()
    with raw_server(trickles) as url:
        try:
            with pytest.raises((OSError, urllib3.exceptions.HTTPError)):
                HttpSink("https://collector.example", proxy=url, timeout_s=0.5)(LINES, 3)
        finally:
            done.set()


def test_each_request_has_the_whole_time() -> None:
    """The connection stays, and its limit is not that of the request before."""

    def slow(_request: Request) -> tuple[int, dict[str, str], bytes]:
        threading.Event().wait(0.4)
        return 200, {}, b"x" * 100_000

    with HttpServer(slow) as server:
        sink = HttpSink(server.url, timeout_s=60)
        for _ in range(3):
            sink(LINES, 3)
            for pool in sink._connections().pools._container.values():
                for connection in pool.pool.queue:
                    if connection is not None:
                        connection.deadline = 0.0  # as if the limit of that request were over
        assert server.connections == 1
        assert len(server.bodies) == 3


def test_a_long_body_arrives_whole(tmp_path: Path) -> None:
    lines = b"".join(b'{"n":%d}\n' % number for number in range(200_000))
    with HttpServer() as server:
        HttpSink(server.url, compression=None)(lines, 200_000)
        assert server.bodies == [lines]
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HttpServer(context=context) as server:
        HttpSink(server.url, ca=tmp_path / "ca.pem", compression=None)(lines, 200_000)
        assert server.bodies == [lines]


# ---- answers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>fine</html>",
        b"{}",
        b"[]",
        b'{"errors":true}',
        b'{"errors":true,"items":[]}',
        b'{"errors":true,"items":"x"}',
        b'{"errors":true,"items":[{"create":{"status":429}}]}',  # as with filter_path=items.*.error: of which document?
        b'{"errors":true,"items":[null,null,null]}',
        b'{"errors":true,"items":["a","b","c"]}',
        b'{"errors":true,"items":[{"create":null},{"create":null},{"create":null}]}',
        b'{"errors":true,"items":[{"create":{"status":"no"}},{"create":{}},{}]}',
    ],
)
def test_an_answer_that_does_not_say_what_became_of_each_document_keeps_the_batch(body: bytes) -> None:
    told: list[Exception] = []
    with HttpServer() as server:
        server.replies.append((200, {}, body))
        logger = make_logger(on_error=told.append, stall_timeout=60)
        sink = HttpSink(server.url, envelope="elasticsearch", index="logs")
        server.replies.append((200, {}, b'{"errors":false}'))
        logger.add_sink(SinkConfig(batch=sink, format="ecs", flush_interval=3_600_000))
        for number in range(3):
            logger.info("{}", number)
        assert logger.flush(60)
        assert len(server.bodies) == 2
        assert server.bodies[0] == server.bodies[1]
        assert_books(logger, 3)
        wait_until(lambda: told)
        server.replies.append((200, {}, b'{"errors":false}'))
        assert logger.close(60)
    assert "no answer of _bulk for 3 documents" in str(told[0])


@pytest.mark.parametrize(("envelope", "path"), [("otlp", "/v1/logs"), ("loki", "/loki/api/v1/push")])
def test_a_page_of_html_is_no_success(envelope: Any, path: str) -> None:
    with HttpServer() as server:
        server.replies.append((200, {}, b"\n<!doctype html><title>Log in</title>"))
        with pytest.raises(LoglyError, match="something else has answered"):
            HttpSink(server.url, envelope=envelope)(LINES, 3)
        assert server.requests[0].path == path


@pytest.mark.parametrize("body", [b"", b"ok", b'{"partialSuccess":"x"}', b'{"partialSuccess":[1]}', b"null"])
def test_a_collector_that_has_taken_a_batch_does_not_get_it_again(body: bytes) -> None:
    with HttpServer() as server:
        server.replies.append((200, {}, body))
        HttpSink(server.url, envelope="otlp")(LINES, 3)


def test_halves_are_not_sent_twice_where_the_second_answer_makes_no_sense() -> None:
    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.body.count(b"create") > 2:
            return 413, {}, b""
        return 200, {}, b'{"errors":false}' if b'"n":0' in request.body else b"<html>"

    with HttpServer(answer) as server, pytest.raises(RetryBatch) as told:
        HttpSink(server.url, envelope="elasticsearch", index="logs")(LINES, 3)
    assert told.value.again == (1, 2)


# ---- the lines that the logger's settings make


@pytest.mark.parametrize("envelope", ["ndjson", "loki"])
def test_json_of_the_loggers_settings_is_json(envelope: Any) -> None:
    with HttpServer() as server, make_logger(json=True) as logger:
        settings = {"json_time": "epoch_ns"} if envelope == "loki" else {}
        logger.add_sink(SinkConfig(batch=HttpSink(server.url, envelope=envelope), flush_interval=5, **settings))
        logger.info("one")
        assert logger.flush(60)
        assert b'"one' in server.bodies[0] or b'\\"one' in server.bodies[0]


@pytest.mark.parametrize("settings", [{}, {"pretty_json": True}, {"json": True, "pretty_json": True}])
def test_other_lines_of_the_loggers_settings_are_refused(settings: dict[str, Any]) -> None:
    with make_logger(**settings) as logger, pytest.raises(ConfigError, match="needs lines of JSON"):
        logger.add_sink(SinkConfig(batch=HttpSink("http://127.0.0.1:1")))


def test_a_change_that_makes_other_lines_is_refused() -> None:
    with HttpServer() as server, make_logger(json=True) as logger:
        logger.add_sink(SinkConfig(batch=HttpSink(server.url), flush_interval=5))
        with pytest.raises(ConfigError, match="needs lines of JSON"):
            logger.configure(json=False)
        logger.info("one")
        assert logger.flush(60)
        assert b'"message":"one"' in server.bodies[0]
