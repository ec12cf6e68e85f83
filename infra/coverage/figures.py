"""How well each clause could be watched on each local day: a figure from 0 (blind) to 1, with what is missing.

Of a source and a day it is the share of the hours in which something came of those in which it is usual, times the
share of events that were neither late nor of a suspect time, times the share of lines that could be read. Usual are
hours of the day in which the source had events on at least half of the days of that sort (school days, other days)
within the range and the weeks before it. A day with no event of a source that was seen on others is 0. Of a kind of log
it is the mean of its sources, of a rule the least of the kinds that it reads, of a clause the mean of its rules. A kind
without any source is 0: nothing is seen there.

A rule about a person or a device sees no more than the share of events that name one themselves, or than the sources of
DHCP, which name the others. In a source none of whose events of a day has what a rule cannot do without (see
`agents.rules.needs`), such as the status of a response or a subject, the rule is blind on that day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from agents.context.calendar import Calendar
from agents.engine.enrich_web import LEAST_ALONE
from agents.rules.model import Rule, RuleSet
from agents.rules.needs import Group, lacking
from schemas.kinds import EventKind

LEASED = frozenset({EventKind.PROXY, EventKind.LOGIN})  # kinds whose events leases say the device of
AT_LEAST = {
    "http_response_bytes": LEAST_ALONE
}  # less, such as a firewall counts when it rates an address, says nothing
_EVERY = ("temporal", "temporal_ordered", "sequence")  # none of their parts can be done without
_BY_LEASES = {"person": "user_name", "source_mac": "source_mac"}
Filled = Mapping[tuple[str, date], Mapping[str, float]]


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
    ruleset: RuleSet, found: Iterable[SourceDay], days: Sequence[date], filled: Filled = MappingProxyType({})
) -> list[ClauseDay]:
    """Every clause on every day, by clause and day.

    Args:
        ruleset: Rules in force, parts of chains too.
        found: Sources by day.
        days: Local days.
        filled: By source and day the share of the stored events that have a column, by column; none: not known.
    """
    seen = _Seen(ruleset, found, filled)
    by_clause: dict[int, list[Rule]] = {}
    for rule in ruleset.rules:
        if not rule.silent:
            by_clause.setdefault(rule.clause, []).append(rule)
    return [seen.clause(clause, listed, day) for clause, listed in sorted(by_clause.items()) for day in days]


def blind_spots(ruleset: RuleSet, found: Iterable[SourceDay], filled: Filled) -> dict[str, list[str]]:
    """By rule what it cannot see, and in which source, of those that see nothing in one; see `clause_days`."""
    days = list(found)
    seen = _Seen(ruleset, days, filled)
    told = {rule.id: [text for s in days for text in seen.blind(rule, s)] for rule in ruleset.rules if not rule.silent}
    return {rule_id: texts for rule_id, texts in told.items() if texts}


class _Seen:
    """What could be seen of rules, by day."""

    def __init__(self, ruleset: RuleSet, found: Iterable[SourceDay], filled: Filled) -> None:
        self._known = {rule.id: rule for rule in ruleset.rules}
        self._detections = {detection.name: detection for detection in ruleset.detections}
        self._filled = filled
        self._sources: dict[tuple[EventKind, date], list[SourceDay]] = {}
        for one in found:
            self._sources.setdefault((one.kind, one.day), []).append(one)

    def clause(self, clause: int, rules: Sequence[Rule], day: date) -> ClauseDay:
        """One clause on one day."""
        dhcp = any(_named_by(rule) for rule in rules) and (EventKind.DHCP, day) in self._sources
        kinds = {kind for rule in rules for kind in rule.kinds} | ({EventKind.DHCP} if dhcp else set())
        needs = sorted(kinds, key=lambda kind: kind.value)
        lacks = [f"no source of {kind.value} logs" for kind in needs if (kind, day) not in self._sources]
        there = [s for kind in needs for s in self._sources.get((kind, day), [])]
        lacks += [s.lacks for s in there if s.lacks]
        lacks += [text for s in there for text in self._blind_texts(s, rules)]
        figure = _mean([self._figure(rule, day) for rule in rules])
        return ClauseDay(clause, day, figure, tuple(k.value for k in needs), tuple(lacks))

    def _blind_texts(self, source: SourceDay, rules: Sequence[Rule]) -> list[str]:
        """What no event of a source has, with the rules that see nothing there for want of it."""
        blind: dict[Group, list[str]] = {}
        for rule in rules:
            for group in self._blind(rule, source):
                blind.setdefault(group, []).append(rule.id)
        return [f"{_without(source, group)} (for {', '.join(names)})" for group, names in blind.items()]

    def blind(self, rule: Rule, source: SourceDay) -> list[str]:
        """What no event of a source has that a rule cannot do without, for a person."""
        return [_without(source, group) for group in self._blind(rule, source)]

    def _blind(self, rule: Rule, source: SourceDay) -> tuple[Group, ...]:
        """What a rule lacks to see anything in a source; empty where it may."""
        parts = {base: self._part(rule, base, source) for base in rule.bases if source.kind in self._kinds(base)}
        for base, groups in parts.items():
            others = self._sources[source.kind, source.day]
            if rule.kind in _EVERY and rule.presence is None and all(self._part(rule, base, s) for s in others):
                return groups  # what no source shows the others need not wait for
        return next(iter(parts.values()), ()) if all(parts.values()) else ()

    def _kinds(self, base: str) -> frozenset[EventKind]:
        return frozenset({self._detections[base].kind}) if base in self._detections else self._known[base].kinds

    def _part(self, rule: Rule, base: str, source: SourceDay) -> tuple[Group, ...]:
        """What one part of a rule lacks there."""
        if base in rule.inner:
            return self._blind(self._known[base], source)
        shares = self._filled.get((source.source, source.day), {})
        empty = {column for column, share in shares.items() if share == 0.0} - {_named_by(rule)}
        return lacking(rule, self._detections[base], empty)

    def _figure(self, rule: Rule, day: date) -> float:
        """The least of what a rule reads."""
        figures = {kind: self._of_kind(kind, day, rule) for kind in rule.kinds}
        least = min(figures.values())
        column = _named_by(rule)
        if not column or (EventKind.DHCP, day) not in self._sources:
            return least
        names = min((self._share(kind, day, column) for kind in rule.kinds & LEASED), default=1.0)
        leases = _mean([s.figure for s in self._sources[EventKind.DHCP, day]])
        return min(least, max(names, leases))

    def _of_kind(self, kind: EventKind, day: date, rule: Rule) -> float:
        there = self._sources.get((kind, day), [])
        return _mean([0.0 if self._blind(rule, s) else s.figure for s in there])

    def _share(self, kind: EventKind, day: date, column: str) -> float:
        """Share of a kind's events that have a column."""
        there = self._sources.get((kind, day), [])
        have = sum(s.events * self._filled.get((s.source, day), {}).get(column, 0.0) for s in there)
        return have / max(1, sum(s.events for s in there))


def _named_by(rule: Rule) -> str:
    """The column in which events name themselves what a rule cannot do without, and else only leases say."""
    if not rule.attributed or not rule.kinds & LEASED:
        return ""
    return next((column for name, column in _BY_LEASES.items() if name in rule.group_by), "")


def _without(source: SourceDay, group: Group) -> str:
    said = (f"{name} of {AT_LEAST[name]} or more" if name in AT_LEAST else name for name in group)
    return f"{source.source}: no event has {' or '.join(said)}"


def days_between(first: date, last: date) -> list[date]:
    """Every day from one to another, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures) if figures else 0.0
