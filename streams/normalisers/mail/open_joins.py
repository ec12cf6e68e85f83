"""All joins of a source that are open, and the order in which they are flushed, for every mail format that joins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Generic, Protocol, TypeVar

FULL_BYTES = 600_000
"""An open join whose recipients, relays and line positions take this many bytes is flushed; the next recipient makes a
further event of the same message. So an event fits into a Kafka message (about 900 KB); nothing is lost. About 6,000
recipients with common addresses, and never more than 40,000."""

LINE_BYTES = 6
RECIPIENT_BYTES = 16
MOST_BYTES = 64 * 2**20
"""All open joins together; beyond it the one whose newest line is oldest is flushed, and so on. Nothing is lost."""

_NEVER = 2**62  # microseconds


class Opened(Protocol):
    """What `Joins` must know of a join.

    Attributes:
        key: Under what it is open.
        newest: Time of its newest line, microseconds UTC.
        seq: Number of that line among all lines of the source.
        weight: Bytes that it takes, about.
        counted: What of that is in the weight of all.
        offsets: Places of its lines.
    """

    key: str
    newest: int
    seq: int
    weight: int
    counted: int
    offsets: list[int]


J = TypeVar("J", bound=Opened)


class Joins(Generic[J]):
    """All open joins, and the order in which they are flushed: by the time of their newest line, then its place.

    Args:
        limit: Open joins kept at most.
        wait: Microseconds of the log's own time after its newest line at which a join is flushed.
    """

    def __init__(self, limit: int, wait: int) -> None:
        self.limit, self.wait = limit, wait
        self.open: dict[str, J] = {}
        self.weight = 0
        self.next_due = _NEVER
        """No join is due before a line later than this; microseconds."""
        # Lower bounds of (newest, seq) by key: an entry is put right when it comes up, so that a line costs no push.
        self._queue: list[tuple[int, int, str]] = []

    def add(self, join: J) -> None:
        """Open a join; its `newest` and `seq` are set."""
        self.open[join.key] = join
        heappush(self._queue, (join.newest, join.seq, join.key))
        if len(self._queue) > 2 * len(self.open) + 1024:
            self._rebuild()
        self.next_due = self._queue[0][0] + self.wait

    def close(self, join: J) -> None:
        """Take a join out; its event is the caller's business."""
        del self.open[join.key]
        self.weight -= join.counted

    def count(self, join: J) -> None:
        """Take note of what a join has grown."""
        self.weight += join.weight - join.counted
        join.counted = join.weight

    @property
    def too_much(self) -> bool:
        """Whether all joins together take more than they may."""
        return self.weight > MOST_BYTES

    @property
    def lines(self) -> int:
        """Number of lines held."""
        return sum(len(join.offsets) for join in self.open.values())

    def restore(self, joins: Iterable[J]) -> None:
        """Replace all that is open."""
        self.open = {join.key: join for join in joins}
        self.weight = sum(join.weight for join in self.open.values())
        self._rebuild()

    def _rebuild(self) -> None:
        self._queue = [(join.newest, join.seq, join.key) for join in self.open.values()]
        heapify(self._queue)
        self.next_due = self._queue[0][0] + self.wait if self._queue else _NEVER

    def due(self, now: int) -> Iterator[J]:
        """Close and give the joins that a line of this time flushes, oldest first."""
        while self._queue and self._queue[0][0] + self.wait < now:
            oldest = self.pop_oldest(now - self.wait)
            if oldest is not None:
                yield oldest
        self.next_due = self._queue[0][0] + self.wait if self._queue else _NEVER

    def pop_oldest(self, before: int = _NEVER) -> J | None:
        """Close and give the open join whose newest line is oldest, if that is before a time; else None."""
        while self._queue and self._queue[0][0] < before:
            newest, seq, key = heappop(self._queue)
            join = self.open.get(key)
            if join is None:
                continue
            if (join.newest, join.seq) != (newest, seq):
                heappush(self._queue, (join.newest, join.seq, key))
                continue
            self.close(join)
            return join
        return None
