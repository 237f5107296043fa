"""Addresses of sockets, as `SinkConfig.socket` has them: ``unix:PATH``, ``udp://HOST:PORT``, ``tcp://...``, ``tls://...``."""

import sys

from logly.errors import invalid

__all__ = ["JOURNAL", "LOCAL_SYSLOG", "SocketAddress", "parse_socket"]

LOCAL_SYSLOG = (
    "/var/run/syslog" if sys.platform == "darwin" else "/var/run/log" if "bsd" in sys.platform else "/dev/log"
)
JOURNAL = "/run/systemd/journal/socket"
PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
"""The registered ports of syslog, by RFC 5426, 3195 and 5425."""
UNIX_BYTES = 103 if sys.platform == "darwin" else 107
EXPECTED = "'unix:/dev/log', 'udp://HOST:PORT', 'tcp://HOST:PORT' or 'tls://HOST:PORT'"


class SocketAddress:
    """An address that has been checked.

    Attributes:
        kind: "unix", "udp", "tcp" or "tls".
        host: the host's name or number; of a local socket its path, ``@NAME`` for an abstract one.
        port: 0 for a local socket.
    """

    __slots__ = ("host", "kind", "port")

    def __init__(self, kind: str, host: str, port: int = 0) -> None:
        self.kind, self.host, self.port = kind, host, port

    @property
    def is_stream(self) -> bool:
        return self.kind in ("tcp", "tls")

    @property
    def is_journal(self) -> bool:
        """Whether systemd's journal listens there."""
        return self.kind == "unix" and "/journal" in self.host and self.host.endswith("/socket")

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


def parse_socket(value: object, *, field: str = "socket") -> SocketAddress:
    """Return the address.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, str) and value.startswith("unix:"):
        return _unix(value, field)
    kind, mark, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if mark and kind.lower() in PORTS:
        host, port = _host_and_port(rest.rstrip("/"))
        if port is None:
            port = PORTS[kind.lower()]
        if host and 0 < port < 65_536 and host.isprintable() and not set(host) & set(" /@?#"):
            return SocketAddress(kind.lower(), host, port)
    raise invalid(field, value, EXPECTED)


def _unix(value: str, field: str) -> SocketAddress:
    path = value[5:].removeprefix("//")
    try:
        is_fitting = 1 < len(path.encode()) <= UNIX_BYTES
    except UnicodeEncodeError:
        is_fitting = False
    if not is_fitting or path[0] not in "/@" or "\0" in path:
        raise invalid(field, value, f"'unix:' and an absolute path of at most {UNIX_BYTES} bytes, like 'unix:/dev/log'")
    return SocketAddress("unix", path)


def _host_and_port(text: str) -> "tuple[str, int | None]":
    """The host and the port, which is None where there is none, and -1 where it is no number."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            return "", None
    else:
        host, colon, port = text.partition(":")
        rest = colon + port
    if not rest:
        return host, None
    digits = rest[1:]
    return host, int(digits) if rest[0] == ":" and digits.isdecimal() and digits.isascii() and len(digits) < 6 else -1
