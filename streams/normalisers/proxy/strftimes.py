"""Times written by a strftime format (POSIX), as web servers and proxies let a site choose one.

A format is made into a pattern once. What is read are the directives that tell a date, a time of day, a fraction of a
second (`%f`, as some products write it) or a zone; names of weekdays and numbers of weeks are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from streams.normalisers.proxy.templates import escaped
from streams.normalisers.times import MONTHS, SourceClock, micros_of

_WHOLE = {
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "c": "%a %b %e %H:%M:%S %Y",
    "r": "%I:%M:%S %p",
    "x": "%m/%d/%y",
    "X": "%H:%M:%S",
}
_PATTERNS: Mapping[str, str] = {
    **dict.fromkeys("mdHMSy", "[0-9]{2}"),
    **dict.fromkeys("ekl", "[ 0-9][0-9]"),
    "I": "[0-9]{2}",
    "Y": "[0-9]{4}",
    "b": "[A-Za-z]{3}",
    "h": "[A-Za-z]{3}",
    "B": "[A-Za-z]{3,9}",
    "p": "[AaPp][Mm]",
    "z": "(?:[+-][0-9]{2}:?[0-9]{2}|Z)",
    "Z": "[A-Za-z]{1,5}",
    "s": "[0-9]{1,11}",
    "f": "[0-9]{1,9}",
    "j": "[0-9]{3}",
    **dict.fromkeys("aA", "[A-Za-z]{3,9}"),
    **dict.fromkeys("uw", "[0-9]"),
    **dict.fromkeys("UVW", "[0-9]{2}"),
}
_SIGNS = {"%": "%", "n": "\n", "t": "\t"}
_SAME = {"e": "d", "h": "b", "k": "H", "l": "I"}
_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """How a time is written.

    Attributes:
        pattern: For both engines of patterns, without groups.
        directives: Letters, one a group of `groups`.
        groups: The same pattern with a group around each directive.
    """

    pattern: str
    directives: str
    groups: re.Pattern[str]


def written(strftime: str) -> Written:
    """What a format writes.

    Raises:
        ValueError: it has a directive that is not known; the arguments are the directive and its index.
    """
    pattern, groups, directives, at = "", "", "", 0
    text = re.sub(r"%([TRDFcrxX])", lambda match: _WHOLE[match[1]], strftime)
    text = re.sub(r"%[EO_\-0^#]([A-Za-z])", r"%\1", text)  # modifiers of POSIX and glibc
    while at < len(text):
        sign = text[at]
        if sign != "%":
            pattern, groups = pattern + escaped(sign), groups + escaped(sign)
            at += 1
            continue
        letter = text[at + 1 : at + 2]
        if letter in _SIGNS and letter:
            pattern, groups = pattern + escaped(_SIGNS[letter]), groups + escaped(_SIGNS[letter])
        elif letter in _PATTERNS and letter:
            pattern, groups = pattern + _PATTERNS[letter], f"{groups}({_PATTERNS[letter]})"
            directives += _SAME.get(letter, letter)
        else:
            raise ValueError(f"%{letter}", strftime.find(f"%{letter}"))
        at += 2
    return Written(pattern, directives, re.compile(groups + r"\Z", re.ASCII))


def parts(text: str, how: Written) -> dict[str, str] | None:
    """The directives' values; None where the text is written otherwise."""
    match = how.groups.match(text)
    return None if match is None else dict(zip(how.directives, match.groups(), strict=True))


def moment(found: Mapping[str, str], clock: SourceClock) -> int | None:
    """Microseconds since 1970 UTC of directives' values; None where there is no such time.

    Without a zone it is the source's; without a year, the clock's.
    """
    fraction = int(found.get("f", "0")[:6].ljust(6, "0"))
    if "s" in found:
        return clock.seen(int(found["s"]) * _SECOND + fraction)
    try:
        day = _day(found, clock)
        of_day = _of_day(found)
        if day is None or of_day is None:
            return None
        offset = _offset(found)
        if offset is None:
            return clock.wall(day, of_day + fraction)
        start = datetime(day.year, day.month, day.day, tzinfo=timezone(timedelta(minutes=offset)))
        return clock.seen(micros_of(start) + of_day + fraction)
    except (ValueError, OverflowError):
        return None


def _day(found: Mapping[str, str], clock: SourceClock) -> date | None:
    year = int(found["Y"]) if "Y" in found else None
    if year is None and "y" in found:
        year = int(found["y"]) + (2000 if int(found["y"]) < 70 else 1900)
    if "j" in found and year is not None:
        return date(year, 1, 1) + timedelta(days=int(found["j"]) - 1)
    name = found.get("b") or found.get("B", "")[:3]
    month = int(found["m"]) if "m" in found else MONTHS.get(name.title())
    if month is None or "d" not in found:
        return None
    number = int(found["d"])
    if year is None:
        year = clock.year_of(month, number)
    return None if year is None else date(year, month, number)


def _of_day(found: Mapping[str, str]) -> int | None:
    if "H" in found:
        hour = int(found["H"])
    elif "I" in found:
        hour = int(found["I"]) % 12 + (12 if found.get("p", "A")[0] in "Pp" else 0)
    else:
        return None
    minute, second = int(found.get("M", "0")), min(int(found.get("S", "0")), 59)
    return ((hour * 60 + minute) * 60 + second) * _SECOND if hour < 24 and minute < 60 else None


def _offset(found: Mapping[str, str]) -> int | None:
    """Minutes ahead of UTC; None where the text does not say."""
    zone = found.get("z")
    if zone is None:
        return 0 if found.get("Z", "").upper() in ("UTC", "GMT", "Z") else None
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return -minutes if zone[0] == "-" else minutes
