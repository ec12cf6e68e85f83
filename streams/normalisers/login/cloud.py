"""What the sign-in records of cloud services have in common.

Their times are UTC, with or without saying so; accounts are mostly mail addresses; an address may carry a port; a place
is a guess of the service's own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from streams.normalisers import addresses
from streams.normalisers.json_records import text
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.login_fields import MAX_REASON
from streams.normalisers.masking import MASK, masked_user
from streams.normalisers.moments import since_1970
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact
from streams.normalisers.times import micros_of

NO_TIME = Unreadable(Refused.BAD_TIME, "no time, or none that exists")

MAX_DETAIL = 1_000  # characters of a detail's value; behind them it is cut

_WORDS = ("-", "n/a", "none", "null", "unknown", "not available", "(none)", "undefined", "{}", "[]", "")
_NOTHING = frozenset(form for word in _WORDS for form in (word, word.upper(), word.capitalize(), word.title()))
_LONGEST = max(map(len, _NOTHING))
_SIXTY = {f"{number:02d}": number * 1_000_000 for number in range(60)}
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - addresses that say that there is none
_WITH_PORT = re.compile(r"\[?([0-9A-Fa-f:.]{3,45})\]?:(\d{1,5})\Z", re.ASCII)


def utc(value: Any) -> int | None:
    """Microseconds since 1970 of a time in UTC: ISO 8601 with `T` or a blank, or a number since 1970; else None."""
    if not isinstance(value, str):
        return since_1970(str(value)) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if len(value) < 19 or value[4] != "-" or value[10] not in "T ":
        return since_1970(value)
    if value[-1] == "Z" and value[16] == ":":
        start, second, fraction = _minute(value[:16]), _SIXTY.get(value[17:19]), value[19:-1]
        if start is not None and second is not None:
            if not fraction:
                return start + second
            if fraction[0] == "." and len(fraction) < 11 and fraction[1:].isdecimal() and fraction.isascii():
                return start + second + int(fraction[1:7].ljust(6, "0"))
    return _iso(value)


@lru_cache(maxsize=4096)
def _minute(text_to_minute: str) -> int | None:
    return _iso(f"{text_to_minute}:00Z")


def _iso(value: str) -> int | None:
    try:
        moment = datetime.fromisoformat(value.removesuffix(" UTC"))
        return micros_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def stated(value: Any) -> str | None:
    """A scalar as text; None where it says nothing (`-`, `unknown`, `N/A`, empty …)."""
    if isinstance(value, str):
        return value if len(value) > _LONGEST or value not in _NOTHING else None
    return None if value is None else text(value)


def reason(value: Any) -> str | None:
    """A reason, at most `MAX_REASON` characters of it."""
    said = stated(value)
    return None if said is None else said[:MAX_REASON]


def lower(value: Any) -> str | None:
    """`stated` in lower case."""
    said = stated(value)
    return None if said is None else said.lower()


def name_account(fact: Fact, name: str | None, *, unknown: bool = False) -> None:
    """Put an account into an event: its name, and its domain in lower case.

    Args:
        fact: The event.
        name: Account as logged.
        unknown: The service says that there is no such account, so that the name may be a password.
    """
    if unknown:
        fact["user_known"] = False
        logged, name = name, masked_user(name) if name else name
        why = fact.get("event_reason")
        if logged and why and name != logged:
            fact["event_reason"] = why.replace(logged, MASK)  # it may repeat the name
    if name and ("@" in name or "\\" in name):
        user, domain = addresses.account(name)
        fact["user_name"], fact["user_domain"] = user, domain and (domain if "\\" in name else domain.lower())
    else:
        fact["user_name"] = name


def address(value: Any) -> tuple[str | None, int | None]:
    """Address and port of `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`; None where it is none."""
    if not isinstance(value, str) or not value:
        return None, None
    found = addresses.ip(value)
    if found is not None:
        return (None if found in _ANY else found), None
    parted = _WITH_PORT.match(value)
    if parted is None:
        return None, None
    found = addresses.ip(parted[1])
    return (None, None) if found is None or found in _ANY else (found, addresses.port(parted[2]))


def degrees(value: Any, limit: int) -> float | None:
    """A latitude (limit 90) or longitude (180); None where it is no such number."""
    if type(value) is float:
        number = value
    elif isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    else:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
    return number if math.isfinite(number) and abs(number) <= limit else None


def place(fact: Fact, latitude: Any, longitude: Any) -> None:
    """Put coordinates into an event; only both together, and not the point where both are zero."""
    if latitude is None or longitude is None:
        return
    north, east = degrees(latitude, 90), degrees(longitude, 180)
    if north is not None and east is not None and (north or east):
        fact["source_geo_latitude"], fact["source_geo_longitude"] = north, east


def agent(*parts: Any) -> str | None:
    """What stands for a user agent where only browser and system are named, e.g. `Chrome 120; Windows 10`."""
    return "; ".join(said for part in parts if (said := stated(part)) is not None) or None


def details(pairs: Iterable[tuple[str, Any]], told_empty: Collection[str] = ()) -> list[str]:
    """`event_details` of a record: NAME=value of what it says, and NAME= where that it says nothing is to be told.

    Args:
        pairs: The vendor's names and values. What is no text is written as JSON.
        told_empty: Names that are written with nothing behind the sign where the record has no value.
    """
    found = []
    for name, value in pairs:
        if value is None or value == "":
            found += [f"{name}="] if name in told_empty else []
            continue
        said = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        found.append(f"{name}={said[:MAX_DETAIL]}")
    return found
