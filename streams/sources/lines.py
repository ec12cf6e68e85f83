"""Bytes to lines with offsets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_Offsets = npt.NDArray[np.int64]
_HOLE = bytes(1 << 20)


@dataclass(slots=True)
class Lines:
    """Complete lines, with their places.

    Attributes:
        lines: Bytes without line end.
        offsets: Place of each first byte.
        ends: Place behind each line end.
        long: Index to full length of the lines that were cut.
    """

    lines: list[bytes] = field(default_factory=list)
    offsets: _Offsets = field(default_factory=lambda: np.empty(0, np.int64))
    ends: _Offsets = field(default_factory=lambda: np.empty(0, np.int64))
    long: dict[int, int] = field(default_factory=dict)


class LineCutter:
    r"""Cuts blocks of consecutive bytes into lines, whatever the size of the blocks.

    A line ends with LF, an optional CR before it is part of the line end. A line longer than `max_line_bytes` is kept
    up to one byte beyond that, and skipped to its end, so that memory is bounded by the limit and not by the content.
    NUL bytes ahead of a line are skipped and belong to no line: they are the hole that a crash or the truncation of a
    file still being written leaves, and may be gigabytes.

    Args:
        max_line_bytes: The limit.
        offset: Place of the first byte to come, the start of a line.
    """

    def __init__(self, max_line_bytes: int, offset: int = 0) -> None:
        self._max = max_line_bytes
        self.position = offset  # of the next byte to be fed
        self._tail = b""  # the line that is not complete yet, cut to one byte beyond the limit
        self._tail_start = offset
        self._tail_length = 0  # of that line, with what was skipped
        self._tail_ends_cr = False

    @property
    def line_start(self) -> int:
        """Place of the first byte that is in no line handed out yet."""
        return self._tail_start

    @property
    def has_tail(self) -> bool:
        """True where a line has begun that is not complete."""
        return self._tail_length > 0

    @property
    def long_start(self) -> bytes | None:
        """Of a line that has begun and is too long already, whatever its end: what it will be cut to; else None."""
        return self._tail[: self._max + 1] if self._tail_length > self._max + 1 else None

    def feed(self, data: bytes) -> Lines:
        """Take the next bytes, give the lines that they complete."""
        last = data.rfind(b"\n")
        if last < 0:
            self._keep(data)
            return Lines()
        first = data.find(b"\n") if self._tail_length else -1
        head = self._finish_tail(data[:first]) if first >= 0 else Lines()
        body = self._cut(data[first + 1 : last], self.position + first + 1) if last > first else Lines()
        self.position += last + 1
        self._tail_start = self.position
        self._keep(data[last + 1 :])
        return join(head, body)

    def finish(self) -> Lines:
        """No more bytes come: what has begun is a line."""
        if not self._tail_length:
            return Lines()
        lines = self._finish_tail(b"", newline=0)
        self._tail_start = self.position
        return lines

    def _keep(self, data: bytes) -> None:
        """Add to the incomplete line, within the limit."""
        fed = len(data)
        if not self._tail_length:
            data = past_hole(data)
            self._tail_start = self.position + fed - len(data)
        room = self._max + 2 - len(self._tail)  # one beyond the limit, and a CR that may belong to the line end
        if room > 0:
            self._tail += data[:room]
        if data:
            self._tail_ends_cr = data.endswith(b"\r")
        self._tail_length += len(data)
        self.position += fed

    def _finish_tail(self, rest: bytes, newline: int = 1) -> Lines:
        """The line that had begun, completed by `rest`, which is followed by its line end."""
        start, length = self._tail_start, self._tail_length + len(rest)
        line = self._tail + rest[: max(0, self._max + 2 - len(self._tail))]
        end = start + length + newline
        if newline and (rest.endswith(b"\r") if rest else self._tail_ends_cr):
            length -= 1
        self._tail, self._tail_length = b"", 0
        long = {0: length} if length > self._max else {}
        kept = line[: min(length, self._max + 1)]
        return Lines([kept], np.array([start], np.int64), np.array([end], np.int64), long)

    def _cut(self, data: bytes, start: int) -> Lines:
        """Whole lines in `data`, the last one without its LF."""
        lines = data.split(b"\n")
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        ends = start + np.cumsum(lengths + 1)
        offsets = ends - lengths - 1
        if b"\r" in data:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if b"\0" in data:
            self._strip_nuls(lines, offsets)
        long: dict[int, int] = {}
        if int(lengths.max()) > self._max:
            for i in np.flatnonzero(lengths > self._max).tolist():
                if len(lines[i]) > self._max:
                    long[i] = len(lines[i])
                    lines[i] = lines[i][: self._max + 1]
        return Lines(lines, offsets, ends, long)

    @staticmethod
    def _strip_nuls(lines: list[bytes], offsets: _Offsets) -> None:
        """Leave out NULs ahead of lines, in place."""
        for i, line in enumerate(lines):
            if line.startswith(b"\0"):
                lines[i] = line.lstrip(b"\0")
                offsets[i] += len(line) - len(lines[i])


def past_hole(data: bytes) -> bytes:
    """Bytes without the NULs ahead of them; quick where there is nothing else, as in a hole of gigabytes."""
    if not data.startswith(b"\0"):
        return data
    return b"" if _HOLE.startswith(data) else data.lstrip(b"\0")


def join(a: Lines, b: Lines) -> Lines:
    """Lines and those behind them."""
    if not a.lines:
        return b
    if not b.lines:
        return a
    shift = len(a.lines)
    long = {**a.long, **{i + shift: n for i, n in b.long.items()}}
    return Lines(a.lines + b.lines, np.concatenate([a.offsets, b.offsets]), np.concatenate([a.ends, b.ends]), long)
