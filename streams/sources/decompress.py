"""Content as bytes: plain files and gzip. `streams.sources.packed` has the other compressions and chooses."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from schemas.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 16  # compressed bytes taken at a time
_GZIP_FORMAT = 31  # zlib's window bits for a gzip header and trailer (zlib manual, inflateInit2)

Progress = Callable[[int], None]


class ByteStream(Protocol):
    """What is needed of an open file."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes, empty at the end, None where there are none now."""

    def close(self) -> None:
        """Close it."""


class SeekableStream(ByteStream, Protocol):
    """A file that one can go back in."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""


class ByteReader(ABC):
    """Consecutive bytes of a content."""

    damage: InputError | None = None  # set where the content ends before its time

    @abstractmethod
    def read(self, size: int) -> bytes:
        """At most `size` next bytes; empty where there are none now."""

    def settle(self, offset: int) -> None:
        """The content's name is known, and depends on its first `offset` bytes alone."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""


class PlainReader(ByteReader):
    """A file as it is.

    Args:
        stream: Open for reading bytes, at the place to start from.
        progress: Told how many bytes were taken from the file.
    """

    def __init__(self, stream: ByteStream, progress: Progress | None = None) -> None:
        self._stream, self._progress = stream, progress

    def read(self, size: int) -> bytes:
        """See `ByteReader`."""
        data = self._stream.read(size) or b""
        if self._progress and data:
            self._progress(len(data))
        return data

    def close(self) -> None:
        """See `ByteReader`."""
        self._stream.close()


class GzipReader(ByteReader):
    """A gzip file (RFC 1952), of one or more members, whole or damaged.

    Damage ends the content: every byte that could be decoded before it is given, and `damage` says where it was.
    How many bytes these are depends on the file alone.

    Args:
        stream: Open for reading bytes, at its start.
        name: What to call it in an error.
        progress: Told how many compressed bytes were taken from the file.
    """

    def __init__(self, stream: ByteStream, name: str, progress: Progress | None = None) -> None:
        self._stream, self._name, self._progress = stream, name, progress
        self._inflate = zlib.decompressobj(_GZIP_FORMAT)
        self._input = b""
        self._taken = 0  # compressed bytes given to zlib
        self._made = 0  # bytes of content
        self._begun = False  # a member has begun
        self._ended = False

    def read(self, size: int) -> bytes:
        """See `ByteReader`."""
        parts: list[bytes] = []
        room = size
        while room > 0 and not self._ended:
            part = self._step(room) if self._input or self._fill() else self._drain(room)
            self._made += len(part)
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """Take the next compressed bytes; False at the end of the file."""
        self._input = self._stream.read(_PIECE) or b""
        if self._progress and self._input:
            self._progress(len(self._input))
        return bool(self._input)

    def _drain(self, room: int) -> bytes:
        """At the end of the file: what zlib still holds because there was no room for it."""
        part = self._inflate.decompress(b"", room) if self._begun else b""
        if not part:
            self._ended = True
            if self._begun:
                self._damaged("the gzip content ends in the middle", 0)
        return part

    def _step(self, room: int) -> bytes:
        before = self._inflate.copy()
        try:
            part = self._inflate.decompress(self._input, room)
        except zlib.error as error:
            return self._salvage(before, error)
        self._after(len(self._input) - len(self._inflate.unconsumed_tail) - len(self._inflate.unused_data))
        return part

    def _after(self, used: int) -> None:
        """Account for `used` bytes of input, and begin the next member where this one has ended."""
        self._taken += used
        self._begun = True
        if not self._inflate.eof:
            self._input = self._inflate.unconsumed_tail
            return
        self._input = self._inflate.unused_data.lstrip(b"\0")  # gzip pads with NULs to a block on tapes
        self._inflate = zlib.decompressobj(_GZIP_FORMAT)
        self._begun = False

    def _salvage(self, inflate: zlib._Decompress, error: zlib.error) -> bytes:
        """What can be decoded of the damaged piece, a byte of input at a time: at most some 64 MiB."""
        out = bytearray()
        for byte in self._input:
            try:
                out += inflate.decompress(bytes((byte,)))
            except zlib.error:
                break
            self._taken += 1
        self._ended = True
        self._damaged(f"the gzip content is damaged ({error})", len(out))
        return bytes(out)

    def _damaged(self, what: str, more: int) -> None:
        self.damage = InputError(
            f"{what}; the {self._made + more} bytes of content before that are read",
            where=f"{self._name}: byte {self._taken}",
            hint="get a whole copy and read it as a source of another name, or in a timeline of its own",
        )

    def close(self) -> None:
        """See `ByteReader`."""
        self._stream.close()
