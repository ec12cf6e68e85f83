"""Detection rows cut into messages: however many there are, each message is small enough to be sent and read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

Share = list[tuple[int, pl.DataFrame]]


def pieces(share: Sequence[tuple[int, pl.DataFrame]], at_most: int) -> Iterator[Share]:
    """Rows in their order, in pieces of about so many.

    Rows of one event stay together: a reader's mark is the event's place, and what came behind it in another message
    would be taken for a repeat.

    Args:
        share: Input offset and detection rows in order of `row`, by offset; none empty.
        at_most: Rows of a piece; only those of one event may be more.
    """
    piece: Share = []
    height = 0
    for offset, rows in share:
        for part in _whole_events(rows, at_most):
            if piece and height + part.height > at_most:
                yield piece
                piece, height = [], 0
            piece.append((offset, part))
            height += part.height
    if piece:
        yield piece


def _whole_events(rows: pl.DataFrame, at_most: int) -> Iterator[pl.DataFrame]:
    events = rows["row"]
    start = 0
    while start < rows.height:
        end = min(start + at_most, rows.height)
        if end < rows.height and events[end] == events[end - 1]:
            first = int(events.search_sorted(events[end], side="left"))
            end = first if first > start else int(events.search_sorted(events[end], side="right"))
        yield rows[start:end]
        start = end
