"""The seam between logs and collectors: where lines come from.

A source hands out complete lines in the order in which they were written, with their place. A place is (generation,
byte offset in the decompressed content): it is the same whatever the file is called and however it is compressed.

Who calls what: one collector, one thread. `seek` at most once, before the first `read`. `read` never waits for data
to arrive, except on a pipe that cannot be polled; it may take as long as the disk takes, and gives nothing rather
than pass over more than 32 MiB in which no line ends. A chunk of another generation
than the one before says that the one before has been read to its end. Memory: a block of content and one line.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import InputError, StateError


@dataclass(frozen=True, slots=True)
class SourceChunk:
    """Consecutive complete lines of one generation.

    Attributes:
        generation: Name of the content (`schemas.ids.generation_of` of its first line).
        lines: Raw bytes without line end (LF or CRLF). A line over the limit is cut one byte beyond it.
        offsets: Byte offset of each line's first byte in the decompressed content as written, ascending.
        end_offset: Offset behind the last line's line end: where reading goes on.
        long_lines: Index to full length in bytes, for lines that were cut.
    """

    generation: str
    lines: Sequence[bytes]
    offsets: npt.NDArray[np.int64]
    end_offset: int
    long_lines: Mapping[int, int] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> SourceChunk:
        """Lines `start` up to `stop`, which must be at least one."""
        end = self.end_offset if stop >= len(self.lines) else int(self.offsets[stop])
        long = {i - start: n for i, n in self.long_lines.items() if start <= i < stop}
        return SourceChunk(self.generation, self.lines[start:stop], self.offsets[start:stop], end, long)


class Source(ABC):
    """Yields the lines of one log."""

    problem: InputError | None = None  # why nothing comes just now, or what is not read; for people to read
    notice: InputError | None = None  # what was lost before, of a log that is read; for people to read
    damage: InputError | None = None  # where the last damaged content ended before its time

    @abstractmethod
    def seek(self, generation: str, offset: int) -> bool:
        """Go to where an earlier run stopped reading.

        Args:
            generation: Content that it was in.
            offset: Offset of the first line to read; the start of a line, or the end of the content.

        Returns:
            False where that content is not to be found: reading then starts with the oldest content that is known to
            be newer. True also where nothing can be told of it, since no file is there or one cannot be read: it is
            looked for once that is otherwise.
        """

    def leave(self, why: StateError) -> bool:
        """Leave the content that was sought, since it is not what was read there before; before any other `read`.

        Args:
            why: What tells so.

        Returns:
            True where reading goes on with newer contents, and `notice` says what is lost. False where nothing newer
            can be told from it: it is the log itself.
        """
        del why
        return False

    @abstractmethod
    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """The next lines, at most `max_lines`; None where there are none now.

        Args:
            max_lines: At least 1.
            now_us: Wall clock, microseconds UTC.

        Raises:
            InputError: of a log that is read once: it is missing or cannot be read.
        """

    @property
    @abstractmethod
    def ended(self) -> bool:
        """True where no line will ever come again."""

    @property
    def at_end(self) -> bool:
        """True where the last `read` found the log readable and had all of it."""
        return self.problem is None and not self.busy

    @property
    def busy(self) -> bool:
        """True where the last `read` gave nothing though there is more: a long line or a hole takes several."""
        return False

    @property
    def unread_bytes(self) -> int:
        """Bytes that are there and will not be read; `problem` says where and why."""
        return 0

    def saved(self, generation: str, offset: int) -> None:
        """The collector has saved this place: everything before it is safe for good, and is never asked for again.

        Args:
            generation: Content that it is in; may be read again from its start on.
            offset: Where reading goes on.
        """

    def save(self) -> dict[str, Any]:
        """What finding the place again needs beside generation and offset, as JSON values."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `save` gave; before `seek`."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files. `read` must not be called any more."""
