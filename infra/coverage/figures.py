"""How well each clause could be watched on each local day: a figure from 0 (blind) to 1, with what is missing.

Of a source and a day it is the share of the hours in which something came of those in which it is usual, times the
share of events that were neither late nor of a suspect time, times the share of lines that could be read. Usual are
hours of the day in which the source had events on at least half of the days of that sort (school days, other days)
within the range and the weeks before it. A day with no event of a source that was seen on others is 0. Of a kind of log
it is the mean of its sources, of a rule the least of the kinds that it reads, of a clause the mean of its rules. A kind
without any source is 0: nothing is seen there.

A rule about a person or a device sees no more than the share of events that name one themselves, or than the sources of
DHCP, which name the others. A rule that is kept by a column, or counts it, is blind on a day none of whose events has
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from agents.context.calendar import Calendar
from agents.rules.model import Rule
from schemas.kinds import EventKind

LEASED = frozenset({EventKind.PROXY, EventKind.LOGIN})  # kinds whose events leases say the device of
NEEDED_FOR = {"executable_attachment": "email_attachment_name"}  # computed columns that are nothing without another
_BY_LEASES = {"person": "user_name", "source_mac": "source_mac"}
Filled = Mapping[tuple[EventKind, date], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Hour:
    """What came of a source in an hour.

    Attributes:
        source: Its name.
        kind: Kind of its events.
        start: Begin of the hour, with a zone.
        events: How many.
        late: How many of them were late or of a suspect time.
    """

    source: str
    kind: EventKind
    start: datetime
    events: int
    late: int


@dataclass(frozen=True, slots=True)
class SourceDay:
    """How complete a source was on a day; `hours` and `usual` are counts of hours."""

    source: str
    kind: EventKind
    day: date
    events: int
    late: int
    hours: int
    usual: int
    unread: float

    @property
    def figure(self) -> float:
        """From 0 to 1."""
        if not self.events:
            return 0.0
        seen = self.hours / self.usual if self.usual else 1.0
        return seen * (1 - self.late / self.events) * (1 - self.unread)

    @property
    def lacks(self) -> str:
        """What is missing, for a person; empty for nothing."""
        if not self.events:
            return f"{self.source}: nothing came"
        parts = []
        if self.hours < self.usual:
            parts.append(f"{self.usual - self.hours} of {self.usual} hours are empty")
        if self.late:
            parts.append(f"{self.late} of {self.events} events were late")
        if self.unread:
            parts.append(f"{self.unread:.1%} of the lines could not be read")
        return f"{self.source}: {', '.join(parts)}" if parts else ""


@dataclass(frozen=True, slots=True)
class ClauseDay:
    """How well a clause could be watched on a day.

    Attributes:
        clause: The clause; 0 for rules that cite none.
        day: Local day.
        figure: From 0 to 1.
        needs: Kinds of logs that its rules read.
        lacks: What is missing.
    """

    clause: int
    day: date
    figure: float
    needs: tuple[str, ...]
    lacks: tuple[str, ...]


def source_days(
    hours: Iterable[Hour],
    sources: Mapping[str, EventKind],
    days: Sequence[date],
    calendar: Calendar,
    unread: Mapping[str, float],
    before: Sequence[date] = (),
    letters: Mapping[tuple[str, date], int] = MappingProxyType({}),
) -> list[SourceDay]:
    """Every source on every day.

    Args:
        hours: What came.
        sources: Kinds of the configured sources, by name; those that came without are added.
        days: Local days.
        calendar: The district's.
        unread: By source the share of its lines that became dead letters of which no day is known.
        letters: By source and day how many lines of that day became dead letters.
        before: Days before, of which `hours` has what is stored: they, too, say which hours are usual.
    """
    zone: ZoneInfo = calendar.zone
    came: dict[tuple[str, date], list[tuple[int, Hour]]] = {}
    known = dict(sources)
    for hour in hours:
        local = hour.start.astimezone(zone)
        known.setdefault(hour.source, hour.kind)
        came.setdefault((hour.source, local.date()), []).append((local.hour, hour))
    found = []
    for source, kind in sorted(known.items()):
        usual = {sort: _usual(source, (*before, *days), came, calendar, school=sort) for sort in (True, False)}
        for day in days:
            there = came.get((source, day), [])
            expected = usual[calendar.is_school_day(day)]
            events, late = sum(h.events for _, h in there), sum(h.late for _, h in there)
            seen = len(expected & {n for n, _ in there})
            lost = letters.get((source, day), 0)
            share = 1 - (1 - unread.get(source, 0.0)) * (1 - (lost / (lost + events) if lost else 0.0))
            found.append(SourceDay(source, kind, day, events, late, seen, len(expected), share))
    return found


def _usual(
    source: str,
    days: Sequence[date],
    came: Mapping[tuple[str, date], list[tuple[int, Hour]]],
    calendar: Calendar,
    *,
    school: bool,
) -> set[int]:
    """Hours of the day in which a source has events on at least half of the days of a sort on which it has any."""
    alike = [
        {n for n, _ in came[source, d]} for d in days if calendar.is_school_day(d) is school and (source, d) in came
    ]
    return {n for n in range(24) if alike and sum(n in there for there in alike) * 2 >= len(alike)}


def clause_days(
    rules: Iterable[Rule], found: Iterable[SourceDay], days: Sequence[date], filled: Filled = MappingProxyType({})
) -> list[ClauseDay]:
    """Every clause on every day, by clause and day.

    Args:
        rules: Those in force, parts of chains too.
        found: Sources by day.
        days: Local days.
        filled: By kind and day the share of the stored events that have a column, by column; none: not known.
    """
    by_kind: dict[tuple[EventKind, date], list[SourceDay]] = {}
    for one in found:
        by_kind.setdefault((one.kind, one.day), []).append(one)
    known = {rule.id: rule for rule in rules}
    by_clause: dict[int, list[Rule]] = {}
    for rule in known.values():
        if not rule.silent:
            by_clause.setdefault(rule.clause, []).append(rule)
    made = []
    for clause, listed in sorted(by_clause.items()):
        dhcp = {EventKind.DHCP} if any(_named_by(rule) for rule in listed) else set()
        for day in days:
            named = dhcp if (EventKind.DHCP, day) in by_kind else set()
            kinds = {kind for rule in listed for kind in rule.kinds} | named
            needs = sorted(kinds, key=lambda kind: kind.value)
            lacks = [f"no source of {kind.value} logs" for kind in needs if (kind, day) not in by_kind]
            lacks += [s.lacks for kind in needs for s in by_kind.get((kind, day), []) if s.lacks]
            blind = {rule.id: _missing(rule, known, day, filled) for rule in listed}
            lacks += dict.fromkeys(text for texts in blind.values() for text in texts)
            figure = _mean([0.0 if blind[r.id] else _figure(r, day, by_kind, filled) for r in listed])
            made.append(ClauseDay(clause, day, figure, tuple(k.value for k in needs), tuple(lacks)))
    return made


def _figure(rule: Rule, day: date, by_kind: Mapping[tuple[EventKind, date], list[SourceDay]], filled: Filled) -> float:
    """The least of what a rule reads."""
    figures = {kind: _mean([s.figure for s in by_kind.get((kind, day), [])]) for kind in (*rule.kinds, EventKind.DHCP)}
    least = min(figures[kind] for kind in rule.kinds)
    column = _named_by(rule)
    if not column or (EventKind.DHCP, day) not in by_kind:
        return least
    names = min((filled.get((kind, day), {}).get(column, 0.0) for kind in rule.kinds & LEASED), default=1.0)
    return min(least, max(names, figures[EventKind.DHCP]))


def _named_by(rule: Rule) -> str:
    """The column in which events name themselves what a rule cannot do without, and else only leases say."""
    if not rule.attributed or not rule.kinds & LEASED:
        return ""
    return next((column for name, column in _BY_LEASES.items() if name in rule.group_by), "")


def _missing(rule: Rule, known: Mapping[str, Rule], day: date, filled: Filled) -> list[str]:
    """Columns that no event of a day has, without which neither a rule nor what it is a chain over can hold."""
    inner = [text for base in sorted(rule.inner) for text in _missing(known[base], known, day, filled)]
    if len(rule.kinds) != 1 or rule.inner:
        return inner
    (kind,) = rule.kinds
    shares = filled.get((kind, day), {})
    wanted = {NEEDED_FOR.get(name, name) for name in (*rule.group_by, *rule.value_columns)} - {_named_by(rule)}
    return [f"no event of {kind.value} logs has {name}" for name in sorted(wanted) if shares.get(name) == 0.0]


def days_between(first: date, last: date) -> list[date]:
    """Every day from one to another, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures) if figures else 0.0
