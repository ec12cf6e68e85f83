"""Making a frame fit its schema: columns in order, exact types, defaults; and refusing what does not fit, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa

from schemas import registry
from schemas.errors import SchemaError


def fit(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the schema's columns, in its order and with its types.

    Args:
        name: Schema name.
        frame: Columns in any order. A missing one takes its default. A type that differs is cast where no value
            changes its meaning: integers, text (also Categorical and Enum), time units of UTC timestamps.

    Raises:
        SchemaError: unknown schema or column, a required column is missing or has nulls, a type does not fit.
    """
    types = registry.polars_schema(name)
    if unknown := [column for column in frame.columns if column not in types]:
        raise _misfit(name, f"has columns that the schema has not: {', '.join(unknown)}")
    if frame.schema != types or frame.columns != list(types):
        columns = [_column(name, frame.schema, column, kind) for column, kind in types.items()]
        try:
            frame = frame.select(columns)
        except pl.exceptions.InvalidOperationError as error:
            raise _misfit(
                name, f"has a value that does not fit its type: {str(error).partition(chr(10))[0]}"
            ) from error
    required = list(registry.required_columns(name))
    for column, nulls in frame.select(pl.col(required).null_count()).row(0, named=True).items():
        if nulls:
            raise _misfit(name, f"has {nulls} nulls in column {column}, which has a value in every row")
    return frame


def _column(name: str, have: pl.Schema, column: str, kind: pl.DataType) -> pl.Expr:
    if column not in have:
        defaults = registry.defaults(name)
        if column not in defaults:
            raise _misfit(name, f"has no column {column}, which has no default")
        return pl.lit(pl.Series([defaults[column]], dtype=kind)).first().alias(column)
    given = have[column]
    if given == kind:
        return pl.col(column)
    if not _castable(given, kind):
        raise _misfit(name, f"has type {given} in column {column} where {kind} is wanted")
    return pl.col(column).cast(kind)


def _castable(given: pl.DataType, wanted: pl.DataType) -> bool:
    """True where a strict cast keeps the meaning of every value or fails."""
    if isinstance(wanted, pl.List) and isinstance(given, pl.List):
        return given.inner == wanted.inner or _castable(_instance(given.inner), _instance(wanted.inner))
    return (
        given == pl.Null
        or (wanted.is_integer() and given.is_integer())
        or (wanted.is_float() and given.is_numeric())
        or (isinstance(wanted, pl.String) and isinstance(given, pl.Categorical | pl.Enum))
        or (isinstance(wanted, pl.Datetime) and isinstance(given, pl.Datetime) and given.time_zone == wanted.time_zone)
    )


def _instance(kind: Any) -> pl.DataType:
    found: pl.DataType = kind() if isinstance(kind, type) else kind
    return found


def to_arrow(name: str, frame: pl.DataFrame) -> pa.Table:
    """A fitted frame as an Arrow table whose fields may be null just where the schema says so.

    Raises:
        SchemaError: a null inside a list, map or record that has none.
    """
    table, wanted = frame.rechunk().to_arrow(), registry.arrow_schema(name)
    columns = []
    for field, column in zip(wanted, table.columns, strict=True):
        if pa.types.is_nested(field.type):
            if place := next(_nulls(field.name, field.type, column.combine_chunks()), None):
                raise _misfit(name, f"has nulls in {place}, which has a value everywhere")
            columns.append(column.cast(field.type))
        else:
            columns.append(column)
    return pa.Table.from_arrays(columns, schema=wanted)


def _nulls(path: str, kind: pa.DataType, values: pa.Array) -> Iterator[str]:
    """Places below a nested column that have nulls where the type has none."""
    if isinstance(kind, pa.MapType):
        values = values if isinstance(values, pa.MapArray) else values.cast(kind)
        inner = [(f"{path}{{}}", kind.item_field, values.items)]
    elif isinstance(kind, pa.LargeListType):
        inner = [(f"{path}[]", kind.value_field, values.flatten())]
    elif isinstance(kind, pa.StructType):
        inner = [(f"{path}.{field.name}", field, values.field(field.name)) for field in kind]
    else:
        return
    for place, field, below in inner:
        if below.null_count and not field.nullable:
            yield place
        yield from _nulls(place, field.type, below)


def _misfit(name: str, what: str) -> SchemaError:
    return SchemaError(f"the frame {what}", where=f"schema {name}", hint=f"see schemas/avro/{name}.avsc")
