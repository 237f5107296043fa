"""The frames of a batch, and messages that are too large for a datagram."""

from __future__ import annotations

import errno
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logly._core import Frames
from logly.outlets.datagrams import shortened
from tests.support.syslog_wire import parse_frames, parse_syslog

few = settings(max_examples=max(10, settings().max_examples // 4))
messages = st.lists(
    st.one_of(st.binary(min_size=1, max_size=40), st.just(b"1 \n2 \n"), st.just(b"x" * 1000)), max_size=12
)


def framed(parts: list[bytes]) -> bytes:
    return b"".join(b"%d %b\n" % (len(part), part) for part in parts)


@given(messages)
@few
def test_a_batch_is_taken_apart_by_its_lengths(parts: list[bytes]) -> None:
    lines = framed(parts)
    frames = Frames(lines)
    assert [frames.message_at(number) for number in range(len(frames))] == parts
    for number in range(len(parts) + 1):
        before = framed(parts[:number])
        assert frames.begin_of(number) == len(before)
        assert frames.lines_before(number) == before.count(b"\n")
    with pytest.raises(IndexError):
        frames.message_at(len(parts))


@given(messages, st.integers(1, 3000), st.data())
@few
def test_a_stream_has_each_frame_once_without_the_line_breaks(
    parts: list[bytes], size: int, data: st.DataObject
) -> None:
    frames = Frames(framed(parts))
    number, whole = 0, b""
    while number < len(frames):
        before = number
        part, number = frames.stream(number, size)
        assert parse_frames(part) == parts[before:number]
        assert len(parse_frames(part)) == 1 or len(part) - len(parts[number - 1]) - 5 < size
        whole += part
    assert parse_frames(whole) == parts
    cut = data.draw(st.integers(0, len(whole)))
    count = frames.whole(0, cut)
    assert sum(len(b"%d " % len(part)) + len(part) for part in parts[:count]) <= cut
    assert count == len(parts) or sum(len(b"%d " % len(part)) + len(part) for part in parts[: count + 1]) > cut


@pytest.mark.parametrize(
    "lines",
    [
        b"5 abc\n",
        b"3 abc",
        b"3 abcd\n",
        b"x abc\n",
        b"3abc\n",
        b"99999999999999999999999 a\n",
        b"3 abc\n3",
        b"\n",
        b"0 ",
        b" ",
    ],
)
def test_what_is_no_frame_is_refused(lines: bytes) -> None:
    with pytest.raises(ValueError, match="whole frames"):
        Frames(lines)


def test_datagrams_are_sent_from_a_number_on_until_the_receiver_is_full() -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    frames = Frames(framed([b"%d" % number for number in range(5000)]))
    number, code = frames.send(sender.fileno(), 7, 100, 0, 0)
    assert 7 < number < 5000
    assert code != 0
    received = [receiver.recv(100) for _ in range(7, number)]
    assert received == [b"%d" % one for one in range(7, number)]
    assert frames.send(sender.fileno(), 4999, 100, 0, 0) == (5000, 0)
    receiver.close()
    number, code = frames.send(sender.fileno(), 3, 100, 0, 0)
    assert (number, code != 0) == (3, True)
    sender.close()


def test_a_message_that_is_too_large_ends_it() -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    frames = Frames(framed([b"a", b"b" * 11, b"c"]))
    assert frames.send(sender.fileno(), 0, 10, 0, 0) == (1, errno.EMSGSIZE)
    assert frames.send(sender.fileno(), 1, 11, 0, 1) == (3, 0)
    assert [receiver.recv(20) for _ in range(3)] == [b"a", b"b" * 11, b"c"]
    sender.close()
    receiver.close()


HEAD = b"<14>1 2026-03-01T13:05:09.123456Z host app 17 - "

texts = st.text(st.sampled_from('ab é→😀\n]\\"'), max_size=300)


@given(texts, texts, st.integers(200, 900), st.booleans())
@few
def test_a_message_that_is_cut_is_legal_and_says_so(value: str, text: str, room: int, has_bom: bool) -> None:
    shown = value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
    bom = b"\xef\xbb\xbf" if has_bom else b""
    message = HEAD + f'[fields@32473 a="{shown}"] '.encode() + bom + text.encode()
    if len(message) <= room:
        return
    cut = shortened(message, room)
    assert len(cut) <= room
    parsed = parse_syslog(cut)
    mark = f"[logly: cut, {len(message)} bytes in all]"
    assert parsed.text.endswith(mark)
    assert text.startswith(parsed.text.removesuffix(mark).removesuffix(" "))
    assert parsed.data in ({"fields@32473": [("a", value)]}, {})
    if parsed.data and len(text.encode()) > 4:
        assert len(cut) > room - 4
