"""`LoggerConfig.trace_context` with releases of opentelemetry-api from the oldest to the newest."""

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

TESTS = str(ROOT / "tests" / "caller" / "test_trace_context.py")


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["==1.0.0", "==1.15.0", ""])
def test_each_release_of_the_library(tmp_path, version):
    """The oldest has `pkg_resources` of old releases of setuptools."""
    wanted = [f"opentelemetry-api{version}", "setuptools<80"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", tmp_path, *wanted], check=True)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    tests = [TESTS, "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning", "-W", "ignore::UserWarning"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert done.returncode == 0
