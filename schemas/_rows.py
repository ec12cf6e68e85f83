"""Rows one by one through fastavro: fallback of the columnar codec, its oracle in tests, and schema resolution.

Values are plain: timestamps are integers (microseconds since 1970 UTC), so that the most extreme one has a value.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import fastavro.schema
import polars as pl

from schemas._container import Block
from schemas.avrotypes import AvroSchema, polars_type, without_extras


def plain_schema(schema: AvroSchema) -> AvroSchema:
    """The schema, logical types left out, in fastavro's own parsed form."""
    return fastavro.schema.parse_schema(without_extras(schema), _force=True)


def reader_schema(schema: AvroSchema) -> AvroSchema:
    """The schema to read as: logical types left out, defaults and aliases kept."""
    return fastavro.schema.parse_schema(_without_logical(schema), _force=True)


def plain_columns(schema: Mapping[str, Any]) -> dict[str, pl.DataType]:
    """Polars types of a record's columns where timestamps are integers."""
    return {field["name"]: polars_type(without_extras(field["type"])) for field in schema["fields"]}


def write_block(frame: pl.DataFrame, schema: Mapping[str, Any]) -> Block:
    """Encode a frame that has the schema's columns and types."""
    plain, out = plain_schema(schema), io.BytesIO()
    for row in frame.cast(pl.Schema(plain_columns(schema))).iter_rows(named=True):
        fastavro.schemaless_writer(out, plain, row)
    return Block(frame.height, out.getvalue())


def read_blocks(blocks: Sequence[Block], writer: Mapping[str, Any], reader: Mapping[str, Any]) -> pl.DataFrame:
    """Decode rows written with one schema as rows of another.

    Raises:
        Exception: of fastavro's own, or ValueError, where the bytes are not of the writer's schema or do not resolve.
    """
    plain, target = plain_schema(writer), reader_schema(reader)
    rows = []
    for block in blocks:
        data = io.BytesIO(block.payload)
        rows += [fastavro.schemaless_reader(data, plain, target) for _ in range(block.rows)]
        if data.tell() != len(block.payload):
            raise ValueError(f"{len(block.payload) - data.tell()} bytes are left after {block.rows} rows")
    columns = {field["name"]: polars_type(field["type"]) for field in reader["fields"]}
    return pl.DataFrame(rows, schema=plain_columns(reader), orient="row").cast(pl.Schema(columns))


def _without_logical(schema: AvroSchema) -> AvroSchema:
    if isinstance(schema, list):
        return [_without_logical(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: value for key, value in schema.items() if key not in {"logicalType", "doc"}}
    if isinstance(schema["type"], dict | list):
        out["type"] = _without_logical(schema["type"])
    for key in ("items", "values"):
        if key in schema:
            out[key] = _without_logical(schema[key])
    if "fields" in schema:
        out["fields"] = [_without_logical(field) for field in schema["fields"]]
    return out
