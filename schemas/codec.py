"""The columnar codec: a frame to one Avro object container file and back.

The header holds the exact schema of `schemas/avro`, so that every Avro reader can read the file. Blocks are written
and read by polars-avro, else by fastavro. Files of older and newer versions are read by schema resolution.
Limits, when writing and when reading: `MAX_VALUE_BYTES`, `MAX_ROWS`, `MAX_RAW_BYTES`; beyond them an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from schemas import _container, _polars_avro, _rows, fitting, registry, resolution
from schemas._container import MAX_RAW_BYTES, MAX_ROWS, MAX_VALUE_BYTES, Block, damaged
from schemas.errors import CorruptBatchError, SchemaError
from schemas.headers import BatchHeaders

__all__ = [
    "MAX_RAW_BYTES",
    "MAX_ROWS",
    "MAX_VALUE_BYTES",
    "check_batch",
    "decode",
    "decode_batch",
    "encode",
    "encode_batch",
]

BLOCK_ROWS = 20_000  # rows a block at most when writing: a reader holds one block in memory beside the frame


def encode(name: str, frame: pl.DataFrame) -> bytes:
    """Write a frame as an Avro container. The same rows always give the same bytes.

    Args:
        name: Schema name, e.g. `proxy`.
        frame: Columns in any order, integer widths may differ; missing columns take their default.

    Raises:
        SchemaError: unknown schema, the frame does not fit it, or it is too large for one container.
    """
    fitted = fitting.fit(name, frame)
    if fitted.height > MAX_ROWS:
        raise SchemaError(f"{fitted.height} rows are more than {MAX_ROWS}", where=name, hint="write smaller batches")
    blocks = [_write(name, part) for part in fitted.iter_slices(BLOCK_ROWS)] if fitted.height else []
    raw = sum(len(block.payload) for block in blocks)
    data = _container.build(registry.schema_json(name), blocks) if raw <= MAX_RAW_BYTES else b""
    if raw > MAX_RAW_BYTES or len(data) > MAX_VALUE_BYTES:
        raise SchemaError(
            f"{fitted.height} rows make a container of {len(data) or raw} bytes, too large to be read",
            where=name,
            hint="write smaller batches",
        )
    return data


def decode(name: str, data: bytes, columns: Sequence[str] | None = None, where: str = "") -> pl.DataFrame:
    """Read an Avro container that was written with any compatible version of a schema.

    Args:
        name: Schema to read as.
        data: The whole file.
        columns: Columns wanted, in this order; None: all in the schema's order. Others are not built.
        where: topic/partition/offset or file, for errors.

    Returns:
        The wanted columns with the types of `registry.polars_schema(name)`.

    Raises:
        SchemaError: there is no such schema or column.
        CorruptBatchError: damaged, cut off, beyond a limit, or written with a schema that does not resolve.
    """
    wanted = registry.column_names(name) if columns is None else tuple(columns)
    if unknown := set(wanted) - set(registry.column_names(name)):
        raise SchemaError(f"no column {', '.join(sorted(unknown))}", where=name, hint=f"see schemas/avro/{name}.avsc")
    container = _container.parse(data, where)
    plan = resolution.plan(name, container.schema_json, where)
    blocks = [block for block in _container.inflated(container, where) if block.rows]
    if any(block.rows * plan.row_bytes > len(block.payload) for block in blocks):
        raise damaged(f"{container.count} rows are announced, more than its bytes can hold", where)
    if not blocks:
        return registry.empty(name).select(wanted)
    try:
        frame = _read(plan, blocks, wanted)
    except BaseException as error:
        if not _polars_avro.is_panic(error) and not isinstance(error, Exception):
            raise
        raise damaged(f"its rows cannot be decoded: {error}", where) from error
    if frame.height != container.count:
        raise damaged(f"{frame.height} rows were decoded where {container.count} are announced", where)
    return frame


def encode_batch(name: str, frame: pl.DataFrame, headers: BatchHeaders) -> tuple[BatchHeaders, bytes]:
    """Write a batch: its bytes, and `headers` with schema, count and checksum filled in.

    Raises:
        SchemaError: as `encode`.
    """
    value = encode(name, frame)
    return replace(headers, kind="batch", schema=name, count=frame.height, crc32=zlib.crc32(value)), value


def check_batch(headers: BatchHeaders, value: bytes, where: str) -> None:
    """Refuse a batch whose bytes are not those that were sent, without decoding its rows.

    Raises:
        CorruptBatchError: it is no batch; size, count, checksum, framing or schema are not as they must be.
    """
    if headers.kind != "batch":
        raise damaged(f"a {headers.kind} is no batch", where)
    if headers.schema not in registry.NAMES:
        raise damaged(f"its header names the unknown schema {headers.schema[:40]!r}", where)
    if len(value) > MAX_VALUE_BYTES or not 0 <= headers.count <= MAX_ROWS:
        raise damaged(f"{len(value)} bytes and {headers.count} rows announced are beyond the limits", where)
    if zlib.crc32(value) != headers.crc32:
        raise damaged(f"its {len(value)} bytes do not have the checksum {headers.crc32:08x}", where)
    container = _container.parse(value, where)
    if container.count != headers.count:
        raise damaged(f"it holds {container.count} rows where its header says {headers.count}", where)
    resolution.plan(headers.schema, container.schema_json, where)


def decode_batch(headers: BatchHeaders, value: bytes, where: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Check a batch, then read it; the batch is refused whole.

    Args:
        headers: As sent with the batch.
        value: The message's value.
        where: topic/partition/offset, for errors.
        columns: As in `decode`.

    Raises:
        CorruptBatchError: as `check_batch` and `decode`.
        SchemaError: no such column.
    """
    check_batch(headers, value, where)
    frame = decode(headers.schema, value, columns, where)
    if frame.height != headers.count:
        raise CorruptBatchError(f"{frame.height} rows in place of {headers.count}", where=where)
    return frame


def _write(name: str, frame: pl.DataFrame) -> Block:
    if _polars_avro.usable():
        return _polars_avro.write_block(fitting.to_arrow(name, frame))
    fitting.to_arrow(name, frame)  # refuses nulls inside lists, with the column's name
    return _rows.write_block(frame, registry.schema(name))


def _read(plan: resolution.Plan, blocks: Sequence[Block], wanted: Sequence[str]) -> pl.DataFrame:
    if plan.columns is None or not _polars_avro.usable():
        return _rows.read_blocks(blocks, plan.writer, registry.schema(plan.name)).select(wanted)
    steps = [plan.columns[column] for column in wanted]
    needed = list(dict.fromkeys(step.source for step in steps if step.source is not None))
    frame = _polars_avro.read_blocks(plan.slim_json, blocks, needed or [plan.any_column])
    # A default is one value: beside the frame's own columns it becomes as long as they are.
    made = [step.expression for step in steps if not step.plain]
    return (frame.with_columns(made) if made else frame).select(wanted)
