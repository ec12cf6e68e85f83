"""Formats that are tables: rows of values, and lines that name the columns.

The names come from a W3C `#Fields:` line (W3C "Extended Log File Format", working draft of 1996), from a first line
with the columns' names, or are fixed. The newest such line counts, and is saved with the source's position.
"""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Head, Read, RecordNormaliser

MAX_COLUMNS = 1_000

_HELD = "\0"  # stands for a doubled quote while a row is cut at its quotes


def cells(text: str, delimiter: str = ",", quote: str = '"') -> list[str] | None:
    """Values of a row; None where a quote is not closed. A quote inside quotes is doubled (RFC 4180)."""
    if quote not in text:
        return text.split(delimiter)
    row = _plain(text.split(quote), delimiter)
    return cells_of_csv(text, delimiter, quote) if row is None else row


def cells_of_csv(text: str, delimiter: str = ",", quote: str = '"') -> list[str] | None:
    """As `cells` for lines without a carriage return, quicker where quotes stand inside of values."""
    doubled = quote * 2
    if _HELD not in text and delimiter + doubled not in text and not text.startswith(doubled):
        parts = text.replace(doubled, _HELD).split(quote)
        if _HELD not in "".join(parts[::2]):  # doubled in quoted values alone
            parts[1::2] = [value.replace(_HELD, quote) for value in parts[1::2]]
            row = _plain(parts, delimiter)
            if row is not None:
                return row
    try:
        rows = list(csv.reader([text], delimiter=delimiter, quotechar=quote, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _plain(parts: list[str], delimiter: str) -> list[str] | None:
    """Values of a row that is cut at its quotes, where these only stand around whole values; else None."""
    last = len(parts) - 1
    if last % 2:
        return None
    row: list[str] = []
    for place in range(0, last + 1, 2):
        outside = parts[place]
        if place and outside[:1] != delimiter and (place < last or outside):
            return None
        if place < last:
            if place and outside == delimiter:
                row.append(parts[place + 1])
                continue
            if outside[-1:] != delimiter and (place or outside):
                return None
            outside = outside[:-1]
            if place or outside or parts[place]:
                row += outside[1:].split(delimiter) if place else outside.split(delimiter)
            row.append(parts[place + 1])
        elif outside:
            row += outside[1:].split(delimiter)
    return row


class TableNormaliser(RecordNormaliser):
    """Rows of a table.

    A subclass says which lines name the columns (`names_of`) and what a row is (`row`). Rows before any such line are
    read by `DEFAULT` where it is not empty, else refused (`no_fields`).
    """

    DELIMITER: ClassVar[str] = ","
    DEFAULT: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.names: tuple[str, ...] = self.DEFAULT

    @abstractmethod
    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """Names of the columns where the line gives them; a reason where it is a comment or alike; None for a row."""

    @abstractmethod
    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """What a row says; values by column name, a column that comes twice has its last value."""

    def split(self, message: str) -> list[str] | None:
        """Values of a row; None where it is malformed."""
        return cells(message, self.DELIMITER)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        named = self.names_of(head.message)
        if isinstance(named, IgnoredReason):
            return named
        if named is not None:
            self.names = tuple(named)[:MAX_COLUMNS]
            return Ignored.HEADER
        if not self.names:
            return Unreadable(Refused.NO_FIELDS, "no line before this one names the columns")
        values = self.split(head.message)
        if values is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        return self.fitted(values, head)

    def fitted(self, values: list[str], head: Head) -> Read:
        """A row whose number of values may differ from that of the columns: missing ones are empty, more refuse it."""
        if len(values) > len(self.names) and any(values[len(self.names) :]):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(values)} values, {len(self.names)} columns")
        return self.row(dict(zip(self.names, values, strict=False)), head)

    def remember(self) -> dict[str, Any]:
        """The names of the columns."""
        return {"names": list(self.names)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        names = saved.get("names", self.DEFAULT)
        if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names of columns are {names!r:.80}")
        self.names = tuple(names)
