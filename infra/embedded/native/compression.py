"""Compressed blocks: frames of a checksum, a method, two sizes and the data. LZ4 is sent, LZ4 and ZSTD are understood.

Layout: ClickHouse ``src/Compression/CompressedReadBufferBase.cpp``. The checksum is CityHash128 of version 1.0.2, from
the package that ``clickhouse-driver[lz4]`` brings; without it a client that asks for compression is told so.
"""

from __future__ import annotations

import struct
from typing import Final

from infra.embedded.native.constants import Code
from infra.embedded.native.faults import refuse
from infra.embedded.native.wire import MAX_BLOCK_BYTES, Reader

try:
    from clickhouse_cityhash.cityhash import CityHash128  # type: ignore[import-untyped] # a C extension without stubs
    from lz4 import block as lz4_block  # type: ignore[import-untyped] # a C extension without stubs

    AVAILABLE = True
except ImportError:  # pragma: no cover - both are there in development
    AVAILABLE = False

_LZ4: Final = 0x82
_ZSTD: Final = 0x90
_NONE: Final = 0x02
_HEADER: Final = struct.Struct("<BII")
_CHECKSUM_BYTES: Final = 16
_FRAME_BYTES: Final = 1024 * 1024


def require() -> None:
    """Raise a fatal `ServerError` when compression cannot be done here."""
    if not AVAILABLE:
        message = "This server cannot compress: install clickhouse-driver[lz4], or turn compression off in the client"
        raise refuse(Code.NOT_IMPLEMENTED, message, fatal=True)


def compress(content: bytes) -> bytes:
    """``content`` as LZ4 frames of at most 1 MiB before compression."""
    frames = []
    view = memoryview(content)
    for start in range(0, len(content), _FRAME_BYTES):
        piece = view[start : start + _FRAME_BYTES]
        packed = lz4_block.compress(piece, store_size=False)
        body = _HEADER.pack(_LZ4, len(packed) + _HEADER.size, len(piece)) + packed
        frames += [_checksum(body), body]
    return b"".join(frames)


class FrameReader(Reader):
    """Reads the content of compressed frames from another reader."""

    def __init__(self, source: Reader) -> None:
        super().__init__()
        self._source = source

    def fill(self) -> None:
        """Unpack the next frame. Raises a fatal `ServerError` for one that is damaged."""
        start = self._source.need(_CHECKSUM_BYTES + _HEADER.size)
        method, packed_size, size = _HEADER.unpack_from(self._source.buffer, start + _CHECKSUM_BYTES)
        if packed_size < _HEADER.size or max(size, packed_size) > MAX_BLOCK_BYTES:
            raise refuse(Code.INCORRECT_DATA, "A compressed frame has an impossible size", fatal=True)
        start = self._source.need(_CHECKSUM_BYTES + packed_size)
        frame = bytes(self._source.buffer[start : start + _CHECKSUM_BYTES + packed_size])
        self._source.position += _CHECKSUM_BYTES + packed_size
        self._source.forget()
        body = frame[_CHECKSUM_BYTES:]
        if _checksum(body) != frame[:_CHECKSUM_BYTES]:
            raise refuse(Code.INCORRECT_DATA, "The checksum of a compressed frame does not match", fatal=True)
        self.buffer += _unpack(method, body[_HEADER.size :], size)


def _unpack(method: int, packed: bytes, size: int) -> bytes:
    if method == _LZ4:
        content: bytes = lz4_block.decompress(packed, uncompressed_size=size)
        return content
    if method == _NONE:
        return packed
    if method == _ZSTD:
        return _unpack_zstd(packed, size)
    message = f"Compression method {method:#x} is not supported: use LZ4 or ZSTD"
    raise refuse(Code.NOT_IMPLEMENTED, message, fatal=True)


def _unpack_zstd(packed: bytes, size: int) -> bytes:
    """What ClickHouse's own clients send since 2025."""
    # Arrow is large, and most connections never need it.
    import pyarrow as pa  # noqa: PLC0415

    return bytes(pa.Codec("zstd").decompress(packed, decompressed_size=size, asbytes=True))


def _checksum(body: bytes) -> bytes:
    value: int = CityHash128(body)
    # Two numbers of 64 bits, the upper one first, each little endian.
    return struct.pack("<QQ", value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF)
