"""Opening files and rendering path templates."""

import errno
import os
import stat
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logly import Logger, LoggerConfig, SinkConfig
from logly._core import ZONE_UTC
from logly.errors import ConfigError, SinkError, SpoolError
from logly.files.opening import open_append
from logly.files.paths import format_time, render_path


def test_parent_folders_are_made_and_writes_go_to_the_end(tmp_path):
    path = tmp_path / "a" / "b" / "app.log"
    for text in (b"one\n", b"two\n"):
        fd = open_append(path, 0o600)
        assert not os.get_inheritable(fd)
        os.write(fd, text)
        fd.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def refused(path, number):
    with pytest.raises(SinkError) as caught:
        open_append(path)
    assert caught.value.errno == number
    assert caught.value.filename == str(path)
    return str(caught.value)


def test_a_folder_is_refused(tmp_path):
    assert "folder" in refused(tmp_path, errno.EISDIR)


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    assert "not a folder" in refused(tmp_path / "file" / "app.log", errno.ENOTDIR)
    assert "not a folder" in refused(tmp_path / "file" / "deeper" / "app.log", errno.ENOTDIR)


def test_a_dangling_link_is_refused_and_its_target_not_made(tmp_path):
    (tmp_path / "app.log").symlink_to(tmp_path / "gone.log")
    assert "gone.log" in refused(tmp_path / "app.log", errno.ENOENT)
    assert os.listdir(tmp_path) == ["app.log"]


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "real.log").touch()
    (tmp_path / "app.log").symlink_to("real.log")
    fd = open_append(tmp_path / "app.log")
    os.write(fd, b"x")
    os.close(fd)
    assert (tmp_path / "real.log").read_bytes() == b"x"


def test_a_loop_of_links_is_told(tmp_path):
    (tmp_path / "app.log").symlink_to("app.log")
    assert "loop" in refused(tmp_path / "app.log", errno.ELOOP)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission_is_told(tmp_path):
    (tmp_path / "app.log").touch(0o400)
    assert "permission" in refused(tmp_path / "app.log", errno.EACCES)


def test_a_missing_permission_is_told_whoever_runs_the_test(tmp_path, monkeypatch):
    def deny(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("posix.open", deny)
    assert "no permission" in refused(tmp_path / "app.log", errno.EACCES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_a_fifo_that_nobody_reads_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "reader" in refused(tmp_path / "pipe", errno.ENXIO)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    fd = open_append(tmp_path / "pipe")
    assert os.get_blocking(fd)
    os.close(fd)
    os.close(reader)


def test_names_that_no_file_can_have(tmp_path):
    refused(str(tmp_path / "a\0b"), errno.EINVAL)
    assert "too long" in refused(tmp_path / ("x" * 300), errno.ENAMETOOLONG)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can remove the current folder there")
@pytest.mark.parametrize("options", [{"path": "app.log"}, {"path": "logs/app.log", "size_limit": 100}])
def test_a_relative_path_in_a_folder_that_was_removed_is_told(tmp_path, monkeypatch, options):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with Logger(LoggerConfig(auto_sink=False)) as logger:
        with pytest.raises(SinkError, match=r"current folder.*absolute path.*app\.log") as caught:
            logger.add_sink(SinkConfig(**options))
        assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, options["path"])
        assert logger.list_sinks() == []
        assert logger.add_sink(SinkConfig(path=tmp_path / "app.log"))
        with pytest.raises(SpoolError, match=r"current folder.*absolute path.*'spool'"):
            logger.configure(LoggerConfig(auto_sink=False, spool="spool"))


def test_paths_are_filled_in():
    now = int(datetime(2024, 3, 5, 14, 7, 9, tzinfo=ZoneInfo("UTC")).timestamp()) * 10**9 + 12_345_678
    rendered = render_path(Path("logs/{time:YYYY-MM-DD}/app.{pid}.{{x}}.log"), now, zone=ZONE_UTC)
    assert rendered == f"logs/2024-03-05/app.{os.getpid()}.{{x}}.log"
    assert render_path("{time}", now, zone=ZONE_UTC) == "20240305_140709"


@pytest.mark.parametrize("path", ["{date}", "{pid:3}", "a}b", "{", "{{}", "", b"a", None, "a\0b"])
def test_a_wrong_path_is_refused(path):
    with pytest.raises(ConfigError) as caught:
        render_path(path)
    assert caught.value.field == "path"


STRFTIME = {
    "YYYY": "%Y",
    "YY": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "dddd": "%A",
    "ddd": "%a",
    "DD": "%d",
    "HH": "%H",
    "hh": "%I",
    "mm": "%M",
    "ss": "%S",
    "SSSSSS": "%f",
    "A": "%p",
    "ZZ": "%z",
}


@given(st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)), st.sampled_from(list(STRFTIME)))
def test_time_patterns_agree_with_strftime(when, token):
    when = when.replace(tzinfo=ZoneInfo("UTC"))
    microseconds = (when - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))) // when.resolution
    now_ns = microseconds * 1000
    assert format_time(f"[{token}]", now_ns, zone=ZONE_UTC) == when.strftime(f"[{STRFTIME[token]}]")
