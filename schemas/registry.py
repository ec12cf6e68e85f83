"""The Avro schemas as they now stand: `schemas/avro/<name>.avsc`, read once and kept.

A name is the file's (`proxy`, `dhcp`, `mail`, `login`, `identity`, `detection`, `violation`, `dead_letter`). What is
given out is shared: treat it as read-only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import avro.errors
import avro.schema
import fastavro.schema
import polars as pl
import pyarrow as pa

from schemas.avrotypes import AvroSchema, arrow_field, polars_type, split_null
from schemas.errors import SchemaError

FOLDER = Path(__file__).parent / "avro"
NAMES = ("proxy", "dhcp", "mail", "login", "identity", "detection", "violation", "dead_letter")


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema as JSON values, every field in its order.

    Raises:
        SchemaError: no such schema, or its file is not one.
    """
    if name not in NAMES:
        raise SchemaError(f"there is no schema {name!r}", hint=f"the schemas are {', '.join(NAMES)}")
    return load(FOLDER / f"{name}.avsc")


def load(path: Path) -> dict[str, Any]:
    """Read an `.avsc` file of a record.

    Raises:
        SchemaError: it cannot be read, is no JSON, or no Avro record.
    """
    try:
        plain = json.loads(path.read_text("utf-8"))
        avro.schema.parse(json.dumps(plain))
    except (OSError, ValueError, avro.errors.AvroException) as error:
        hint = "correct or restore the file"
        raise SchemaError(f"not an Avro schema: {error}", where=str(path), hint=hint) from error
    if not isinstance(plain, dict) or plain.get("type") != "record":
        raise SchemaError("not an Avro record", where=str(path), hint="every schema here is a record")
    return plain


@cache
def schema_json(name: str) -> bytes:
    """The exact schema, documentation included, as the compact JSON that headers of containers hold; UTF-8."""
    return json.dumps(schema(name), ensure_ascii=False, separators=(",", ":")).encode()


@cache
def parsed(name: str) -> avro.schema.Schema:
    """The schema as Apache's `avro` package holds it."""
    return avro.schema.parse(json.dumps(schema(name)))


@cache
def field_types(name: str) -> Mapping[str, AvroSchema]:
    """Column name to Avro type, in the schema's order."""
    return MappingProxyType({field["name"]: field["type"] for field in schema(name)["fields"]})


@cache
def column_names(name: str) -> tuple[str, ...]:
    """The columns in the schema's order."""
    return tuple(field_types(name))


@cache
def required_columns(name: str) -> frozenset[str]:
    """Columns that are never null."""
    return frozenset(column for column, kind in field_types(name).items() if not split_null(kind)[1])


@cache
def _polars_schema(name: str) -> Mapping[str, pl.DataType]:
    return MappingProxyType({column: polars_type(kind) for column, kind in field_types(name).items()})


def polars_schema(name: str) -> dict[str, pl.DataType]:
    """Column name to Polars type, in the schema's order; timestamps are `Datetime('us', 'UTC')`. A copy."""
    return dict(_polars_schema(name))


@cache
def arrow_schema(name: str) -> pa.Schema:
    """The columns as Arrow fields, nullable just where the Avro schema says so."""
    return pa.schema([arrow_field(column, kind) for column, kind in field_types(name).items()])


def empty(name: str) -> pl.DataFrame:
    """A frame of no rows with the schema's columns."""
    return pl.DataFrame(schema=polars_schema(name))


@cache
def defaults(name: str) -> Mapping[str, Any]:
    """Default of every field that has one, as JSON gives it."""
    return MappingProxyType({f["name"]: f["default"] for f in schema(name)["fields"] if "default" in f})


@cache
def fingerprint(name: str) -> int:
    """CRC-64-AVRO (Rabin) of the schema's parsing canonical form, unsigned, as the specification defines it."""
    return fingerprint_of(schema(name))


def fingerprint_of(plain: AvroSchema) -> int:
    """CRC-64-AVRO (Rabin) of a schema's parsing canonical form, unsigned (Avro 1.12, "Schema Fingerprints").

    The canonical form has no defaults, documentation, aliases or logical types: schemas with the same fingerprint
    write the same bytes.
    """
    canonical = fastavro.schema.to_parsing_canonical_form(fastavro.schema.parse_schema(plain, _force=True))
    return int.from_bytes(bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")), "little")
