"""Visits: how often somebody went somewhere, as far as connections tell that do not name a page.

A programme, or a page left open, opens a connection of its own at a steady beat, and nobody need be there. What a
person does has pauses that are not alike. So of each *place*, such as a domain, the first connection is a visit; a
later one is another where the pause before it is unlike the newest pauses there before it (a beat that is missed
once, or waits twice as long each time, is alike, too). The first such pause of a place tells nothing: it may be the
beat itself. Visits of one place are a minute apart at least, since a page that was opened goes on opening
connections. So a beat is one visit for as long as it goes on, whatever proxy or firewall tells of it, and visits can
only be too few.

A value is counted by itself, as any distinct value is, unless it has a time: `PLACE`, `VALUE_SEPARATOR`, seconds since
1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.engine.rows import Row
from agents.engine.tallies import MAX_VALUES, Tally
from agents.engine.windows import ValueCount
from agents.rules.columns import MINUTES
from agents.rules.model import EVERY_VISIT, VALUE_SEPARATOR, Rule

BURST = 10  # seconds: connections to a place that are no further apart are of one moment
APART = 60  # seconds between two visits of one place, at least
ALIKE, ALIKE_SHARE = 3, 10  # pauses are alike that differ by so many seconds, or by that part of the longer
REMEMBERED = 8  # newest pauses of a place that one is compared with
PRESENT = 300  # seconds for which somebody who did something is taken to be there
MAX_PLACES = 2_000  # of a period; further ones are not counted: the value can only be too low


class Place:
    """Connections to one place, told in the order of their times."""

    __slots__ = ("counted", "last", "odd", "pauses", "present", "start")

    def __init__(self, at: int) -> None:
        self.start = self.last = self.counted = at
        self.odd = 0  # pauses unlike those before
        self.pauses: list[int] = []
        self.present = at

    def goes_on(self, at: int) -> bool:
        """Take the next connection; True where somebody did something, as far as its pause tells."""
        apart, self.last = at - self.last, at
        if apart <= BURST:
            return False
        pause, self.start = at - self.start, at
        unlike = not any(_alike(pause, before) for before in self.pauses)
        self.pauses = [*self.pauses[1 - REMEMBERED :], pause]
        self.odd += unlike
        return unlike and self.odd > 1

    def to_state(self) -> list[Any]:
        """Plain values."""
        return [self.start, self.last, self.counted, self.odd, self.pauses, self.present]

    @staticmethod
    def from_state(state: list[Any]) -> Place:
        """Take back what `to_state` gave."""
        place = Place(state[0])
        place.last, place.counted, place.odd, pauses, place.present = state[1:]
        place.pauses = list(pauses)
        return place


def _alike(pause: int, other: int) -> bool:
    """The same pause, or one twice as long."""
    short, long = sorted((pause, other))
    near = max(ALIKE, long // ALIKE_SHARE)
    return long - short <= near or abs(long - 2 * short) <= near // 2


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
        if not timed:
            self.plain.add(value)
            return
        at, place = int(seconds), self.places.get(name)
        if place is None:
            self.places[name] = place = Place(at)
            came = True
        else:
            came = place.goes_on(at)
            if self._minutes:
                place.present = at + PRESENT if came else place.present
                came = at < place.present
            else:
                came = (came or self._every) and at - place.counted >= APART
        if came and self._minutes:
            self.plain.add(str(at // 60))
        elif came:
            place.counted = at
            self.count += 1


class VisitCount(ValueCount):
    """Visits within a window. What left it is forgotten: the pauses of the rest are looked at anew."""

    __slots__ = ("_stale", "_visits")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._visits = Visits(rule)
        self._stale = False

    def _enter(self, row: Row) -> None:
        new = [value for value in row.values if value not in self.seen]
        super()._enter(row)
        for value in new if not self._stale else ():
            self._visits.add(value)

    def _leave(self, row: Row) -> None:
        super()._leave(row)
        self._stale = self._stale or any(value not in self.seen for value in row.values)

    @property
    def value(self) -> float:
        """Visits inside."""
        if self._stale:
            self._visits, self._stale = _counted(self.rule, self.seen), False
        return float(self._visits.value)


def _counted(rule: Rule, values: Iterable[str]) -> Visits:
    visits = Visits(rule)
    for value in values:  # a dictionary's, in the order in which they came in, which is that of their times
        visits.add(value)
    return visits


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
