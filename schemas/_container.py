"""Avro object container files as bytes: framing, compression and their limits; what is inside a block is not seen.

Apache Avro 1.12 specification, "Object Container Files": magic, a map of metadata, a sync marker of 16 bytes, then
blocks of (object count, byte count, bytes, sync marker). All of a file is checked before anything is decompressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from mmap import mmap
from typing import NamedTuple

import pyarrow as pa

from schemas.errors import CorruptBatchError

MAX_VALUE_BYTES = 8 * 2**20  # of one container; Kafka's own limit for a message is 1 MiB by default
MAX_ROWS = 1_000_000  # in one container
MAX_RAW_BYTES = 64 * 2**20  # all blocks of one container, decompressed
ZSTD_LEVEL = 1  # tests/benchmarks/bench_codec.py: 3 takes up to twice the time for the same size

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
_MAX_METADATA = 64
_HINT = "it was damaged or is not aupstream's; what is missing is read again from the log"


class Block(NamedTuple):
    """A block: how many rows, and their bytes."""

    rows: int
    payload: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Container:
    """A container file taken apart.

    Attributes:
        schema_json: The writer's schema, as it stands in the header.
        codec: `null`, `zstandard` or `deflate`.
        blocks: In their order, still compressed.
    """

    schema_json: bytes
    codec: str
    blocks: Sequence[Block]

    @property
    def count(self) -> int:
        """Rows that the blocks say they hold."""
        return sum(block.rows for block in self.blocks)


def damaged(what: str, where: str) -> CorruptBatchError:
    """The error for bytes that cannot be what was written."""
    return CorruptBatchError(what, where=where, hint=_HINT)


def build(schema_json: bytes, blocks: Iterable[Block]) -> bytes:
    """Put a Zstandard container together; the same blocks always give the same bytes.

    Args:
        schema_json: For the header.
        blocks: Not compressed; those without rows are left out.
    """
    packer = pa.Codec("zstd", compression_level=ZSTD_LEVEL)
    packed = [Block(block.rows, packer.compress(block.payload, asbytes=True)) for block in blocks if block.rows]
    # The marker differs between files, as the specification wants, and not between two writings of the same rows.
    sums = b"".join(b"%d:%d:%d;" % (rows, len(payload), zlib.crc32(payload)) for rows, payload in packed)
    sync = blake2b(sums, digest_size=SYNC_BYTES, person=b"aup-container").digest()
    return framed(schema_json, "zstandard", packed, sync)


def pieces(schema_json: bytes, block: Block) -> tuple[bytes, bytes, bytes]:
    """A container of one block that is not compressed, in pieces, for use in memory: its bytes are not copied."""
    head = framed(schema_json, "null", ()) + _long(block.rows) + _long(len(block.payload))
    return head, bytes(block.payload), bytes(SYNC_BYTES)


def framed(schema_json: bytes, codec: str, packed: Iterable[Block], sync: bytes = bytes(SYNC_BYTES)) -> bytes:
    """A container of blocks that are compressed already; without a sync marker of its own only for use in memory."""
    parts: list[bytes | memoryview] = [MAGIC, _long(2), _bytes(b"avro.schema"), _bytes(schema_json)]
    parts += [_bytes(b"avro.codec"), _bytes(codec.encode()), _long(0), sync, blocks(packed, sync)]
    return b"".join(parts)


def blocks(packed: Iterable[Block], sync: bytes) -> bytes:
    """Blocks that are compressed already, as they stand behind the header of a container with that sync marker."""
    parts: list[bytes | memoryview] = []
    for rows, payload in packed:
        parts += [_long(rows), _long(len(payload)), payload, sync]
    return b"".join(parts)


def parse(data: bytes, where: str = "") -> Container:
    """Take a container apart and check its framing to the last byte.

    Args:
        data: The whole file.
        where: For errors.

    Raises:
        CorruptBatchError: too large, cut off, not a container, or a sync marker is wrong.
    """
    if len(data) > MAX_VALUE_BYTES:
        raise damaged(f"the container has {len(data)} bytes, more than {MAX_VALUE_BYTES}", where)
    container = parse_unbounded(data, where)
    if container.count > MAX_ROWS:
        raise damaged(f"the container says it has {container.count} rows, more than {MAX_ROWS}", where)
    return container


def parse_unbounded(data: bytes | mmap, where: str = "") -> Container:
    """As `parse`, for bytes made in this process: without its limits."""
    cursor = _Cursor(data)
    try:
        metadata = _metadata(cursor)
        sync = bytes(cursor.take(SYNC_BYTES))
        found = []
        while cursor.left:
            found.append(_block(cursor, sync))
        schema_json = bytes(metadata[b"avro.schema"])
        codec = bytes(metadata.get(b"avro.codec", b"null")).decode("ascii")
    except (ValueError, KeyError) as error:
        raise damaged(f"not a whole Avro container: {error}", where) from error
    return Container(schema_json, codec, found)


def inflated(container: Container, where: str = "") -> list[Block]:
    """The blocks decompressed.

    Raises:
        CorruptBatchError: unknown codec, damaged, or more than `MAX_RAW_BYTES` in all; found before memory is taken.
    """
    out = []
    left = MAX_RAW_BYTES
    for block in container.blocks:
        try:
            raw = inflate(container.codec, block.payload, left)
        except (ValueError, OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise damaged(f"a {container.codec} block cannot be decompressed: {error}", where) from error
        left -= len(raw)
        out.append(Block(block.rows, raw))
    return out


def inflate(codec: str, payload: bytes | memoryview, limit: int) -> bytes | memoryview:
    """Decompress the bytes of a block, never taking more than `limit` bytes.

    Raises:
        ValueError: unknown codec, or more than `limit`.
    """
    match codec:
        case "null":
            raw = payload
        case "zstandard":
            raw = _inflate_zstd(payload, limit)
        case "deflate":
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload, limit + 1)
        case _:
            raise ValueError(f"unknown codec {codec[:40]!r}")
    if len(raw) > limit:
        raise ValueError(f"more than {MAX_RAW_BYTES} bytes")
    return raw


def _inflate_zstd(payload: bytes | memoryview, limit: int) -> bytes:
    size = zstd_content_size(payload)
    if size is None:
        with pa.CompressedInputStream(pa.BufferReader(payload), "zstd") as stream:
            raw: bytes = stream.read(limit + 1)
        return raw
    if size > limit:
        raise ValueError(f"{size} bytes claimed, more than {MAX_RAW_BYTES}")
    whole: bytes = pa.Codec("zstd").decompress(payload, decompressed_size=size, asbytes=True)
    return whole


def zstd_content_size(frame: bytes | memoryview) -> int | None:
    """What a Zstandard frame says it decompresses to; None where it does not say (RFC 8878, section 3.1.1.1).

    Raises:
        ValueError: not a Zstandard frame.
    """
    if len(frame) < 6 or bytes(frame[:4]) != b"\x28\xb5\x2f\xfd":
        raise ValueError("not a Zstandard frame")
    descriptor = frame[4]
    flag, single, dictionary = descriptor >> 6, bool(descriptor & 0x20), descriptor & 3
    start = 5 + (not single) + (0, 1, 2, 4)[dictionary]
    width = (1 if single else 0, 2, 4, 8)[flag]
    if not width:
        return None
    if len(frame) < start + width:
        raise ValueError("Zstandard frame cut off")
    return int.from_bytes(frame[start : start + width], "little") + (256 if width == 2 else 0)


def _block(cursor: _Cursor, sync: bytes) -> Block:
    rows, payload = cursor.long(), cursor.sized()
    if rows < 0 or cursor.take(SYNC_BYTES) != sync:
        raise ValueError(f"bad block before byte {cursor.at}")
    return Block(rows, payload)


def _metadata(cursor: _Cursor) -> dict[bytes, memoryview]:
    if cursor.take(len(MAGIC)) != MAGIC:
        raise ValueError("no Avro magic")
    found: dict[bytes, memoryview] = {}
    while (count := cursor.long()) != 0:
        if count < 0:  # a negative count is followed by the size in bytes
            count = -count
            cursor.long()
        if count + len(found) > _MAX_METADATA:
            raise ValueError("too much metadata")
        for _ in range(count):
            key = bytes(cursor.sized())
            found[key] = cursor.sized()
    return found


def _long(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


def _bytes(value: bytes) -> bytes:
    return _long(len(value)) + value


class _Cursor:
    """Reads forward through bytes; every read past the end is a ValueError."""

    def __init__(self, data: bytes | mmap) -> None:
        self._view, self.at = memoryview(data), 0

    @property
    def left(self) -> int:
        return len(self._view) - self.at

    def take(self, count: int) -> memoryview:
        if not 0 <= count <= self.left:
            raise ValueError(f"cut off at byte {self.at}")
        self.at += count
        return self._view[self.at - count : self.at]

    def sized(self) -> memoryview:
        return self.take(self.long())

    def long(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
        raise ValueError(f"a number at byte {self.at} has more than ten bytes")
