"""The writing side of a spool (`streams.sources.spool` is the reading side)."""

from __future__ import annotations

import os
import time
from pathlib import Path

from streams.sources.spool import Segment, segment_name, segments

SEGMENT_BYTES = 16 << 20
_TAIL = 1 << 16


class SpoolWriter:
    """Appends to one source's spool. Blocks as long as the disk takes; one thread at a time.

    After a start it never goes on in a segment that is there, but cuts off what has no line end at the end of the
    newest one and begins another.

    Args:
        folder: Made where it is missing.
        limit: Bytes on disk at most, but for the write that reaches it.
        durable: Whether new segments must be there after a loss of power.
        segment_bytes: A segment is ended once it has so many.
    """

    def __init__(self, folder: Path, limit: int, *, durable: bool, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._limit, self._durable = folder, limit, durable
        self._segment_bytes = max(1, min(segment_bytes, limit // 8))
        self._fd = -1
        self._size = 0  # of the open segment
        self._number = 0  # of the next segment
        self._unsynced = False
        self.bytes = 0  # on disk, as of the last look
        self.oldest_s: int | None = None  # wall clock at which the oldest segment was begun; None: nothing is there

    @property
    def room(self) -> int:
        """Bytes that may still be written."""
        return self._limit - self.bytes

    def open(self) -> None:
        """Put the newest segment in order, and look at what is there.

        Raises:
            OSError: the folder cannot be made or read, or the segment not be cut.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        there = segments(self._folder)
        if there:
            _cut_torn_line(there[-1])
            self._number = there[-1].number + 1
        # Never a number that was there before, not even where somebody has emptied the folder: the reader is behind it.
        self._number = max(self._number, int(time.time() * 100))
        self.look()

    def look(self) -> None:
        """Count what is on disk now: the reader removes what it does not need any more.

        Raises:
            OSError: the folder cannot be read.
        """
        sizes = 0
        oldest: int | None = None
        for segment in segments(self._folder):
            try:
                status = segment.path.stat()
            except FileNotFoundError:
                continue
            sizes += status.st_size
            if oldest is None and status.st_size:
                oldest = segment.begun_s
        self.bytes, self.oldest_s = sizes, oldest

    def write(self, data: bytes) -> None:
        """Append whole lines: all of them or, with an error, none.

        Raises:
            OSError: the disk is full, or it cannot be written.
        """
        if self._fd >= 0 and self._size >= self._segment_bytes:
            self.sync()
            self.close()
        if self._fd < 0:
            self._begin()
        before = self._size
        try:
            view = memoryview(data)
            while view:
                count = os.write(self._fd, view)
                self._size += count
                view = view[count:]
        except OSError:
            os.ftruncate(self._fd, before)
            self._size = before
            raise
        self._unsynced = True
        self.bytes += len(data)

    def sync(self) -> None:
        """Make what was written safe against a loss of power, where it is to be.

        Raises:
            OSError: the disk says that it is not.
        """
        if self._unsynced and self._durable and self._fd >= 0:
            os.fsync(self._fd)
        self._unsynced = False  # not after an error: then it is tried again

    def close(self) -> None:
        """Let go of the open segment."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _begin(self) -> None:
        path = self._folder / segment_name(self._number, int(time.time()), os.urandom(8))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        self._fd, self._size, self._number = fd, 0, self._number + 1
        if self._durable:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _cut_torn_line(segment: Segment) -> None:
    """Cut off what has no line end: a crash came between its bytes, and nobody was told that it is safe."""
    with segment.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        at = size
        while at > 0:
            start = max(0, at - _TAIL)
            file.seek(start)
            newline = file.read(at - start).rfind(b"\n")
            if newline >= 0:
                at = start + newline + 1
                break
            at = start
        if at < size:
            file.truncate(at)
            os.fsync(file.fileno())
