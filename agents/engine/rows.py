"""What correlate works on: one row a matched event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

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


_COLUMNS = (
    "timestamp",
    "event_id",
    "base",
    "values",
    "number",
    "log_source",
    "log_generation",
    "log_offset",
    "log_hash",
    "summary",
    "facts",
    "rule_id",
    "group_key",
    "late",
    "row",
)


def rows_of(detections: pl.DataFrame) -> Iterator[KeyedRow]:
    """The rows of a detections frame (schema `detection`), in its order."""
    frame = detections.select(pl.col("timestamp").dt.timestamp("us"), *_COLUMNS[1:])
    columns = [_texts(frame[name]) if name in ("values", "facts") else frame[name].to_list() for name in _COLUMNS]
    rows = map(Row._make, zip(*columns[:11], strict=True))
    rule, key, late, number = columns[11:]
    return map(KeyedRow._make, zip(rule, key, late, rows, number, strict=True))


def _texts(lists: pl.Series) -> Sequence[tuple[str, ...]]:
    """A column of lists as tuples; most are empty or have one text."""
    lengths = lists.list.len()
    longest = lengths.max()
    if not longest:
        return [()] * len(lists)
    if longest == 1 and lengths.min() == 1:
        return [(text,) for text in lists.list.first().to_list()]
    return [tuple(texts) for texts in lists.to_list()]
