"""Visits: how often somebody went somewhere, as far as connections tell that do not name a page.

A programme, or a page left open, opens a connection of its own at a steady beat, and nobody need be there. What a
person does has pauses that are not alike. So of each *place*, such as a domain, the first connection is a visit; a
later one is another where the pause before it is unlike the two pauses there before it. The first such pause of a
place may be the beat itself: it counts once there is a second. Visits of one place are a minute apart at least, since a
page that was opened goes on opening connections. So a beat is one visit for as long as it goes on, whatever proxy or
firewall tells of it.

Pauses are alike that differ by two seconds or by three parts in a hundred: of a person's, that last from half a
minute to two, one in ten is so by chance. A wider bound would let more programmes pass, those that wait a while by
chance, and most of what people do. Where minutes are counted it is wider: one uneven pause in five minutes is enough.

A value is counted by itself, as any distinct value is, unless it has a time: `PLACE`, `VALUE_SEPARATOR`, seconds since
1970 UTC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from agents.engine.rows import Row
from agents.engine.tallies import MAX_VALUES, Tally
from agents.engine.windows import ValueCount
from agents.rules.columns import MINUTES
from agents.rules.model import EVERY_VISIT, VALUE_SEPARATOR, Rule

BURST = 10  # seconds: connections to a place that are no further apart are of one moment
APART = 60  # seconds between two visits of one place, at least
ALIKE = 2  # seconds by which pauses may differ and are alike
OF_VISITS, OF_MINUTES = 3, 12  # or parts in a hundred of the longer one
REMEMBERED = 2  # newest pauses of a place that one is compared with
PRESENT = 300  # seconds for which somebody who did something is taken to be there
MAX_PLACES = 2_000  # of a period; further ones are not counted: the value can only be too low


class Place:
    """Connections to one place, told in the order of their times."""

    __slots__ = ("counted", "held", "last", "odd", "pauses", "present", "start", "visits")

    def __init__(self, at: int) -> None:
        self.start = self.last = self.counted = at
        self.odd = self.visits = 0  # pauses unlike those before, and what they came to
        self.held = False  # the first of these may be a visit
        self.pauses: list[int] = []
        self.present = at

    def goes_on(self, at: int, percent: int) -> bool:
        """Take the next connection; True where somebody did something, as far as its pause tells."""
        apart, self.last = at - self.last, at
        if apart <= BURST:
            return False
        pause, self.start = at - self.start, at
        unlike = not any(_alike(pause, before, percent) for before in self.pauses)
        self.pauses = [*self.pauses[1 - REMEMBERED :], pause]
        self.odd += unlike
        return unlike

    def visited(self, at: int) -> int:
        """Visits that are known now of a connection that may be one, the one that was held among them."""
        known = int(self.held and self.odd > 1)
        self.held = self.held and not known
        if at - self.counted < APART:
            return known
        self.counted = at
        if self.odd > 1:
            return known + 1
        self.held = True
        return known

    def to_state(self) -> list[Any]:
        """Plain values."""
        return [self.start, self.last, self.counted, self.odd, self.held, self.pauses, self.present, self.visits]

    @staticmethod
    def from_state(state: list[Any]) -> Place:
        """Take back what `to_state` gave."""
        place = Place(state[0])
        place.last, place.counted, place.odd, place.held, pauses, place.present, place.visits = state[1:]
        place.pauses = list(pauses)
        return place


def _alike(pause: int, other: int, percent: int) -> bool:
    return abs(pause - other) <= max(ALIKE, max(pause, other) * percent // 100)


class Visits:
    """What a rule counts of values, each told once, in the order of their times.

    Args:
        rule: Its `visits`, and whether it counts minutes, say how.
    """

    __slots__ = ("_every", "_minutes", "count", "places", "plain")

    def __init__(self, rule: Rule) -> None:
        self._every, self._minutes = rule.visits == EVERY_VISIT, rule.value_field in MINUTES
        self.plain: set[str] = set()
        self.places: dict[str, Place] = {}
        self.count = 0  # visits of places

    @property
    def value(self) -> int:
        """Visits, or minutes, so far."""
        return len(self.plain) + self.count

    def add(self, value: str) -> None:
        """Count a value."""
        name, timed, seconds = value.rpartition(VALUE_SEPARATOR)
        if timed:
            self._take(name, int(seconds))
        else:
            self.plain.add(value)

    def again(self, name: str, bursts: Iterable[Sequence[int]]) -> None:
        """Count the visits of one place anew, of the times of each moment; not for minutes, which places share."""
        old = self.places.pop(name, None)
        self.count -= old.visits if old is not None else 0
        for burst in bursts:
            for at in burst if self._every else (burst[0],):
                self._take(name, at)
            self.places[name].last = burst[-1]

    def _take(self, name: str, at: int) -> None:
        place = self.places.get(name)
        if place is None:
            place = self.places[name] = Place(at)
            self._count(place, at, 1)
            return
        unlike = place.goes_on(at, OF_MINUTES if self._minutes else OF_VISITS)
        if self._minutes:
            place.present = at + PRESENT if unlike and place.odd > 1 else place.present
            self._count(place, at, int(at < place.present))
        elif self._every:
            due = at - place.counted >= APART
            place.counted = at if due else place.counted
            self._count(place, at, int(due))
        elif unlike:
            self._count(place, at, place.visited(at))

    def _count(self, place: Place, at: int, visits: int) -> None:
        if self._minutes and visits:
            self.plain.add(str(at // 60))
        elif visits:
            place.visits += visits
            self.count += visits


class VisitCount(ValueCount):
    """Visits within a window. What left it is forgotten: the pauses of the rest of its place are looked at anew."""

    __slots__ = ("_bursts", "_minutes", "_stale", "_visits")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._visits, self._minutes = Visits(rule), rule.value_field in MINUTES
        self._bursts: dict[str, deque[deque[int]]] = {}  # times inside by place, those of one moment together
        self._stale: set[str] = set()  # places

    def _enter(self, row: Row) -> None:
        new = [value for value in row.values if value not in self.seen]
        super()._enter(row)
        for value in new:
            name, timed, seconds = value.rpartition(VALUE_SEPARATOR)
            if timed:
                bursts, at = self._bursts.setdefault(name, deque()), int(seconds)
                if not bursts or at - bursts[-1][-1] > BURST:
                    bursts.append(deque())
                bursts[-1].append(at)
            if not timed or name not in self._stale:
                self._visits.add(value)

    def _leave(self, row: Row) -> None:
        super()._leave(row)
        for value in row.values:
            if value in self.seen:
                continue
            name, timed, _ = value.rpartition(VALUE_SEPARATOR)
            if not timed:
                self._visits.plain.discard(value)
                self._stale |= self._bursts.keys() if self._minutes else set()  # it may be a minute of theirs, too
                continue
            bursts = self._bursts[name]
            bursts[0].popleft()
            if not bursts[0]:
                bursts.popleft()
            if not bursts:
                del self._bursts[name]
            self._stale |= self._bursts.keys() | {name} if self._minutes else {name}

    @property
    def value(self) -> float:
        """Visits inside."""
        if self._stale and self._minutes:
            self._visits = Visits(self.rule)
            for value in self.seen:  # in the order in which they came in, which is that of their times
                self._visits.add(value)
        for name in () if self._minutes else self._stale:
            self._visits.again(name, self._bursts.get(name, ()))
        self._stale.clear()
        return float(self._visits.value)


class VisitTally(Tally):
    """Visits, or minutes, of a period."""

    __slots__ = ("_visits",)

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._visits = Visits(rule)

    def add(self, row: Row) -> None:
        """See `Tally`."""
        visits = self._visits
        for value in row.values:
            name, timed, _ = value.rpartition(VALUE_SEPARATOR)
            known = name in visits.places if timed else value in visits.plain
            if known or (len(visits.places) < MAX_PLACES if timed else len(visits.plain) < MAX_VALUES):
                visits.add(value)
            else:
                self.lower_bound = True
                self.early += 1

    @property
    def value(self) -> float:
        """Visits, or minutes."""
        return float(self._visits.value)

    def to_state(self) -> Any:
        """See `Tally`."""
        visits = self._visits
        places = {name: place.to_state() for name, place in sorted(visits.places.items())}
        return [self.lower_bound, sorted(visits.plain), visits.count, places]

    def from_state(self, state: Any) -> None:
        """See `Tally`. The release before knew no places: minutes that it counted stay counted."""
        self.lower_bound, plain, *later = state
        self._visits.plain = set(plain)
        self._visits.count, places = later or (0, {})
        self._visits.places = {name: Place.from_state(place) for name, place in places.items()}
