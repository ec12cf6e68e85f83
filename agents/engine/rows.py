"""What correlate works on: one row a matched event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from sys import intern
from typing import Any, NamedTuple

import polars as pl

SLICE = 20_000  # rows of a frame that are plain values at a time
_DIGITS = 32  # of a 128-bit id or hash


class Row(NamedTuple):
    """One matched event, ordered by (event time, event id) first.

    Attributes:
        t: Event time, microseconds since 1970 UTC.
        event_id: The event.
        base: Name of the detection that matched.
        values: What a distinct count counts.
        number: What a sum is made of, or None.
        source: Log source, for evidence.
        generation: Generation of that source.
        offset: Byte offset of the line.
        line_hash: BLAKE2b-128 of the line.
        summary: JSON object of the columns shown as evidence.
        facts: Identity facts that attributed the row.
    """

    t: int
    event_id: str
    base: str
    values: tuple[str, ...]
    number: float | None
    source: str
    generation: str
    offset: int
    line_hash: str
    summary: str
    facts: tuple[str, ...]

    def to_state(self) -> list[object]:
        """A list of plain values for a snapshot; the digits of ids and hashes as bytes, half as long."""
        row: list[object] = list(self)
        row[1], row[8] = _short(self.event_id), _short(self.line_hash)
        return row

    @staticmethod
    def from_state(state: list[object]) -> Row:
        """Take back what `to_state` gave."""
        s: list[object] = list(state)
        for i in (1, 8):
            digits = s[i]
            if isinstance(digits, bytes):
                s[i] = digits.hex()
        s[3] = tuple(s[3])  # type: ignore[arg-type]  # a list by construction
        s[10] = tuple(s[10])  # type: ignore[arg-type]  # likewise
        return Row(*s)  # type: ignore[arg-type]  # the same plain values that were saved


def _short(digits: str) -> str | bytes:
    """Hexadecimal digits as bytes; any other text as it is."""
    if len(digits) != _DIGITS:
        return digits
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return digits
    return packed if packed.hex() == digits else digits


class KeyedRow(NamedTuple):
    """A row with the window it belongs to, and whether it was stamped late."""

    rule_id: str
    group_key: str
    late: bool
    row: Row
    input_row: int


_OF_EVENT = ("timestamp", "event_id", "log_source", "log_generation", "log_offset", "log_hash", "summary", "facts")
_WORDS = ("log_source", "log_generation")


def rows_of(detections: pl.DataFrame) -> Iterator[KeyedRow]:
    """The rows of a detections frame (schema `detection`), in its order."""
    return chain.from_iterable(map(_rows_of, detections.iter_slices(SLICE)))


def _rows_of(detections: pl.DataFrame) -> Iterator[KeyedRow]:
    t, event_id, source, generation, offset, line_hash, summary, facts = _of_events(detections)
    rules, bases = _words(detections["rule_id"]), _words(detections["base"])
    values, number = _texts(detections["values"]), detections["number"].to_list()
    columns = (t, event_id, bases, values, number, source, generation, offset, line_hash, summary, facts)
    # As `_make` does, without a call of Python's a row.
    rows = map(partial(tuple.__new__, Row), zip(*columns, strict=True))
    keys, late, place = (detections[name].to_list() for name in ("group_key", "late", "row"))
    return map(partial(tuple.__new__, KeyedRow), zip(rules, keys, late, rows, place, strict=True))


def _of_events(detections: pl.DataFrame) -> list[Sequence[Any]]:
    """Columns that are the same in all rows of an event: those next to each other share the objects.

    A flood in which each of 142 rules matches would else hold each summary 142 times.
    """
    numbers = None
    if detections.height > 1 and (detections["event_id"][1:] == detections["event_id"][:-1]).any():
        # Two rows of an event have other facts and another summary where one rule waits for identity and one does not.
        told_by = [pl.col(name) for name in ("event_id", "row", "log_offset", "summary", "facts")]
        begins = detections.select(pl.any_horizontal(c.ne_missing(c.shift()) for c in told_by)).to_series()
        numbers = (begins.cum_sum() - 1).to_list()
        detections = detections.filter(begins)
    frame = detections.select(pl.col("timestamp").dt.timestamp("us"), *_OF_EVENT[1:])
    columns: list[Sequence[Any]] = [_words(frame[n]) if n in _WORDS else frame[n].to_list() for n in _OF_EVENT[:-1]]
    columns.append(_texts(frame["facts"]))
    return columns if numbers is None else [[column[n] for n in numbers] for column in columns]


def _words(column: pl.Series) -> list[str]:
    """Texts of which there are few: each is one object."""
    first = column.first()
    if isinstance(first, str) and (column == first).all():
        return [intern(first)] * len(column)
    return list(map(intern, column.to_list()))


def _texts(lists: pl.Series) -> Sequence[tuple[str, ...]]:
    """A column of lists as tuples; most are empty or have one text."""
    lengths = lists.list.len()
    longest = lengths.max()
    if not longest:
        return [()] * len(lists)
    if longest == 1 and lengths.min() == 1:
        return [(text,) for text in lists.list.first().to_list()]
    return [tuple(texts) for texts in lists.to_list()]
