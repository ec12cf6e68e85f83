"""Many literals looked for in a column at once, over the bytes of its Arrow buffer."""

from __future__ import annotations

from collections.abc import Sequence

import hyperscan
import numpy as np
import polars as pl
from numpy.typing import NDArray

from agents.rules.triggers import FOLDS

Rows = NDArray[np.int64]
HITS_PER_ROW = 4  # a batch with more occurrences than this times its rows is a flood
HITS_AT_LEAST = 2_000


class Patterns:
    """Finds which rows of a column contain which of some literals. Built once, used for every batch.

    Args:
        literals: ASCII texts in lower case, not empty; found whatever their case.
    """

    def __init__(self, literals: Sequence[str]) -> None:
        self._lengths = np.array([len(text) for text in literals] + [len(c.encode()) for c in FOLDS], dtype=np.int64)
        self._count = len(literals)
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=[text.encode() for text in (*literals, *FOLDS)],
            ids=list(range(self._count + len(FOLDS))),
            flags=[hyperscan.HS_FLAG_CASELESS] * self._count + [0] * len(FOLDS),
            literal=True,
        )

    def find(self, column: pl.Series) -> tuple[Rows, Rows] | None:
        """Rows and literals that occur in them.

        Args:
            column: Texts; null has nothing in it.

        Returns:
            Row numbers and indices of literals, parallel, in no order and maybe repeated. The index -1 stands for all:
            the row has a character whose lower case is not known to the scan. None where there are too many to list.
        """
        if column.null_count() == len(column):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        _, offsets_buffer, data = array.buffers()
        if data is None or not data.size:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        offsets = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
        ids: list[int] = []
        ends: list[int] = []
        limit = max(HITS_AT_LEAST, HITS_PER_ROW * len(array))

        def found(pattern: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            ids.append(pattern)
            ends.append(end)
            return len(ids) > limit

        # Working memory of its own, so that threads may scan at once; it costs a microsecond.
        memory = hyperscan.Scratch(self._database)
        try:
            self._database.scan(data, match_event_handler=found, scratch=memory)
        except hyperscan.ScanTerminated:
            return None
        hits, at = np.array(ids, np.int64), np.array(ends, np.int64)
        rows = np.searchsorted(offsets, at - 1, side="right") - 1
        # An occurrence that began in the row before is none; nor is one outside the slice that the column is.
        whole = (rows >= 0) & (rows < len(array))
        rows, hits, at = rows[whole], hits[whole], at[whole]
        inside = at - self._lengths[hits] >= offsets[rows]
        rows, hits = rows[inside], hits[inside]
        return rows.astype(np.int64), np.where(hits >= self._count, -1, hits)
