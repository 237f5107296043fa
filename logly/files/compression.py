"""Compressing a rotated file. A crash leaves the plain file or the whole compressed one, never less.

The compressed text goes to ``NAME.gz.part`` in the same folder. That file is synced and renamed to ``NAME.gz``, and
only then is the plain file removed. A process that writes a ``.part`` holds an advisory lock (flock) on it. So the
leftover of a crash can be told from a file that another process is writing.
"""

import os
import shutil
from contextlib import suppress

from logly._core import Descriptor, open_descriptor
from logly.errors import ConfigError, invalid
from logly.system import unpatched as system

from .opening import identity, names_file
from .rotated import PART_SUFFIX, RotatedName

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import IO, Any

__all__ = ["compress", "find_method", "leftovers", "sweep"]

SUFFIXES = {"gzip": ".gz", "bz2": ".bz2", "xz": ".xz", "zstd": ".zst"}
_ALIASES = {"gz": "gzip", "bzip2": "bz2", "lzma": "xz", "zst": "zstd", "zstandard": "zstd"}

_CHUNK_BYTES = 1 << 20
"""Each chunk is compressed without the GIL, so with large chunks the thread takes the GIL rarely."""


def find_method(value: str, *, field: str = "compression") -> str:
    """Return the canonical name of a compression method after making sure that it works here.

    Args:
        value: ``"gzip"`` (``"gz"``), ``"bz2"`` (``"bzip2"``), ``"xz"`` (``"lzma"``), ``"zstd"`` (``"zst"``),
            in any case, with or without a leading dot.
        field: the field to name in the error.

    Raises:
        ConfigError: an unknown method, or one whose module this Python lacks.
    """
    word = value.strip().lower().removeprefix(".") if isinstance(value, str) else ""
    method = _ALIASES.get(word, word)
    if method not in SUFFIXES:
        expected = f"{', '.join(map(repr, SUFFIXES))}, or None"
        raise invalid(field, value, expected, [*SUFFIXES, *_ALIASES])
    try:
        _module(method)
    except ImportError as missing:
        way_out = (
            "Python 3.14 has it built in; before, install 'backports.zstd' or 'zstandard'"
            if method == "zstd"
            else "this Python was built without it"
        )
        text = f"{field} = {value!r} is not available: {way_out} ({missing})"
        raise ConfigError(text, field=field, value=value) from missing
    return method


def _module(method: str) -> "ModuleType":
    from importlib import import_module

    if method != "zstd":
        return import_module("lzma" if method == "xz" else method)
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return import_module("zstandard")


def _compressor(method: str, raw: "IO[bytes]", name: str, mtime: float) -> "Any":
    """Return a binary file whose writes are compressed into `raw`; closing it leaves `raw` open."""
    module = _module(method)
    if method == "gzip":
        return module.GzipFile(filename=name, mode="wb", compresslevel=6, fileobj=raw, mtime=mtime)
    if method == "bz2":
        return module.BZ2File(raw, "wb")
    if method == "xz":
        return module.LZMAFile(raw, "wb")
    if module.__name__ == "zstandard":
        return module.ZstdCompressor().stream_writer(raw, closefd=False)
    return module.ZstdFile(raw, "wb")


def compress(path: str, method: str) -> "str | None":
    """Replace a file by its compressed copy, atomically; mode and time stamps are kept.

    Args:
        path: a rotated file, to which no process writes any more.
        method: as `find_method` returned it.

    Returns:
        The compressed file's path; None where there was nothing to do: the file is gone, or another process
        is compressing it.

    Raises:
        OSError: no space, no permission. The plain file is still there, and the ``.part`` is removed.
    """
    target = path + SUFFIXES[method]
    part = target + PART_SUFFIX
    try:
        source = system.open_file(path, "rb")
    except FileNotFoundError:
        return None
    with source:
        own = _own_part(part)
        if own is None:
            return None
        with own, system.open_file(own.fd, "wb", closefd=False) as raw:
            try:
                _copy(source, raw, method, os.path.basename(path))
                if not os.path.exists(path):
                    # Another process has compressed the file meanwhile, or retention has removed it.
                    os.unlink(part)
                    return None
                if fcntl is None:
                    raw.close()
                    own.close()  # Windows cannot rename an open file, and there is no lock to keep
                os.replace(part, target)
            except BaseException:
                _unlink(part)
                raise
    _sync_folder(os.path.dirname(path))
    _unlink(path)
    return target


def _copy(source: "IO[bytes]", raw: "IO[bytes]", method: str, name: str) -> None:
    about = os.fstat(source.fileno())
    with _compressor(method, raw, name, about.st_mtime) as packed:
        shutil.copyfileobj(source, packed, _CHUNK_BYTES)
    raw.flush()
    if hasattr(os, "fchmod"):
        os.fchmod(raw.fileno(), about.st_mode & 0o7777)
    os.fsync(raw.fileno())
    if os.utime in os.supports_fd:
        os.utime(raw.fileno(), ns=(about.st_atime_ns, about.st_mtime_ns))


def _own_part(part: str) -> "Descriptor | None":
    """Open, lock and empty a ``.part``; None where another process holds it."""
    own = open_descriptor(part, os.O_RDWR | os.O_CREAT, 0o600)
    # Another process may have renamed the file before the lock was taken.
    if not _lock(own.fd) or not names_file(part, identity(os.fstat(own.fd))):
        return None
    os.ftruncate(own.fd, 0)
    return own


def _lock(fd: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Make the rename durable before the plain file is removed. Does nothing where folders cannot be opened."""
    try:
        with open_descriptor(folder or ".", os.O_RDONLY) as own:
            os.fsync(own.fd)
    except OSError:
        return


def sweep(name: RotatedName) -> "list[str]":
    """Clean up after a crash; return the paths removed.

    Removes each ``.part`` that no process is writing, and each plain file whose compressed copy is complete.

    Raises:
        OSError: the folder cannot be read, or a file not be removed.
    """
    removed: list[str] = []
    for part in name.parts():
        try:
            own = open_descriptor(part, os.O_RDWR)
        except FileNotFoundError:
            continue
        with own:
            if _lock(own.fd) and names_file(part, identity(os.fstat(own.fd))):
                _unlink(part)
                removed.append(part)
    files = name.files()
    compressed = {(file.stamp, file.number) for file in files if file.suffix}
    for file in files:
        if not file.suffix and (file.stamp, file.number) in compressed:
            _unlink(file.path)
            removed.append(file.path)
    return removed


def leftovers(name: RotatedName) -> "list[str]":
    """Return the rotated files that are not compressed, oldest first: an exit or a crash came before that."""
    return [file.path for file in name.files() if not file.suffix]
