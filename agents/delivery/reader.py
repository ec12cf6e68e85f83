"""The shared reader: drops repeats and refuses batches that something is missing before.

Used by every agent that reads event or dead-letter topics. For each (source, timeline) it keeps the last position
seen in this partition, by generation.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from agents.delivery.heard import Heard
from schemas.errors import MissingRowsError
from schemas.headers import BatchHeaders, Mark, Position

GENERATIONS_KEPT = 64  # marks of older contents of a source go; a repeat of those rows would be taken as new

TIMELINES_KEPT = 64  # of backfills and replays, of all sources together

log = logging.getLogger(__name__)
Marks = dict[tuple[str, str], dict[str, Position]]


@dataclass(slots=True)
class Reader:
    """Marks of one partition of one topic."""

    marks: Marks = field(default_factory=dict)
    cut: Heard[tuple[str, str]] = field(default_factory=Heard)  # sources heard of since messages went by retention
    doubted: Heard[tuple[str, str]] = field(default_factory=Heard)  # and since a message of nobody knows whom
    lost: int = 0  # how often messages were lost: what came after may lack rows

    def mark(self, headers: BatchHeaders) -> Position | None:
        """The position at and below which a batch's rows are repeats; None where all of it is new."""
        return self.marks.get((headers.source, headers.timeline), {}).get(headers.generation)

    def check(self, headers: BatchHeaders, where: str) -> None:
        """See that nothing is missing before a batch or marker.

        What is missing comes again, as long as its sender has not been told that it is here. It does not where it was
        here and could not be read: then it is lost, and what follows is taken.

        Raises:
            MissingRowsError: it follows a row that was never seen here.
        """
        key = (headers.source, headers.timeline)
        seen = self.marks.get(key, {})
        follows = headers.follows
        if follows is not None and not self.cut.may_lack(key):
            mark = seen.get(follows.generation)
            if mark is None or mark < follows.position:
                if self.doubted.may_lack(key):
                    self.lost += 1
                    log.error("%s: rows of source %s up to %s could not be read and are lost", where, key[0], follows)
                    return
                raise MissingRowsError(
                    f"source {headers.source}: rows up to {follows.text()} were never seen, the last seen is "
                    f"{None if mark is None else Mark(follows.generation, mark).text()}",
                    where=where,
                    hint="the collector sends them again by itself; if not, restart it",
                )

    def advance(self, headers: BatchHeaders) -> None:
        """Remember the last row of a batch; a marker has none."""
        if headers.last is None:
            return
        for heard in (self.cut, self.doubted):
            heard.hear((headers.source, headers.timeline))
        seen = self.marks.setdefault((headers.source, headers.timeline), {})
        if headers.timeline and not seen:
            self._forget_timelines()
        known = seen.pop(headers.generation, None)
        seen[headers.generation] = headers.last if known is None else max(known, headers.last)
        while len(seen) > GENERATIONS_KEPT:
            seen.pop(next(iter(seen)))

    def truncated(self) -> None:
        """Messages are lost: the next one of every source follows what nobody will ever send again."""
        self.cut.lost()
        self.lost += 1

    def unreadable(self) -> None:
        """A message does not say whose it is: whoever's next one follows what was never seen has lost it."""
        self.doubted.lost()

    def _forget_timelines(self) -> None:
        """Old backfills go; should one of their batches come once more, its rows are the same rows again."""
        others = [key for key in self.marks if key[1]]
        for key in others[: max(0, len(others) - TIMELINES_KEPT)]:
            del self.marks[key]

    def save(self) -> list[list[Any]]:
        """Plain values for a snapshot."""
        return [
            [source, timeline, generation, position.offset, position.sub]
            for (source, timeline), seen in self.marks.items()
            for generation, position in seen.items()
        ]

    @staticmethod
    def load(state: list[list[Any]]) -> Reader:
        """Take back what `save` gave."""
        reader = Reader()
        for source, timeline, generation, offset, sub in state:
            reader.marks.setdefault((source, timeline), {})[generation] = Position(offset, sub)
        return reader


def only_new(frame: pl.DataFrame, mark: Position | None) -> pl.DataFrame:
    """Rows after a mark; all where it is None. Needs the columns log_offset and log_sub."""
    if mark is None or frame.is_empty():
        return frame
    after = (pl.col("log_offset") > mark.offset) | (
        (pl.col("log_offset") == mark.offset) & (pl.col("log_sub") > mark.sub)
    )
    return frame.filter(after)


def all_seen(headers: BatchHeaders, mark: Position | None) -> bool:
    """True where every row of a batch is a repeat, so that it need not be decoded."""
    return mark is not None and headers.last is not None and headers.last <= mark
