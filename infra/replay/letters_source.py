"""Dead letters as a source: the lines at the places where they were read, so that their events get their own ids."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from streams.sources.abstract import Source, SourceChunk


class Line(NamedTuple):
    """A line and where it stood; ordered as they are read."""

    generation: str
    offset: int
    raw: bytes


class LettersSource(Source):
    """Lines of one source, by generation and offset.

    Args:
        lines: In any order.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._parts = [(g, list(some)) for g, some in groupby(sorted(lines), key=lambda line: line.generation)]

    def seek(self, generation: str, offset: int) -> bool:
        """There is no earlier run: a replay that was cut off begins anew."""
        del generation, offset
        return False

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """The next lines of a generation."""
        del now_us
        if not self._parts:
            return None
        generation, lines = self._parts[0]
        taken, left = lines[:max_lines], lines[max_lines:]
        self._parts[:1] = [(generation, left)] if left else []
        end = left[0].offset if left else taken[-1].offset + len(taken[-1].raw) + 1
        offsets = np.array([line.offset for line in taken], np.int64)
        return SourceChunk(generation, [line.raw for line in taken], offsets, end)

    @property
    def ended(self) -> bool:
        """True where all were given."""
        return not self._parts

    def close(self) -> None:
        """Nothing is open."""
