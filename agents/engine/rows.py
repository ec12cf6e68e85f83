"""What correlate works on: one row a matched event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl


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
        """A list of plain values for a snapshot."""
        return [*self[:3], list(self.values), *self[4:10], list(self.facts)]

    @staticmethod
    def from_state(state: list[object]) -> Row:
        """Take back what `to_state` gave."""
        s: list[object] = list(state)
        s[3] = tuple(s[3])  # type: ignore[arg-type]  # a list by construction
        s[10] = tuple(s[10])  # type: ignore[arg-type]  # likewise
        return Row(*s)  # type: ignore[arg-type]  # the same plain values that were saved


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
    columns = [frame[name].to_list() for name in _COLUMNS]
    for t, event_id, base, values, number, source, gen, offset, line, summary, facts, rule, key, late, n in zip(
        *columns, strict=True
    ):
        row = Row(t, event_id, base, tuple(values), number, source, gen, offset, line, summary, tuple(facts))
        yield KeyedRow(rule, key, late, row, n)
