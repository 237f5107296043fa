"""A stdout or stderr that is not UTF-8: the log has its encoding, as what the program prints."""

import pytest

from tests.support.programs import environment, run_program

PROGRAM = """
import sys
from logly import Logger, SinkConfig
stream = getattr(sys, sys.argv[1])
with Logger() as logger:
    logger.add_sink(SinkConfig(stream=sys.argv[1], format="{message}", color=False))
    for i in range(3):
        print(f"printed {i} ä", file=stream)
        logger.info("plain {}", i)
        logger.info("logged {} ä € 名 😀", i)
        assert logger.flush(30)
    assert logger.stats().written == 6 and logger.stats().failed == 0
"""


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "encoding",
    ["latin-1", "ascii:backslashreplace", "utf-16", "utf-16-le", "cp1252", "utf-8", "UTF8", "utf-8-sig", "cp037"],
)
def test_the_log_has_the_encoding_of_the_stream(name: str, encoding: str) -> None:
    options = {name: -1, "text": False, "env": environment(PYTHONIOENCODING=encoding), "may_complain": True}
    data = getattr(run_program(PROGRAM, name, **options), name)
    codec = encoding.partition(":")[0]
    lines = data.decode(codec).splitlines()
    expected = []
    for i in range(3):
        for text in (f"printed {i} ä", f"plain {i}", f"logged {i} ä € 名 😀"):
            kept = text.encode(codec, "backslashreplace")
            expected.append(kept.decode(codec))
    assert lines == expected


STRICT = """
import sys
from logly import Logger, SinkConfig
sys.stdout.reconfigure(encoding=sys.argv[1], errors=sys.argv[2])
with Logger() as logger:
    logger.add_sink(SinkConfig(stream="stdout", format="{message}", color=False))
    logger.info("a ä € b")
    assert logger.flush(30)
    sys.stdout.reconfigure(encoding="utf-8")
    logger.info("then ä €")
"""


@pytest.mark.parametrize(("errors", "text"), [("strict", "a \\xe4 \\u20ac b"), ("replace", "a ? ? b")])
def test_what_the_encoding_lacks_is_escaped_or_as_the_stream_says(errors: str, text: str) -> None:
    data = run_program(STRICT, "ascii", errors, text=False).stdout
    assert data.decode().splitlines() == [text, "then ä €"]


REPORT = """
import sys
from logly import Logger, SinkConfig
def fail(record):
    raise ValueError("ä € 名")
with Logger() as logger:
    logger.add_sink(SinkConfig(function=fail))
    logger.info("x")
"""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-16-le", "cp1252", "utf-8"])
def test_so_has_a_report_of_an_error(encoding: str) -> None:
    options = {"stderr": -1, "text": False, "env": environment(PYTHONIOENCODING=encoding), "may_complain": True}
    [line] = run_program(REPORT, **options).stderr.decode(encoding).splitlines()
    assert "ä € 名".encode(encoding, "backslashreplace").decode(encoding) in line
