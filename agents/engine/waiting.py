"""Rows that wait for a watermark, given out in (event time, event id) order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from agents.engine.rows import Row

Waiter = tuple[Row, str]  # a row and its group key
_SHIFT = 23  # rows wait in slices of 2^23 microseconds (8.4 s): cheap to put in, sorted once when they are due


class Waiting:
    """Rows by slices of time. Rows may come in any order."""

    __slots__ = ("_order", "_slices", "count")

    def __init__(self) -> None:
        self._slices: dict[int, list[Waiter]] = {}
        self._order: list[int] = []  # heap of the slices' numbers
        self.count = 0

    def add(self, row: Row, group_key: str) -> None:
        """Let a row wait."""
        number = row[0] >> _SHIFT
        found = self._slices.get(number)
        if found is None:
            found = self._slices[number] = []
            heapq.heappush(self._order, number)
        found.append((row, group_key))
        self.count += 1

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
        return out

    def __iter__(self) -> Iterator[Waiter]:
        for number in sorted(self._slices):
            yield from sorted(self._slices[number])
