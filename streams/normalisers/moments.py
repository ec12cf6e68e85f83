"""Forms of time beside syslog's and ISO 8601's, put to microseconds UTC by a source's clock.

Each function gives None for a text that is no time of its form, or a time that does not exist; a time without a zone is
in the source's zone.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from typing import Literal

from streams.normalisers.times import LATEST, MONTHS, SourceClock, micros_of

_SECOND = 1_000_000
_COMMON = re.compile(
    r"(\d{1,2})[/\-. ]([A-Za-z]{3})[a-z]{0,6}[/\-. ](\d{4})[: ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))? ?"
    r"([+-]\d\d:?\d\d|Z|UTC|GMT)?\Z",
    re.ASCII,
)
_NUMBERS = re.compile(
    r"(\d{1,4})[/\-.](\d{1,2})[/\-.](\d{1,4})[ T,]+(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)? ?"
    r"([AaPp]\.?[Mm]\.?)?\Z",
    re.ASCII,
)
_ISO_ZONE = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))? ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\Z", re.ASCII
)
_MONTH_FIRST = re.compile(
    r"([A-Za-z]{3}) {1,2}(\d{1,2}),? (\d{4})[ ,]{1,2}(\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?: ([A-Z]{3,5}|[+-]\d\d:?\d\d))?\Z",
    re.ASCII,
)
_DIGITS = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))?\Z", re.ASCII)

Order = Literal["ymd", "mdy", "dmy"]


def since_1970(text: str) -> int | None:
    """Seconds (with or without a fraction), milliseconds, microseconds or nanoseconds since 1970, told by their size.

    10^11 seconds is the year 5138; 10^11 milliseconds is 1973: numbers from there on are of the smaller unit.
    """
    match = _DIGITS.match(text)
    if match is None:
        return None
    whole, fraction = int(match[1]), int((match[2] or "0")[:6].ljust(6, "0"))
    if whole < 10**11:
        found = whole * _SECOND + fraction
    elif whole < 10**14:
        found = whole * 1_000 + fraction // 1_000
    else:
        found = whole if whole < 10**17 else whole // 1_000
    return found if found <= LATEST else None


@lru_cache(maxsize=4096)
def zoned(text: str) -> int | None:
    """ISO 8601 with a zone: `2024-03-01T08:30:00.123Z`, `… UTC`, `…+0100`; more than six decimals are cut."""
    match = _ISO_ZONE.match(text)
    if match is None:
        return None
    return _moment(match[1], match[2], match[3], match[4])


def common(text: str, clock: SourceClock) -> int | None:
    """`01/Mar/2024:08:30:00 -0700`, also with blanks or dashes, `Z`, a fraction, or without a zone."""
    found = _common(text)
    return clock.micros(found) if isinstance(found, str) else found


@lru_cache(maxsize=4096)
def _common(text: str) -> int | str | None:
    """The moment where the text has a zone, else the time as a clock reads it."""
    match = _COMMON.match(text)
    month = match and MONTHS.get(match[2].title())
    if match is None or month is None:
        return None
    day = f"{match[3]}-{month:02d}-{int(match[1]):02d}"
    if match[6]:
        return _moment(day, match[4], match[5], match[6])
    return f"{day} {match[4]}" + (f".{match[5][:6]}" if match[5] else "")


def month_first(text: str, clock: SourceClock) -> int | None:
    """`Mar 01 2024 08:30:00`, with a fraction, and with `GMT`, `UTC` or an offset; CEF's and LEEF's form of time.

    Any other zone's name counts as the source's zone.
    """
    match = _MONTH_FIRST.match(text)
    month = match and MONTHS.get(match[1].title())
    if match is None or month is None:
        return None
    written = f"{match[3]}-{month:02d}-{int(match[2]):02d} {match[4]}"
    if match[5] and (match[5] in ("GMT", "UTC") or match[5][0] in "+-"):
        return zoned(f"{written} {match[5]}")
    return clock.micros(written)


def numbers(text: str, clock: SourceClock, order: Order = "ymd") -> int | None:
    """`2024/03/01 08:30:00`, `03/01/24,08:30:00`, `1.3.2024 8:30:00 AM`, with a fraction or not.

    Args:
        text: The time.
        clock: Puts it to UTC.
        order: Which number is the year, the month and the day, where the first one has not four digits.
    """
    match = _NUMBERS.match(text)
    if match is None:
        return None
    first, second, third = int(match[1]), int(match[2]), int(match[3])
    if len(match[1]) == 4 or order == "ymd":
        year, month, day = first, second, third
    else:
        (month, day), year = ((first, second) if order == "mdy" else (second, first)), third
    hour, minute, seconds = int(match[4]), int(match[5]), int(match[6] or 0)
    if match[8]:
        hour = hour % 12 + (12 if match[8][0] in "Pp" else 0)
    if hour > 23 or minute > 59 or seconds > 59:
        return None
    of_day = ((hour * 60 + minute) * 60 + seconds) * _SECOND + int((match[7] or "0")[:6].ljust(6, "0"))
    try:
        return clock.wall(date(year + 2000 if year < 100 else year, month, day), of_day)
    except ValueError:
        return None


def _moment(day: str, clock_time: str, fraction: str | None, zone: str) -> int | None:
    offset = "+00:00" if zone in ("Z", "UTC", "GMT") else zone if len(zone) > 3 else f"{zone}:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock_time}{offset}")
    except (ValueError, OverflowError):
        return None
    return micros_of(moment) + int((fraction or "0")[:6].ljust(6, "0"))
