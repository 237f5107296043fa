"""What several files of tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.syslogd import make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate authority, ca.pem, and a certificate of its for localhost, server.pem, server.key."""
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder
