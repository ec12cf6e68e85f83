"""Lines from a pipe: standard input."""

from __future__ import annotations

import io
import os
import select
from typing import BinaryIO

from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import Content, ContentSettings
from streams.sources.decompress import ByteStream, PlainReader, Progress
from streams.sources.packed import HEAD_BYTES, may_be_packed, packed_reader


class _Polled:
    """A pipe that is read only where there is something to read.

    Args:
        stream: Open for reading bytes. Without a file descriptor (a buffer in memory) every read may wait.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.ended = False
        self.waits = False  # compressed content is taken as it comes: the decoder knows no "not yet"
        self._pushed = b""
        try:
            self._fd = stream.fileno()
        except (OSError, io.UnsupportedOperation):
            self._fd = -1

    def read(self, size: int, /) -> bytes | None:
        if self._pushed:
            data, self._pushed = self._pushed[:size], self._pushed[size:]
            return data
        if self._fd >= 0:
            if not self.waits and not select.select([self._fd], [], [], 0)[0]:
                return None
            data = os.read(self._fd, size)
        else:
            data = self._stream.read(size)
        if not data:
            self.ended = True
        return data

    def push(self, data: bytes) -> None:
        """Give back what was read too early."""
        self._pushed = data + self._pushed

    def close(self) -> None:
        """Standard input belongs to the process: it stays open."""


class Stdin(Source):
    """A pipe read to its end; like a file read once, but that there may be nothing to read yet.

    To resume, the same bytes must be piped in again from their start: lines before the saved place are skipped.

    Args:
        stream: E.g. `sys.stdin.buffer`.
        settings: How its content is read.
        progress: Told how many bytes were taken.
    """

    def __init__(self, stream: BinaryIO, settings: ContentSettings, progress: Progress | None = None) -> None:
        self._pipe = _Polled(stream)
        self._settings, self._progress = settings, progress
        self._head = b""
        self._content: Content | None = None
        self._resume: tuple[str, int] | None = None
        self._done = False

    def seek(self, generation: str, offset: int) -> bool:
        """Remember the place; whether it is there shows only when the first line has come."""
        self._resume = (generation, offset)
        return True

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        del now_us
        if self._done or not self._ready():
            return None
        assert self._content is not None
        chunk = self._content.read(max_lines, final=self._pipe.ended)
        if chunk is None and (self._content.busy or not self._pipe.ended):
            return None
        if chunk is None:
            chunk = self._content.read(max_lines, final=True)
        if chunk is None:
            self._done = True
            self.damage = self._content.damage
        return chunk

    def _ready(self) -> bool:
        """Open the content once its first bytes are here, and go to the place to resume from."""
        if self._content is None:
            if not self._has_head():
                return False
            pipe: ByteStream = self._pipe
            limit = self._settings.max_content_bytes
            packed = packed_reader(self._head, pipe, "standard input", self._progress, limit)
            self._pipe.waits = packed is not None
            self._content = Content(packed or PlainReader(pipe, self._progress), self._settings)
        if self._resume is None:
            return True
        generation, offset = self._resume
        if not self._content.identify(final=self._pipe.ended) and not self._pipe.ended:
            return False
        if self._content.generation == generation:
            self._content.start_at(offset, final=False)
        self._resume = None
        return True

    def _has_head(self) -> bool:
        while len(self._head) < HEAD_BYTES and may_be_packed(self._head):
            more = self._pipe.read(HEAD_BYTES - len(self._head))
            if more is None:
                return False
            if not more:
                break
            self._head += more
        self._pipe.push(self._head)
        return True

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._done

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._content is not None and self._content.busy

    @property
    def at_end(self) -> bool:
        """False: whether a pipe's writer will write again, and what, nobody knows."""
        return False

    def close(self) -> None:
        """Nothing to let go of: standard input belongs to the process."""
