"""One content, opened: its lines with their places, and its name."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from schemas.errors import InputError
from schemas.ids import generation_of
from streams.sources.abstract import SourceChunk
from streams.sources.decompress import ByteReader, PlainReader, Progress, reader_for
from streams.sources.lines import LineCutter, Lines

BLOCK = 1 << 19  # bytes of content read at a time


class Content:
    """Lines of one open file or stream from some place on.

    Args:
        reader: Gives the bytes from the content's start on.
        max_line_bytes: See `LineCutter`.
        stream: The file behind the reader where it can be asked and moved: plain and seekable.
    """

    def __init__(self, reader: ByteReader, max_line_bytes: int, stream: io.FileIO | None = None) -> None:
        self.stream = stream
        self.generation = ""  # empty until the first line is complete
        self.ended = False
        self.reader = reader
        self._max = max_line_bytes
        self._cutter = LineCutter(max_line_bytes)
        self._ready = Lines()
        self._next = 0  # index into _ready
        self._skip_to = 0

    @property
    def offset(self) -> int:
        """Place of the next line to hand out, as far as it is known."""
        if self._next < len(self._ready.lines):
            return int(self._ready.offsets[self._next])
        return max(self._cutter.line_start, self._skip_to)

    @property
    def position(self) -> int:
        """Place of the next byte to read."""
        return self._cutter.position

    @property
    def damage(self) -> InputError | None:
        """Why the content ended before its time."""
        return self.reader.damage

    def identify(self, *, final: bool) -> str:
        """Read on until the generation is known; empty where there is no complete line yet. Before any `read`."""
        while not self.generation and not self.ended and self._fetch(final=final):
            pass
        return self.generation

    def start_at(self, offset: int, *, final: bool) -> bool:
        """Leave out the lines before `offset`; before any `read`. False where the content is shorter."""
        self._skip_to = offset
        self.identify(final=final)
        if self.stream is not None and self._cutter.position < offset:
            if os.fstat(self.stream.fileno()).st_size < offset:
                return False
            self.stream.seek(offset)
            self._cutter = LineCutter(self._max, offset)
            self._ready, self._next = Lines(), 0
            return True
        while self._cutter.position < offset and not self.ended:
            if not self._fetch(final=final):
                break
        if self._ready.lines:
            self._next = int((self._ready.offsets < offset).sum())
        return self._cutter.position >= offset

    def read(self, max_lines: int, *, final: bool) -> SourceChunk | None:
        """The next lines; None where there are none now.

        Args:
            max_lines: At most so many.
            final: True where nothing more will be written: at the end of the bytes, what has begun is a line.
        """
        while self._next >= len(self._ready.lines):
            if self.ended or not self._fetch(final=final):
                return None
        ready, start = self._ready, self._next
        stop = self._next = min(len(ready.lines), start + max_lines)
        long = {i - start: n for i, n in ready.long.items() if start <= i < stop}
        end = int(ready.ends[stop - 1])
        return SourceChunk(self.generation, ready.lines[start:stop], ready.offsets[start:stop], end, long)

    def _fetch(self, *, final: bool) -> bool:
        """Read a block and cut it; False where nothing came of it and nothing will without more bytes."""
        data = self.reader.read(BLOCK)
        if data:
            self._take(self._cutter.feed(data))
            return True
        if self.damage is not None:  # half a line would say what was never written
            self.ended = True
        elif final:
            self.ended = True
            lines = self._cutter.finish()
            self._take(lines)
            return bool(lines.lines)
        return False

    def _take(self, lines: Lines) -> None:
        if not lines.lines:
            return
        if not self.generation:
            self.generation = generation_of(lines.lines[0])
        self._ready = lines
        self._next = int((lines.offsets < self._skip_to).sum()) if self._skip_to else 0

    def close(self) -> None:
        """Close the file."""
        self.reader.close()


def open_content(path: Path, max_line_bytes: int, progress: Progress | None = None) -> Content:
    """Open a file of any compression.

    Raises:
        OSError: as the system gives it; a directory is one too.
    """
    raw = io.FileIO(path, "rb")
    try:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):  # a pipe has no start to go back to
            return Content(PlainReader(io.BufferedReader(raw), progress), max_line_bytes)
        reader = reader_for(raw, str(path), progress)
    except OSError:
        raw.close()
        raise
    return Content(reader, max_line_bytes, raw if isinstance(reader, PlainReader) else None)


def unreadable(path: Path, error: OSError) -> InputError:
    """The system's refusal in words that say what to do."""
    if isinstance(error, FileNotFoundError):
        what, hint = "there is no such file", "check the source's path; relative ones start at the configuration file"
    elif isinstance(error, PermissionError):
        what, hint = "reading is not permitted", "give the user that runs the collector leave to read it, e.g. by group"
    elif isinstance(error, IsADirectoryError):
        what, hint = "this is a directory", "name the log file in it"
    else:
        what, hint = f"it cannot be read: {error.strerror or error}", "check the disk and the path"
    return InputError(what, where=str(path), hint=hint)
