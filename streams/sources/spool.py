"""A spool as a log: what a listener received, in segments on disk, read in order and removed when it is safe.

A segment is a file of lines, named by a number that grows, the time at which it was begun, and a random part. Its
generation is a hash of that name: no two segments share one, whatever is in them. The listener alone writes, only
behind what is there, and never to a segment behind which it has begun another; this source alone removes, only
segments behind which the position has been saved. So neither waits for the other. What stands at the end of a segment
without a line end when a newer one is there was cut off by a crash and is no line.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from schemas.errors import InputError
from schemas.ids import generation_of
from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import BLOCK, BLOCKS_A_READ, unreadable
from streams.sources.lines import LineCutter, Lines

SPOOL = "spool://"
_NAME = re.compile(r"(\d{12})-([0-9a-f]{8})-[0-9a-f]{16}\.spool")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of a spool.

    Attributes:
        number: Grows; the order of segments. At least hundredths of a second since 1970 when the writer started.
        begun_s: Wall clock at which it was begun, seconds since 1970 UTC.
        path: The file.
    """

    number: int
    begun_s: int
    path: Path

    @property
    def generation(self) -> str:
        """Name of its content."""
        return generation_of(f"spool\0{self.path.name}".encode())


def spool_folder(data: Path, source: str) -> Path:
    """Where a source's spool is, below the data folder."""
    return data / "spool" / quote(source, safe="")


def segment_name(number: int, begun_s: int, unique: bytes) -> str:
    """File name of a segment; `unique` is 8 random bytes."""
    return f"{number:012d}-{begun_s & 0xFFFFFFFF:08x}-{unique.hex()}.spool"


def segments(folder: Path) -> list[Segment]:
    """All of a spool, oldest first; none where there is no such folder.

    Raises:
        OSError: the folder cannot be listed.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []
    found = ((_NAME.fullmatch(name), name) for name in names)
    return sorted(Segment(int(m[1]), int(m[2], 16), folder / name) for m, name in found if m)


class SpoolSource(Source):
    """See the module. A spool that is not there is one into which nothing has come yet.

    Args:
        folder: The spool's.
        max_line_bytes: Longer lines are cut; the listener has cut them one byte beyond its own limit.
        once: End where there is nothing more; else it never ends.
    """

    def __init__(self, folder: Path, max_line_bytes: int, *, once: bool = False) -> None:
        self._folder, self._max, self._once = folder, max_line_bytes, once
        self._segment: Segment | None = None
        self._number = -1  # of the last segment that was opened
        self._fd = -1
        self._cutter = LineCutter(max_line_bytes)
        self._lines, self._next = Lines(), 0
        self._at_end = self._busy = False

    def save(self) -> dict[str, Any]:
        """See `Source`."""
        return {"number": self._number}

    def load(self, state: Mapping[str, Any]) -> None:
        """See `Source`."""
        self._number = int(state.get("number", -1))

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`."""
        found = self._listed()
        for segment in found:
            if segment.generation == generation and segment.path.stat().st_size >= offset:
                return self._open(segment, offset)
        if found and found[-1].number < self._number:  # a spool made anew, by a clock that was set back
            self._number = -1
        return False

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        del now_us
        self._at_end = self._busy = False
        for _ in range(BLOCKS_A_READ):
            if self._next < len(self._lines.lines):
                return self._hand_out(max_lines)
            newer = [s for s in self._listed() if s.number > self._number]  # before the read: then its end is the end
            if self._segment is None and not newer:
                self._at_end = self.problem is None
                return None
            if self._segment is not None and self._fill():
                continue
            if not newer:
                self._at_end = self.problem is None
                return None
            if not self._open(newer[0], 0):
                return None
        self._busy = True
        return None

    def _hand_out(self, max_lines: int) -> SourceChunk:
        assert self._segment is not None
        lines, start = self._lines, self._next
        stop = self._next = min(len(lines.lines), start + max_lines)
        long = {i - start: n for i, n in lines.long.items() if start <= i < stop}
        end = int(lines.ends[stop - 1])
        return SourceChunk(self._segment.generation, lines.lines[start:stop], lines.offsets[start:stop], end, long)

    def _fill(self) -> bool:
        """Read a block; False at the end of the segment."""
        try:
            data = os.read(self._fd, BLOCK)
        except OSError as error:
            self.problem = unreadable(self._folder, error)
            return False
        self._lines, self._next = self._cutter.feed(data), 0
        return bool(data)

    def _open(self, segment: Segment, offset: int) -> bool:
        self.close()
        try:
            self._fd = os.open(segment.path, os.O_RDONLY)
            os.lseek(self._fd, offset, os.SEEK_SET)
        except OSError as error:
            self.problem = unreadable(segment.path, error)
            return False
        self._segment, self._number = segment, segment.number
        self._cutter, self._lines, self._next = LineCutter(self._max, offset), Lines(), 0
        return True

    def _listed(self) -> list[Segment]:
        try:
            found = segments(self._folder)
        except OSError as error:
            self.problem = InputError(
                f"the spool cannot be listed: {error.strerror}",
                where=str(self._folder),
                hint="give the collector's user leave to read and to remove there",
            )
            return []
        self.problem = None
        return found

    def saved(self, generation: str, offset: int) -> None:
        """See `Source`. Removes the segments in front of the one that the place is in."""
        del offset
        found = self._listed()
        at = next((i for i, s in enumerate(found) if s.generation == generation), 0)
        for segment in found[:at]:
            with contextlib.suppress(OSError):  # one that stays is read by nobody, and removed the next time
                segment.path.unlink()

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._once and self._at_end

    @property
    def at_end(self) -> bool:
        """See `Source`."""
        return self._at_end

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._busy

    def close(self) -> None:
        """See `Source`."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._segment = -1, None
