"""Messages that are judged together: a step costs milliseconds, however few rows it is about.

While messages wait behind one, its rows are kept until there are many. What came of them is then handed out by message
again, so that nothing depends on what was joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import polars as pl

from agents.delivery.detectors import DetectionRows, Judged
from agents.engine.detect import Matched

MAX_ROWS = 20_000  # rows that are judged at once; from there on more of them gain nothing
DENSE = 1.0  # detection rows an event from which on messages are judged one at a time: what comes of them is large


def alike(frames: Sequence[pl.DataFrame]) -> Iterator[list[int]]:
    """Numbers of frames that follow each other and have the same columns."""
    for _, group in groupby(range(len(frames)), key=lambda i: frames[i].columns):
        yield list(group)


def edges(frames: Sequence[pl.DataFrame]) -> list[tuple[int, int]]:
    """First row of each frame among all of them, and the one after its last."""
    ends = [0]
    for frame in frames:
        ends.append(ends[-1] + frame.height)
    return list(pairwise(ends))


def matched_of(judged: Sequence[Judged], start: int, end: int) -> list[Judged]:
    """What was matched in some of the rows, these numbered from 0."""
    found = []
    for one in judged:
        frame, masks = one.matched.frame, one.matched.masks
        at, height = _span(frame["row"], start, end)
        if height:
            part = _numbered(frame.slice(at, height), start)
            found.append(Judged(one.version, Matched(one.matched.kind, part, masks.slice(at, height))))
    return found


def rows_of(made: Sequence[DetectionRows], start: int, end: int) -> list[DetectionRows]:
    """Detection rows of some of the rows, these numbered from 0."""
    found = []
    for one in made:
        at, height = _span(one.frame["row"], start, end)
        if height:
            found.append(DetectionRows(one.rules, _numbered(one.frame.slice(at, height), start)))
    return found


def _span(numbers: pl.Series, start: int, end: int) -> tuple[int, int]:
    """Where row numbers from `start` to below `end` stand in a column that is in order."""
    at = int(numbers.search_sorted(start, side="left"))
    return at, int(numbers.search_sorted(end, side="left")) - at


def _numbered(frame: pl.DataFrame, start: int) -> pl.DataFrame:
    return frame.with_columns(pl.col("row") - start) if start else frame
