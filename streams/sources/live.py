"""A file that is being written, and copies of it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

from streams.sources.content import BLOCK, PREAMBLE_BYTES, ContentSettings, open_content
from streams.sources.decompress import ByteReader

_HEAD = 1_024  # bytes at the start of the content by which a replaced content is noticed, at the least
_COMPARED = 1 << 20  # bytes before the place of reading that a copy must have too
Parts = Sequence[tuple[int, int]]  # place and count
_LONG_HEAD = 2 * PREAMBLE_BYTES  # where a header comes first, until it is known where it ends


class LiveReader(ByteReader):
    """Bytes of a plain file that may be truncated and written anew at any time.

    A block is handed out only if, *after* it was read, the file still begins as it did and is not shorter than what
    was read: then it cannot have been of another content. What it begins with reaches to the end of its first data
    line at the least, since a header is the same in many contents.

    Args:
        stream: Open at its start.
        header: True where a header may come first.
    """

    def __init__(self, stream: io.FileIO, *, header: bool = False) -> None:
        self._stream = stream
        self._head = b""
        self._most = _LONG_HEAD if header else _HEAD
        self.changed = False

    def read(self, size: int) -> bytes:
        """See `ByteReader`."""
        if self.changed:
            return b""
        position = self._stream.tell()
        data = self._stream.read(size) or b""
        head = self._head
        if position <= len(head) < self._most:
            head += data[len(head) - position :][: self._most - len(head)]
        now = os.pread(self._stream.fileno(), len(head), 0)
        if now != head or os.fstat(self._stream.fileno()).st_size < position + len(data):
            self.changed = True
            return b""
        self._head = head
        return data

    def settle(self, offset: int) -> None:
        """See `ByteReader`."""
        self._most = max(_HEAD, min(offset, self._most))
        self._head = self._head[: self._most]

    def close(self) -> None:
        """See `ByteReader`."""
        self._stream.close()


def is_copy(stream: io.FileIO | None, end: int, path: Path, settings: ContentSettings) -> tuple[bool, int]:
    """Whether another file has what an open one has before the place of reading: what a restart checks, too.

    Args:
        stream: The open file; None: there is nothing to compare with, and nothing is a copy.
        end: Place of reading, bytes.
        path: The other file; of any compression.
        settings: How it is read.

    Returns:
        True where it has the same bytes, at its start and in the megabyte before that place. And how many bytes of
        content it has; of a compressed file, it is read for that from its start to its end.

    Raises:
        OSError: it cannot be read.
    """
    start = max(0, end - _COMPARED)
    parts = ((0, min(_HEAD, end)), (start, end - start))
    content = open_content(path, settings)
    try:
        if content.stream is not None:
            theirs, size = _pread(content.stream, parts), os.fstat(content.stream.fileno()).st_size
        else:
            theirs, size = _unpacked(content.reader, parts)
        return stream is not None and size >= end and theirs == _pread(stream, parts), size
    finally:
        content.close()


def _pread(stream: io.FileIO, parts: Parts) -> list[bytes]:
    return [os.pread(stream.fileno(), count, at) for at, count in parts]


def _unpacked(reader: ByteReader, parts: Parts) -> tuple[list[bytes], int]:
    """Parts of a content, and how many bytes it has."""
    found, size = [b"" for _ in parts], 0
    while data := reader.read(BLOCK):
        for i, (at, count) in enumerate(parts):
            found[i] += data[max(0, at - size) : max(0, at + count - size)]
        size += len(data)
    return found, size
