"""Permits as they are written: rows of a CSV file, or the same names in a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from agents.context.calendar_settings import hours_of
from agents.context.mac import normalise_mac
from agents.context.permit import LAST_CLAUSE, Hours, Permit, Revocation, Scope
from schemas.errors import ConfigError

COLUMNS = ("who", "clause", "from", "to", "granted_by", "reason")
OPTIONAL = (
    "id", "rule", "recipients", "list", "device", "category", "hours", "recorded",
    "revoked", "revoked_by", "revoked_reason",
)  # fmt: skip
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HINT = "write it like 2026-03-02T08:00 or 2026-03-02T08:00:00-07:00"


def permit_of(row: Mapping[str, str], where: str, zone: tzinfo, errors: list[ConfigError]) -> Permit | None:
    """A permit from its row.

    Args:
        row: By column: all of `COLUMNS`; what `OPTIONAL` names may be missing or empty.
        where: file:line, for errors.
        zone: Of times without an offset.
        errors: Gets a `ConfigError` for everything that is wrong.

    Returns:
        None where it cannot be read.
    """
    clause = row["clause"]
    if not row["who"]:
        errors.append(ConfigError("the permit names nobody", where=where, hint="fill in `who`"))
    if not row["granted_by"]:
        errors.append(ConfigError("nobody granted the permit", where=where, hint="fill in `granted_by`"))
    if not clause.isascii() or not clause.isdigit() or not 1 <= int(clause) <= LAST_CLAUSE:
        what = f"clause {clause!r} is none of 1 to {LAST_CLAUSE}"
        errors.append(ConfigError(what, where=where, hint="give the clause's number"))
        return None
    start, stop = moment(row["from"], zone, end=False), moment(row["to"], zone, end=True)
    for name, found in (("from", start), ("to", stop)):
        if found is None:
            errors.append(ConfigError(f"`{name}` {row[name]!r} is no ISO 8601 time", where=where, hint=_HINT))
    recorded = _optional(row, "recorded", where, zone, errors)
    revoked = _optional(row, "revoked", where, zone, errors)
    scope = _scope(row, where, errors)
    if start is None or stop is None:
        return None
    if stop <= start:
        errors.append(ConfigError("the permit ends before it starts", where=where, hint="swap `from` and `to`"))
    back = None if revoked is None else Revocation(revoked, row.get("revoked_by", ""), row.get("revoked_reason", ""))
    said = (row["granted_by"], row["reason"])
    return Permit(row["who"], int(clause), start, stop, *said, scope, row.get("id", ""), recorded, back, where)


def _optional(row: Mapping[str, str], name: str, where: str, zone: tzinfo, errors: list[ConfigError]) -> int | None:
    text = row.get(name, "")
    found = moment(text, zone, end=False) if text else None
    if text and found is None:
        errors.append(ConfigError(f"`{name}` {text!r} is no ISO 8601 time", where=where, hint=_HINT))
    return found


def _scope(row: Mapping[str, str], where: str, errors: list[ConfigError]) -> Scope:
    recipients, device, hours = (row.get(name, "") for name in ("recipients", "device", "hours"))
    number = int(recipients) if recipients.isascii() and recipients.isdigit() else 0
    if recipients and not number:
        what = f"`recipients` {recipients!r} is no number"
        errors.append(ConfigError(what, where=where, hint="say up to how many are permitted; a mailing list is `list`"))
    mac = normalise_mac(device)
    if device and mac is None:
        what = f"`device` {device!r} is no MAC address"
        errors.append(ConfigError(what, where=where, hint="write it like 3c:52:82:01:02:03"))
    week = hours_of_week(hours) if hours else None
    if hours and week is None:
        what = f"`hours` {hours!r} are none"
        errors.append(ConfigError(what, where=where, hint="write them like Mon-Fri 08:00-10:00"))
    named = (row.get("list", "").lower(), mac or "", row.get("category", "").lower())
    return Scope(row.get("rule", ""), number, *named, week)


def hours_of_week(text: str) -> Hours | None:
    """Hours like `Mon-Fri 08:00-10:00`, `Tue,Thu 15:00-17:00` or `18:00-02:00`; None for what is none."""
    words = text.split()
    if not words or len(words) > 2:
        return None
    span = hours_of(words[-1])
    days = _days(words[0]) if len(words) == 2 else frozenset(range(7))
    return None if span is None or not days else Hours(days, *span, text)


def _days(text: str) -> frozenset[int]:
    """Numbers of weekdays; none where a word is no day."""
    found: set[int] = set()
    for part in re.split(r"[,/]", text.lower()):
        first, _, last = part.partition("-")
        if first[:3] not in _DAYS or (last or first)[:3] not in _DAYS:
            return frozenset()
        start, end = _DAYS.index(first[:3]), _DAYS.index((last or first)[:3])
        found.update((start + i) % 7 for i in range((end - start) % 7 + 1))
    return frozenset(found)


def moment(text: str, zone: tzinfo, *, end: bool) -> int | None:
    """Microseconds UTC of an ISO 8601 time or date; None for anything else.

    Args:
        text: As written; without an offset it is local.
        zone: Local zone.
        end: True: a date alone means the end of that day, else its beginning.
    """
    try:
        day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
        when = datetime.combine(day, time(), zone)
    except (ValueError, OverflowError):
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=zone)
    try:
        return (when.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        return None
