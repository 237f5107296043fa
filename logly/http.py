"""Batches of lines over HTTP: ``SinkConfig(batch=HttpSink("https://collector:4318", envelope="otlp"), format="otlp")``.

Needs urllib3 (the extra ``http``). See docs/fleet.md.
"""

from __future__ import annotations

import math
import os
import zlib
from base64 import b64encode
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

try:
    import urllib3
except ImportError as error:
    raise ImportError("logly.http needs urllib3: pip install urllib3 (logly's extra http has it)") from error
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from . import __version__
from .config.checks import function
from .errors import BatchRefused, ConfigError, RetryBatch, invalid
from .outlets.envelopes import ENVELOPES, Answer, Elasticsearch, Envelope, Outcome
from .outlets.timed_connections import use_timed_connections
from .system.unpatched import monotonic, wall_ns

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from os import PathLike
    from typing import Any, Literal

    from .config.schema import SinkConfig

__all__ = ["Answer", "Envelope", "HttpSink", "Outcome"]

GZIP_LEVEL = 1
"""Of zlib: the lowest, because the next ones cost more time than they save bytes of lines of logs."""
MOST_ANSWER_BYTES = 16 << 20
MOST_WAIT_S = 3600.0
"""The longest pause that a server can ask for."""
TOO_LARGE = 413
PROXY_WANTS_PASSWORD = 407


class _Sent(NamedTuple):
    outcome: Outcome
    after_s: float | None = None
    is_all: bool = False
    """The outcome is that of all lines, in one piece."""


