"""When a source counts as absent, and when it has come back and caught up: pure, without a clock or a server.

A collector says now and then on `aup.heartbeats` that it reads a source. Whoever watches says so of itself on the same
topic and reads the topic back: silence is counted in its own beats that came back, so neither an outage of Kafka nor a
pause of the watcher itself, nor any clock, makes a source look silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.delivery.feed import CAUGHT_UP

ENDED = "ended"
READING = "reading"
ABSENT, RETURNED = "absent", "returned"
Record = dict[str, Any]


@dataclass(slots=True)
class _Known:
    """A registered source."""

    record: Mapping[str, Any]
    heard_s: float  # own time at which it was heard of last
    newest: int | None = None  # event time that it has come to, microseconds UTC
    ended: bool = False
    absent: bool = False
    alive: bool = False  # heard of since it is absent
    gap: tuple[int | None, int | None] | None = None  # came back: missing from there on, and how far the others were


@dataclass(slots=True)
class Silence:
    """What is known of live sources.

    Args:
        after_s: A source that was not heard of for so long is absent.
    """

    after_s: float
    own_s: float = 0.0  # time that has passed by our own beats
    live: bool = False  # one came back: what is heard from then on is news
    _known: dict[str, _Known] = field(default_factory=dict)

    def told(self, record: Mapping[str, Any]) -> None:
        """Take a record of `aup.sources`, oldest first.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is none.
        """
        event = record["event"]
        if record.get("timeline") or event not in ("registered", "retired", ABSENT, RETURNED, CAUGHT_UP):
            return
        name = str(record["source"])
        if event == "retired":
            self._known.pop(name, None)
            return
        known = self._known.get(name)
        if event == "registered":
            if known is None or not known.absent:
                self._known[name] = _Known(record, self.own_s, None if known is None else known.newest)
                return
            known.record, known.heard_s, known.ended = record, self.own_s, False
            self._came_back(known)
        elif known is not None and event == ABSENT:
            known.absent, known.alive = True, False
            known.newest = known.newest if record.get("newest") is None else int(record["newest"])
        elif known is not None and event == RETURNED:
            self._came_back(known)
        elif known is not None:
            known.gap = None

    def beat(self, passed_s: float) -> None:
        """One of our own came back, which was sent so long after the one before."""
        self.own_s += passed_s
        self.live = True

    def heard(self, record: Mapping[str, Any]) -> None:
        """Take a collector's heartbeat.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is none.
        """
        name, newest = str(record["source"]), record["newest"]
        ended = record["state"] == ENDED
        known = self._known.get(name)
        if known is not None:
            known.heard_s, known.ended, known.alive = self.own_s, ended, self.live
            if newest is not None and not known.absent:  # of an absent one what it had come to is kept
                known.newest = max(int(newest), known.newest or int(newest))

    def due(self) -> Iterable[Record]:
        """Records to be written: who is absent now, who is back, and who has caught up."""
        for known in self._known.values() if self.live else ():
            head = {key: known.record.get(key) for key in ("source", "kind", "type", "timeline")}
            silent = self.own_s - known.heard_s
            if not known.absent and not known.ended and silent >= self.after_s:
                yield {**head, "event": ABSENT, "newest": known.newest, "silent_s": round(silent)}
            elif known.absent and known.alive and silent < self.after_s / 2:
                yield {**head, "event": RETURNED}
            elif known.gap is not None:
                start, end = known.gap
                if end is None:  # how far the others are was not known yet when it was told
                    end = self._reached(known)
                    known.gap = (start, end)
                if known.ended or (known.newest or 0) >= end:
                    yield {**head, "event": CAUGHT_UP, "from": start, "to": end}

    def absent(self) -> list[str]:
        """Names of those that are absent."""
        return sorted(name for name, known in self._known.items() if known.absent)

    def _came_back(self, known: _Known) -> None:
        if known.absent:
            known.gap = (known.newest, self._reached(known) if self.live else None)
            known.absent = False

    def _reached(self, known: _Known) -> int:
        """Event time that the newest of the others has come to."""
        return max([k.newest for k in self._known.values() if k is not known and k.newest is not None], default=0)
