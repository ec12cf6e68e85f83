"""`when:` under `aupstream:`: the part of the calendar that a rule's events must be in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents.context.calendar_settings import hours_of
from agents.rules.own import When
from agents.rules.shape import Checker, suggestion

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NAMED = ("duty", "bell")
_HERE = ("aupstream", "when")


def read_when(check: Checker, own: Mapping[str, Any]) -> When | None:
    """The part of the calendar that `aupstream` asks for; None where it asks for none."""
    if "when" not in own:
        return None
    part = check.mapping(own["when"], *_HERE)
    check.keys("when", part, *_HERE)
    if not {"hours", "days", "school-days"} & set(part):
        check.error("when says nothing", *_HERE, hint='such as {hours: "08:00-16:00", days: [mon, tue]}')
    named, hours = _hours(check, part)
    for key in ("school-days", "outside"):
        if key in part and not isinstance(part[key], bool):
            check.error(f"{key} must be true or false, not {part[key]!r}", *_HERE, key)
    school = part.get("school-days")
    return When(
        hours,
        named,
        _days(check, part),
        school if isinstance(school, bool) else None,
        part.get("outside") is True,
        _zone(check, part),
    )


def _hours(check: Checker, part: Mapping[str, Any]) -> tuple[str, tuple[tuple[int, int], ...]]:
    given = check.texts(part.get("hours"), *_HERE, "hours")
    if len(given) == 1 and given[0] in NAMED:
        return given[0], ()
    found = [hours_of(text) for text in given]
    for text, hours in zip(given, found, strict=True):
        if hours is None:
            hint = 'write "08:00-16:00" in quotes, or duty or bell'
            check.error(f"{text!r} are no hours", *_HERE, "hours", hint=hint)
    return "", tuple(hours for hours in found if hours is not None)


def _days(check: Checker, part: Mapping[str, Any]) -> frozenset[int] | None:
    given = check.texts(part.get("days"), *_HERE, "days")
    for day in given:
        if day not in DAYS:
            check.error(f"{day!r} is no day", *_HERE, "days", hint=suggestion(day, DAYS))
    return frozenset(DAYS.index(day) for day in given if day in DAYS) if given else None


def _zone(check: Checker, part: Mapping[str, Any]) -> str:
    zone = part.get("zone", "district")
    if zone == "district":
        return ""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        hint = "leave it out for the district's, or write America/Denver"
        check.error(f"time zone {zone!r} is not known", *_HERE, "zone", hint=hint)
        return ""
    return str(zone)
