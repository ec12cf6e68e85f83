"""Reading what another version of a schema wrote: Avro's schema resolution, compiled to one `select`.

Missing fields take their default, renamed ones are found by alias, numbers are promoted (Avro 1.12 specification,
"Schema Resolution"). What a `select` cannot say (records within lists that differ) is left to fastavro.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import polars as pl
from avro.errors import AvroException

from schemas import compat, registry
from schemas._container import damaged
from schemas.avrotypes import AvroSchema, kind_of, least_bytes, polars_type, split_null, without_extras
from schemas.errors import CorruptBatchError, SchemaError


@dataclass(frozen=True, slots=True)
class Step:
    """How one column is made.

    Attributes:
        source: The writer's column that it is made from; None: from its default.
        expression: Gives the column under its own name and type.
        plain: The writer's column is that column, name and type.
    """

    source: str | None
    expression: pl.Expr
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """How files of one writer's schema are read.

    Attributes:
        name: Schema to read as.
        writer: The writer's schema.
        slim_json: The writer's schema without documentation, for the columnar reader.
        columns: Step by column; None where fastavro has to resolve.
        any_column: Name of one column that the writer wrote.
        row_bytes: Bytes that a row takes at least.
    """

    name: str
    writer: dict[str, Any]
    slim_json: bytes
    columns: Mapping[str, Step] | None
    any_column: str
    row_bytes: int


def plan(name: str, writer_json: bytes, where: str = "") -> Plan:
    """How to read files whose header has this schema; remembered for the last 64 schemas.

    Raises:
        SchemaError: there is no schema of that name.
        CorruptBatchError: the writer's schema is none, or cannot be read as ours.
    """
    registry.schema(name)
    try:
        return _plan(name, writer_json)
    except CorruptBatchError as error:
        raise CorruptBatchError(error.what, where=where, hint=error.hint) from error


@lru_cache(maxsize=64)
def _plan(name: str, writer_json: bytes) -> Plan:
    reader = registry.schema(name)
    try:
        writer = json.loads(writer_json)
        faults = [] if writer == reader else _faults(reader, writer)
        slim = json.dumps(without_extras(writer, logical=True), ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, AvroException) as error:
        raise damaged(f"the schema in its header is none: {error}", "") from error
    if faults:
        raise CorruptBatchError(
            f"it was written with a schema that cannot be read as {name}: {'; '.join(faults)}",
            hint="an agent older than the collector, or another topic's data: update the agent",
        )
    return Plan(name, writer, slim, _steps(reader, writer), writer["fields"][0]["name"], least_bytes(writer))


def _faults(reader: dict[str, Any], writer: Any) -> list[str]:
    if not isinstance(writer, dict) or writer.get("type") != "record" or not writer.get("fields"):
        raise ValueError("not a record with fields")
    return compat.backward(reader, writer)


def _steps(reader: dict[str, Any], writer: dict[str, Any]) -> dict[str, Step] | None:
    written = {field["name"]: field["type"] for field in writer["fields"]}
    steps = {}
    for field in reader["fields"]:
        names = [field["name"], *field.get("aliases", ())]
        source = next((name for name in names if name in written), None)
        step = _default(field) if source is None else _cast(field, source, written[source])
        if step is None:
            return None
        steps[field["name"]] = step
    return steps


def _cast(field: dict[str, Any], source: str, written: AvroSchema) -> Step | None:
    """A column from the writer's; None where a cast cannot do what resolution does."""
    wanted = field["type"]
    column = pl.col(source).alias(field["name"])
    if without_extras(wanted, logical=True) == without_extras(written, logical=True):
        return Step(source, column, plain=source == field["name"])
    try:
        if not _simple(wanted) or not _simple(written):
            return None
        return Step(source, column.cast(polars_type(wanted)))
    except SchemaError:
        return None


def _simple(schema: AvroSchema) -> bool:
    """True for a type, or a list of a type, without fields of its own."""
    bare, _ = split_null(schema)
    if kind_of(bare) == "array":
        bare, _ = split_null(bare["items"])
    return kind_of(bare) in {"string", "bytes", "int", "long", "float", "double", "boolean"}


def _default(field: dict[str, Any]) -> Step | None:
    kind = polars_type(field["type"])
    value = field["default"]
    if isinstance(value, dict | list) and value:
        return None
    return Step(None, pl.lit(pl.Series([value], dtype=kind)).first().alias(field["name"]))
