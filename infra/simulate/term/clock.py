"""Which days a simulated term has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise

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


def days_off(school: Sequence[Day]) -> dict[date, list[Day]]:
    """Days without school up to the next school day, by school day; none after the last."""
    found: dict[date, list[Day]] = {}
    for one, following in pairwise(school):
        between = range(1, (following.date - one.date).days)
        found[one.date] = [Day(one.date + timedelta(days=n)) for n in between]
    return found
