"""Progress of sources, and the watermark that follows from it.

A source's progress reaches a reader once for every partition of the source's topic (and lane). What the reader may
rely on is the least of them; a partition that has told nothing yet counts as minus infinity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.headers import FOREVER, NEVER
from schemas.kinds import NETWORK_LOGINS, EventKind

PROGRESS = "progress_s:"  # and a source's name: the figure of how far a stage is with it, in event time


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A registered source.

    Attributes:
        name: Configured name.
        kind: Kind of its events.
        timeline: Empty for live.
        absent: True while it is declared absent.
        type: Type of its log; empty in records of early releases.
    """

    name: str
    kind: EventKind
    timeline: str = ""
    absent: bool = False
    type: str = ""

    @property
    def tells_who(self) -> bool:
        """True where its events say who or what has an address."""
        return self.kind is EventKind.DHCP or (self.kind is EventKind.LOGIN and self.type in NETWORK_LOGINS)


@dataclass(frozen=True, slots=True)
class Told:
    """One thing told: how far a source is, as seen in one input partition and lane."""

    source: str
    timeline: str
    progress: int
    earliest: int | None
    newest: int | None = None  # time that it has come to; None: no row, or told by the release before


@dataclass(slots=True)
class ProgressTable:
    """Newest word of every (source, timeline) from every (topic, partition, lane). Progress never goes back."""

    told: dict[tuple[str, str], dict[tuple[str, int, str], int]] = field(default_factory=dict)
    earliest: dict[tuple[str, str], int] = field(default_factory=dict)
    newest: dict[tuple[str, str], int] = field(default_factory=dict)

    def tell(self, topic: str, partition: int, lane: str, told: Iterable[Told]) -> None:
        """Take what a message of that partition and lane says."""
        for t in told:
            key = (t.source, t.timeline)
            places = self.told.setdefault(key, {})
            place = (topic, partition, lane)
            places[place] = max(places.get(place, NEVER), t.progress)
            if t.earliest is not None:
                self.earliest[key] = min(self.earliest.get(key, FOREVER), t.earliest)
            if t.newest is not None:
                self.newest[key] = max(self.newest.get(key, NEVER), t.newest)

    def of(self, source: SourceInfo, partitions: int, lane: str) -> int:
        """Least progress of a source over all partitions of its topic."""
        places = self.told.get((source.name, source.timeline))
        if places is None:
            return NEVER
        topic = source.kind.topic
        return min((places.get((topic, p, lane), NEVER) for p in range(partitions)), default=NEVER)

    def figures(self) -> dict[str, float]:
        """How far each live source is, seconds since 1970 UTC: the least that was told; one without a row is not."""
        least = {source: min(places.values()) for (source, timeline), places in self.told.items() if not timeline}
        return {f"{PROGRESS}{source}": at / 1e6 for source, at in least.items() if at > NEVER}

    def covered(self, progress: Mapping[SourceInfo, int]) -> int | None:
        """Event time up to which it is known what came, microseconds; None where that is not known.

        Of a kind that is the least progress of its sources. Where all of them have ended it is the newest time that
        any has come to: beyond that nothing will come, but nothing is known either. Of several kinds it is the least.
        So it ends at the same time whatever was told in between, and in whatever order.

        Args:
            progress: Of the sources in question, as `of` says it.
        """
        ends = []
        for kind in {s.kind for s in progress}:
            mine = {s: told for s, told in progress.items() if s.kind is kind}
            ends.append(min(mine.values()))
            if ends[-1] == FOREVER:
                ends[-1:] = self._newest_of(mine)
        return min(ends, default=None)

    def _newest_of(self, sources: Iterable[SourceInfo]) -> list[int]:
        known = [self.newest[key] for s in sources if (key := (s.name, s.timeline)) in self.newest]
        return [max(known)] if known else []

    def save(self) -> dict[str, Any]:
        """Plain values for a snapshot."""
        return {
            "told": [[*key, *place, at] for key, places in self.told.items() for place, at in places.items()],
            "earliest": [[*key, at] for key, at in self.earliest.items()],
            "newest": [[*key, at] for key, at in self.newest.items()],
        }

    @staticmethod
    def load(state: Mapping[str, Any]) -> ProgressTable:
        """Take back what `save` gave."""
        table = ProgressTable()
        for source, timeline, topic, partition, lane, at in state["told"]:
            table.told.setdefault((source, timeline), {})[(topic, partition, lane)] = at
        for source, timeline, at in state["earliest"]:
            table.earliest[(source, timeline)] = at
        for source, timeline, at in state.get("newest", ()):  # the release before has none
            table.newest[(source, timeline)] = at
        return table
