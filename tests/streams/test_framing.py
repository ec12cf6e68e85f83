"""Syslog over TCP: both framings, however the bytes come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.listen.framing import Framer

LIMIT = 20
message = st.text("ab<{ 19\r", min_size=1, max_size=30).map(str.encode)


def plain(text: bytes, end: bytes) -> bytes:
    return text + end


def counted(text: bytes) -> bytes:
    body = b"<13>" + text
    return b"%d %b" % (len(body), body)


frames = st.lists(
    st.one_of(
        st.tuples(message, st.sampled_from([b"\n", b"\r\n", b"\0", b"\n\n"])).map(lambda f: plain(*f)),
        message.map(counted),
        message.map(lambda m: counted(m + b"\n" + m)),
        st.sampled_from([b"\n", b"\0\0", b"12\n", b"7 dwarfs\n", b"999999999 <x"[:0]]),
    ),
    max_size=8,
).map(b"".join)


def feed(data: bytes, cuts: list[int]) -> tuple[list[bytes], list[bytes], int]:
    framer, out, at = Framer(LIMIT), [], 0
    for cut in [*sorted(cuts), len(data)]:
        if cut > at:
            out += framer.feed(data[at:cut])
            at = cut
    return out, framer.finish(), framer.cut


@given(frames, st.lists(st.integers(0, 200), max_size=10))
def test_messages_are_the_same_wherever_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    whole = feed(data, [])
    assert feed(data, [c for c in cuts if c < len(data)]) == whole
    assert feed(data, list(range(len(data)))) == whole


def test_both_framings_follow_each_other_in_one_connection() -> None:
    data = b"<13>one\n8 <13>two\n<13>three\r\n\0" + counted(b"four\nand\n") + b"<13>five\0" + b"5 <13>6" + b"\nseven"
    out, rest, _ = feed(data, [])
    assert out == [b"<13>one", b"<13>two", b"<13>three", b"<13>four#012and", b"<13>five", b"<13>6"]
    assert rest == [b"seven"]


def test_what_begins_with_a_number_but_is_not_counted_is_a_line() -> None:
    lines = [b"1714811413.123   45 10.0.0.1 TCP_MISS", b"2026-05-04 10:00 GET", b"12 angry men", b"7", b"0 <x"]
    out, rest, _ = feed(b"".join(line + b"\n" for line in lines), [])
    assert (out, rest) == ([line[: LIMIT + 1] for line in lines], [])


def test_a_message_over_the_limit_is_cut_one_byte_beyond_it_and_the_rest_skipped_in_both_framings() -> None:
    framer = Framer(LIMIT)
    out = framer.feed(b"x" * 5_000)
    for _ in range(100):
        assert not framer.feed(b"x" * 5_000)
    out += framer.feed(b"xx\n<13>next\n")
    out += framer.feed(b"100000000 <")
    out += framer.feed(b"y" * 5_000)
    for _ in range(19_999):
        assert not framer.feed(b"y" * 5_000)
    assert len(framer._rest) <= LIMIT + 12
    out += framer.feed(b"<13>" + b"\n")
    assert out[:2] == [b"x" * (LIMIT + 1), b"<13>next"]
    assert out[2] == b"<" + b"y" * LIMIT
    assert framer.cut == 2


@pytest.mark.parametrize("length", [9, 40])
def test_line_ends_written_out_do_not_make_a_message_longer_than_the_limit(length: int) -> None:
    framer = Framer(10)
    message = b"<1>" + b"\n" * (length - 4) + b"x"
    assert framer.feed(b"%d %b" % (length, message)) + framer.finish() == [b"<1>#012#012"]
    assert framer.cut == 1
