"""Hypothesis profiles: "ci", "some", "few", or "nightly" with HYPOTHESIS_PROFILE=nightly (and pytest --timeout=0).

And the fixtures that several files share.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import debian, rsyslog

LogRotate = Callable[..., None]

settings.register_profile(
    "ci",
    deadline=None,
    max_examples=2_000,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", settings.get_profile("ci"), max_examples=100_000)
settings.register_profile("some", settings.get_profile("ci"), max_examples=200)
settings.register_profile("few", settings.get_profile("ci"), max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a script starts with `&` ignores Ctrl-C, and so would every child of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def is_told_of_many_loggers() -> None:
    """The tests have many loggers at a time. Programs in `tests/control/test_many_loggers.py` are told of theirs."""
    from logly.control import process

    process.untold.clear()


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A function that sets the process's time zone until the test ends."""
    if not hasattr(time, "tzset"):
        pytest.skip("the system's time zone cannot be set by a process here")

    def enter(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield enter
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def rsyslogd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> rsyslog.Rsyslog:
    """The shipper that tests run for real; they are skipped where it cannot be had."""
    try:
        return rsyslog.find(_cache("rsyslog", request, tmp_path_factory))
    except debian.NotToBeHad as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def rsyslogd_with_tls(
    rsyslogd: rsyslog.Rsyslog, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> rsyslog.Rsyslog:
    """The same daemon with its module for TLS; tests are skipped where that cannot be had."""
    try:
        return rsyslog.with_tls(rsyslogd, _cache("rsyslog-gnutls", request, tmp_path_factory))
    except debian.NotToBeHad as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def logrotate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LogRotate:
    """logrotate, the machine's or Debian's package, unpacked: runs its arguments. Tests are skipped without it."""
    environment = debian.surroundings()
    program = shutil.which("logrotate", path=debian.SYSTEM_PATH)
    if program is None:
        try:
            root = debian.unpacked("logrotate", _cache("logrotate", request, tmp_path_factory))
        except debian.NotToBeHad as reason:
            pytest.skip(str(reason))
        program = str(root / "usr/sbin/logrotate")
        environment |= debian.library_path(root)

    def run(*arguments: str) -> None:
        command = [program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stderr

    return run


def _cache(name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = getattr(request.config, "cache", None)  # none with -p no:cacheprovider
    return Path(cache.mkdir(name)) if cache else tmp_path_factory.mktemp(name)
