"""The settings of `SinkConfig` for log files: when a file is rotated, and what becomes of the rotated ones."""

from . import checks
from .setting import setting
from .socket_settings import SocketSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
    from datetime import timedelta
else:
    from .lazy_dataclass import dataclass

__all__ = ["FileSettings"]


@dataclass(kw_only=True, slots=True)
class FileSettings(SocketSettings):
    """The base of `SinkConfig` with these settings; every field is described in docs/configuration.md."""

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
