"""Rows that wait for a watermark, given out in (event time, event id) order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from agents.engine.rows import Row

Waiter = tuple[Row, str]  # a row and its group key
_SLACK = 1_024  # rows noted beside twice those that wait, before the ones that are gone are dropped from the notes
_SHIFT = 23  # rows wait in slices of 2^23 microseconds (8.4 s): cheap to put in, sorted once when they are due


class _Added:
    """Rows that began to wait since the last checkpoint, and up to when rows were taken out meanwhile.

    `cuts` are (rows added by then, watermark) of every time that rows were taken out, without those that a later and
    higher one covers: their watermarks fall. Usually it is one.
    """

    __slots__ = ("cuts", "rows")

    def __init__(self) -> None:
        self.rows: list[Waiter] = []
        self.cuts: list[tuple[int, int]] = []

    def cut(self, watermark: int, waiting: int) -> None:
        """Rows older than the watermark were taken out, so many still wait."""
        while self.cuts and self.cuts[-1][1] <= watermark:
            self.cuts.pop()
        self.cuts.append((len(self.rows), watermark))
        if len(self.rows) > 2 * waiting + _SLACK:
            self.rows, self.cuts = self.still(), [(0, self.cuts[0][1])]

    def still(self) -> list[Waiter]:
        """Those of the rows that still wait."""
        out: list[Waiter] = []
        at = 0
        for n, watermark in self.cuts:
            out += [w for w in self.rows[at:n] if w[0][0] >= watermark]
            at = n
        return out + self.rows[at:]


class Waiting:
    """Rows by slices of time. Rows may come in any order.

    From the first `save` on it is noted what changes.
    """

    __slots__ = ("_added", "_order", "_slices", "count")

    def __init__(self) -> None:
        self._slices: dict[int, list[Waiter]] = {}
        self._order: list[int] = []  # heap of the slices' numbers
        self.count = 0
        self._added: _Added | None = None

    @property
    def noting(self) -> bool:
        """True where `changes` may be asked."""
        return self._added is not None

    def save(self) -> list[Waiter]:
        """All rows, in (time, event id, base) order."""
        self._added = _Added()
        return list(self)

    def changes(self) -> tuple[int | None, list[Waiter]]:
        """What changed since the last `save` or `changes`.

        Returns:
            The watermark up to which rows that waited then are gone, None where none is; and rows that came since.
        """
        assert self._added is not None
        before, self._added = self._added, _Added()
        return before.cuts[0][1] if before.cuts else None, before.still()

    def add(self, row: Row, group_key: str) -> None:
        """Let a row wait."""
        number = row[0] >> _SHIFT
        found = self._slices.get(number)
        if found is None:
            found = self._slices[number] = []
            heapq.heappush(self._order, number)
        found.append((row, group_key))
        self.count += 1
        if self._added is not None:
            self._added.rows.append((row, group_key))

    def due(self, watermark: int) -> list[Waiter]:
        """Take out every row older than the watermark, in (time, event id, base) order."""
        out: list[Waiter] = []
        while self._order and self._order[0] << _SHIFT < watermark:
            number = self._order[0]
            rows = self._slices[number]
            if (number + 1) << _SHIFT <= watermark:
                part, rest = rows, []
            else:
                part = [w for w in rows if w[0][0] < watermark]
                rest = [w for w in rows if w[0][0] >= watermark]
            part.sort()
            out += part
            if rest:
                self._slices[number] = rest
                break
            del self._slices[number]
            heapq.heappop(self._order)
        self.count -= len(out)
        if out and self._added is not None:
            self._added.cut(watermark, self.count)
        return out

    def __iter__(self) -> Iterator[Waiter]:
        for number in sorted(self._slices):
            yield from sorted(self._slices[number])
