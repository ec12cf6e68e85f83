"""Times as logs write them, to microseconds since 1970 UTC.

Two things are missing from most log times: the year and the zone. `YearlessClock` supplies the first, `LocalZone` the
second, and `SourceClock` puts them together for the times of one source. All three depend on the lines read so far
and on the settings, never on the wall clock, and what they remember is saved with the source's position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from schemas.errors import StateError
from streams.normalisers.abstract import NormaliserSettings

MONTHS: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}

DISORDER_DAYS = 90
"""A year-less line up to this much older than the newest is a late line; beyond it the year has turned."""

LEAP_DAYS = 120
"""A year-less line that would be more than this ahead of the newest is believed only once a second day confirms it."""

_BACK_WEIGHT = 3  # (365 - DISORDER_DAYS) / DISORDER_DAYS: a day back is as unlikely as three days ahead

_START_ANEW = "remove the source's saved state to read it from its start"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR
_FOLD_BACK = _HOUR // 2
_FOLD_JITTER = 60 * _SECOND
_MAX_CACHED_HOURS = 8192
_SIXTY: Mapping[str, int] = {f"{number:02d}": number for number in range(60)}

_BSD = re.compile(
    r"(?:(?P<y1>\d{4}) )?(?:[A-Z][a-z]{2} )?(?P<mon>[A-Z][a-z]{2}) +(?P<d>\d{1,2})(?: (?P<y2>\d{4}))?"
    r" (?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?(?: (?P<y3>\d{4}))?\Z",
    re.ASCII,
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\Z", re.ASCII)


EARLIEST, LATEST = -62_135_596_800 * _SECOND, 253_402_300_800 * _SECOND - 1  # years 1 to 9999 in UTC


def micros_of(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware time, exact."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds


class YearlessClock:
    """The year of dates that carry none, from the order in which they are read.

    A date is taken to go forward, by up to a year, unless it is at most `DISORDER_DAYS` older than the newest date
    so far: then it is a late line. So the turn of the year is found, a line of 31 December that comes after one of
    1 January is of the old year, and a gap of many months goes forward. A date more than `LEAP_DAYS` ahead may also
    be a clock that started at 1 January: it gets the later year, but the old date is kept beside it until a line of
    another day is nearer to the one or the other. 29 February is refused where the year so found has none.

    Args:
        year: Year of the first line, or None.
        first_seen: Date at which the source was first read; used where `year` is None: the first line is of the newest
            year in which it is not more than a day after this date.
    """

    def __init__(self, year: int | None, first_seen: date) -> None:
        self._year, self._first_seen = year, first_seen
        self._newest: int | None = None  # ordinal of the newest believed date
        self._jump: int | None = None  # ordinal of a date far ahead that nothing has confirmed

    @property
    def year(self) -> int | None:
        """Year of the newest believed date; None before the first."""
        return None if self._newest is None else date.fromordinal(self._newest).year

    def year_of(self, month: int, day: int) -> int | None:
        """Year of the next line's date; None where no fitting year has such a date. Moves the clock."""
        if self._newest is None:
            return self._start(month, day)
        after_newest = _nearest(self._newest, month, day)
        jump = self._jump
        after_jump = None if jump is None else _nearest(jump, month, day)
        if (
            jump is not None
            and after_jump is not None
            and (after_newest is None or _cost(after_jump - jump) < _cost(after_newest - self._newest))
        ):
            if after_jump != jump:
                self._newest, self._jump = max(after_jump, jump), None
            return date.fromordinal(after_jump).year
        if after_newest is None:
            return None
        if after_newest - self._newest > LEAP_DAYS:
            self._jump = after_newest
        else:
            self._newest, self._jump = max(self._newest, after_newest), None
        return date.fromordinal(after_newest).year

    def _start(self, month: int, day: int) -> int | None:
        if self._year is not None:
            found = _ordinal(self._year, month, day)
        else:
            limit = self._first_seen.toordinal() + 1
            years = range(self._first_seen.year + 1, max(self._first_seen.year - 9, 0), -1)  # 9: leap days across 1900
            fits = (o for y in years if (o := _ordinal(y, month, day)) is not None and o <= limit)
            found = next(fits, None)
        if found is None:
            return None
        self._newest = found
        return date.fromordinal(found).year

    def state(self) -> dict[str, int | None]:
        """What must be saved: JSON-able."""
        return {"newest": self._newest, "jump": self._jump}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take back what `state` gave.

        Raises:
            StateError: it is something else.
        """
        newest, jump = _saved_int(state, "newest"), _saved_int(state, "jump")
        if any(day is not None and not 1 <= day <= date.max.toordinal() for day in (newest, jump)):
            raise StateError("saved clock has a date outside years 1 to 9999", hint=_START_ANEW)
        self._newest, self._jump = newest, jump


class LocalZone:
    """Local times of one zone to UTC, right across daylight saving, fast by remembering the offset of each hour.

    A time that the clocks skip is moved forward by what they skip (RFC 5545 section 3.3.5). A time that they show
    twice is the first, unless the line before tells otherwise: where the first would lie more than half an hour before
    it, or where it is of the second pass already and the first would lie more than a minute before it.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[tuple[int, int], int | None] = {}  # (ordinal, hour) to microseconds; None: it changes

    def micros(self, ordinal: int, of_day: int, previous: int | None) -> int:
        """Microseconds UTC.

        Args:
            ordinal: Proleptic Gregorian ordinal of the local date.
            of_day: Microseconds since local midnight, below 24 hours.
            previous: Time of the source's line before, microseconds UTC; None if none.

        Raises:
            OverflowError: the time is outside years 1 to 9999.
        """
        hour = of_day // _HOUR
        naive = (ordinal - _EPOCH_ORDINAL) * _DAY + of_day
        offset = self.offset(ordinal, hour)
        if offset is not None:
            return naive - offset
        local = datetime.fromordinal(ordinal) + timedelta(microseconds=of_day)
        first, second = naive - self._offset(local, 0), naive - self._offset(local, 1)
        if second <= first or previous is None:  # not shown twice: skipped or plain
            return first
        back = previous - first
        before = (_EPOCH + timedelta(microseconds=previous)).astimezone(self._zone).utcoffset()
        in_second_pass = before == local.replace(tzinfo=self._zone, fold=1).utcoffset()
        return second if back > _FOLD_BACK or (in_second_pass and back > _FOLD_JITTER) else first

    def offset(self, ordinal: int, hour: int) -> int | None:
        """Microseconds that the zone is ahead of UTC all through a local hour; None where that changes within it."""
        key = (ordinal, hour)
        return self._offsets[key] if key in self._offsets else self._remember(key)

    def _remember(self, key: tuple[int, int]) -> int | None:
        if len(self._offsets) >= _MAX_CACHED_HOURS:
            self._offsets.clear()
        start = datetime.fromordinal(key[0]) + timedelta(hours=key[1])
        end = start + timedelta(hours=1) - timedelta(microseconds=1)
        seen = {self._offset(moment, fold) for moment in (start, end) for fold in (0, 1)}
        offset = seen.pop() if len(seen) == 1 else None
        self._offsets[key] = offset
        return offset

    def _offset(self, local: datetime, fold: int) -> int:
        offset = local.replace(tzinfo=self._zone, fold=fold).utcoffset() or timedelta(0)
        return (offset.days * 86_400 + offset.seconds) * _SECOND + offset.microseconds


