"""Batches: what fills one, what splits one, what each follows, and what it tells."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError
from schemas.headers import NEVER, Mark, Position
from streams.abstract import Message
from streams.batches import Batcher, BatchSettings
from streams.rows import Rows

LATENESS = 10


def batcher(*, max_bytes: int = 10_000, batch_rows: int = 4, limit: int = 10_000) -> Batcher:
    """A row is encoded as ten bytes here; more than `limit` rows at once are refused."""

    def encode(schema: str, frame: pl.DataFrame) -> bytes:
        if frame.height > limit:
            raise SchemaError("too large", where=schema)
        return bytes(10 * frame.height)

    return Batcher(BatchSettings("t", "login", "s", "", 2, 2, 100, batch_rows, LATENESS, max_bytes), encode)


def rows(offsets: list[int], generation: str = "g") -> Rows:
    places = np.array(offsets, np.int64)
    frame = pl.DataFrame({"log_offset": offsets}, schema={"log_offset": pl.Int64})
    return Rows(generation, frame, places, places * 0, places + 1_000, places * 0 + 1_000)


def ranges(messages: list[Message]) -> list[tuple[int, int]]:
    out = []
    for message in messages:
        assert message.headers is not None
        assert message.headers.first is not None
        assert message.headers.last is not None
        out.append((message.headers.first.offset, message.headers.last.offset))
    return out


def test_a_batch_goes_when_it_is_full_and_when_its_block_ends() -> None:
    out = batcher()
    assert ranges(out.add(rows([1, 2, 3, 4, 5, 6, 150]), 0)) == [(1, 4), (5, 6)]
    assert ranges(out.flush()) == [(150, 150)]


def test_a_batch_ends_with_its_generation() -> None:
    out = batcher()
    out.add(rows([1, 2]), 0)
    assert ranges(out.add(rows([1], "h"), 0)) == [(1, 2)]


def test_a_batch_that_is_too_large_is_split_and_each_half_follows_the_one_before() -> None:
    for made in (batcher(max_bytes=20, batch_rows=100), batcher(limit=2, batch_rows=100)):
        made.add(rows([1, 2, 3, 4, 5]), 0)
        messages = made.flush()
        assert ranges(messages) == [(1, 2), (3, 3), (4, 5)]
        follows = [m.headers.follows for m in messages if m.headers is not None]
        assert follows == [None, Mark("g", Position(2)), Mark("g", Position(3))]


def test_rows_that_linger_are_due_after_their_time_and_when_the_clock_goes_back() -> None:
    out = batcher()
    out.add(rows([1]), 1_000)
    assert [out.due(now, 250) for now in (1_000, 1_249, 1_250, 999)] == [False, False, True, True]
    out.flush()
    assert not out.due(5_000, 250)


def test_progress_tells_of_rows_sent_and_not_of_rows_that_wait() -> None:
    out = batcher()
    assert [m.headers.progress for m in out.markers() if m.headers] == [NEVER, NEVER]
    out.add(rows([1, 2]), 0)
    assert out.progress == NEVER
    out.flush()
    assert out.progress == 1_002 - LATENESS


@given(st.lists(st.integers(0, 1_000), unique=True, max_size=60), st.lists(st.integers(1, 9), min_size=1))
def test_every_row_goes_once_in_order_and_follows_what_its_partition_had(offsets: list[int], sizes: list[int]) -> None:
    out, messages, ordered, at, turn = batcher(max_bytes=25), [], sorted(offsets), 0, 0
    while at < len(ordered):
        size = sizes[turn % len(sizes)]
        messages += out.add(rows(ordered[at : at + size]), 0)
        at, turn = at + size, turn + 1
    messages += out.flush()
    last: dict[int, Mark] = {}
    total = 0
    for message in messages:
        headers = message.headers
        assert headers is not None
        assert headers.last is not None
        assert headers.follows == last.get(message.partition)
        last[message.partition] = Mark("g", headers.last)
        total += headers.count
    assert total == out.added == out.sent == len(offsets)
    assert ranges(messages) == sorted(ranges(messages))
