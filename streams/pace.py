"""Keeps the sources of one process in step while one of them catches up.

A small log is read to its end in no time, a large one takes its while: after an outage, say. Whoever judges the events
has to keep those of the small one until the large one has come as far, and that is memory. So a source that is ahead of
one that is behind waits for it: what is read then comes in the order in which it happened, to a minute.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.collector import Collector

SKEW_US = 60_000_000  # event time by which a source may be ahead of one that is behind
PATIENCE_US = 1_800_000_000  # wall clock; a log whose times are wrong must not hold up the others for ever


class Pace:
    """Says who waits. It keeps when each began to."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}

    def held(self, collectors: Sequence[Collector], now_us: int) -> frozenset[str]:
        """Names of the sources that are not to be read just now.

        Args:
            collectors: All that run.
            now_us: Wall clock, microseconds UTC.
        """
        slowest = min((c.newest for c in collectors if c.behind and c.newest is not None), default=None)
        if slowest is None:
            self._since.clear()
            return frozenset()
        ahead = {c.config.name for c in collectors if c.newest is not None and c.newest - slowest > SKEW_US}
        self._since = {name: self._since.get(name, now_us) for name in ahead}
        return frozenset(name for name, since in self._since.items() if 0 <= now_us - since <= PATIENCE_US)
