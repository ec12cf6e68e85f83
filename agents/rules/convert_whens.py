"""Parts of the calendar as ClickHouse expressions; see `agents.context.calendar`."""

from __future__ import annotations

from datetime import date

from agents.context.calendar import Calendar, Dates, Hours
from agents.rules.convert_values import Conditions, Unsayable, quoted
from agents.rules.own import When


def inside(when: When, calendar: Calendar, where: Conditions) -> str:
    """True where an event's time is in a part of the calendar."""
    zone = when.zone or calendar.zone.key
    local = f"toTimeZone(timestamp, {quoted(zone)})"
    minute = f"(toHour({local}) * 60 + toMinute({local}))"
    day = f"toDate({local})"
    tests = []
    if when.days is not None:
        tests.append(f"toDayOfWeek({day}) IN ({', '.join(str(d + 1) for d in sorted(when.days))})")
    if when.school_days is not None:
        school = _school(calendar, day)
        tests.append(school if when.school_days else f"NOT ({school})")
    hours = _hours(when, calendar, minute, where)
    tests += [hours] if hours else []
    said = "(" + (" AND ".join(f"({test})" for test in tests) or "true") + ")"
    return f"NOT {said}" if when.outside else said


def _hours(when: When, calendar: Calendar, minute: str, where: Conditions) -> str:
    if when.named == "duty":
        if calendar.duty_by_role:
            raise Unsayable("duty hours by role cannot be said in SQL", hint="leave `duty_by_role` out of the calendar")
        return _any((calendar.duty,), minute)
    if when.named != "bell":
        return _any(when.hours, minute)
    usual = _any((calendar.bell,), minute)
    if not calendar.bell_by_site or "source_site" not in where.derived:
        return usual
    site = f"ifNull({where.column('source_site')}, '')"
    tests = ", ".join(f"{site} = {quoted(name)}, {_any((h,), minute)}" for name, h in calendar.bell_by_site.items())
    return f"multiIf({tests}, {usual})"


def _any(hours: tuple[Hours, ...], minute: str) -> str:
    return " OR ".join(
        f"({minute} >= {first} {'AND' if first <= last else 'OR'} {minute} < {last})" for first, last in hours
    )


def _school(calendar: Calendar, day: str) -> str:
    tests = [f"toDayOfWeek({day}) < 6"]
    if calendar.terms:
        tests.append("(" + " OR ".join(_within(day, dates) for dates in calendar.terms) + ")")
    tests += [f"NOT ({_within(day, dates)})" for dates in calendar.holidays]
    return " AND ".join(tests)


def _within(day: str, dates: Dates) -> str:
    first, last = map(date.isoformat, dates)
    return f"{day} BETWEEN '{first}' AND '{last}'"
