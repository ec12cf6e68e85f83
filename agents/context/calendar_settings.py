"""`[district.calendar]` as it is written, and the calendar that it means."""

from __future__ import annotations

import re
from datetime import date
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from agents.context.calendar import Calendar, Dates, Hours
from schemas.errors import AupstreamError, ConfigError

_HOURS = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])-([01]?[0-9]|2[0-4]):([0-5][0-9])")
_DAY_MINUTES = 1_440


def hours_of(text: str) -> Hours | None:
    """Minutes since midnight of hours written like 08:00-16:00; None for what is none. From above to: over midnight."""
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        return None
    first, last = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    good = first < _DAY_MINUTES and last <= _DAY_MINUTES and first != last
    return (first, last) if good else None


def dates_of(text: str) -> Dates | None:
    """A day, or the first and the last day of some, as in 2026-11-25/2026-11-27; None for what is neither."""
    first, slash, last = text.strip().partition("/")
    try:
        days = date.fromisoformat(first), date.fromisoformat(last if slash else first)
    except ValueError:
        return None
    return days if days[0] <= days[1] else None


class CalendarSettings(BaseModel):
    """`[district.calendar]`: school days and hours, in the district's zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holidays: tuple[str, ...] = Field(default=(), description="Days without school: 2026-11-25/2026-11-27 or one day.")
    terms: tuple[str, ...] = Field(default=(), description="Between these days there is school; empty: all year.")
    duty: str = Field(default="07:30-16:30", description="Duty hours of the staff.")
    bell: str = Field(default="08:00-15:00", description="Hours of school.")
    bell_by_site: dict[str, str] = Field(default_factory=dict, description="The same by site, where it has its own.")
    duty_by_role: dict[str, str] = Field(default_factory=dict, description="Duty hours by role, where it has its own.")

    def read(self, zone: ZoneInfo, errors: list[AupstreamError], where: str) -> Calendar:
        """The calendar; what is wrong goes to `errors`.

        Args:
            zone: The district's zone.
            errors: Gets a `ConfigError` for every value that is wrong.
            where: Name of the section.
        """

        def hours(text: str, key: str) -> Hours:
            found = hours_of(text)
            if found is None:
                errors.append(ConfigError(f"{text!r} are no hours", where=f"{where}.{key}", hint="write 08:00-16:00"))
            return found or (0, _DAY_MINUTES)

        def dates(texts: tuple[str, ...], key: str) -> tuple[Dates, ...]:
            found = [(text, dates_of(text)) for text in texts]
            hint = "write 2026-11-26, or 2026-11-25/2026-11-27"
            errors.extend(
                ConfigError(f"{text!r} is no day", where=f"{where}.{key}", hint=hint) for text, d in found if d is None
            )
            return tuple(d for _, d in found if d is not None)

        return Calendar(
            zone,
            dates(self.holidays, "holidays"),
            dates(self.terms, "terms"),
            hours(self.duty, "duty"),
            hours(self.bell, "bell"),
            {site: hours(text, f"bell_by_site.{site}") for site, text in self.bell_by_site.items()},
            {role.lower(): hours(text, f"duty_by_role.{role}") for role, text in self.duty_by_role.items()},
        )
