"""The calendar of the district: local days and weeks, school days, duty and bell hours. Pure; right when clocks change.

All times are microseconds since 1970 UTC. Hours of the wall clock that come twice (autumn) are both meant; a moment
that the clock skips (spring) is the moment at which it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from agents.rules.own import DAY, When

Hours = tuple[int, int]  # minutes since local midnight, from and to
Dates = tuple[date, date]  # first and last day

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MINUTE_US = 60_000_000
_DAY_MINUTES = 1_440
_FAR_DAYS = 800  # how far ahead a change is looked for: longer than any holidays


@dataclass(frozen=True)
class Calendar:
    """What a day is, and which of its hours count.

    Attributes:
        zone: Local zone of the district.
        holidays: Days without school, both ends included.
        terms: Days within which there is school; none: always.
        duty: Duty hours of the staff.
        bell: Hours of school.
        bell_by_site: The same where a site has its own.
        duty_by_role: Duty hours of roles that have their own.
    """

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    holidays: tuple[Dates, ...] = ()
    terms: tuple[Dates, ...] = ()
    duty: Hours = (450, 990)
    bell: Hours = (480, 900)
    bell_by_site: Mapping[str, Hours] = field(default_factory=dict)
    duty_by_role: Mapping[str, Hours] = field(default_factory=dict)

    def content(self) -> list[object]:
        """Plain values, for a version; the zone is the district's."""
        dates = [[[str(a), str(b)] for a, b in some] for some in (self.holidays, self.terms)]
        sites, roles = (sorted((n, list(h)) for n, h in own.items()) for own in (self.bell_by_site, self.duty_by_role))
        return [*dates, list(self.duty), list(self.bell), sites, *([roles] if roles else [])]

    def period(self, t_us: int, per: str) -> tuple[int, int]:
        """Start and end of the local day, or week from Monday, that a time lies in."""
        day = self._local(t_us, self.zone).date()
        if per != DAY:
            day -= timedelta(days=day.weekday())
        return _day_start(day, self.zone), _day_start(day + timedelta(days=1 if per == DAY else 7), self.zone)

    def is_school_day(self, day: date) -> bool:
        """Monday to Friday, within a term, no holiday."""
        within = not self.terms or any(first <= day <= last for first, last in self.terms)
        return within and day.weekday() < 5 and not any(first <= day <= last for first, last in self.holidays)

    def inside(self, t_us: int, when: When, site: str | None = None, roles: Iterable[str] = ()) -> bool:
        """True where a time is in that part of the calendar.

        Args:
            t_us: The time.
            when: The part.
            site: Site whose bell hours count; None, or one without its own: the district's.
            roles: Roles whose duty hours count, together where several have their own; none that has: the district's.
        """
        local = self._local(t_us, self._zone(when))
        return self._fits(local, when, self._hours(when, site, roles)) is not when.outside

    def next_change(self, t_us: int, when: When) -> int | None:
        """First moment after a time at which inside and outside change; None where there is none for two years."""
        now, zone = self.inside(t_us, when), self._zone(when)
        day = self._local(t_us, zone).date()
        for ahead in range(-1, _FAR_DAYS):
            for moment in _moments(day + timedelta(days=ahead), self._edges(when), zone):
                if moment > t_us and self.inside(moment, when) is not now:
                    return moment
        return None

    def daily(self, t_us: int, minute: int, when: When | None = None) -> Iterator[int]:
        """Moments at or after a time at which the wall clock says a minute of the day, once a day, oldest first."""
        day = self._local(t_us, self.zone).date() - timedelta(days=1)
        for ahead in range(_FAR_DAYS):
            moment = _wall(day + timedelta(days=ahead), minute, self.zone, 0)
            if moment >= t_us and (when is None or self.inside(moment, when)):
                yield moment

    def _fits(self, local: datetime, when: When, hours: tuple[Hours, ...]) -> bool:
        day = local.date()
        if when.days is not None and day.weekday() not in when.days:
            return False
        if when.school_days is not None and self.is_school_day(day) is not when.school_days:
            return False
        minute = local.hour * 60 + local.minute
        return not hours or any(
            first <= minute < last if first <= last else minute >= first or minute < last for first, last in hours
        )

    def _hours(self, when: When, site: str | None = None, roles: Iterable[str] = ()) -> tuple[Hours, ...]:
        if when.named == "duty":
            return tuple(self.duty_by_role[role] for role in roles if role in self.duty_by_role) or (self.duty,)
        if when.named == "bell":
            return (self.bell if site is None else self.bell_by_site.get(site, self.bell),)
        return when.hours

    def _edges(self, when: When) -> tuple[int, ...]:
        return (0, *(minute for hours in self._hours(when) for minute in hours))

    def _zone(self, when: When) -> ZoneInfo:
        return ZoneInfo(when.zone) if when.zone else self.zone

    @staticmethod
    def _local(t_us: int, zone: ZoneInfo) -> datetime:
        return (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone)


@lru_cache(maxsize=4_096)
def _day_start(day: date, zone: ZoneInfo) -> int:
    return _wall(day, 0, zone, 0)


def _wall(day: date, minute: int, zone: ZoneInfo, fold: int) -> int:
    """The moment at which a wall clock says a minute of a day; where the clock skips that, the moment of the skip."""
    naive = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001 - the zone comes next
    moment = (naive.replace(tzinfo=zone, fold=fold) - _EPOCH) // _MICROSECOND
    back = (_EPOCH + timedelta(microseconds=moment)).astimezone(zone)
    if back.replace(tzinfo=None) == naive:
        return moment
    return _skip(moment, zone)


def _skip(t_us: int, zone: ZoneInfo) -> int:
    """The change of the clock next to a moment, to the minute."""
    low, high = t_us - _DAY_MINUTES * _MINUTE_US, t_us + _DAY_MINUTES * _MINUTE_US
    before = _offset(low, zone)
    while high - low > _MINUTE_US:
        middle = (low + high) // 2 // _MINUTE_US * _MINUTE_US
        if middle <= low:
            break
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high


def _offset(t_us: int, zone: ZoneInfo) -> timedelta | None:
    return (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone).utcoffset()


@lru_cache(maxsize=4_096)
def _moments(day: date, minutes: tuple[int, ...], zone: ZoneInfo) -> tuple[int, ...]:
    """Moments of a day at which the calendar may change; on a day on which the clock does, every minute."""
    first, last = _day_start(day, zone), _day_start(day + timedelta(days=1), zone)
    if last - first != _DAY_MINUTES * _MINUTE_US:
        return tuple(range(first, last, _MINUTE_US))
    return tuple(sorted({_wall(day, minute, zone, 0) for minute in minutes if minute < _DAY_MINUTES}))
