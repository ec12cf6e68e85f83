"""One content, opened: its lines with their places, and its name."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.errors import InputError
from schemas.ids import generation_of
from streams.sources.abstract import SourceChunk
from streams.sources.decompress import ByteReader, PlainReader, Progress
from streams.sources.lines import LineCutter, Lines, join
from streams.sources.packed import MAX_CONTENT_BYTES, reader_for
from streams.sources.wide import WIDE, WideCutter

BLOCK = 1 << 19  # bytes of content read at a time
BLOCKS_A_READ = 64  # then other sources have their turn, though not one line has come
PREAMBLE_BYTES = 256 << 10
PREAMBLE_LINES = 1_000
_IDENTIFY_BLOCKS = 8_192  # 4 GiB: a hole of NULs may stand in front of the first line
_BOM = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF8_BOM = b"\xef\xbb\xbf"

Preamble = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """How a content is read.

    Attributes:
        max_line_bytes: Longer lines are cut one byte beyond it.
        encoding: As configured. `utf-8` and `utf-16` are told by a byte order mark where there is one; UTF-16 without
            one is little endian, as Windows writes it. UTF-16 is handed out as UTF-8; all else as it is.
        preamble: Says of a line whether it is a header, which may be the same in many contents; None: no line is.
        header_is_content: What has only a header, to its end, is a content of its own; else it has no lines at all.
        max_content_bytes: Of compressed content so many bytes are taken at most.
    """

    max_line_bytes: int = 65_536
    encoding: str = "utf-8"
    preamble: Preamble | None = None
    header_is_content: bool = True
    max_content_bytes: int = MAX_CONTENT_BYTES


class _Cutter(Protocol):
    """What `LineCutter` and `WideCutter` have in common."""

    position: int

    @property
    def line_start(self) -> int: ...
    @property
    def long_start(self) -> bytes | None: ...
    def feed(self, data: bytes) -> Lines: ...
    def finish(self) -> Lines: ...


class Content:
    """Lines of one open file or stream from some place on.

    Its generation is the name of the first line that is no header. Until that line is complete no line is handed out;
    a header of more than 256 KiB or 1,000 lines is none: the line behind that counts as data.

    Args:
        reader: Gives the bytes from the content's start on.
        settings: See there.
        stream: The file behind the reader where it can be asked and moved: plain and seekable.
    """

    def __init__(self, reader: ByteReader, settings: ContentSettings, stream: io.FileIO | None = None) -> None:
        self.stream = stream
        self.generation = ""  # empty until the first data line is complete
        self.ended = False
        self.busy = False  # the last `read` gave nothing, but there is more to read
        self.reader = reader
        self._settings = settings
        self._encoding: str | None = None  # unknown until the first bytes are here
        self._head = b""
        self._cutter: _Cutter = LineCutter(settings.max_line_bytes)
        self._header = Lines()  # lines of the header, while no data line has come
        self._ready = Lines()
        self._next = 0  # index into _ready
        self._skip_to = 0

    @property
    def offset(self) -> int:
        """Place of the next line to hand out, as far as it is known."""
        if self._header.lines:
            return int(self._header.offsets[0])
        if self._next < len(self._ready.lines):
            return int(self._ready.offsets[self._next])
        return max(self._cutter.line_start, self._skip_to)

    @property
    def position(self) -> int:
        """Place of the next byte to read."""
        return self._cutter.position + len(self._head)

    @property
    def damage(self) -> InputError | None:
        """Why the content ended before its time."""
        return self.reader.damage

    def identify(self, *, final: bool) -> str:
        """Read on until the generation is known; empty where there is no complete data line yet. Before any `read`."""
        for _ in range(_IDENTIFY_BLOCKS):
            if self.generation or self.ended or not self._fetch(final=final):
                break
        return self.generation

    def start_at(self, offset: int, *, final: bool) -> bool:
        """Leave out the lines before `offset`; before any `read`. False where the content is shorter."""
        self._skip_to = offset
        self.identify(final=final)
        if self.stream is not None and self._cutter.position < offset:
            if os.fstat(self.stream.fileno()).st_size < offset:
                return False
            self.stream.seek(offset)
            self._cutter = self._cutter_at(offset)
            self._ready, self._next = Lines(), 0
            return True
        while self._cutter.position < offset and not self.ended:
            if not self._fetch(final=final):
                break
        if self._ready.lines:
            self._next = int((self._ready.offsets < offset).sum())
        return self._cutter.position >= offset

    def read(self, max_lines: int, *, final: bool) -> SourceChunk | None:
        """The next lines; None where there are none now, or not yet (`busy`).

        Args:
            max_lines: At most so many.
            final: True where nothing more will be written: at the end of the bytes, what has begun is a line.
        """
        self.busy = False
        for _ in range(BLOCKS_A_READ):
            if self._next < len(self._ready.lines):
                return self._hand_out(max_lines)
            if self.ended or not self._fetch(final=final):
                if self._next < len(self._ready.lines):  # the end completed the header's name
                    return self._hand_out(max_lines)
                return None
        self.busy = True
        return None

    def _hand_out(self, max_lines: int) -> SourceChunk:
        ready, start = self._ready, self._next
        stop = self._next = min(len(ready.lines), start + max_lines)
        long = {i - start: n for i, n in ready.long.items() if start <= i < stop}
        end = int(ready.ends[stop - 1])
        return SourceChunk(self.generation, ready.lines[start:stop], ready.offsets[start:stop], end, long)

    def _fetch(self, *, final: bool) -> bool:
        """Read a block and cut it; False where nothing came of it and nothing will without more bytes."""
        data = self.reader.read(BLOCK)
        if data:
            if self._encoding is None:
                data = self._begin(self._head + data, final=False)
            self._take(self._cutter.feed(data) if data else Lines())
            return True
        if self._encoding is None and self._head and (final or self.damage is not None):
            self._take(self._cutter.feed(self._begin(self._head, final=True)))
        if self.damage is not None:  # half a line would say what was never written
            self._end(Lines())
        elif final:
            lines = self._cutter.finish()
            self._end(lines)
            return bool(lines.lines)
        return False

    def _begin(self, data: bytes, *, final: bool) -> bytes:
        """Choose the encoding by the first bytes; gives what follows a byte order mark, nothing while that may come."""
        self._head = b""
        wanted = self._settings.encoding.lower().replace("_", "-")
        if wanted in ("utf-8", "utf8", "utf-16", "utf16", *WIDE):
            if not final and any(mark.startswith(data) and mark != data for mark in (*_BOM, _UTF8_BOM)):
                self._head = data
                return b""
            found = _BOM.get(data[:2])
            wanted = found or {"utf-16": WIDE[0], "utf16": WIDE[0]}.get(wanted, wanted)
            mark = 2 if found else 3 if data.startswith(_UTF8_BOM) and wanted not in WIDE else 0
        else:
            mark = 0
        self._encoding = wanted
        self._cutter = self._cutter_at(mark)
        return data[mark:]

    def _cutter_at(self, offset: int) -> _Cutter:
        if self._encoding in WIDE:
            return WideCutter(self._settings.max_line_bytes, self._encoding, offset)
        return LineCutter(self._settings.max_line_bytes, offset)

    def _take(self, lines: Lines) -> None:
        if not self.generation:
            lines = self._named(lines)
        if not lines.lines:
            return
        self._ready = lines
        self._next = int((lines.offsets < self._skip_to).sum()) if self._skip_to else 0

    def _named(self, lines: Lines) -> Lines:
        """While no data line has come: keep the header; gives header and all behind it once one has."""
        before = len(self._header.lines)
        self._header = join(self._header, lines)
        first = self._first_data(before)
        if first is not None:
            self._settle(first, self._cutter.position)
        elif (start := self._cutter.long_start) is not None:  # its name does not depend on where it ends
            self._settle(start, self._cutter.position)
        if not self.generation:
            return Lines()
        header, self._header = self._header, Lines()
        return header

    def _first_data(self, since: int) -> bytes | None:
        preamble, lines = self._settings.preamble, self._header.lines
        for i in range(since, len(lines)):
            if preamble is None or i >= PREAMBLE_LINES or self._header.offsets[i] >= PREAMBLE_BYTES:
                return lines[i]
            if not preamble(lines[i]):
                return lines[i]
        return None

    def _settle(self, line: bytes, end: int) -> None:
        self.generation = generation_of(line)
        self.reader.settle(end)

    def _end(self, lines: Lines) -> None:
        """Nothing more comes."""
        self.ended = True
        self._take(lines)
        if not self.generation and self._header.lines:
            header, self._header = self._header, Lines()
            if self._settings.header_is_content:
                self.generation = generation_of(b"\n".join(header.lines))
                self._take(header)

    def close(self) -> None:
        """Close the file."""
        self.reader.close()


def open_content(path: Path, settings: ContentSettings, progress: Progress | None = None) -> Content:
    """Open a file of any compression.

    Raises:
        OSError: as the system gives it; a directory is one too.
    """
    raw = io.FileIO(path, "rb")
    try:
        if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):  # a pipe has no start to go back to
            return Content(PlainReader(io.BufferedReader(raw), progress), settings)
        reader = reader_for(raw, str(path), progress, settings.max_content_bytes)
    except OSError:
        raw.close()
        raise
    return Content(reader, settings, raw if isinstance(reader, PlainReader) else None)


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
