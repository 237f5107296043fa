"""The settings of `SinkConfig` for what a sink writes to: rotated log files; syslog, systemd's journal and sockets."""

from . import checks
from .setting import setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
    from datetime import timedelta
    from os import PathLike
    from ssl import SSLContext
    from typing import Any, Self
else:
    from .lazy_dataclass import dataclass

__all__ = ["FileSettings", "SocketSettings"]


@dataclass(kw_only=True, slots=True)
class SocketSettings:
    """Syslog, the journal and their sockets; every field is described in docs/configuration.md."""

    socket: "str | None" = setting(
        None,
        checks.optional(checks.socket),
        "",
        "where a [syslog daemon or systemd's journal](syslog.md) listens: `unix:/dev/log`, "
        "`unix:/run/systemd/journal/socket`, `udp://HOST:514`, `tcp://HOST:601`, `tls://HOST:6514`",
    )
    tls: "SSLContext | str | PathLike[str] | None" = setting(
        None,
        checks.optional(checks.tls),
        "",
        "`socket` of `tls://`: a file with the certificates that are trusted, or an `ssl.SSLContext`, which may have a "
        "certificate of one's own; None: those that the system trusts",
    )
    facility: "int | str | None" = setting(
        None,
        checks.optional(checks.facility),
        "",
        "`rfc3164`, `rfc5424`, `journald`: syslog's facility, by its name (`daemon`, `local0`) or number (0 to 23); "
        "None: `user`",
    )
    app_name: "str | None" = setting(
        None,
        checks.optional(checks.text),
        "",
        "`rfc3164`, `rfc5424`, `journald`: the program's name, `APP-NAME`, `SYSLOG_IDENTIFIER`; None: that of the one "
        "that runs",
    )
    sd_id: "str | None" = setting(
        None,
        checks.optional(checks.sd_id),
        "",
        "`rfc5424`: the id of the structured data with the fields, `NAME@NUMBER` with your private enterprise number; "
        "None: `fields@32473`",
    )
    bom: bool = setting(
        False, checks.boolean, "", "`rfc5424`: a byte order mark before the message says that it is UTF-8"
    )

    @classmethod
    def syslog(cls, socket: "str | None" = None, **settings: "Any") -> "Self":
        """Return the settings of a sink for the machine's syslog daemon, or for another machine's.

        The format is what such a daemon reads by default: on a local socket "rfc3164", which has no fields, and over
        the network "rfc5424".

        Args:
            socket: where the daemon listens; None: this operating system's local socket, ``unix:/dev/log`` on Linux.
            settings: further fields of `SinkConfig`: ``facility="local0"``, ``level="warning"``.

        Raises:
            TypeError: there is no such field.

        Examples:
            >>> SinkConfig.syslog("tls://logs.example.com:6514", facility="local0").format
            'rfc5424'
        """
        if socket is None:
            from .socket_address import LOCAL_SYSLOG

            socket = f"unix:{LOCAL_SYSLOG}"
        is_local = isinstance(socket, str) and socket.startswith("unix:")
        return cls(**{"socket": socket, "format": "rfc3164" if is_local else "rfc5424", **settings})

    @classmethod
    def journald(cls, socket: "str | None" = None, **settings: "Any") -> "Self":
        """Return the settings of a sink for systemd's journal.

        Args:
            socket: where the journal listens; None: ``unix:/run/systemd/journal/socket``. Of the journal's namespace
                ``NAME`` it is ``unix:/run/systemd/journal.NAME/socket``.
            settings: further fields of `SinkConfig`.

        Raises:
            TypeError: there is no such field.

        Examples:
            >>> SinkConfig.journald(app_name="shop").socket
            'unix:/run/systemd/journal/socket'
        """
        if socket is None:
            from .socket_address import JOURNAL

            socket = f"unix:{JOURNAL}"
        return cls(**{"socket": socket, "format": "journald", **settings})


@dataclass(kw_only=True, slots=True)
class FileSettings(SocketSettings):
    """Log files: when one is rotated, and what becomes of the rotated ones. The base of `SinkConfig`."""

    rotation: "str | timedelta | None" = setting(
        None,
        checks.optional(checks.rotation),
        "",
        "`hourly`, `daily` (or `midnight`), `weekly` (Monday), `monthly`, `yearly`, a time of day `HH:MM`, or an "
        "interval (`6 hours`, `timedelta`; counted from 1970-01-01 UTC)",
    )
    size_limit: "int | str | None" = setting(
        None,
        checks.optional(checks.size(1)),
        "bytes",
        "rotate before the file grows beyond it; also `10 MB` (decimal), `1 GiB` (binary)",
    )
    retention: "int | str | timedelta | None" = setting(
        None,
        checks.optional(checks.retention),
        "",
        "rotated files to keep, the age at which they go (`30 days`, `timedelta`), or the size of all together (`10 "
        "GB`); None: all are kept. With `{time}` in the path, also the files of earlier times",
    )
    compression: "str | None" = setting(
        None,
        checks.optional(checks.compression),
        "",
        "of rotated files, in the background: `gzip`, `bz2`, `xz`, `zstd` (Python 3.14, or with "
        "backports.zstd or zstandard installed)",
    )
    on_rotate: "Callable[[str], object] | None" = setting(
        None,
        checks.optional(checks.function),
        "",
        "called with the [path of each rotated file](#rotation), after its compression, on the thread that compresses",
    )
    watch: bool = setting(
        False, checks.boolean, "", "notice that the file was renamed or deleted from outside, and reopen"
    )
    mode: int = setting(
        0o644,
        checks.permissions,
        "",
        "permission bits of files it makes, before umask",
    )
