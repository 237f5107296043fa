"""The spool reader: a damaged spool is recovered or refused with SpoolError; refused, it is left as it was.

The samples are spools of processes that really died: idle, in the middle of a write(2), and with records too large for
the ring. Damage knows the format, so that it gets behind the checksums.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import textwrap
import time
from binascii import crc32
from pathlib import Path
from random import Random

import logly.control.recovery
import logly.spool.spools
from logly import LoggerConfig, SinkConfig, SpoolError
from tests.support.programs import run_program
from tests.support.records import RECORDS_OF_EVERY_KIND

from .target import Target

PATIENCE_S = 20.0
"""A case takes some ten milliseconds; one that takes this long hangs."""
HEADER = 65536
RING = HEADER + 16 * 131072
RING_BYTES = 1 << 16
RECORDER_BYTES = 1 << 18
NAMES_BYTES = 1 << 28
BLOBS = RING + RING_BYTES + NAMES_BYTES
ENTRY = 32  # bytes of an entry of the flight recorder before its record
STATE_BYTES = 72  # of the flight recorder's numbers in the header; what belongs to the ring's comes after them
SYNCED = 57344, 57344 + 4096  # what survives the loss of power
FIXED = 88  # bytes of the header that its checksum is of
HEAD = 128
SYNCED_BYTES = 232
CLOCK_SUMS, CLOCK = HEAD + 304, HEAD + 320
LINE_BYTES = 72
RELEASED = HEAD + 256
PAGE = 4096

PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
from logly import Level, Logger, LoggerConfig, SinkConfig
folder = Path(sys.argv[1])
logger = Logger(LoggerConfig(spool=folder / "app.spool", async_buffer_size=1 << 16,
                             async_flush_interval=1 if "kept" in sys.argv[1] else 3_600_000,
                             recorder="debug" if "kept" in sys.argv[1] else None, recorder_size=1 << 18,
                             flush_level=None, spool_fsync=1 if "synced" in sys.argv[1] else None), name="dead")
for name in ("app.log", "second.log"):
    logger.add_sink(SinkConfig(path=folder / name, format="{message}", buffer_size=1 << 20, flush_interval=3_600_000))
logger.add_level("NOTICE", 35)
def work(count):
    for i in range(count):
        logger.info("line {} {:.2f}", i, i / 3, k=i)
    RECORDS
work(5)
""".replace("    RECORDS", textwrap.indent(RECORDS_OF_EVERY_KIND.replace("LARGE", "40_000"), "    "))
ENDS = {
    "idle": "logger.flush(); work(50); os._exit(1)",
    # The second write of the log is cut short by the limit, and the next attempt ends the process.
    "writing": """
logger.flush(); work(50)
size = (folder / "app.log").stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, size + 700))
logger.flush()
os._exit(1)
""",
    "unwritten": "work(20); os._exit(1)",
    "synced": "logger.flush(); work(30); os._exit(1)",
    # A dump that no file has, what was kept after it, and what the flusher has not taken.
    "kept": """
def keep(count):
    for i in range(count):
        logger.debug("kept {} {}", i, "y" * i, k=i)
    logger.debug("large {}", "z" * 50_000)  # more than kept records may take of the ring
logger.flush(); keep(20); logger.error("failed"); keep(20)
while logger.stats().kept < 21:
    pass
keep(1)
os._exit(1)
""",
}


