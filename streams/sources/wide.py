"""Lines of UTF-16 content: cut where a line end is a whole code unit, handed out as UTF-8, placed as written."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from streams.sources.lines import Lines, past_hole

WIDE = ("utf-16-le", "utf-16-be")


@dataclass(slots=True)
class _Cut:
    """Lines being collected."""

    lines: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    long: dict[int, int] = field(default_factory=dict)

    def done(self) -> Lines:
        return Lines(self.lines, np.array(self.offsets, np.int64), np.array(self.ends, np.int64), self.long)


class WideCutter:
    r"""Like `LineCutter`, for UTF-16: LF and CR are two bytes, and a block may end within a code unit.

    Lines are given as UTF-8; what is no UTF-16 (half a surrogate pair) with its bytes as `\xd8\x00`, in plain
    letters. Offsets and the lengths
    in `long` are bytes as written. A line is long where its UTF-8 has more bytes than `max_line_bytes`. Memory: twice
    the limit and a block. NULs ahead of a line are skipped, as there.

    Args:
        max_line_bytes: The limit, bytes of UTF-8.
        encoding: One of `WIDE`.
        offset: Place of the first byte to come, the start of a line.
    """

    def __init__(self, max_line_bytes: int, encoding: str, offset: int = 0) -> None:
        self._max, self._encoding = max_line_bytes, encoding
        self._newline, self._return = "\n".encode(encoding), "\r".encode(encoding)
        self.position = offset
        self._tail = b""  # of the line that is not complete, cut to what can matter
        self._tail_start = offset
        self._tail_length = 0
        self._half = b""  # one byte: the first half of a code unit
        self._last = b""  # last code unit of the line that is not complete

    @property
    def line_start(self) -> int:
        """Place of the first byte that is in no line handed out yet."""
        return self._tail_start

    @property
    def has_tail(self) -> bool:
        """True where a line has begun that is not complete."""
        return self._tail_length > 0 or bool(self._half)

    @property
    def long_start(self) -> bytes | None:
        """Of a line that has begun and is too long already: what it will be cut to; else None."""
        if self._tail_length <= 2 * self._max + 4:
            return None
        return self._text(self._tail)[: self._max + 1]

    def feed(self, data: bytes) -> Lines:
        """Take the next bytes, give the lines that they complete."""
        start = self.position - len(self._half)
        self.position += len(data)
        data = self._half + data
        whole = len(data) & ~1
        self._half = data[whole:]
        cut, at = _Cut(), 0
        while (end := self._find(data, at, whole)) >= 0:
            self._keep(data[at:end], start + at)
            self._end(cut, start + end + 2)
            at = end + 2
        self._keep(data[at:whole], start + at)
        return cut.done()

    def finish(self) -> Lines:
        """No more bytes come: what has begun is a line; half a code unit at its end is none."""
        cut = _Cut()
        if self._tail_length:
            self._end(cut, self._tail_start + self._tail_length, ended=False)
        return cut.done()

    def _find(self, data: bytes, at: int, whole: int) -> int:
        """Place of the next line end that is a whole code unit; -1 where there is none."""
        found = data.find(self._newline, at, whole)
        while found >= 0 and found & 1:
            found = data.find(self._newline, found + 1, whole)
        return found

    def _keep(self, data: bytes, start: int) -> None:
        if not self._tail_length:
            stripped = past_hole(data)
            cut = (len(data) - len(stripped)) & ~1  # a NUL may be half of a letter
            data, self._tail_start = data[cut:], start + cut
        if not data:
            return
        room = 2 * self._max + 4 - len(self._tail)
        if room > 0:
            self._tail += data[:room]
        self._last = data[-2:]
        self._tail_length += len(data)

    def _end(self, cut: _Cut, end: int, *, ended: bool = True) -> None:
        length, raw = self._tail_length, self._tail
        if ended and length and self._last == self._return:
            length -= 2
        line = self._text(raw[:length])
        if len(line) > self._max:
            cut.long[len(cut.lines)] = max(length, self._max + 1)
            line = line[: self._max + 1]
        cut.lines.append(line)
        cut.offsets.append(self._tail_start)
        cut.ends.append(end)
        self._tail, self._tail_length, self._last, self._tail_start = b"", 0, b"", end

    def _text(self, raw: bytes) -> bytes:
        return raw.decode(self._encoding, "backslashreplace").encode("utf-8", "backslashreplace")
