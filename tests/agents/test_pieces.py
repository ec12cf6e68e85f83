"""Detection rows cut into messages."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from agents.delivery.pieces import pieces

SHARES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=20).map(sorted), min_size=1, max_size=4)


def _share(numbers: list[list[int]]) -> list[tuple[int, pl.DataFrame]]:
    return [
        (offset, pl.DataFrame({"row": rows, "n": range(len(rows))}, schema={"row": pl.Int32, "n": pl.Int64}))
        for offset, rows in enumerate(numbers)
    ]


@given(SHARES, st.integers(1, 12))
def test_pieces_are_the_rows_in_order_small_and_of_whole_events(numbers: list[list[int]], at_most: int) -> None:
    share = _share(numbers)
    cut = [[(offset, *row) for offset, rows in piece for row in rows.iter_rows()] for piece in pieces(share, at_most)]
    assert [row for piece in cut for row in piece] == [(o, *row) for o, rows in share for row in rows.iter_rows()]
    events = [{(offset, row) for offset, row, _ in piece} for piece in cut]
    assert all(not (a & b) for i, a in enumerate(events) for b in events[i + 1 :])
    assert all(len(piece) <= at_most or len(here) == 1 for piece, here in zip(cut, events, strict=True))


def test_few_rows_are_one_piece_and_many_are_not_one_each() -> None:
    share = _share([[0, 1, 2], [0, 0, 1]])
    assert [len(piece) for piece in pieces(share, 6)] == [2]
    assert [sum(rows.height for _, rows in piece) for piece in pieces(share, 3)] == [3, 3]
