"""Which days a simulated term has."""

from __future__ import annotations

from datetime import date, timedelta

from infra.simulate.day import Day

FIRST = date(2026, 1, 12)  # a Monday; 40 school days from it summer time has begun
HOLIDAYS = (
    (date(2026, 1, 19), date(2026, 1, 19)),
    (date(2026, 2, 16), date(2026, 2, 16)),
    (date(2026, 3, 16), date(2026, 3, 20)),
    (date(2026, 5, 25), date(2026, 5, 25)),
)
MOST_DAYS = 90
DUTY, BELL = "07:30-16:30", "08:00-15:00"


def school_days(count: int) -> list[Day]:
    """The first so many weekdays of the term that are no holiday."""
    days: list[Day] = []
    when = FIRST
    while len(days) < count:
        if when.weekday() < 5 and not any(first <= when <= last for first, last in HOLIDAYS):
            days.append(Day(when))
        when += timedelta(days=1)
    return days
