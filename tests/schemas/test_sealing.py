"""Sealed lines open under their key and id only, and the same line is sealed to the same bytes."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.errors import CorruptBatchError
from schemas.registry import polars_schema
from schemas.sealing import Sealer
from tests.schemas.rows import example_rows

SEALER = Sealer("9c41", bytes(range(32)))
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(IDS, st.binary(max_size=300))
def test_what_is_sealed_opens_and_says_nothing(name: str, raw: bytes) -> None:
    sealed = SEALER.seal(name, raw)
    assert SEALER.open(name, sealed) == raw
    assert SEALER.seal(name, raw) == sealed
    assert len(sealed) == len(raw) + 16
    assert len(raw) < 4 or raw not in sealed


@given(IDS, st.binary(min_size=1, max_size=50), st.data())
def test_nothing_opens_with_another_key_as_another_line_or_changed(name: str, raw: bytes, data: st.DataObject) -> None:
    sealed = SEALER.seal(name, raw)
    for sealer, other, changed in (
        (Sealer("9c41", bytes(32)), name, sealed),
        (SEALER, name[:-1] + ("0" if name[-1] != "0" else "1"), sealed),
        (SEALER, ("0" if name[0] != "0" else "1") + name[1:], sealed),
        (SEALER, name, bytes([sealed[0] ^ data.draw(st.integers(1, 255))]) + sealed[1:]),
        (SEALER, name, sealed[:-1]),
        (SEALER, name, b""),
    ):
        with pytest.raises(CorruptBatchError, match=f"{other}: the line does not open"):
            sealer.open(other, changed)


def test_a_frame_is_sealed_once_and_travels_as_any_other() -> None:
    rows = [row | {"sealed_with": ""} for row in example_rows("dead_letter", 5)]
    letters = pl.DataFrame(rows, schema=polars_schema("dead_letter"))
    once = SEALER.frame(letters)
    assert once["sealed_with"].unique().to_list() == ["9c41"]
    assert Sealer("aaaa", bytes(32)).frame(once).equals(once)
    back = codec.decode("dead_letter", codec.encode("dead_letter", once))
    opened = [SEALER.open(name, raw) for name, raw in zip(back["event_id"], back["raw"], strict=True)]
    assert opened == letters["raw"].to_list()
    assert SEALER.frame(letters.drop("sealed_with")).equals(once)
