"""The slow, obvious way to judge the kinds that Sigma has no word for. Rows are of one key, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from math import acos, cos, radians, sin
from typing import Any
from zoneinfo import ZoneInfo

from agents.engine.rows import Row
from agents.rules.model import Rule
from agents.rules.own import Absence, Concurrent, NewValue, Quota, Spike

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
Episode = tuple[Any, ...]  # first event, opened, closed, count, last event


def sessions(rule: Rule, rows: list[Row], now: int) -> list[Row]:
    """Rows of the sessions that go on at an instant: of each session the newest row, unless it ended it."""
    assert isinstance(rule.own, Concurrent)
    newest = {r.values[1] or r.event_id: r for r in rows}
    going = [r for r in newest.values() if r.base not in rule.own.ends and now < session_end(rule, r)]
    return sorted(going, key=lambda r: (r.t, r.event_id))


def session_end(rule: Rule, row: Row) -> int:
    """When a session ends by itself."""
    return row.t + (rule.timespan_us if row.number is None else min(rule.timespan_us, int(row.number * 1_000_000)))


def concurrent(rule: Rule, rows: list[Row]) -> list[Episode]:
    """Episodes of sessions at several places."""

    def holds(upto: int, now: int) -> bool:
        return len({r.values[0] for r in sessions(rule, rows[:upto], now)}) >= rule.thresholds[0].gte

    found: list[list[Any]] = []
    used = (-1, "")
    is_open = False
    ends = sorted({session_end(rule, r) for r in rows})
    for i, row in enumerate(rows):
        if is_open:
            over = [at for at in ends if rows[i - 1].t < at < row.t and not holds(i, at)]
            if over or not holds(i + 1, row.t):
                found[-1][2], is_open = over[0] if over else row.t, False
                used = found[-1][5]
                if not over:
                    continue
        going = [r for r in sessions(rule, rows[: i + 1], row.t) if (r.t, r.event_id) > used]
        if is_open:
            if row in going:
                found[-1][3:] = [found[-1][3] + 1, row.event_id, (row.t, row.event_id)]
        elif holds(i + 1, row.t):
            is_open = True
            found.append([going[0].event_id, row.t, None, len(going), row.event_id, (row.t, row.event_id)])
    if is_open:
        found[-1][2] = next(at for at in ends if at > rows[-1].t and not holds(len(rows), at))
    return [tuple(f[:5]) for f in found]


def fast(before: Row, after: Row, least_km: float, least_speed: float) -> bool:
    """Two rows are too far apart for the time between: the angle by the spherical law of cosines."""
    if before.values[2] == after.values[2] or before.values[:2] == after.values[:2]:
        return False
    (a, b), (c, d) = (tuple(map(float, r.values[:2])) for r in (before, after))
    one, other = radians(a), radians(c)
    km = 6371.0088 * acos(sin(one) * sin(other) + cos(one) * cos(other) * cos(radians(d - b)))
    hours = max(after.t - before.t, 1_000_000) / 3.6e9
    return km >= least_km and km / hours >= least_speed


def local_start(t: int, zone: ZoneInfo, per: str) -> tuple[int, int]:
    """Start and end of the local day or week."""
    day = (EPOCH + timedelta(microseconds=t)).astimezone(zone).date()
    day -= timedelta(days=day.weekday() if per == "week" else 0)
    first, last = (
        datetime.combine(day + timedelta(days=n), datetime.min.time(), zone) for n in (0, 7 if per == "week" else 1)
    )
    return (first - EPOCH) // timedelta(microseconds=1), (last - EPOCH) // timedelta(microseconds=1)


def measure(rule: Rule, rows: list[Row]) -> float:
    """What a quota measures."""
    if rule.kind == "value_sum":
        return float(sum(Fraction(r.number or 0) for r in rows))
    return float(len({v for r in rows for v in r.values}) if rule.kind == "value_count" else len(rows))


def quota(rule: Rule, rows: list[Row], zone: ZoneInfo) -> list[Episode]:
    """One episode for each period whose measure reaches the limit at any row."""
    assert isinstance(rule.own, Quota)
    per, found = rule.own.per, []
    for (_, end), group in groupby(rows, key=lambda r: local_start(r.t, zone, per)):
        inside = list(group)
        sums = [measure(rule, inside[: n + 1]) for n in range(len(inside))]
        opened = next((r.t for r, value in zip(inside, sums, strict=True) if value >= rule.thresholds[0].gte), None)
        if opened is not None:
            found.append((inside[0].event_id, opened, end, len(inside), inside[-1].event_id))
    return found


def spike(rule: Rule, rows: list[Row], zone: ZoneInfo, blind: frozenset[int] = frozenset()) -> list[Episode]:
    """One episode for each period whose count gets far above those before it, some of which are left out."""
    own, span = rule.own, rule.timespan_us
    assert isinstance(own, Spike)

    def number(r: Row) -> int:
        if not own.per:
            return r.t // span
        day = (EPOCH + timedelta(microseconds=r.t)).astimezone(zone).date().toordinal()
        return (day - 1) // 7 if own.per == "week" else day

    found, counts, first = [], dict[int, int](), 0
    for period, group in groupby(rows, key=number):
        inside = list(group)
        end = local_start(inside[0].t, zone, own.per)[1] if own.per else (period + 1) * span
        recent = range(period - own.periods, period)
        if not any(p in counts and p not in blind for p in recent):
            first = period
        past = [counts.get(p, 0) for p in recent if p >= first and p not in blind]
        opened = None
        for n, row in enumerate(inside, start=1):
            if opened is None and n >= rule.thresholds[0].gte and len(past) >= own.least and _above(own, n, past):
                opened = row.t
        counts[period] = len(inside)
        if opened is not None:
            found.append((inside[0].event_id, opened, end, len(inside), inside[-1].event_id))
    return found


def _above(own: Spike, count: int, past: list[int]) -> bool:
    mean = Fraction(sum(past), len(past))
    variance = sum((p - mean) ** 2 for p in past) / len(past)
    high = own.factor is None or count >= own.factor * mean
    far = own.deviations is None or (count >= mean and (count - mean) ** 2 >= own.deviations**2 * variance)
    return high and far


def absence(rule: Rule, times: list[int], earliest: int, covered: int) -> list[tuple[int, int | None]]:
    """When nothing came in time, and when something did again."""
    assert isinstance(rule.own, Absence)
    found: list[tuple[int, int | None]] = []
    for last, coming in zip([earliest, *times], [*times, None], strict=True):
        deadline = last + rule.own.within_us
        if deadline < (covered if coming is None else coming):
            found.append((deadline, coming))
    return found


def new_values(rule: Rule, rows: list[tuple[str, Row]], earliest: int) -> list[str]:
    """Event ids of first sights, after learning."""
    assert isinstance(rule.own, NewValue)
    own, found = rule.own, []
    for i, (value, row) in enumerate(rows):
        before = [r.t for v, r in rows[:i] if v == value]
        unseen = not before or (own.forget_us and row.t - before[-1] >= own.forget_us)
        if unseen and value.casefold() not in own.known and row.t >= earliest + rule.learn_us:
            found.append(row.event_id)
    return found