class HttpSink:
    """A function for `SinkConfig.batch` that sends each batch as one HTTP POST.

    An answer that says "later" (429, 503, 401, 404, ...) keeps the batch, also for as long as ``Retry-After`` says; one
    that says "never" (400, 422, ...) gives it up. Where a server takes a part of a batch, only the rest is sent again,
    or given up. A connection that fails, and an answer that does not come in time, keep the batch. So a server may get
    a line twice.

    Args:
        url: of the server. Without a path it gets the envelope's (``/v1/logs``, ``/loki/api/v1/push``). A user and a
            password in it are sent as Basic authentication.
        envelope: ``"otlp"`` (needs ``format="otlp"``), ``"loki"`` (``format="json", json_time="epoch_ns"``),
            ``"elasticsearch"`` or ``"ndjson"`` (lines of JSON), or an `Envelope` of your own.
        headers: further headers of each request, like ``Authorization`` or ``X-Scope-OrgID``. Or a function without
            arguments that returns them, called on the sink's thread before each request; where it fails, the batch is
            kept and sent again.
        compression: ``"gzip"`` or None.
        timeout_s: seconds for one request, from the connection to the end of the answer.
        labels: Loki: labels of each stream; None: ``{"job": "logly"}``. The level's name is the label ``level``.
        index: Elasticsearch: the index or the data stream; None: it is in the URL, ``https://h:9200/logs-shop/_bulk``.
        ca: a file or a folder with the certificates that are trusted; None: those of the system.
        cert: a file with a certificate of the client's and its key, or a tuple of two files.
        ssl_context: in place of `ca` and `cert`.
        proxy: URL of a proxy; None: as the environment says (``HTTPS_PROXY``, ``NO_PROXY``); "": none.

    Raises:
        ConfigError: a value is wrong. That the sink's format is not the envelope's is raised when the sink is added.

    Examples:
        >>> sink = HttpSink("https://collector:4318", envelope="otlp")
        >>> logger.add_sink(SinkConfig(batch=sink, format="otlp"))
    """

    def __init__(
        self,
        url: str,
        *,
        envelope: Literal["otlp", "loki", "elasticsearch", "ndjson"] | Envelope = "ndjson",
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        compression: Literal["gzip"] | None = "gzip",
        timeout_s: float = 10.0,
        labels: Mapping[str, str] | None = None,
        index: str | None = None,
        ca: str | PathLike[str] | None = None,
        cert: str | tuple[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        self.envelope = _envelope(envelope, labels, index)
        self._url = _url(url, self.envelope)
        self.url = self._url._replace(auth=None, query=None, fragment=None).url
        """Where the batches go; without user, password and query, which may be secrets."""
        self._target = self._url._replace(auth=None, fragment=None).url
        if compression not in ("gzip", None):
            raise invalid("compression", compression, '"gzip" or None')
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= 3600:
            raise invalid("timeout_s", timeout_s, "seconds above 0, up to 3600")
        self.compression = compression
        self.timeout_s = float(timeout_s)
        self._read_headers = function("headers", headers, {}) if callable(headers) else None
        self._own_headers = _own_headers(self._url.auth, self.envelope.content_type, compression)
        self._headers = _with_headers(self._own_headers, None if callable(headers) else headers)
        self._pool_settings = _pool_settings(self._url, ca, cert, ssl_context, self.timeout_s)
        self._proxy, self._proxy_headers = _proxy(self._url, proxy)
        self._pool: urllib3.PoolManager | None = None
        self._process = 0

    def __repr__(self) -> str:
        return f"<HttpSink {self.url} {type(self.envelope).__name__.lower()}>"

    def check_sink(self, config: SinkConfig) -> None:
        """Raise ConfigError where the sink's lines are none for the envelope; called when the sink is added."""
        self.envelope.check_sink(config)

    def __call__(self, lines: bytes, count: int) -> None:
        """Send a batch; called on the sink's thread.

        Raises:
            RetryBatch: the server wants a pause, or has not taken some lines for now.
            BatchRefused: the server refuses the batch, or some lines.
            OSError, urllib3.exceptions.HTTPError: the connection failed.
        """
        total = lines.count(b"\n")
        sent = self._send(lines, total)
        outcome = sent.outcome
        if outcome.again:
            refused = numbers_of(outcome.refused, total)
            raise RetryBatch(
                f"{self.url}: {outcome.reason}",
                after=sent.after_s,
                again=None if sent.is_all else outcome.again,
                refused=() if sent.is_all else refused,
            )
        if outcome.refused:
            raise BatchRefused(f"{self.url}: {outcome.reason}", refused=None if sent.is_all else outcome.refused)

    # ---- one batch

    def _send(self, lines: bytes, count: int) -> _Sent:
        answer, after_s = self._post(self.envelope.body(lines))
        if answer.status < 300:
            return _Sent(self.envelope.outcome(answer, count))
        if answer.status == TOO_LARGE and count > 1:
            return self._send_halves(lines, count)
        everything = range(count)
        if answer.status in self.envelope.retried or answer.status == PROXY_WANTS_PASSWORD:
            return _Sent(Outcome(again=everything, reason=answer.text), after_s, is_all=True)
        return _Sent(Outcome(refused=everything, reason=answer.text), is_all=True)

    def _send_halves(self, lines: bytes, count: int) -> _Sent:
        """The server takes no body of this length: the halves are sent one by one, and halved again if need be."""
        middle = count // 2
        at = -1
        for _ in range(middle):
            at = lines.index(b"\n", at + 1)
        again: list[int] = []
        refused: list[int] = []
        reason, after_s = "", None
        for first, half, size in ((0, lines[: at + 1], middle), (middle, lines[at + 1 :], count - middle)):
            if again:
                again.extend(range(first, first + size))  # in order, and not into a server that has just failed
                continue
            try:
                sent = self._send(half, size)
            except Exception as trouble:
                if first == 0:
                    raise
                sent = _Sent(Outcome(again=range(size), reason=f"{type(trouble).__name__}: {trouble}"))
            again.extend(first + number for number in sent.outcome.again)
            refused.extend(first + number for number in numbers_of(sent.outcome.refused, size))
            reason, after_s = sent.outcome.reason or reason, sent.after_s
        return _Sent(Outcome(again, refused, reason), after_s)

    def _headers_now(self) -> dict[str, str]:
        if self._read_headers is None:
            return self._headers
        try:
            return _with_headers(self._own_headers, self._read_headers())
        except Exception as trouble:
            why = f"the function of headers failed: {type(trouble).__name__}: {trouble}"
            raise RetryBatch(f"{self.url}: {why}") from trouble

    def _post(self, body: bytes) -> tuple[Answer, float | None]:
        """Returns the answer, and the seconds that it asks to wait."""
        headers = self._headers_now()
        deadline = monotonic() + self.timeout_s
        if self.compression == "gzip":
            compressor = zlib.compressobj(GZIP_LEVEL, wbits=31)
            body = compressor.compress(body) + compressor.flush()
        response = self._connections().request(
            "POST", self._target, body=body, headers=headers, redirect=False, preload_content=False
        )
        try:
            answer = Answer(response.status, _read(response, deadline))
        except BaseException:
            response.close()  # what is left of the answer would be read as that of the next request
            raise
        finally:
            response.release_conn()
        return answer, _retry_after_s(response.headers.get("Retry-After"))

    def _connections(self) -> urllib3.PoolManager:
        # A forked child must not write into its parent's connections.
        pool = self._pool
        if pool is None or self._process != os.getpid():
            if self._proxy is None:
                pool = urllib3.PoolManager(**self._pool_settings)
            else:
                pool = urllib3.ProxyManager(self._proxy, proxy_headers=self._proxy_headers, **self._pool_settings)
            self._pool, self._process = use_timed_connections(pool), os.getpid()
        return pool


def numbers_of(refused: Any, count: int) -> list[int]:
    """The numbers of refused lines. Where only their count is known: the last ones."""
    return list(range(count - refused, count)) if isinstance(refused, int) else list(refused)


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    pieces = []
    left = MOST_ANSWER_BYTES
    while piece := response.read1(min(left, 65536)):
        pieces.append(piece)
        left -= len(piece)
        if left <= 0 or monotonic() > deadline:
            raise urllib3.exceptions.HTTPError("the answer does not end")
    return b"".join(pieces)


def _retry_after_s(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - wall_ns() / 1e9
        except (TypeError, ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(0.0, min(seconds, MOST_WAIT_S))


# ---- its settings


def _envelope(envelope: Any, labels: Mapping[str, str] | None, index: str | None) -> Envelope:
    if isinstance(envelope, Envelope):
        chosen = envelope
    elif isinstance(envelope, str) and envelope in ENVELOPES:
        of_kind: dict[str, Any] = {"loki": {"labels": labels}, "elasticsearch": {"index": index}}
        chosen = ENVELOPES[envelope](**of_kind.get(envelope, {}))
    else:
        raise invalid("envelope", envelope, f"one of {', '.join(map(repr, ENVELOPES))}, or an Envelope", ENVELOPES)
    if labels is not None and envelope != "loki":
        raise invalid("labels", labels, 'labels with envelope="loki" only')
    if index is not None and envelope != "elasticsearch":
        raise invalid("index", index, 'an index with envelope="elasticsearch" only')
    return chosen


def _url(url: Any, envelope: Envelope) -> Url:
    try:
        parsed = parse_url(url)
    except (LocationParseError, TypeError, AttributeError, ValueError):
        raise _no_url("url", url, "a URL like https://collector:4318") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _no_url("url", url, "a URL like https://collector:4318")
    has_path = parsed.path not in (None, "", "/")
    if isinstance(envelope, Elasticsearch) and has_path == bool(envelope.path):
        raise _no_url("url", url, 'it with index="...", or a URL like https://search:9200/logs-shop/_bulk')
    return parsed if has_path else parsed._replace(path=envelope.path or "/")


def _no_url(field: str, url: Any, expected: str) -> ConfigError:
    """The error for a wrong URL. It does not show the URL, because it may have a password in it, wherever."""
    if not isinstance(url, str):
        return invalid(field, url, expected)
    return ConfigError(
        f"{field} (not shown: it may have a password) is not valid: use {expected}", field=field, value=None
    )


def _basic(auth: str) -> str:
    """The value of the header for a user and a password, as they stand in a URL."""
    return f"Basic {b64encode(unquote(auth).encode()).decode()}"


def _own_headers(auth: str | None, content_type: str, compression: str | None) -> dict[str, str]:
    headers = {"Content-Type": content_type, "User-Agent": f"logly/{__version__}", "Accept": "application/json"}
    if compression is not None:
        headers["Content-Encoding"] = compression
    if auth:
        headers["Authorization"] = _basic(auth)
    return headers


def _with_headers(own: Mapping[str, str], given: Any) -> dict[str, str]:
    headers = dict(own)
    try:
        added = dict(given or {})
    except (TypeError, ValueError):
        raise invalid("headers", type(given).__name__, "a mapping of names to values") from None
    for name in added:
        value = added[name]
        if not isinstance(name, str) or not isinstance(value, str) or "\n" in name + value or "\r" in name + value:
            # Without the value, which may be a secret.
            raise invalid("headers", name, "names and values of headers as text without line breaks")
        for one in [one for one in headers if one.lower() == name.lower()]:
            del headers[one]
        headers[name] = value
    return headers


def _pool_settings(url: Url, ca: Any, cert: Any, context: Any, timeout_s: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "retries": False,  # the outlet tries again, with pauses, and while the batch may still be given up
        "timeout": urllib3.Timeout(total=timeout_s),
        "maxsize": 1,
        "block": False,
    }
    tls = {"ca": ca, "cert": cert, "ssl_context": context}
    given = [name for name in tls if tls[name] is not None]
    if given and url.scheme != "https":
        raise invalid(given[0], tls[given[0]], "it with an https:// URL only")
    if context is not None:
        if len(given) > 1:
            raise invalid("ssl_context", context, f"it without {given[0]}")
        return {**settings, "ssl_context": context}
    if ca is not None:
        path = os.fspath(ca)
        if not os.path.exists(path):
            raise invalid("ca", path, "a file or a folder with certificates, which exists")
        settings["ca_cert_dir" if os.path.isdir(path) else "ca_certs"] = path
    if cert is not None:
        files = (cert,) if isinstance(cert, str) else tuple(cert)
        for path in files:
            if not os.path.exists(path):
                raise invalid("cert", cert, "a file, or a tuple of two, which exist")
        settings["cert_file"] = files[0]
        settings["key_file"] = files[-1]
    return settings


def _proxy(url: Url, proxy: str | None) -> tuple[str | None, dict[str, str]]:
    """Returns the proxy's URL without user and password, and headers with these."""
    if proxy is None:
        if proxy_bypass(url.netloc or ""):
            return None, {}
        proxy = getproxies().get(url.scheme or "") or getproxies().get("all")
    if not proxy:
        return None, {}
    try:
        parsed = parse_url(proxy)
    except (LocationParseError, TypeError, AttributeError, ValueError):
        parsed = Url()
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _no_url("proxy", proxy, "the URL of an HTTP proxy, like http://proxy:3128")
    headers = {"Proxy-Authorization": _basic(parsed.auth)} if parsed.auth else {}
    return parsed._replace(auth=None).url, headers
