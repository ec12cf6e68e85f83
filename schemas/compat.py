"""The compatibility gate: what may change in a schema while messages of older and newer versions are about.

FULL compatibility: what either version wrote, the other reads. Apache's `avro` package decides by the rules of schema
resolution, field by field, so that the field can be named. Logical types, which it does not look at, are compared here.

`python -m schemas.compat` judges the schemas as they stand against every released version: exit code 0 or 1.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityType,
    lookup_writer_field,
)
from avro.schema import ArraySchema, MapSchema, RecordSchema, Schema, UnionSchema, parse

from schemas import registry, releases
from schemas.avrotypes import AvroSchema


def full(new: AvroSchema, old: AvroSchema) -> list[str]:
    """Why two versions are not compatible both ways, one sentence a fault, each naming the field; empty: they are."""
    faults = [f"{fault} (the new version reading what the old one wrote)" for fault in backward(new, old)]
    return faults + [f"{fault} (the old version reading what the new one wrote)" for fault in backward(old, new)]


def backward(reader: AvroSchema, writer: AvroSchema) -> list[str]:
    """Why `reader` cannot read what `writer` wrote, one sentence a fault, each naming the field; empty: it can."""
    new, old = parse(json.dumps(reader)), parse(json.dumps(writer))
    faults = list(_faults("", new, old))
    if not faults and (whole := _apache(new, old)):
        faults.append(f"record {getattr(new, 'fullname', '')}: {whole}")
    return faults


def judge(names: tuple[str, ...] = registry.NAMES) -> list[str]:
    """Faults of the schemas as they stand against every released version; empty: none."""
    return [
        f"{name}.avsc against released version {number}: {fault}"
        for name in names
        for number, old in releases.versions(name).items()
        for fault in full(registry.schema(name), old)
    ]


def main() -> int:
    """Print the faults to standard error."""
    faults = judge()
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if faults:
        sys.stderr.write("give a new field a default, keep types and names, or put the field back\n")
    return 1 if faults else 0


def _apache(reader: Schema, writer: Schema) -> str:
    """What Apache's checker has against a pair; empty: nothing."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return ""
    return "; ".join(sorted(result.messages)) or "not compatible"


def _faults(path: str, reader: Schema, writer: Schema) -> Iterator[str]:
    """Faults below a pair of schemas, the innermost field named."""
    inner = list(_pairs(path, reader, writer))
    found = [fault for step in inner for fault in _faults(*step)]
    if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        found += [
            f"field {path}{field.name}: is not in the other version and has no default"
            for field in reader.fields
            if lookup_writer_field(writer, field) is None and not field.has_default
        ]
    yield from found
    here = path.rstrip(".") or getattr(reader, "fullname", "?")
    if _logical(reader) != _logical(writer):
        yield f"field {here}: logical type {_logical(reader)} cannot be read from {_logical(writer)}"
    elif not found and path and (fault := _apache(reader, writer)):
        yield f"field {here}: {fault}"


def _pairs(path: str, reader: Schema, writer: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    """The pairs just below a pair: fields of records, items, values, and the one real branch of nullable types."""
    if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        for field in reader.fields:
            other = lookup_writer_field(writer, field)
            if other is not None:
                yield f"{path}{field.name}.", field.type, other.type
    elif isinstance(reader, ArraySchema) and isinstance(writer, ArraySchema):
        yield path, reader.items, writer.items
    elif isinstance(reader, MapSchema) and isinstance(writer, MapSchema):
        yield path, reader.values, writer.values
    elif isinstance(reader, UnionSchema) or isinstance(writer, UnionSchema):
        left, right = _branches(reader), _branches(writer)
        if len(left) == 1 and len(right) == 1:
            yield path, left[0], right[0]


def _branches(schema: Schema) -> list[Schema]:
    if isinstance(schema, UnionSchema):
        return [branch for branch in schema.schemas if branch.type != "null"]
    return [schema]


def _logical(schema: Schema) -> Any:
    """The logical type, or None: also for a nullable type, whose branch is compared by itself."""
    return schema.props.get("logicalType") or schema.other_props.get("logicalType")


if __name__ == "__main__":
    sys.exit(main())
