"""Local HTTP servers, which refuse what the real ones refuse, and others that misbehave."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import struct
import threading
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Reply = tuple[int, dict[str, str], bytes]


class Request(NamedTuple):
    """What came."""

    path: str
    headers: dict[str, str]
    body: bytes
    """Uncompressed."""


class HttpServer:
    """A server on this machine, as a context manager.

    Args:
        answer: makes the reply to a request; None: 200 with an empty body.
        context: for TLS.

    Attributes:
        requests: what came, in order.
        replies: given instead of what `answer` makes, one for each request, while there are any.
    """

    def __init__(self, answer: Callable[[Request], Reply] | None = None, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.replies: deque[Reply] = deque()
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self) -> None:
                super().setup()
                outer.connections += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                request = Request(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
                outer.requests.append(request)
                status, headers, content = outer._reply(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """A client that goes away in a test is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._scheme = "http" if context is None else "https"
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def _reply(self, request: Request) -> Reply:
        if self.replies:
            return self.replies.popleft()
        return (200, {}, b"") if self.answer is None else self.answer(request)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self.port}" if self._scheme == "https" else f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


@contextmanager
def raw_server(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does with each connection what `behave` does; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                behave(connection)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        is_over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def reset(connection: socket.socket) -> None:
    """Ends the connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def problem(status: int, text: str) -> Reply:
    return status, {"Content-Type": "text/plain"}, text.encode()


def as_json(status: int, value: Any) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


# ---- Loki: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs


class LokiServer(HttpServer):
    """Loki's push API. Keeps the entries by labels.

    Refuses with 400 what Loki refuses: another type of content, no labels, illegal label names, entries that are not
    [text of nanoseconds, text], and entries that are older than `oldest_ns`.
    """

    def __init__(self, oldest_ns: int = 0) -> None:
        super().__init__(self._push)
        self.oldest_ns = oldest_ns
        self.streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = {}

    def _push(self, request: Request) -> Reply:
        if request.path != "/loki/api/v1/push":
            return problem(404, "404 page not found")
        if request.headers["content-type"] != "application/json":
            return problem(400, "Content-Type is not application/json")
        try:
            taken = [self._stream(stream) for stream in json.loads(request.body)["streams"]]
        except (ValueError, KeyError, TypeError, AssertionError) as trouble:
            return problem(400, f"error parsing push request: {trouble}")
        old = [entry for _, entries in taken for entry in entries if entry[0] < self.oldest_ns]
        for labels, entries in taken:
            self.streams.setdefault(labels, []).extend(entry for entry in entries if entry not in old)
        if old:
            return problem(400, f"entry has timestamp too old: {old[0][0]}, {len(old)} ignored")
        return 204, {}, b""

    @staticmethod
    def _stream(stream: Any) -> tuple[tuple[tuple[str, str], ...], list[tuple[int, str]]]:
        labels = stream["stream"]
        assert labels, "at least one label pair is required per stream"
        for name, value in labels.items():
            assert re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name), f"invalid label name {name}"
            assert isinstance(value, str), "a label's value is text"
        entries = []
        for time, line in stream["values"]:
            assert isinstance(time, str), "the time is a string"
            assert isinstance(line, str), "the line is a string"
            assert int(time) > 0, "timestamp too old"
            entries.append((int(time), line))
        assert entries, "empty stream"
        return tuple(sorted(labels.items())), entries


# ---- Elasticsearch: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk


class ElasticsearchServer(HttpServer):
    """The `_bulk` API of a data stream. Keeps the documents.

    Refuses with 400 what Elasticsearch refuses: a body without a line break at its end, actions other than `create`,
    malformed actions. Single documents fail with 400 where they are not an object, have no `@timestamp`, or where
    `fate` says another status.
    """

    def __init__(self, fate: Callable[[dict[str, Any]], int] | None = None, time_key: str = "@timestamp") -> None:
        super().__init__(self._bulk)
        self.fate = fate
        self.time_key = time_key
        self.documents: list[dict[str, Any]] = []

    def _bulk(self, request: Request) -> Reply:
        if not request.path.endswith("/_bulk"):
            return as_json(405, {"error": "Incorrect HTTP method", "status": 405})
        if request.path == "/_bulk":
            reason = "Validation Failed: 1: index is missing;"
            return as_json(
                400, {"error": {"type": "action_request_validation_exception", "reason": reason}, "status": 400}
            )
        if request.headers["content-type"] not in ("application/x-ndjson", "application/json"):
            return as_json(406, {"error": "Content-Type header is not supported", "status": 406})
        if not request.body.endswith(b"\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            return as_json(400, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400})
        lines = request.body.split(b"\n")[:-1]
        items = []
        for action, source in zip(lines[::2], lines[1::2], strict=True):
            if json.loads(action) != {"create": {}}:
                reason = "Malformed action/metadata line: only write ops with an op_type of create are allowed"
                return as_json(400, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400})
            items.append({"create": self._create(source)})
        errors = any(item["create"]["status"] >= 300 for item in items)
        return as_json(200, {"took": 1, "errors": errors, "items": items})

    def _create(self, source: bytes) -> dict[str, Any]:
        try:
            document = json.loads(source)
            status = 201 if isinstance(document, dict) and self.time_key in document else 400
        except ValueError:
            document, status = None, 400
        if status == 201 and self.fate is not None:
            status = self.fate(document)
        if status == 201:
            self.documents.append(document)
            return {"_index": "logs", "_id": str(len(self.documents)), "status": 201, "result": "created"}
        kind = "document_parsing_exception" if status == 400 else "es_rejected_execution_exception"
        return {"_index": "logs", "status": status, "error": {"type": kind, "reason": "failed to parse"}}
