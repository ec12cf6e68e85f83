"""Whether a format of one's own makes sense: every mistake at once, each with the key that it stands at."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import NamedTuple

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.columns import TIMESTAMP, event_columns
from streams.normalisers.custom.spec import FieldSpec, FormatSpec

NAMED_TIMES = ("iso", "epoch", "syslog", "common", "ymd", "mdy", "dmy")
OUTCOMES = ("success", "failure", "unknown")
_OURS = frozenset({"log_sub", "log_offsets", "timestamp", "timestamp_first", "event_dataset", "line"})


class Mistake(NamedTuple):
    """One mistake.

    Attributes:
        path: Keys below `[formats.NAME]`.
        what: What is wrong.
        hint: What to do.
    """

    path: tuple[str, ...]
    what: str
    hint: str


def mistakes(spec: FormatSpec) -> list[Mistake]:
    """All mistakes of a format; empty where it can be used."""
    return [*_syntax(spec), *_time(spec), *_fields(spec)]


def group_names(pattern: str) -> tuple[str, ...]:
    """Names of the groups of an expression in the syntax of Rust's `regex` crate, which Polars uses.

    Raises:
        ValueError: the expression is not one.
    """
    try:
        groups = pl.Series([""]).str.extract_groups(pattern).struct.fields
    except pl.exceptions.ComputeError as error:
        raise ValueError(str(error).strip().splitlines()[-1]) from error
    return tuple(name for name in groups if not name.isdigit())


@cache
def actions(kind: EventKind) -> frozenset[str]:
    """Every `event_action` that formats of the kind give: what rules are written for."""
    from streams.normalisers.registry import types  # noqa: PLC0415 - the registry imports this package's users

    modules = {entry.made_by.partition(":")[0] for entry in types().values() if entry.kind is kind}
    found: set[str] = set()
    for module in modules:
        found.update(getattr(import_module(module), "ACTIONS", ()))
    return frozenset(found)


def _known_fields(spec: FormatSpec) -> tuple[str, ...] | None:
    """Names that records have; None where that is not known before they are read."""
    if spec.syntax == "regex":
        try:
            return group_names(spec.pattern)
        except ValueError:
            return None
    return spec.columns if spec.syntax == "delimited" and spec.columns else None


def _syntax(spec: FormatSpec) -> Iterator[Mistake]:
    if spec.syntax == "regex":
        yield from _pattern(spec.pattern)
    elif spec.pattern:
        yield Mistake(("pattern",), f"a pattern is for syntax regex, this is {spec.syntax}", "remove it")
    if spec.syntax == "delimited":
        if bool(spec.columns) == spec.header:
            hint = 'write columns = ["time", "user", …], or header = true where every file begins with their names'
            yield Mistake(("columns",), "the columns must be named, or a header line must name them", hint)
    elif spec.columns or spec.header:
        key = "columns" if spec.columns else "header"
        yield Mistake((key,), f"{key} is for syntax delimited, this is {spec.syntax}", "remove it")
    if spec.ignore:
        try:
            group_names(f"{spec.ignore}()")
        except ValueError as error:
            yield Mistake(("ignore",), f"this is no regular expression: {error}", "see the syntax of Rust's regex")


def _pattern(pattern: str) -> Iterator[Mistake]:
    try:
        names = group_names(pattern)
    except ValueError as error:
        hint = "the syntax is that of Rust's regex: no look-around, no back references"
        yield Mistake(("pattern",), f"this is no regular expression: {error}", hint)
        return
    if not names:
        hint = "write e.g. ^(?<when>\\S+) (?<user>\\S+)"
        yield Mistake(("pattern",), "the expression has no named group", hint)


def _time(spec: FormatSpec) -> Iterator[Mistake]:
    known = _known_fields(spec)
    names = (spec.time.field,) if isinstance(spec.time.field, str) else spec.time.field
    for name in names:
        if known is not None and name not in known:
            yield Mistake(("time", "field"), f"records have no field {name!r}", _near(name, known))
    form = spec.time.format
    if form in NAMED_TIMES:
        return
    if "%" not in form:
        yield Mistake(("time", "format"), f"there is no time format {form!r}", _near(form, NAMED_TIMES))
        return
    try:
        datetime.strptime(datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC).strftime(form), form)  # noqa: DTZ007 - only tried
    except ValueError as error:
        yield Mistake(("time", "format"), f"no time can be read by {form!r}: {error}", "see Python's strptime codes")


def _fields(spec: FormatSpec) -> Iterator[Mistake]:
    columns, known = event_columns(spec.kind), _known_fields(spec)
    for column, how in spec.fields.items():
        path = ("fields", column)
        if column not in columns or column in _OURS:
            hint = _near(column, set(columns) - _OURS)
            yield Mistake(path, f"{spec.kind.value} events have no column {column!r}", hint)
            continue
        if (how.field is None) == (how.value is None):
            yield Mistake(path, "either a field or a constant value is needed", 'write "name" or {value = …}')
        if how.field is not None and known is not None and how.field not in known:
            yield Mistake(path, f"records have no field {how.field!r}", _near(how.field, known))
        yield from _typed(path, how, columns[column])
    if "event_action" not in spec.fields:
        hint = f"write event_action = {{value = …}}: one of {', '.join(sorted(actions(spec.kind)))}"
        yield Mistake(("fields",), "nothing says what an event is (event_action)", hint)
    else:
        yield from _words(spec, "event_action", actions(spec.kind))
    yield from _words(spec, "event_outcome", OUTCOMES)


def _typed(path: tuple[str, ...], how: FieldSpec, dtype: pl.DataType) -> Iterator[Mistake]:
    if how.split is not None and not isinstance(dtype, pl.List):
        yield Mistake(path, "split is for columns that hold a list", "remove it")
    if how.scale is not None and not dtype.is_numeric():
        yield Mistake(path, "scale is for numbers", "remove it")
    if isinstance(dtype, pl.List) and how.value is not None:
        yield Mistake(path, "a list has no constant value", "take it from a field")
    elif how.value is not None and not _fits(how.value, dtype):
        yield Mistake(path, f"{how.value!r} is no value of a column of type {_named(dtype)}", "write another")
    for word in [*how.map.values(), *([how.default] if how.default is not None else [])]:
        if not isinstance(dtype, pl.List) and not _fits(word, dtype, text=True):
            yield Mistake(path, f"{word!r} is no value of a column of type {_named(dtype)}", "write another")


def _fits(value: object, dtype: pl.DataType, *, text: bool = False) -> bool:
    if dtype == pl.Boolean:
        return isinstance(value, bool) or (text and value in ("true", "false"))
    if dtype.is_numeric():
        if text and isinstance(value, str):
            return value.lstrip("-").replace(".", "", 1).isdigit()
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def _named(dtype: pl.DataType) -> str:
    return "time" if dtype == TIMESTAMP else str(dtype).lower()


def _words(spec: FormatSpec, column: str, known: frozenset[str] | tuple[str, ...]) -> Iterator[Mistake]:
    """Constants of a column with a closed vocabulary must be of it: a rule would never find another."""
    how = spec.fields.get(column)
    if how is None:
        return
    words: Mapping[str, object] = {str(w): w for w in (how.value, how.default, *how.map.values()) if w is not None}
    for word in words:
        if word not in known:
            yield Mistake(
                ("fields", column), f"{word!r} is no {column} of {spec.kind.value} events", _near(word, known)
            )


def _near(word: str, known: object) -> str:
    names = sorted(str(name) for name in known)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(word, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"[:600]
