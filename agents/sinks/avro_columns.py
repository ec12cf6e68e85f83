"""What the columns of an Avro schema are in ClickHouse, for its `format` function."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from schemas.avrotypes import is_timestamp, kind_of, split_null
from schemas.registry import field_types

_TYPES: Mapping[str, str] = {
    "string": "String",
    "bytes": "String",
    "int": "Int32",
    "long": "Int64",
    "double": "Float64",
    "boolean": "Bool",
}


@cache
def clickhouse_columns(name: str) -> Mapping[str, str]:
    """Columns of a schema in its order, and the ClickHouse type that reads each."""
    return MappingProxyType({column: _type(kind) for column, kind in field_types(name).items()})


def _type(schema: Any) -> str:
    bare, nullable = split_null(schema)
    if is_timestamp(bare):
        found = "DateTime64(6, 'UTC')"
    elif kind_of(bare) == "array":
        return f"Array({_type(bare['items'])})"
    else:
        found = _TYPES[kind_of(bare)]
    return f"Nullable({found})" if nullable else found
