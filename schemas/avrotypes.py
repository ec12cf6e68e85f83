"""What an Avro type is as a column: its Polars type, and its Arrow type with Avro's own idea of what may be null.

Avro schemas are the plain JSON values that `json.loads` gives (Apache Avro 1.12 specification, "Schema Declaration").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from schemas.errors import SchemaError

AvroSchema = Any  # a name, a list of branches or an object: JSON

_POLARS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "bytes": pl.Binary(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "float": pl.Float32(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
}
_ARROW: Mapping[str, pa.DataType] = {
    "string": pa.large_string(),
    "bytes": pa.large_binary(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}
TIMESTAMP = "timestamp-micros"  # microseconds since 1970-01-01 00:00 UTC


def split_null(schema: AvroSchema) -> tuple[AvroSchema, bool]:
    """The schema without null, and whether null was allowed.

    Raises:
        SchemaError: the union has another shape; columns have none for it.
    """
    if not isinstance(schema, list):
        return schema, False
    rest = [branch for branch in schema if branch != "null"]
    if len(rest) != 1 or len(schema) != 2:
        raise SchemaError(
            f"the union {schema} has no column type", hint="use one type, or null and one type, in an event schema"
        )
    return rest[0], True


def is_timestamp(schema: AvroSchema) -> bool:
    """True for a long that counts microseconds since 1970 UTC."""
    return isinstance(schema, dict) and schema.get("logicalType") == TIMESTAMP


def kind_of(schema: AvroSchema) -> str:
    """Avro's own word for the type, logical type left out: `long`, `array`, `record`."""
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def polars_type(schema: AvroSchema) -> pl.DataType:
    """Polars type of a column; a timestamp is `Datetime('us', 'UTC')`.

    Raises:
        SchemaError: the type has no column type (enum, fixed, wider unions, a name defined elsewhere).
    """
    bare, _ = split_null(schema)
    if is_timestamp(bare):
        return pl.Datetime("us", "UTC")
    match kind_of(bare):
        case "array":
            return pl.List(polars_type(bare["items"]))
        case "map":
            return pl.Map(pl.String(), polars_type(bare["values"]))
        case "record":
            return pl.Struct({field["name"]: polars_type(field["type"]) for field in bare["fields"]})
        case kind if kind in _POLARS:
            return _POLARS[kind]
        case kind:
            raise SchemaError(f"the Avro type {kind!r} has no column type", hint="see schemas/avrotypes.py")


def arrow_field(name: str, schema: AvroSchema) -> pa.Field:
    """Arrow field of a column, nullable just where the schema says so; the large types that Polars gives uncopied.

    Raises:
        SchemaError: as `polars_type`.
    """
    bare, nullable = split_null(schema)
    return pa.field(name, _arrow_type(bare), nullable=nullable)


def _arrow_type(bare: AvroSchema) -> pa.DataType:
    if is_timestamp(bare):
        return pa.timestamp("us", "UTC")
    match kind_of(bare):
        case "array":
            return pa.large_list(arrow_field("item", bare["items"]))
        case "map":
            return pa.map_(pa.large_string(), arrow_field("value", bare["values"]))
        case "record":
            return pa.struct([arrow_field(field["name"], field["type"]) for field in bare["fields"]])
        case kind if kind in _ARROW:
            return _ARROW[kind]
        case kind:
            raise SchemaError(f"the Avro type {kind!r} has no column type", hint="see schemas/avrotypes.py")


def without_extras(schema: AvroSchema, *, logical: bool = False) -> AvroSchema:
    """The schema as its bytes need it: no docs, defaults or aliases, and no logical types unless `logical`.

    Readers of plain values use it (a timestamp stays an integer, so that no extreme one overflows), and so does the
    columnar reader, which would otherwise parse kilobytes of documentation for each batch.
    """
    if isinstance(schema, list):
        return [without_extras(branch, logical=logical) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {key: schema[key] for key in _STRUCTURE if key in schema}
    if logical and "logicalType" in schema:
        return kept | {"logicalType": schema["logicalType"]}
    if schema["type"] == "record":
        kept["fields"] = [
            {"name": f["name"], "type": without_extras(f["type"], logical=logical)} for f in schema["fields"]
        ]
    for key in ("items", "values"):
        if key in schema:
            kept[key] = without_extras(schema[key], logical=logical)
    return kept if len(kept) > 1 else without_extras(schema["type"], logical=logical)


def least_bytes(schema: AvroSchema) -> int:
    """Bytes that a value takes at least: what a claimed number of rows is held against before memory is taken."""
    if isinstance(schema, list):
        return 1 + min(least_bytes(branch) for branch in schema)
    match kind_of(schema):
        case "record":
            return sum(least_bytes(field["type"]) for field in schema["fields"])
        case "null":
            return 0
        case "double":
            return 8
        case "float":
            return 4
        case "fixed":
            return int(schema["size"])
        case _:
            return 1


_STRUCTURE = ("type", "name", "namespace", "symbols", "size")