class Sample:
    """A spool as its process left it, with the logs beside it."""

    def __init__(self, folder: Path, end: str) -> None:
        folder.mkdir()
        run_program(PROGRAM + end, folder, returncode=None)
        (found,) = folder.glob("app.spool.*")
        self.folder = folder
        self.path = folder / found.name
        self.size = found.stat().st_size
        self.pages = dict(data_pages(found))
        self.logs = {name: (folder / name).read_bytes() for name in ("app.log", "second.log")}
        self.records = [offset for offset, _ in self.ring_records()]
        (released,) = struct.unpack("<I", self.read(RELEASED + 32, 4))
        (position,) = struct.unpack("<Q", self.read(RELEASED + 16 * released, 8))
        self.unreleased = [offset for offset in self.records if offset >= RING + position]
        self.slots = [self.word(0).find(os.fsencode(folder / name)) - 72 for name in self.logs]
        self.boot = self.slots[0] + 16 * 2048
        self.is_synced = self.read(self.boot, 8) != bytes(8)
        self.recorder = RING + RING_BYTES
        self.recorder_bytes = RECORDER_BYTES if "kept" in folder.name else 0
        self.names_at = self.recorder + self.recorder_bytes
        self.blobs_at = self.names_at + NAMES_BYTES
        self.entries = self.kept_entries()
        self.names = self.name_entries()

    def word(self, page: int) -> bytes:
        return self.pages.get(page, bytes(PAGE))

    def read(self, offset: int, size: int) -> bytes:
        first, last = offset // PAGE, (offset + size) // PAGE
        data = b"".join(self.word(page) for page in range(first, last + 1))
        return data[offset - first * PAGE :][:size]

    def ring_records(self) -> list[tuple[int, int]]:
        (head,) = struct.unpack("<Q", self.read(HEAD, 8))
        assert head < RING_BYTES, "the sample's records are to fit one lap"
        found, at = [], 0
        while at < head:
            (size,) = struct.unpack("<I", self.read(RING + at, 4))
            found.append((RING + at, size))
            at += size
        return found

    def kept_entries(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        if self.recorder_bytes == 0:
            return found
        tail, first, _, second, _, current = struct.unpack("<5QI", self.read(self.boot + 8, 44))
        head = second if current else first
        assert tail < head < RECORDER_BYTES, "the sample's kept records are to fit one lap"
        while tail < head:
            (size,) = struct.unpack("<I", self.read(self.recorder + tail, 4))
            found.append((self.recorder + tail, size))
            tail += size
        return found

    def name_entries(self) -> list[tuple[int, int]]:
        found, at = [], self.names_at
        while size := int.from_bytes(self.read(at, 4), "little"):
            found.append((at, size))
            at += 16 + size
        return found

    def restore(self) -> None:
        with self.path.open("wb") as file:
            for page, data in self.pages.items():
                os.pwrite(file.fileno(), data, page * PAGE)
            os.ftruncate(file.fileno(), self.size)
        for name, data in self.logs.items():
            with (self.folder / name).open("r+b") as log:  # the same inode: the spool knows it
                log.write(data)
                log.truncate()


def data_pages(path: Path) -> list[tuple[int, bytes]]:
    """What is not zero, by page: a spool has hundreds of megabytes of holes."""
    pages = []
    with path.open("rb") as file:
        fd, end, at = file.fileno(), path.stat().st_size, 0
        while at < end:
            try:
                at = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break  # a hole until the end
            stop = os.lseek(fd, at, os.SEEK_HOLE)
            for page in range(at // PAGE, -(-stop // PAGE)):
                data = os.pread(fd, PAGE, page * PAGE)
                if data.strip(b"\0"):
                    pages.append((page, data))
            at = stop
    return pages


def words_checksum(data: bytes) -> int:
    """FNV-1a by words, as flusher/spool_sync.pxd has it."""
    total = 0xCBF29CE484222325
    for (word,) in struct.iter_unpack("<Q", data):
        total = (total ^ word) * 0x100000001B3 % (1 << 64)
    return total


def _crc32c_table() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in table]
    return table


CRC32C = _crc32c_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def interesting(chance: Random) -> int:
    base = chance.choice(
        (0, 1, 8, 16, 40, 1 << 8, 1 << 16, RING_BYTES, BLOBS, 1 << 31, 1 << 32, 1 << 62, 1 << 63, 1 << 64)
    )
    return (base + chance.choice((-8, -1, 0, 0, 1, 8))) % (1 << 64)


class Damage:
    """Changes to the file of a sample."""

    def __init__(self, sample: Sample, chance: Random, fd: int) -> None:
        self.sample, self.chance, self.fd = sample, chance, fd
        self.done: list[str] = []
        self.is_before_ring = False
        self.is_in_records = False

    def poke(self, offset: int, data: bytes) -> None:
        os.pwrite(self.fd, data, offset)
        self.is_before_ring |= offset < RING
        names, blobs = self.sample.names_at, self.sample.blobs_at
        self.is_in_records |= offset + len(data) >= RING and (offset < names or offset >= blobs - 512)
        self.done.append(f"{offset}: {data[:16].hex()}")

    def number(self, offset: int, size: int) -> None:
        chance = self.chance
        value = interesting(chance)
        if chance.random() < 0.3:
            value = int.from_bytes(os.pread(self.fd, size, offset), "little") + chance.choice((-8, -1, 1, 8))
        self.poke(offset, (value % (1 << 8 * size)).to_bytes(size, "little"))

    def fixed(self) -> None:
        self.number(self.chance.randrange(8, FIXED, 4), self.chance.choice((1, 4, 8)))
        if self.chance.random() < 0.7:
            data = bytearray(os.pread(self.fd, FIXED, 0).ljust(FIXED, b"\0"))
            data[16:20] = bytes(4)
            self.poke(16, crc32(data).to_bytes(4, "little"))

    def positions(self) -> None:
        # Head, tail, what was released, the clock.
        self.number(self.chance.choice((HEAD, HEAD + 128, self.chance.randrange(HEAD, HEAD + 512, 4))), 8)

    def slot(self) -> None:
        start = self.chance.choice(self.sample.slots)
        offset = self.chance.choice((0, 4, 8, 16, 24, 32, 40, 48, 56, 64, 68, 72, 2032, 2040))
        self.number(start + offset, 4 if offset in (0, 4, 64, 68) else 8)
        if self.chance.random() < 0.5:
            self.poke(start, self.chance.choice((0, 1, 2)).to_bytes(4, "little"))

    def boot(self) -> None:
        # As if the machine had started again: another part of the header counts.
        if os.pread(self.fd, 8, self.sample.boot) != bytes(8) or self.chance.random() < 0.1:
            self.poke(self.sample.boot, self.chance.choice((bytes(8), self.chance.randbytes(8))))
        if self.chance.random() < 0.5:
            return
        start = self.chance.choice(SYNCED)
        self.number(start + self.chance.choice((0, 8, 8, 16, 16, 24, self.chance.randrange(32, 300, 4))), 8)
        if self.chance.random() < 0.9:
            data = os.pread(self.fd, SYNCED_BYTES - 8, start).ljust(SYNCED_BYTES - 8, b"\0")
            self.poke(start + SYNCED_BYTES - 8, words_checksum(data).to_bytes(8, "little"))

    def record(self) -> None:
        start = self.chance.choice(self.sample.records)
        (size,) = struct.unpack("<I", self.sample.read(start, 4))
        if self.chance.random() < 0.2:
            # One flag more or less: what the record's parts are is read from them.
            (flags,) = struct.unpack("<H", self.sample.read(start + 6, 2))
            self.poke(start + 6, struct.pack("<H", flags ^ 1 << self.chance.randrange(16)))
        elif self.chance.random() < 0.5:
            offset, width = self.chance.choice(
                ((0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 4), (20, 4), (24, 2), (26, 2), (28, 2), (30, 2))
            )
            self.number(start + offset, width)
        else:
            self.poke(start + self.chance.randrange(size), bytes([self.chance.randrange(256)]))

    def recorder(self) -> None:
        chance, state = self.chance, self.sample.boot + 8
        if not self.sample.entries:
            return self.record()
        if chance.random() < 0.4:
            self.number(state + chance.randrange(0, STATE_BYTES + 32, 4), chance.choice((4, 8)))
            return None
        start, size = chance.choice(self.sample.entries)
        if chance.random() < 0.6:
            offset, width = chance.choice(((0, 4), (4, 4), (8, 8), (8, 8), (16, 8), (16, 8), (24, 8)))
            if offset >= 8 and chance.random() < 0.5:
                self.poke(start + offset, chance.randrange(60).to_bytes(8, "little"))
            else:
                self.number(start + offset, width)
        elif chance.random() < 0.5:
            offset, width = chance.choice(((0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8)))
            self.number(start + ENTRY + offset, width)
        else:
            self.poke(start + chance.randrange(size), bytes([chance.randrange(256)]))
        return None

    def name(self) -> None:
        start, size = self.chance.choice(self.sample.names)
        entry = bytearray(os.pread(self.fd, 16 + size, start).ljust(16 + size, b"\0"))
        for _ in range(self.chance.choice((1, 1, 3))):
            at = self.chance.randrange(4, len(entry))
            entry[at] = self.chance.choice((0, 1, 10, 123, 125, 255, self.chance.randrange(256)))
        if self.chance.random() < 0.9:
            entry[12:16] = crc32(entry[:12] + entry[16:]).to_bytes(4, "little")
        self.poke(start, bytes(entry))

    def blob(self) -> None:
        at = self.sample.blobs_at + self.chance.choice((self.chance.randrange(64), self.chance.randrange(40_100)))
        self.number(at, self.chance.choice((1, 4, 8)))

    def anywhere(self) -> None:
        page = self.chance.choice(list(self.sample.pages))
        self.poke(page * PAGE + self.chance.randrange(PAGE), self.chance.randbytes(self.chance.choice((1, 4, 64))))

    def copy(self) -> None:
        pages = list(self.sample.pages)
        source, target = (self.chance.choice(pages) * PAGE + self.chance.randrange(0, PAGE, 8) for _ in range(2))
        self.poke(target, self.sample.read(source, self.chance.choice((8, 64, 512))))

    def length(self) -> None:
        names, blobs = self.sample.names_at, self.sample.blobs_at
        lengths = (0, 8, FIXED, HEADER, RING, names, names + 100, blobs, blobs + 100, self.sample.size)
        size = self.chance.choice(lengths)
        size = max(0, size + self.chance.choice((-1, 0, 1)))
        os.ftruncate(self.fd, size)
        self.is_before_ring |= size < RING
        self.done.append(f"length {size}")

    def some(self) -> None:
        kinds = (
            self.fixed, self.positions, self.slot, self.slot, self.record, self.record, self.record, self.record,
            self.name, self.name, self.boot, self.boot, self.blob, self.anywhere, self.copy, self.length,
            self.recorder, self.recorder, self.recorder, self.recorder,
        )  # fmt: skip
        for _ in range(self.chance.choice((0, 1, 1, 1, 1, 2, 4, 12))):
            self.chance.choice(kinds)()
        if self.done and self.chance.random() < 0.8:
            self.fit_sums()

    def fit_sums(self) -> None:
        """Makes the checksums fit what is there now, so that the checks behind them are reached."""

        def read(offset: int, size: int) -> bytes:
            return os.pread(self.fd, size, offset).ljust(size, b"\0")

        (are_ns,) = struct.unpack("<I", read(CLOCK, 4))
        for line in range(2):
            total = words_checksum(read(CLOCK + 8 + line * LINE_BYTES, LINE_BYTES)) ^ ((2 * are_ns + line) % (1 << 32))
            os.pwrite(self.fd, struct.pack("<Q", total), CLOCK_SUMS + 8 * line)
        for start in self.sample.records:
            if read(start + 4, 1) == b"\x02":
                os.pwrite(self.fd, bytes(8), start + 32)  # a copy without a checksum
        ring = read(RING, RING_BYTES)
        for start in SYNCED:
            copy = bytearray(read(start, SYNCED_BYTES - 8))
            _, head, position = struct.unpack_from("<3Q", copy)
            if self.sample.is_synced and head - position <= RING_BYTES:
                at = position % RING_BYTES
                struct.pack_into("<Q", copy, 48, crc32c((ring[at:] + ring[:at])[: head - position]))
                os.pwrite(self.fd, copy + struct.pack("<Q", words_checksum(copy)), start)


class Spools(Target):
    """Recovery of damaged spools, into text, JSON and a function."""

    def open(self, folder: Path) -> None:
        self.samples = [Sample(folder / name, end) for name, end in ENDS.items()]
        self.whole = {sample: self.recovered(sample) for sample in self.samples}
        for sample, logs in self.whole.items():
            assert logs is not None, "an undamaged spool is refused"
            # Everything once, whatever the first life had written of it.
            assert logs["app.log"] == logs["second.log"], sample.folder.name
        self.descriptors = len(os.listdir("/proc/self/fd"))

    def recovered(self, sample: Sample) -> dict[str, bytes] | None:
        sample.restore()
        return self.recover(sample)

    def case(self, chance: Random) -> None:
        sample = chance.choice(self.samples)
        sample.restore()
        with sample.path.open("r+b") as file:
            damage = Damage(sample, chance, file.fileno())
            damage.some()
        try:
            logs = self.recover(sample)
        except Exception as trouble:
            raise AssertionError((sample.folder.name, damage.done)) from trouble
        if not damage.done:
            assert logs == self.whole[sample], sample.folder.name
        if logs is not None and not damage.is_before_ring:  # there are the bytes of a write that is to be finished
            assert all(log.endswith(b"\n") for log in logs.values()), (sample.folder.name, damage.done)
        if logs is not None and not damage.is_in_records:  # what is inside of a text is not checked, JSON text neither
            for line in (sample.folder / "lines.json").read_text().splitlines():
                assert isinstance(json.loads(line), dict), (sample.folder.name, damage.done, line)

    def recover(self, sample: Sample) -> dict[str, bytes] | None:
        """What is in the logs afterwards; None when the spool was refused."""
        other, lines = sample.folder / "other.log", sample.folder / "lines.json"
        for path in (other, lines):
            path.unlink(missing_ok=True)
        sinks = [
            SinkConfig(path=sample.folder / "app.log", format="{message}").resolved(),
            SinkConfig(path=sample.folder / "second.log", format="{message}").resolved(),
            SinkConfig(path=other).resolved(),
            SinkConfig(path=lines, json=True).resolved(),
            SinkConfig(function=str).resolved(),
        ]
        before, size = data_pages(sample.path), sample.path.stat().st_size
        begun = time.monotonic()
        errors: list[Exception] = []
        try:
            file = logly.spool.spools.open_dead(str(sample.path))
            assert file is not None, "its process does not live"
            outcome = logly.control.recovery.deliver(file, LoggerConfig(), sinks, PATIENCE_S, errors.append)
        except SpoolError as told:
            refusal = str(told)
        else:
            refusal = ""
        if refusal:
            assert str(sample.path) in refusal
            assert (data_pages(sample.path), sample.path.stat().st_size) == (before, size), f"changed, though {refusal}"
            for name, data in sample.logs.items():
                assert (sample.folder / name).read_bytes() == data, f"{name} has grown, though {refusal}"
            return None
        assert time.monotonic() - begun < PATIENCE_S, "it hangs"
        assert errors == []
        assert outcome.is_complete
        assert not sample.path.exists()
        lines.read_text()
        logs = {name: (sample.folder / name).read_bytes() for name in sample.logs}
        for name, data in sample.logs.items():
            assert logs[name].startswith(data), f"{name}: what was there has changed"
        text = other.read_text()
        assert text == "" or text.endswith("\n"), "not whole lines"
        return logs

    def close(self) -> None:
        assert len(os.listdir("/proc/self/fd")) <= self.descriptors + 2, "descriptors are left open"
        for sample in self.samples:
            shutil.rmtree(sample.folder)
