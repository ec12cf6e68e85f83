"""Compressed content: zstd and bzip2 beside gzip, chosen by first bytes, and how much of it is taken at most."""

from __future__ import annotations

import bz2
import sys
from collections.abc import Callable
from typing import Protocol

from schemas.errors import InputError
from streams.sources.decompress import (
    GZIP_MAGIC,
    ByteReader,
    ByteStream,
    GzipReader,
    PlainReader,
    Progress,
    SeekableStream,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = [
    "HEAD_BYTES",
    "MAX_CONTENT_BYTES",
    "BoundedReader",
    "FramedReader",
    "may_be_packed",
    "packed_reader",
    "reader_for",
    "zstd",
]

MAX_CONTENT_BYTES = 64 << 30
HEAD_BYTES = 4
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878 section 3.1.1
_BZIP2_MAGIC = b"BZh"
_PIECE = 4_096  # compressed bytes decoded at a time: with damage, at most so many in front of it are lost
_ROOM = 1 << 18  # bytes of content made at a time, however much a piece could give
_WINDOW_LOG = 27  # 128 MiB, what `zstd` itself takes at most without --long


class _Decoder(Protocol):
    """What `bz2` and `zstd` have in common; one stream or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class FramedReader(ByteReader):
    """A zstd file (RFC 8878) or a bzip2 file, of one or more frames, whole or damaged.

    Damage ends the content: what was decoded before the piece of 4 KiB that has it is given, and `damage` says where
    it was. How many bytes these are depends on the file alone, not on how it is read. Memory: a decoder's window (zstd
    128 MiB at most, beyond it the file is refused as damaged; bzip2 4 MiB) and 256 KiB.

    Args:
        stream: Open for reading bytes, at its start.
        name: What to call it in an error.
        kind: `zstd` or `bzip2`.
        progress: Told how many compressed bytes were taken from the file.
    """

    def __init__(self, stream: ByteStream, name: str, kind: str, progress: Progress | None = None) -> None:
        self._stream, self._name, self._kind, self._progress = stream, name, kind, progress
        self._make = _MAKERS[kind]
        self._decoder = self._make()
        self._begun = False  # something of this frame was decoded
        self._input = b""  # a piece on its way, less what the decoder has
        self._taken = 0  # compressed bytes read before the piece that is being decoded
        self._made = 0  # bytes of content
        self._out = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """See `ByteReader`."""
        parts: list[bytes] = []
        room = size
        while room > 0:
            if not self._out and not self._more():
                break
            part, self._out = self._out[:room], self._out[room:]
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def _more(self) -> bool:
        """Decode until there is something to give; False at the end."""
        while not self._out and not self._ended:
            if self._decoder.eof:
                self._next_frame()
            elif not self._input and self._decoder.needs_input and not self._fill():
                self._ended = True
                if self._begun:
                    self._damaged(f"the {self._kind} content ends in the middle")
            else:
                self._step()
        self._made += len(self._out)
        return bool(self._out)

    def _step(self) -> None:
        data, self._input = self._input, b""
        try:
            self._out = self._decoder.decompress(data, _ROOM)
        except (OSError, ValueError, zstd.ZstdError) as error:
            self._ended = True
            self._damaged(f"the {self._kind} content is damaged ({error})")
            return
        self._begun = True

    def _next_frame(self) -> None:
        self._input = self._decoder.unused_data.lstrip(b"\0")  # padding to a block
        self._decoder, self._begun = self._make(), False

    def _fill(self) -> bool:
        """Take the next whole piece, so that pieces are the same however a pipe gives them; False at the end."""
        piece = b""
        while len(piece) < _PIECE and (data := self._stream.read(_PIECE - len(piece))):
            piece += data
        self._taken += len(piece)
        if self._progress and piece:
            self._progress(len(piece))
        if not self._begun:
            piece_content = piece.lstrip(b"\0")
            self._input = piece_content
            return bool(piece)
        self._input = piece
        return bool(piece)

    def _damaged(self, what: str) -> None:
        self.damage = _damage(what, self._made, f"{self._name}: before byte {self._taken}")

    def close(self) -> None:
        """See `ByteReader`."""
        self._stream.close()


class BoundedReader(ByteReader):
    """Ends a content that is larger than anybody can mean, as damaged.

    Args:
        reader: The content.
        limit: Bytes of it at most.
        name: What to call it in an error.
    """

    def __init__(self, reader: ByteReader, limit: int, name: str) -> None:
        self._reader, self._left, self._limit, self._name = reader, limit, limit, name

    def read(self, size: int) -> bytes:
        """See `ByteReader`."""
        data = self._reader.read(min(size, self._left + 1))
        self.damage = self._reader.damage
        if len(data) <= self._left:
            self._left -= len(data)
            return data
        data, self._left = data[: self._left], 0
        self.damage = InputError(
            f"there is more in it than {self._limit} bytes of content, and no more of it is read",
            where=self._name,
            hint="look at what it is; if it is a log, set max_content_bytes of its source higher",
        )
        return data

    def close(self) -> None:
        """See `ByteReader`."""
        self._reader.close()


def may_be_packed(head: bytes) -> bool:
    """True where content that begins so may be compressed; of fewer than `HEAD_BYTES` bytes: may still turn out so."""
    return _kind(head) != "" or any(
        magic.startswith(head) for magic in (GZIP_MAGIC, _ZSTD_MAGIC, _BZIP2_MAGIC) if len(head) < len(magic)
    )


def packed_reader(
    head: bytes, stream: ByteStream, name: str, progress: Progress | None = None, limit: int = MAX_CONTENT_BYTES
) -> ByteReader | None:
    """Reader of compressed content; None where it is not compressed.

    Args:
        head: The first bytes, `HEAD_BYTES` of them where there are so many.
        stream: At its start.
        name: What to call it in an error.
        progress: Told how many compressed bytes were taken.
        limit: Bytes of content at most.
    """
    kind = _kind(head)
    if not kind:
        return None
    made = GzipReader(stream, name, progress) if kind == "gzip" else FramedReader(stream, name, kind, progress)
    return BoundedReader(made, limit, name)


def reader_for(
    stream: SeekableStream, name: str, progress: Progress | None = None, limit: int = MAX_CONTENT_BYTES
) -> ByteReader:
    """Reader for a file that is open at its start, chosen by its first bytes and not by its name."""
    head = stream.read(HEAD_BYTES) or b""
    stream.seek(0)
    return packed_reader(head, stream, name, progress, limit) or PlainReader(stream, progress)


def _kind(head: bytes) -> str:
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    # A skippable frame, as pzstd writes it first: RFC 8878 section 3.1.2.
    if head.startswith(_ZSTD_MAGIC) or (len(head) >= 4 and head[0] >> 4 == 5 and head[1:4] == b"\x2a\x4d\x18"):
        return "zstd"
    if head.startswith(_BZIP2_MAGIC) and head[3:4] in b"123456789" and len(head) >= 4:
        return "bzip2"
    return ""


def _damage(what: str, made: int, where: str) -> InputError:
    return InputError(
        f"{what}; the {made} bytes of content before that are read",
        where=where,
        hint="get a whole copy and read it as a source of another name, or in a timeline of its own",
    )


def _zstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


_MAKERS: dict[str, Callable[[], _Decoder]] = {"zstd": _zstd, "bzip2": bz2.BZ2Decompressor}
