"""Our own kind `concurrent`: sessions of one key that overlap at several places."""

from __future__ import annotations

import heapq
from collections import Counter

from agents.engine.rows import Row
from agents.engine.windows import Window
from agents.rules.model import Rule
from agents.rules.own import Concurrent

MAX_SESSIONS = 2_000  # sessions of a key at once; beyond it the oldest end early: places can only be too few
_MICROS = 1_000_000


class Sessions(Window):
    """Sessions that are going on, each as the newest row that told of it.

    A row's `values` are its place and the session's identifier (empty: a session of its own), its `number` the length
    in seconds. A session lasts [t, t + length), at most for the rule's time span. A row of a session that is going on
    takes it over: it says where it is now, and from when its length counts. A row of a base that ends sessions ends it
    at that very time.
    """

    __slots__ = ("_active", "_ends", "_places", "_queue")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._ends = rule.own.ends if isinstance(rule.own, Concurrent) else frozenset[str]()
        self._active: dict[str, tuple[int, Row]] = {}
        self._queue: list[tuple[int, int, str, str]] = []  # heap: end, start, event id, session; some are over
        self._places: Counter[str] = Counter()

    def add(self, row: Row) -> bool:
        """Take a row; False where it begins or continues no session."""
        session = row.values[1] or row.event_id
        self._end(session)
        if row.base in self._ends:
            return False
        length = self._span if row.number is None else min(self._span, int(row.number * _MICROS))
        if length <= 0:
            return False
        if len(self.rows) >= MAX_SESSIONS:
            oldest = self.rows[0]
            self._end(oldest.values[1] or oldest.event_id)
            self.at_limit()
        end = row.t + length
        self._active[session] = (end, row)
        heapq.heappush(self._queue, (end, row.t, row.event_id, session))
        self._places[row.values[0]] += 1
        self.rows.append(row)
        return True

    def expire(self, now: int) -> None:
        """End what is over at `now`."""
        while self._queue and self._queue[0][0] <= now:
            _, _, event_id, session = heapq.heappop(self._queue)
            if session in self._active and self._active[session][1].event_id == event_id:
                self._end(session)

    def next_expiry(self) -> int | None:
        """When the next session ends by itself."""
        queue = self._queue
        while queue and (queue[0][3] not in self._active or self._active[queue[0][3]][1].event_id != queue[0][2]):
            heapq.heappop(queue)
        return queue[0][0] if queue else None

    def last_expiry(self) -> int | None:
        """When the last one does."""
        return max((end for end, _ in self._active.values()), default=None)

    @property
    def value(self) -> float:
        """Places at once."""
        return float(len(self._places))

    def _end(self, session: str) -> None:
        found = self._active.pop(session, None)
        if found is None:
            return
        row = found[1]
        self.rows.remove(row)
        self._places[row.values[0]] -= 1
        if not self._places[row.values[0]]:
            del self._places[row.values[0]]
