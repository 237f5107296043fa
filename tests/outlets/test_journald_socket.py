"""A socket of systemd's journal: a reader of the published protocol finds every field that was logged, to the byte."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly import Logger, SinkConfig
from tests.support.lines import seen
from tests.support.loggers import assert_books, make_logger
from tests.support.receivers import Datagrams
from tests.support.strings import strings
from tests.support.syslog_wire import parse_journal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the journal is Linux's")


def journal(logger: Logger, receiver: Datagrams, **fields: Any) -> int:
    return logger.add_sink(SinkConfig.journald(receiver.address, **fields))


values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=60), strings)


@given(st.lists(st.tuples(strings, values), min_size=1, max_size=5))
@settings(max_examples=max(10, settings().max_examples // 40))
def test_every_field_arrives_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, Any]]
) -> None:
    with Datagrams(tmp_path_factory.mktemp("journal") / "socket") as receiver, make_logger() as logger:
        journal(logger, receiver)
        for text, value in records:
            logger.info("{}", text, value=value)
        entries = [dict(parse_journal(message)) for message in receiver.messages(len(records))]
    for entry, (text, value) in zip(entries, records, strict=True):
        assert entry["MESSAGE"] == seen(text).encode()
        assert entry["VALUE"] == (value if isinstance(value, bytes) else seen(str(value)).encode())


@pytest.mark.parametrize("size", [1_024, 130_048, 300_032, 20_000_000])
def test_what_is_too_large_for_a_datagram_comes_as_a_sealed_file(size: int, tmp_path: Path) -> None:
    blob = bytes(range(256)) * (size // 256)
    with Datagrams(tmp_path / "socket") as receiver, make_logger(max_message_bytes="64 MiB") as logger:
        journal(logger, receiver, batch_backlog="100 MiB")
        logger.info("before")
        logger.info("m", blob=blob)
        logger.info("after")
        entries = [dict(parse_journal(message)) for message in receiver.messages(3)]
        assert logger.flush(60)
        assert_books(logger, 3)
    assert [entry["MESSAGE"] for entry in entries] == [b"before", b"m", b"after"]
    assert entries[1]["BLOB"] == blob
    assert receiver.memfds == (size > 131_072)


def test_a_journal_that_was_restarted_gets_what_comes_then(tmp_path: Path) -> None:
    with make_logger() as logger:
        for number in range(3):
            with Datagrams(tmp_path / "socket") as receiver:
                if number == 0:
                    journal(logger, receiver, app_name="shop")
                logger.info("m {}", number)
                entry = dict(parse_journal(receiver.message()))
                assert entry["MESSAGE"] == b"m %d" % number
                assert entry["SYSLOG_IDENTIFIER"] == b"shop"
                assert logger.flush(60)
        assert_books(logger, 3)
