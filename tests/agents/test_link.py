"""What agents tell each other is refused whole when anything of it is damaged."""

from __future__ import annotations

import zlib

import pytest

from agents.delivery.link import Link, RowMark
from agents.engine.progress import Told
from schemas.errors import CorruptBatchError

VALUE = b"rows"
LINK = Link(
    "aup.events.login", 3, "attributed", RowMark(4, 1), RowMark(9, 0), [Told("ü source", "", 17, None)], 2, 5,
    zlib.crc32(VALUE), [(7, 3), (9, 2)],
)  # fmt: skip


def test_a_link_reads_back_as_it_was_written() -> None:
    assert Link.from_kafka(LINK.to_kafka(), VALUE, where="here") == LINK


def test_any_flipped_bit_of_any_header_is_noticed() -> None:
    headers = list(LINK.to_kafka())
    for i, (name, value) in enumerate(headers):
        for bit in range(len(value) * 8):
            damaged = bytearray(value)
            damaged[bit // 8] ^= 1 << (bit % 8)
            with pytest.raises(CorruptBatchError, match="here"):
                Link.from_kafka([*headers[:i], (name, bytes(damaged)), *headers[i + 1 :]], VALUE, where="here")


def test_a_missing_header_and_a_damaged_value_are_noticed() -> None:
    headers = list(LINK.to_kafka())
    for i in range(len(headers)):
        with pytest.raises(CorruptBatchError):
            Link.from_kafka(headers[:i] + headers[i + 1 :], VALUE, where="here")
    with pytest.raises(CorruptBatchError, match="checksum"):
        Link.from_kafka(headers, b"other", where="here")
