"""Events as people write them: JSON objects with our columns, or what `aupstream normalise` prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import polars as pl

from agents.rules.columns import ColumnType, column_types, derived_columns
from agents.rules.examples import frame_of
from agents.rules.shape import suggestion
from schemas.errors import InputError
from schemas.ids import event_id, generation_of
from schemas.kinds import EventKind
from schemas.registry import column_names, polars_schema, schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN = ("kind", "at", "source_line", "source_lines", "fields")
AT_ONCE = 5_000  # events in one frame


def rows_of(
    lines: Iterable[str], where: str, kind: EventKind | None = None
) -> Iterator[tuple[EventKind, dict[str, Any]]]:
    """Events of JSON lines.

    Args:
        lines: An object each; empty lines are passed over.
        where: Their file, for errors.
        kind: Of those that say none.

    Raises:
        InputError: a line is no event; file and line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        try:
            plain = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"this is no JSON: {error}", where=place, hint="write one object a line") from error
        if not isinstance(plain, dict):
            raise InputError("this is no JSON object", where=place, hint="write one object a line")
        yield event_of(plain, place, kind, number)


def event_of(
    plain: Mapping[str, Any], place: str, kind: EventKind | None, number: int
) -> tuple[EventKind, dict[str, Any]]:
    """One event: its kind, and a row of that kind's schema, what is not said filled in.

    Raises:
        InputError: kind, a column or a value cannot be read.
    """
    inner = plain.get("fields")
    given = {**{k: v for k, v in plain.items() if k not in _OWN}, **(inner if isinstance(inner, dict) else {})}
    if "at" in plain:
        given.setdefault("timestamp", plain["at"])
    try:
        found = EventKind(plain["kind"]) if "kind" in plain else kind
    except ValueError:
        found = None
    if found is None:
        hint = f'write "kind": one of {", ".join(k.value for k in EventKind)}'
        raise InputError(f"the event has no kind {plain.get('kind', '')!r}", where=place, hint=hint)
    types, known = column_types(found), set(column_names(found.value))
    for column in given:
        if column not in known:
            computed = column in derived_columns(found)
            hint = "it is computed, leave it out" if computed else suggestion(column, types)[:200]
            raise InputError(f"there is no column {column!r} in {found.value} events", where=place, hint=hint)
    if "timestamp" not in given:
        raise InputError("the event has no timestamp", where=place, hint="write ISO 8601 with an offset")
    row = _usual(found, number, _generation(place.rpartition(":")[0])) | {
        c: _value(v, types[c], c, place) for c, v in given.items() if v is not None
    }
    return found, _fitting(row, found, place)


@lru_cache
def _generation(file: str) -> str:
    """Events that say no id of their own are those of their file and line: two files have none in common."""
    return generation_of(file.encode("utf-8", "surrogatepass"))


def _usual(kind: EventKind, number: int, generation: str) -> dict[str, Any]:
    """What a collector adds, and the values of columns that may not be missing."""
    made: dict[str, Any] = {}
    for one in schema(kind.value)["fields"]:
        of_type = one["type"]
        if isinstance(of_type, dict) and of_type.get("type") == "array":
            made[one["name"]] = []
        elif of_type == "boolean":
            made[one["name"]] = False
    return made | {
        "event_id": event_id(f"events-{kind.value}", generation, number),
        "event_dataset": kind.value, "log_source": kind.value, "log_generation": generation, "log_offset": number,
        "log_sub": 0, "log_hash": f"{number:032x}", "late": False, "time_suspect": False,
    }  # fmt: skip


def _value(value: Any, kind: ColumnType, column: str, place: str) -> Any:
    if kind is ColumnType.TIME:
        return _time(value, column, place)
    element = kind.element
    if element is not None:
        if not isinstance(value, list):
            raise InputError(f"{column} must be a list", where=place, hint='write it like ["a", "b"]')
        return [_value(v, element, column, place) for v in value]
    wanted: tuple[type, ...] = {ColumnType.TEXT: (str,), ColumnType.BOOL: (bool,)}.get(kind, (int, float))
    if not isinstance(value, wanted) or (kind is ColumnType.NUMBER and isinstance(value, bool)):
        raise InputError(f"{column} must be {kind.value}, not {value!r}", where=place, hint="see schemas/avro")
    if isinstance(value, str) and not _whole(value):
        hint = "write both halves of the character"
        raise InputError(f"{column} {value!r} has half a character", where=place, hint=hint)
    return value


def _whole(text: str) -> bool:
    """False of a text with half of a surrogate pair, which JSON can write and no column can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fitting(row: dict[str, Any], kind: EventKind, place: str) -> dict[str, Any]:
    """The row.

    Raises:
        InputError: a number is none, larger than its column holds, or a part of one where the column holds whole ones.
    """
    for column, value in row.items():
        bits, whole = _numbers(kind).get(column, (0, False))
        for number in value if isinstance(value, list) else (value,):
            if not bits or not isinstance(number, int | float):
                continue
            if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
                hint = f"the column holds numbers of {bits} bits"
                raise InputError(f"{column} {number} is too large", where=place, hint=hint)
            if whole and number != int(number):
                raise InputError(f"{column} {number} is no whole number", where=place, hint="write it without a part")
    return row


@cache
def _numbers(kind: EventKind) -> dict[str, tuple[int, bool]]:
    """Of the columns of numbers and of lists of numbers: their bits, and whether they hold whole ones only."""
    inner = {c: t.inner if isinstance(t, pl.List) else t for c, t in polars_schema(kind.value).items()}
    return {c: (32 if of == pl.Int32 else 64, of.is_integer()) for c, of in inner.items() if of.is_numeric()}


def _time(value: Any, column: str, place: str) -> datetime:
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return _EPOCH + timedelta(microseconds=value)
        when = datetime.fromisoformat(str(value))
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{column} {value!r} is no time", where=place, hint="write ISO 8601 with an offset")


def frames_of(rows: Iterable[tuple[EventKind, dict[str, Any]]]) -> Iterator[tuple[EventKind, pl.DataFrame]]:
    """Frames of one kind each, of at most `AT_ONCE` events that followed each other."""
    held: list[dict[str, Any]] = []
    of: EventKind | None = None
    for kind, row in rows:
        if held and of is not None and (kind is not of or len(held) >= AT_ONCE):
            yield of, frame_of(of, held)
            held = []
        of = kind
        held.append(row)
    if held and of is not None:
        yield of, frame_of(of, held)
