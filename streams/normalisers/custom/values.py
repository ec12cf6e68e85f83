"""From the fields of a record to the columns of an event, as a format of one's own says; compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from streams.normalisers import addresses, moments
from streams.normalisers.columns import TIMESTAMP, event_columns
from streams.normalisers.custom.spec import FieldSpec, FormatSpec, TimeSpec
from streams.normalisers.masking import MASK, looks_like_password
from streams.normalisers.times import SourceClock, micros_of

Get = Callable[[Mapping[str, Any]], str | None]
Convert = Callable[[str], Any]
_TRUE, _FALSE = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})
_MAX_TIMES = 4_096  # times remembered as text; then all are forgotten


class BadValue(Exception):  # noqa: N818 - a value, not a fault of the programme
    """A value that does not fit its column."""


def columns_of(spec: FormatSpec) -> Callable[[Mapping[str, str | None]], dict[str, Any]]:
    """The function from a record's fields (texts, None where not stated) to an event's columns.

    It raises `BadValue` for a value that does not fit.
    """
    types = event_columns(spec.kind)
    steps = [(column, _column(column, how, types[column])) for column, how in spec.fields.items()]

    def make(fields: Mapping[str, str | None]) -> dict[str, Any]:
        made = {column: value for column, step in steps if (value := step(fields)) is not None}
        _mask_typed_password(made)
        return made

    return make


def clock_of(spec: TimeSpec, clock: SourceClock) -> Callable[[Mapping[str, str | None]], int | None]:
    """The function from a record's fields to microseconds UTC; None where there is no time or it does not exist."""
    names = (spec.field,) if isinstance(spec.field, str) else spec.field
    read = _reader(spec.format, clock)

    def when(fields: Mapping[str, str | None]) -> int | None:
        parts = [fields.get(name) for name in names]
        return None if None in parts else read(" ".join(part for part in parts if part is not None))

    return when


def _reader(form: str, clock: SourceClock) -> Callable[[str], int | None]:
    if form in ("iso", "syslog"):
        return lambda text: zoned if (zoned := moments.zoned(text)) is not None else clock.micros(text)
    if form == "epoch":
        return moments.since_1970
    if form == "common":
        return lambda text: moments.common(text, clock)
    if form in ("ymd", "mdy", "dmy"):
        order: moments.Order = form  # type: ignore[assignment]
        return lambda text: moments.numbers(text, clock, order)
    return lambda text: _strptime(text, form, clock)


def _strptime(text: str, form: str, clock: SourceClock) -> int | None:
    try:
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - a zone, where there is none, is the clock's business
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is not None:
        return micros_of(moment.astimezone(UTC))
    day = moment.date()
    if "%Y" not in form and "%y" not in form and "%c" not in form and "%x" not in form:
        year = clock.year_of(day.month, day.day)
        if year is None:
            return None
        day = day.replace(year=year)
    of_day = ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1_000_000 + moment.microsecond
    return clock.wall(day, of_day)


def _column(column: str, how: FieldSpec, dtype: pl.DataType) -> Callable[[Mapping[str, str | None]], Any]:
    if how.value is not None:
        return lambda _: how.value
    name, words, default, split = how.field or "", how.map, how.default, how.split
    # An action that says nothing would be seen by no rule, and nobody would hear of it.
    must_be_known = column == "event_action" and default is None
    convert = _converter(column, dtype.inner if isinstance(dtype, pl.List) else dtype, how.scale)

    def one(fields: Mapping[str, str | None]) -> Any:
        text = fields.get(name)
        if text is not None and words:
            if must_be_known and text not in words:
                raise BadValue(f"{column}: a word that `map` does not have")
            text = words.get(text)
        if text is None:
            text = default
        return None if text is None else convert(text)

    def several(fields: Mapping[str, str | None]) -> Any:
        text = fields.get(name)
        if text is None:
            return []
        parts = [part.strip() for part in (text.split(split) if split else [text])]
        return [convert(words.get(part, part)) for part in parts if part]

    return several if isinstance(dtype, pl.List) else one


def _converter(column: str, dtype: Any, scale: float | None) -> Convert:
    if dtype == pl.Boolean:
        return lambda text: _boolean(column, text)
    if dtype == TIMESTAMP:
        return lambda text: _moment(column, text)
    if dtype.is_integer():
        limit = 1 << (31 if dtype == pl.Int32 else 63)
        return lambda text: _integer(column, text, scale, limit)
    if dtype.is_float():
        return lambda text: _number(column, text) * (scale or 1.0)
    if column.endswith("_ip"):
        return lambda text: _address(column, text, addresses.ip)
    if column.endswith("_mac"):
        return lambda text: _address(column, text, addresses.mac)
    if column.startswith("email_") and column.endswith("_address"):
        return _mail_address
    return str


def _boolean(column: str, text: str) -> bool:
    word = text.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise BadValue(f"{column}: neither true nor false")


def _moment(column: str, text: str) -> int:
    found = moments.zoned(text)
    found = moments.since_1970(text) if found is None else found
    if found is None:
        raise BadValue(f"{column}: no time with a zone")
    return found


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadValue(f"{column}: no number") from None


def _integer(column: str, text: str, scale: float | None, limit: int) -> int:
    if scale is None and text.removeprefix("-").isdecimal() and len(text) <= 20:
        number = int(text)
    else:
        exact = _number(column, text) * (scale or 1.0)
        if not abs(exact) < limit:
            raise BadValue(f"{column}: the number is too large")
        number = round(exact)
    if not -limit <= number < limit:
        raise BadValue(f"{column}: the number is too large")
    return number


def _address(column: str, text: str, read: Callable[[str], str | None]) -> str:
    found = read(text)
    if found is None:
        raise BadValue(f"{column}: no address")
    return found


def _mail_address(text: str) -> str:
    user, at, domain = text.strip("<>").rpartition("@")
    return f"{user}{at}{domain.lower()}" if at else text


def _mask_typed_password(made: dict[str, Any]) -> None:
    """A failed login of an account that may not exist: what was typed as its name may be a password."""
    name = made.get("user_name")
    failed = made.get("event_outcome") != "success" and made.get("user_known") is not True
    if name and failed and looks_like_password(name):
        made["user_name"] = MASK
