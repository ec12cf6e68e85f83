"""Avro single-object encoding: one record, one message (violations, identity facts).

Bytes: C3 01, the writer's schema fingerprint (CRC-64-AVRO, 8 bytes, little-endian), the datum (Avro 1.12 specification,
"Single-object encoding"). The same record always has the same bytes: maps are written in the order of their keys.
Times are integers, microseconds since 1970-01-01 UTC. Any released version of a schema can be read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import fastavro
from fastavro.validation import ValidationError, validate

from schemas import _rows, registry, releases
from schemas.avrotypes import AvroSchema, kind_of, split_null
from schemas.errors import CorruptBatchError, SchemaError

MAGIC = b"\xc3\x01"
HEADER_BYTES = 10
MAX_RECORD_BYTES = 8 * 2**20


def encode_record(name: str, record: Mapping[str, Any]) -> bytes:
    """Encode one record with the schema as it stands.

    Args:
        name: Schema name, e.g. `violation`.
        record: Field name to plain value; a field that has a default may be missing.

    Raises:
        SchemaError: unknown schema; a field is missing, unknown or of another type; more than `MAX_RECORD_BYTES`.
    """
    plain, ordered = _own(name), _ordered(record, registry.schema(name), name)
    out = io.BytesIO()
    out.write(_header(name))
    try:
        validate(ordered, plain, strict=True)
        fastavro.schemaless_writer(out, plain, ordered)
    except (ValidationError, ValueError, TypeError, OverflowError) as error:
        hint = f"see schemas/avro/{name}.avsc"
        raise SchemaError(f"the record does not fit: {_told(error)}", where=f"schema {name}", hint=hint) from error
    if out.tell() > MAX_RECORD_BYTES:
        raise SchemaError(f"the record has {out.tell()} bytes", where=name, hint=f"at most {MAX_RECORD_BYTES}")
    return out.getvalue()


def decode_record(data: bytes, where: str = "") -> tuple[str, dict[str, Any]]:
    """Decode one record that was written with any released version of a schema.

    Args:
        data: The message's value.
        where: topic/partition/offset, for errors.

    Returns:
        The schema's name, and the record as the schema now stands.

    Raises:
        CorruptBatchError: no single-object encoding, an unknown fingerprint, cut off, damaged or too long.
    """
    if data[:2] != MAGIC or not HEADER_BYTES < len(data) <= MAX_RECORD_BYTES:
        raise CorruptBatchError(
            "not an Avro single-object record", where=where, hint="only aupstream's agents may write to this topic"
        )
    fingerprint = int.from_bytes(data[2:HEADER_BYTES], "little")
    known = releases.by_fingerprint().get(fingerprint)
    if known is None:
        raise CorruptBatchError(
            f"written with a schema of the unknown fingerprint {fingerprint:016x}",
            where=where,
            hint="written by a newer release: update this one",
        )
    source = io.BytesIO(data)
    source.seek(HEADER_BYTES)
    try:
        record: Any = fastavro.schemaless_reader(source, *_pair(fingerprint))
    except Exception as error:  # fastavro raises whatever it stumbles over
        raise CorruptBatchError(f"a {known[0]} record is damaged: {_short(error)}", where=where) from error
    if source.tell() != len(data):
        raise CorruptBatchError(f"a {known[0]} record has {len(data) - source.tell()} bytes too many", where=where)
    return known[0], record


def decode_as(wanted: str, data: bytes, where: str = "") -> dict[str, Any]:
    """Decode a record that must be of one schema.

    Args:
        wanted: Its name.
        data: The message's value.
        where: topic/partition/offset, for errors.

    Raises:
        CorruptBatchError: as `decode_record`, or it is of another one.
    """
    name, record = decode_record(data, where)
    if name != wanted:
        raise CorruptBatchError(f"a record of {name} in place of {wanted}", where=where)
    return record


@cache
def _own(name: str) -> AvroSchema:
    return _rows.reader_schema(registry.schema(name))


@cache
def _header(name: str) -> bytes:
    return MAGIC + registry.fingerprint(name).to_bytes(8, "little")


@lru_cache(maxsize=256)
def _pair(fingerprint: int) -> tuple[AvroSchema, AvroSchema]:
    """Writer's and reader's schema of a known fingerprint, for fastavro."""
    name, writer = releases.by_fingerprint()[fingerprint]
    return _rows.plain_schema(writer), _own(name)


def _ordered(value: Any, schema: AvroSchema, path: str) -> Any:
    """The value with maps in the order of their keys and defaults filled in; of the wrong type: left as it is.

    Raises:
        SchemaError: a record has a field that the schema has not, or has not one that has no default.
    """
    bare = schema if not isinstance(schema, list) else split_null(schema)[0]
    kind = kind_of(bare)
    if kind == "record" and isinstance(value, Mapping):
        fields = {field["name"]: field for field in bare["fields"]}
        missing = [key for key, field in fields.items() if key not in value and "default" not in field]
        if wrong := [str(key) for key in value if key not in fields] + missing:
            what = f"the record lacks or has unknown fields: {', '.join(wrong)}"
            raise SchemaError(what, where=f"schema {path}", hint=f"see schemas/avro/{path.partition('.')[0]}.avsc")
        defaults = {key: field["default"] for key, field in fields.items() if key not in value}
        return defaults | {key: _ordered(item, fields[key]["type"], f"{path}.{key}") for key, item in value.items()}
    if kind == "map" and isinstance(value, Mapping):
        return {key: _ordered(value[key], bare["values"], path) for key in sorted(value, key=str)}
    if kind == "array" and isinstance(value, list | tuple) and kind_of(bare["items"]) in {"record", "map", "array"}:
        return [_ordered(item, bare["items"], path) for item in value]
    return list(value) if isinstance(value, tuple) else value  # fastavro takes a tuple for (type, value)


def _told(error: Exception) -> str:
    """Which fields are wrong, without what is in them: it is about people, and errors are logged."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    return ", ".join(sorted({f"{fault.field} is no {fault.schema}"[:200] for fault in error.errors}))


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]
