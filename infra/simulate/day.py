"""One day: its date, its hours, and times as the formats write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from infra.simulate.draw import Draw, Ints
from infra.simulate.names import words

ZONE = "America/Denver"
OPENS = 6 * 3600 + 1800  # the first line of any log is not before, seconds since local midnight
CLOSES = 18 * 3600  # nor the last one much after

_FIRST_DAY = date(2026, 1, 12)
_SCHOOL_WEEKS = 19
_MONTHS = words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
_WEEKDAYS = words("Mon Tue Wed Thu Fri Sat Sun")

# Traffic of the half hours from 6:30 on, in shares: arrivals, lessons, lunch, afternoon, the last at their desks.
_SHARES = (1, 4, 9, 12, 13, 13, 12, 13, 13, 12, 9, 10, 13, 13, 12, 10, 7, 4, 3, 2, 2, 1, 1)
_SLOT = 1800  # seconds
_PAIRS = tuple(f"{n:02d}" for n in range(60))
CLOCK = tuple(f"{hour}:{minute}:{second}" for hour in _PAIRS[:24] for minute in _PAIRS for second in _PAIRS)
"""`hh:mm:ss` by second of the day."""

# Whole numbers all through: processors round products of fractions differently, and the bytes must not. The largest,
# 2**25 lines, 2**14 steps and 2**24 parts of the day's traffic multiplied, still fits 64 bits.
_STEP_BITS = 14
_TRAFFIC = np.array(_SHARES, dtype=np.int64) << 16
_BEFORE = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(_TRAFFIC)])


@dataclass(frozen=True)
class Day:
    """A day in the district's zone. Seconds are since local midnight. Clocks change before anything happens, if at all.

    Attributes:
        date: Its date.
        zone: The district's zone.
    """

    date: date
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo(ZONE))

    @staticmethod
    def of_seed(seed: int) -> Day:
        """A weekday from January to May 2026, so that both winter and summer time occur."""
        number = Draw(seed, "day").below(_SCHOOL_WEEKS * 5)
        return Day(_FIRST_DAY + timedelta(weeks=number // 5, days=number % 5))

    @cached_property
    def midnight(self) -> int:
        """Local midnight, seconds since 1970 UTC; as the clocks are set at noon, where they change that night."""
        return int(datetime.combine(self.date, time(12), self.zone).timestamp()) - 12 * 3600

    def utc(self, second: int) -> str:
        """ISO 8601 in UTC with a Z."""
        return datetime.fromtimestamp(self.midnight + second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def local(self, second: int) -> str:
        """ISO 8601 in local time with its offset."""
        return datetime.fromtimestamp(self.midnight + second, self.zone).isoformat()

    @cached_property
    def _syslog_day(self) -> str:
        return f"{_MONTHS[self.date.month - 1]} {self.date.day:2d} "

    @cached_property
    def _radius_day(self) -> str:
        return f"{_WEEKDAYS[self.date.weekday()]} {self._syslog_day}"

    @cached_property
    def offset(self) -> str:
        """What the zone is off UTC that day: `-07:00`."""
        told = datetime.combine(self.date, time(12), self.zone).strftime("%z")
        return f"{told[:3]}:{told[3:]}"

    def syslog(self, second: int) -> str:
        """RFC 3164: `Mmm dd hh:mm:ss`, local time, no year."""
        return self._syslog_day + CLOCK[second]

    def radius(self, second: int) -> str:
        """FreeRADIUS (C's `ctime`): `Www Mmm dd hh:mm:ss yyyy`, local time."""
        return f"{self._radius_day}{CLOCK[second]} {self.date.year}"

    @cached_property
    def clf(self) -> tuple[str, str]:
        """What stands before and behind the clock in the common log format: `dd/Mmm/yyyy:`, ` -0700`."""
        return (
            f"{self.date.day:02d}/{_MONTHS[self.date.month - 1]}/{self.date.year}:",
            f" {self.offset.replace(':', '')}",
        )

    def spread(self, draw: Draw, first: int, last: int, total: int, *, opens: int = OPENS) -> Ints:
        """Times of things number `first` to `last` (excluded) of `total` over the day, by the day's traffic.

        Args:
            draw: Chance.
            first: Number of the first one.
            last: Number after the last one.
            total: How many there are over the day.
            opens: Second before which none is.

        Returns:
            Milliseconds since local midnight, ascending; those of the next piece go on from there.
        """
        fine = (np.arange(first, last, dtype=np.int64) << _STEP_BITS) + draw.array(last - first, 1 << _STEP_BITS)
        begin = _traffic_before(opens)
        traffic = (begin << _STEP_BITS) + fine * (_traffic_before(CLOSES) - begin) // max(total, 1)
        slot = np.searchsorted(_BEFORE << _STEP_BITS, traffic, side="right") - 1
        inside = traffic - (_BEFORE[slot] << _STEP_BITS)
        millis: Ints = (OPENS + slot * _SLOT) * 1000 + inside * (_SLOT * 1000) // (_TRAFFIC[slot] << _STEP_BITS)
        return millis


def _traffic_before(second: int) -> int:
    """Traffic of the day before a second, in parts of a share."""
    slot, inside = divmod(second - OPENS, _SLOT)
    return int(_BEFORE[slot]) + (int(_TRAFFIC[slot]) * inside // _SLOT if inside else 0)
