"""The memory that a spool is mapped into: what the system may refuse, and when the memory goes."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.preloads import compiled
from tests.support.programs import environment, run_program
from tests.support.spooling import dies, revive, spools

if TYPE_CHECKING:
    from collections.abc import Iterator

if not sys.platform.startswith("linux"):
    pytest.skip("needs /proc and LD_PRELOAD", allow_module_level=True)

from logly import SpoolError
from logly._core import SpoolFile
from logly.spool.spools import open_dead

# Refuses the n-th writable mapping of a file. The loader's own mappings do not come through here.
REFUSES = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset) {
    static void *(*real)(void *, size_t, int, int, int, off_t);
    const char *number = getenv("REFUSED");
    if (!real) real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    if (number && fd >= 0 && (protection & PROT_WRITE) && !(protection & PROT_EXEC) && start == NULL) {
        char rest[2] = {(char)(number[0] - 1), 0};
        if (rest[0] >= '0') setenv("REFUSED", rest, 1);
        if (rest[0] == '0') { errno = ENODEV; return MAP_FAILED; }
    }
    return real(start, size, protection, flags, fd, offset);
}
void *mmap64(void *start, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(start, size, protection, flags, fd, offset);
}
"""
START = """
import ctypes, errno, os, sys
from logly import Logger, LoggerConfig, SinkConfig, SpoolError
import logly.spool.spools
folder = sys.argv[1]
def opened():
    return len(os.listdir("/proc/self/fd"))
def mapped():
    return [line for line in open("/proc/self/maps") if "app.spool" in line]
def refuse(number):
    ctypes.CDLL(None).setenv(b"REFUSED", b"%d" % number, 1)
"""


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("refuses")
    (folder / "refuses.c").write_text(REFUSES)
    return environment(LD_PRELOAD=str(compiled(folder / "refuses.c", folder)))


@pytest.mark.parametrize("number", [1, 2], ids=["header", "ring"])
def test_a_mapping_that_is_refused_is_told_and_leaves_nothing(
    number: int, refusing: dict[str, str], tmp_path: Path
) -> None:
    # As on a file system that cannot map files.
    code = """
before = opened()
try:
    refuse(NUMBER)
    Logger(LoggerConfig(spool=folder + "/app.spool", auto_sink=False))
    raise AssertionError("no error")
except SpoolError as error:
    assert error.errno == errno.ENODEV, error
    assert error.filename.startswith(folder + "/app.spool"), error
    del error
assert opened() == before and mapped() == [] and os.listdir(folder) == [], (opened(), mapped(), os.listdir(folder))
with Logger(LoggerConfig(spool=folder + "/app.spool", auto_sink=False)) as logger:
    assert len(mapped()) == 2
assert mapped() == []
"""
    run_program(START + code.replace("NUMBER", str(number)), tmp_path, env=refusing)


@pytest.mark.parametrize("number", [1, 2], ids=["header", "ring"])
def test_so_it_is_of_a_dead_processs_spool(number: int, refusing: dict[str, str], tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('line')")
    code = """
(path,) = [os.path.join(folder, name) for name in os.listdir(folder) if "spool" in name]
before = opened()
try:
    refuse(NUMBER)
    logly.spool.spools.open_dead(path)
    raise AssertionError("no error")
except SpoolError as error:
    assert error.errno == errno.ENODEV and error.filename == path, error
assert opened() == before and mapped() == [], (opened(), mapped())
"""
    run_program(START + code.replace("NUMBER", str(number)), tmp_path, env=refusing)
    assert revive(tmp_path, layout="{message}") == []
    assert (tmp_path / "app.log").read_text() == "line\n"


def test_a_file_that_is_too_short_is_an_error_and_no_sigbus(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(bytes(100_000))
    with pytest.raises(SpoolError, match="too short") as caught:
        SpoolFile(str(path), os.open(path, os.O_RDWR), 65536)
    assert caught.value.errno == errno.EINVAL
    assert caught.value.filename == str(path)


def mapped(path: Path) -> list[str]:
    """The kinds of this process's mappings of a file: `rw-s` is shared, `rw-p` a private copy."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    return sorted(line[1] for line in lines if str(path) in line)


def test_the_ring_of_a_dead_process_is_a_copy_and_goes_with_the_spool(tmp_path: Path) -> None:
    dies(tmp_path, "logger.info('line')")
    path = tmp_path / spools(tmp_path)[0]
    content = path.read_bytes()
    file = open_dead(str(path))
    assert file is not None
    assert mapped(path) == ["rw-p", "rw-s"]
    file.check()
    assert path.read_bytes() == content
    file.close()
    assert mapped(path) == []
    file.close()
    copy = open_dead(str(path), is_copy=True)
    assert copy is not None
    assert mapped(path) == []  # it was read
    copy.check()
    copy.close()
    assert path.read_bytes() == content


def test_a_forked_child_has_only_a_mapping_of_its_own(tmp_path: Path) -> None:
    code = """
logger = Logger(LoggerConfig(spool=folder + "/app.spool", auto_sink=False))
logger.add_sink(SinkConfig(path=folder + "/app.log", format="{message}"))
logger.info("parent")
logger.flush()
def owners():
    return {line.split("app.spool.")[1].split(".")[0].split()[0] for line in mapped()}
assert owners() == {str(os.getpid())}
pid = os.fork()
if pid == 0:
    assert mapped() == []
    logger.info("child")
    assert owners() == {str(os.getpid())}
    os._exit(0 if logger.close() else 1)
assert os.waitpid(pid, 0)[1] == 0
logger.info("parent again")
assert len(mapped()) == 2
assert logger.close()
assert mapped() == []
"""
    run_program(START + code, tmp_path)
    assert (tmp_path / "app.log").read_text() == "parent\nchild\nparent again\n"
