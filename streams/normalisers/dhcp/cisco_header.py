"""What Cisco IOS puts before a message: number, host, time mark, time or uptime; and a relay's header before that.

`<189>000123: sw1: *Mar  1 2024 08:00:00.123 EST: %FACILITY-5-MNEMONIC: …`, each part but the message optional. An
asterisk says that the clock was never set, so that a relay's time is used where there is one; a point that it has lost
its source. An uptime (`00:12:27`, `1w2d`, `51w2d`) is no time: the relay's counts. Of zones only UTC and GMT are sure.

Facts: Cisco IOS configuration guides, "System message logging" (`service timestamps`, `service sequence-numbers`,
`logging origin-id`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from streams.normalisers.times import MONTHS

START: Final = re.compile(r"%[A-Z][A-Z0-9_]{1,30}(?:-[A-Z0-9_]{1,20})?-\d-[A-Z0-9_]{2,60}:|DHCPD ?: ", re.ASCII)
MAX_HEADER: Final = 300

_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_BSD = rf"(?:{_MONTH}) {{1,2}}\d{{1,2}}(?: \d{{4}})? \d\d:\d\d:\d\d(?:\.\d{{1,9}})?"
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIX = re.compile(
    rf"(?:<\d{{1,3}}>)?(?:1 )?(?:(?P<relay>{_BSD}|{_ISO}) +(?:(?P<sender>[^\s:*.]\S*) +)?(?:(?:- ){{1,5}})?)?"
    r"(?:<\d{1,3}>)?(?:\d{1,10}: +)?(?:(?P<host>[A-Za-z][\w.\-]{0,63}|\d{1,3}(?:\.\d{1,3}){3}): +)?(?:\d{1,10}: +)?"
    rf"(?:(?P<mark>[*.]?)(?:(?P<own>(?:\d{{4}} )?{_BSD}|{_ISO})(?: (?P<zone>[A-Z]{{1,5}}))?"
    r"|\d{1,3}:\d\d:\d\d|\d{1,3}[ywd]\d{1,3}[wdh]): +)?\Z",
    re.ASCII,
)
_PARTS = re.compile(rf"(?:(\d{{4}}) )?({_MONTH}) {{1,2}}(\d{{1,2}})(?: (\d{{4}}))? (\S+)\Z", re.ASCII)


class Header(NamedTuple):
    """What stands before a message: its time as `SourceClock` reads it (empty where there is none), and the host."""

    stamp: str
    host: str | None


def read_header(prefix: str, year_of: Callable[[int, int], int | None]) -> Header | None:
    """The header; None where it has another form.

    Args:
        prefix: All that stands before the message.
        year_of: Year of a month and day without one, for times in UTC.
    """
    found = _PREFIX.match(prefix)
    if found is None:
        return None
    relay, own, zone = found["relay"], found["own"], found["zone"]
    stamp = relay or ""
    if own is not None and not (found["mark"] == "*" and relay):
        stamp = _in_utc(own, year_of) if zone in ("UTC", "GMT") else own
    return Header(stamp, found["host"] or found["sender"])


def _in_utc(stamp: str, year_of: Callable[[int, int], int | None]) -> str:
    found = _PARTS.match(stamp)
    if found is None:
        return stamp
    before, name, day, behind, of_day = found.groups()
    month = MONTHS[name]
    year = before or behind or year_of(month, int(day))
    return f"{year}-{month:02d}-{int(day):02d}T{of_day}Z" if year is not None else ""
