"""The one module that leans on private classes of polars-avro: columns to the bytes of a block and back.

Its public writer names the record and decides nullability itself; the classes underneath do as the Arrow schema says.
They may change with any release: hence the exact version, a trial at first use, and `schemas._rows` as fallback.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import BinaryIO, cast

import polars as pl
import pyarrow as pa

from schemas import _container
from schemas._container import Block

try:
    from polars_avro._avro_rs import AvroBuffSink, AvroSource
except ImportError:  # pragma: no cover - another release
    AvroBuffSink = AvroSource = None  # type: ignore[assignment, misc]

log = logging.getLogger(__name__)

VERSION = "0.13.0"
_TRIAL = pa.schema([pa.field("a", pa.large_string(), nullable=False), pa.field("b", pa.int64(), nullable=True)])
_TRIAL_JSON = (
    b'{"type":"record","name":"T","fields":[{"name":"a","type":"string"},{"name":"b","type":["null","long"]}]}'
)
_TRIAL_BYTES = b"\x04hi\x02\x7f\x00\x00"


@cache
def usable() -> bool:
    """True where the installed polars-avro is the one that this was written for and does what is expected of it."""
    try:
        found = version("polars-avro")
        reason = f"it is release {found}, not {VERSION}" if found != VERSION else _trial()
    except PackageNotFoundError:
        reason = "it is not installed"
    if reason:
        log.warning("polars-avro is not used, Avro will be about ten times slower: %s", reason)
    return not reason


def _trial() -> str:
    try:
        block = write_block(pa.table({"a": ["hi", ""], "b": [-64, None]}, schema=_TRIAL))
        frame = read_blocks(_TRIAL_JSON, [block], None)
    except BaseException as error:
        if not is_panic(error) and not isinstance(error, Exception):
            raise
        return f"its private classes are not as expected: {error!r}"
    as_expected = block == (2, _TRIAL_BYTES) and frame.rows() == [("hi", -64), ("", None)]
    return "" if as_expected else "it writes or reads other bytes than expected"


def write_block(table: pa.Table) -> Block:
    """Encode rows; which fields may be null is what the Arrow schema says.

    Args:
        table: One chunk a column.
    """
    buffer = io.BytesIO()
    sink = AvroBuffSink(buffer, table, None)
    sink.write(table)
    sink.close()
    container = _container.parse_unbounded(buffer.getvalue())
    if len(container.blocks) != 1:
        raise ValueError(f"{len(container.blocks)} blocks were written in place of one")
    return container.blocks[0]


def read_blocks(schema_json: bytes, blocks: Sequence[Block], columns: Sequence[str] | None) -> pl.DataFrame:
    """Decode the rows of blocks that are not compressed.

    Args:
        schema_json: Schema of the blocks; documentation in it costs time.
        blocks: At least one, none without rows.
        columns: Those wanted; None: all.

    Raises:
        Exception: of polars-avro's own, or a panic (see `is_panic`), where the bytes are not of that schema.
    """
    frames = [_read_block(schema_json, block, columns) for block in blocks]
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _read_block(schema_json: bytes, block: Block, columns: Sequence[str] | None) -> pl.DataFrame:
    """One block, one batch: asked for more after a block with bytes left over, release 0.13.0 never returns."""
    pieces = _container.pieces(schema_json, block)
    source = AvroSource([lambda: nullcontext(cast("BinaryIO", _Pieces(pieces)))], False, False)
    batch = next(iter(source.batch_iter(block.rows, None if columns is None else list(columns))), None)
    if batch is None:
        raise ValueError(f"no rows where {block.rows} are announced")
    return pl.DataFrame(batch)


class _Pieces:
    """A file in memory that is read piece by piece: megabytes that were decompressed are not copied into another."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._piece = self._at = 0

    def read(self, size: int) -> bytes:
        """What is left of the next piece, at most `size` bytes; nothing at the end."""
        if self._piece == len(self._pieces):
            return b""
        piece = self._pieces[self._piece]
        part = piece[self._at : self._at + size]  # a whole piece is not copied
        self._at += len(part)
        if self._at == len(piece):
            self._piece, self._at = self._piece + 1, 0
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To the start; it goes nowhere else."""
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation(f"seek to {offset} from {whence}")
        self._piece = self._at = 0
        return 0


def is_panic(error: BaseException) -> bool:
    """True for a panic of a Rust extension: a BaseException whose class each extension makes for itself."""
    return type(error).__name__ == "PanicException" and type(error).__module__.startswith("pyo3")