def _within_hour(stamp: str) -> int | None:
    """Microseconds since the hour of `yyyy-mm-dd hh:mm:ss` with three, six or no decimals; None for any other form."""
    minute, second, length = _SIXTY.get(stamp[14:16]), _SIXTY.get(stamp[17:19]), len(stamp)
    if minute is None or second is None or stamp[16] != ":":
        return None
    whole = (minute * 60 + second) * _SECOND
    if length == 19:
        return whole
    decimals = stamp[20:]
    if length not in (23, 26) or stamp[19] not in ".," or not (decimals.isascii() and decimals.isdigit()):
        return None
    return whole + int(decimals) * (1_000 if length == 23 else 1)


class SourceClock:
    """Reads the times of one source's lines, in the order of the lines.

    Understands the stamps that `syslog.split` finds (RFC 3164 with or without year and fraction, ISO 8601 with or
    without offset), asctime's `Www Mmm dd hh:mm:ss yyyy`, as FreeRADIUS writes it, and `@seconds.micros` since 1970.
    Other forms are taken apart by `moments` and put to UTC by `wall`.
    """

    def __init__(self, settings: NormaliserSettings) -> None:
        self._years = YearlessClock(settings.year, settings.first_seen)
        self._zone = LocalZone(settings.timezone)
        self._previous: int | None = None
        self._stamp = ""
        self._hour = ""  # `Mmm dd hh:` of the last year-less line, where its hour has one offset
        self._hour_start = 0  # that hour's start, microseconds UTC
        self._iso_hour = ""  # `yyyy-mm-dd hh:` of the last ISO time without a zone, where its hour has one offset
        self._iso_start = 0

    def micros(self, stamp: str) -> int | None:
        """Microseconds since 1970 UTC; None where it is no time, or outside years 1 to 9999. Moves the clock."""
        if stamp == self._stamp:  # most lines of a busy second: the same text is the same time
            return self._previous if stamp else None
        if stamp[:10] == self._hour and len(stamp) == 15:  # the hour of the line before, hence its year and offset
            minute, second = _SIXTY.get(stamp[10:12]), _SIXTY.get(stamp[13:])
            if minute is not None and second is not None and stamp[12] == ":":
                self._stamp = stamp
                self._previous = self._hour_start + (minute * 60 + second) * _SECOND
                return self._previous
        if stamp[:14] == self._iso_hour and (within := _within_hour(stamp)) is not None:
            self._previous, self._stamp = self._iso_start + within, stamp
            return self._previous
        try:
            if stamp[4:5] == "-":
                found = self._iso(stamp)
            else:
                found = self._bsd(stamp) if stamp[:1] != "@" else _since_1970(stamp)
        except (ValueError, OverflowError):
            return None
        if found is None or not EARLIEST <= found <= LATEST:
            return None
        self._previous, self._stamp = found, stamp
        return found

    def _iso(self, stamp: str) -> int | None:
        if _ISO.match(stamp) is None:
            return None
        if stamp[17:19] == "60":  # a leap second: RFC 3339 allows it, datetime does not
            before = self._iso(f"{stamp[:17]}59{stamp[19:]}")
            return None if before is None else before + _SECOND
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is not None:
            return micros_of(moment)
        of_hour = (moment.minute * 60 + moment.second) * _SECOND + moment.microsecond
        ordinal = moment.toordinal()
        found = self._zone.micros(ordinal, moment.hour * 3_600 * _SECOND + of_hour, self._previous)
        if 1 < moment.year < 9999 and self._zone.offset(ordinal, moment.hour) is not None:
            self._iso_hour, self._iso_start = stamp[:14], found - of_hour
        return found

    def _bsd(self, stamp: str) -> int | None:
        match = _BSD.match(stamp)
        if match is None:
            return None
        year1, name, day_text, year2, hour, minute, second, fraction, year3 = match.groups()
        month, day = MONTHS.get(name), int(day_text)
        seconds = (int(hour) * 60 + int(minute)) * 60 + int(second)
        if month is None or int(hour) > 23 or int(minute) > 59 or int(second) > 60:
            return None
        written = year1 or year2 or year3
        year = int(written) if written else self._years.year_of(month, day)
        if year is None:
            return None
        leap = 1 if int(second) == 60 else 0
        of_day = (seconds - leap) * _SECOND + int((fraction or "").ljust(6, "0")[:6])
        ordinal = date(year, month, day).toordinal()
        found = self._zone.micros(ordinal, of_day, self._previous) + leap * _SECOND
        self._hour = ""
        if not written and len(stamp) == 15 and self._zone.offset(ordinal, int(hour)) is not None:
            self._hour, self._hour_start = stamp[:10], found - (int(minute) * 60 + int(second)) * _SECOND
        return found

    def use_zone(self, zone: str) -> None:
        """Read times without a zone in another one than the source's."""
        self._zone = LocalZone(ZoneInfo(zone))
        self._hour = self._iso_hour = ""

    def wall(self, day: date, of_day: int) -> int | None:
        """Microseconds UTC of a local time in the source's zone; None outside years 1 to 9999. Moves the clock.

        Args:
            day: Local date.
            of_day: Microseconds since local midnight, below 24 hours.
        """
        try:
            found = self._zone.micros(day.toordinal(), of_day, self._previous)
        except OverflowError:
            return None
        return self.seen(found)

    def year_of(self, month: int, day: int) -> int | None:
        """Year of a date without one; see `YearlessClock`."""
        return self._years.year_of(month, day)

    def seen(self, micros: int) -> int | None:
        """Note a time that was read elsewhere, so that an hour shown twice is told apart; None where it is none."""
        if not EARLIEST <= micros <= LATEST:
            return None
        self._previous, self._stamp = micros, ""
        return micros

    def state(self) -> dict[str, object]:
        """What must be saved: JSON-able."""
        return {"years": self._years.state(), "previous": self._previous}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take back what `state` gave.

        Raises:
            StateError: it is something else.
        """
        years = state.get("years", {})
        if not isinstance(years, Mapping):
            raise StateError("saved clock is no object", hint=_START_ANEW)
        self._years.restore(years)
        self._previous, self._stamp, self._hour = _saved_int(state, "previous"), "", ""


def _since_1970(stamp: str) -> int | None:
    seconds, _, fraction = stamp[1:].partition(".")
    if not (seconds.isascii() and seconds.isdigit() and (fraction or "0").isdigit()):
        return None
    return int(seconds) * _SECOND + int(fraction.ljust(6, "0")[:6])


def _nearest(newest: int, month: int, day: int) -> int | None:
    """Ordinal of the date within `DISORDER_DAYS` before and a year less that after `newest`; None if there is none."""
    year = date.fromordinal(newest).year
    for candidate in (year + 1, year, year - 1):
        found = _ordinal(candidate, month, day)
        if found is not None and -DISORDER_DAYS <= found - newest < 366 - DISORDER_DAYS:
            return found
    return None


def _cost(days: int) -> int:
    return days if days >= 0 else -days * _BACK_WEIGHT


def _ordinal(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return None


def _saved_int(state: Mapping[str, object], key: str) -> int | None:
    value = state.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise StateError(f"saved clock has {key} = {value!r}", hint=_START_ANEW)
