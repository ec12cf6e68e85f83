"""Find where a Native block ends without decoding its values.

An uncompressed block carries no length, so its columns have to be walked: fixed-width values are jumped over at once,
strings by their lengths. Layouts: ClickHouse ``src/DataTypes/Serializations``; each column is its state prefixes, then
its data, and nothing at all when the block has no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.faults import ServerError, refuse
from infra.embedded.native.types import TypeTree, parse
from infra.embedded.native.wire import Reader, string, varuint

_WIDTH: Final = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Enum16", "Date", "BFloat16"), 2),
    **dict.fromkeys(("UInt32", "Int32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32", "Time"), 4),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6", "Decimal128", "Point"), 16),
    **dict.fromkeys(("UInt256", "Int256", "Decimal256"), 32),
}
_ALIAS: Final = {
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Array(Point))",
    "MultiLineString": "Array(Array(Point))",
    "MultiPolygon": "Array(Array(Array(Point)))",
}
_HAS_ADDITIONAL_KEYS: Final = 1 << 9
_MAX_COLUMNS: Final = 100_000


@dataclass(frozen=True)
class Column:
    """A column's name and type, and where in the walked bytes its type name lies (start, end)."""

    name: bytes
    type_name: str
    type_span: tuple[int, int]


@dataclass(frozen=True)
class BlockShape:
    """What walking a block found out."""

    rows: int
    columns: tuple[Column, ...]


def walk_block(reader: Reader) -> BlockShape:
    """Move ``reader`` over one block (from its column count on). Raises a fatal `ServerError` for unknown types."""
    count, rows = reader.varuint(), reader.varuint()
    if count > _MAX_COLUMNS:
        raise refuse(Code.INCORRECT_DATA, f"A block cannot have {count} columns", fatal=True)
    columns = []
    for _ in range(count):
        name = reader.string_bytes()
        start = reader.position
        type_name = reader.string()
        columns.append(Column(name, type_name, (start, reader.position)))
        if rows:
            tree = _tree(type_name)
            _skip_prefix(reader, tree)
            _skip_data(reader, tree, rows)
    return BlockShape(rows, tuple(columns))


def empty_block(columns: list[tuple[str, str]]) -> bytes:
    """A block of names and types without rows: how a server says what a result or an insert looks like."""
    return varuint(len(columns)) + b"\0" + b"".join(string(name) + string(type_name) for name, type_name in columns)


def _tree(type_name: str) -> TypeTree:
    try:
        return parse(_ALIAS.get(type_name, type_name))
    except ValueError as error:
        raise _unknown(type_name) from error


def _unknown(type_name: str) -> ServerError:
    message = f"The embedded server cannot take values of type {type_name} from a client: send them as String"
    return refuse(Code.NOT_IMPLEMENTED, message, fatal=True)


def _skip_prefix(reader: Reader, tree: TypeTree) -> None:
    if tree.name in ("JSON", "Object", "Dynamic", "Variant"):
        _skip_string_version(reader, tree)
    elif tree.name == "LowCardinality":
        reader.skip(8)
    elif tree.name in ("Array", "Nullable", "Tuple", "Map", "Nested"):
        for argument in tree.arguments:
            _skip_prefix(reader, argument)


def _skip_string_version(reader: Reader, tree: TypeTree) -> None:
    """JSON sent as text has version 1 before it; other forms are not understood here."""
    if tree.name not in ("JSON", "Object") or reader.u64() != 1:
        raise _unknown(f"{tree.name} in its binary form")


def _skip_data(reader: Reader, tree: TypeTree, rows: int) -> None:
    width = _width(tree)
    if width is not None:
        reader.skip(rows * width)
    elif tree.name in ("String", "JSON", "Object"):
        reader.skip_strings(rows)
    elif tree.name == "Nullable":
        reader.skip(rows)
        _skip_data(reader, tree.arguments[0], rows)
    elif tree.name in ("Array", "Map", "Nested"):
        inner = _skip_offsets(reader, rows)
        for argument in tree.arguments if inner else ():
            _skip_data(reader, argument, inner)
    elif tree.name == "Tuple":
        for argument in tree.arguments:
            _skip_data(reader, argument, rows)
    elif tree.name == "LowCardinality":
        _skip_low_cardinality(reader, tree.arguments[0], rows)
    elif tree.name == "SimpleAggregateFunction":
        _skip_data(reader, tree.arguments[-1], rows)
    elif tree.name in _ALIAS:
        _skip_data(reader, parse(_ALIAS[tree.name]), rows)
    else:
        raise _unknown(tree.name)


def _width(tree: TypeTree) -> int | None:
    if tree.name == "FixedString":
        return tree.number(0)
    if tree.name == "Decimal":
        digits = tree.number(0)
        return 4 if digits <= 9 else 8 if digits <= 18 else 16 if digits <= 38 else 32
    if tree.name.startswith("Interval"):
        return 8
    return _WIDTH.get(tree.name)


def _skip_offsets(reader: Reader, rows: int) -> int:
    """Cumulative sizes of arrays; the last is the number of inner values."""
    reader.skip(rows * 8 - 8)
    return reader.u64()


def _skip_low_cardinality(reader: Reader, inner: TypeTree, rows: int) -> None:
    """Index type with flags, then a dictionary, then indexes; repeated until all rows are there."""
    values = inner.arguments[0] if inner.name == "Nullable" else inner
    while rows > 0:
        flags = reader.u64()
        if flags & _HAS_ADDITIONAL_KEYS:
            _skip_data(reader, values, reader.u64())
        count = reader.u64()
        reader.skip(count << (flags & 0xFF))
        rows -= max(count, 1)
