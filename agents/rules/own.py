"""What a rule of one of our own kinds asks for, where Sigma has no word: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

DAY, WEEK = "day", "week"
PERIODS = (DAY, WEEK)


@dataclass(frozen=True, slots=True)
class When:
    """A part of the calendar: what is inside all that is set.

    Attributes:
        hours: (from, to) in minutes since local midnight; from above to: over midnight. Empty: the whole day.
        named: `bell` or `duty`: the hours that the district's calendar has under that name; empty: `hours`.
        days: Days of the week, Monday 0, of the local date; None: all.
        school_days: True: only days with school; False: only days without; None: all.
        outside: Turns the whole around.
        zone: Time zone; empty: the district's.
    """

    hours: tuple[tuple[int, int], ...] = ()
    named: str = ""
    days: frozenset[int] | None = None
    school_days: bool | None = None
    outside: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True)
class NewValue:
    """`new_value`: values that were never seen.

    Attributes:
        known: Values that are never new, as they stand in group keys.
        forget_us: A value that was not seen for so long is new again, microseconds; 0: never.
    """

    known: frozenset[str] = frozenset()
    forget_us: int = 0


@dataclass(frozen=True, slots=True)
class Concurrent:
    """`concurrent`: sessions of one key at several places at once.

    Attributes:
        ends: Bases whose rows end a session; rows of the others begin or continue one.
        id: Column with the session's identifier; None: every row is a session of its own.
        seconds: Column with the length of the session that begins, seconds; None: only the rule's time span ends it.
    """

    ends: frozenset[str] = frozenset()
    id: str | None = None
    seconds: str | None = None


@dataclass(frozen=True, slots=True)
class Travel:
    """`travel`: two places too far apart for the time between.

    Attributes:
        km: Least distance, kilometres on the great circle.
        km_per_h: Least speed.
        proxies: Networks (CIDR) whose addresses say nothing about a place.
    """

    km: float = 150.0
    km_per_h: float = 900.0
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """`quota`: the measure over one local day or week of the district.

    Attributes:
        per: `day` or `week` (from Monday).
    """

    per: str = DAY


@dataclass(frozen=True, slots=True)
class Spike:
    """`spike`: the count of a period against those of the key's own past.

    Attributes:
        per: `day` or `week` of the district; empty: periods as long as the rule's time span, from 1970 UTC.
        periods: How many past periods are looked at.
        least: How many of them there must be, counted from the first in which the key was seen.
        factor: The count is at least so many times their mean; None: not asked.
        deviations: At least their mean and so many standard deviations (of the population); None: not asked.
    """

    per: str = ""
    periods: int = 14
    least: int = 7
    factor: Fraction | None = None
    deviations: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """`absence`: an expected key of which nothing came.

    Attributes:
        expect: The expected group keys, canonical JSON.
        within_us: Longest silence, microseconds; 0 where `by` is set.
        by: Minutes since local midnight by which a row must have come each day; None where `within_us` is set.
    """

    expect: frozenset[str] = field(default=frozenset())
    within_us: int = 0
    by: int | None = None


OwnKind = NewValue | Concurrent | Travel | Quota | Spike | Absence
