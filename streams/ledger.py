"""The ledger: what became of every line, in chunks cut at fixed places, so that it can be proved.

A chunk is the lines of one generation that start in the same MiB of decompressed content. Its record is written when
all its lines are decided; until then a provisional one may be. Records of the same chunk replace each other by
`version`, which counts what is known of the chunk (lines read, lines decided, being final) and so never goes back and
is the same whenever the same is known.

Lines are numbered here by *stream offset*: byte offset plus a base for each generation, so that a join that a
rotation cut in two still finds its first lines.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import StateError
from streams.config import LEDGER_CHUNK

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Chunk:
    """Counts of one chunk; the record's fields."""

    generation: str
    chunk: int
    first_offset: int
    end_offset: int
    lines: int = 0
    in_events: int = 0
    events: int = 0
    dead_letters: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    late: int = 0
    time_suspect: int = 0
    sha256: str = ""
    read: bool = False  # all its lines have been read
    told: int = 0  # version of the last record given out

    @property
    def decided(self) -> int:
        """Lines of which it is known what became of them."""
        return self.in_events + self.dead_letters + self.ignored.total()

    @property
    def open(self) -> int:
        """Lines held: in open joins, or behind a time that is not confirmed yet."""
        return self.lines - self.decided

    @property
    def closed(self) -> bool:
        """True where nothing about it can change any more."""
        return self.read and self.open == 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of lines, by stream offset.

    Attributes:
        events: For every event, the line it is counted at.
        late: Parallel to `events`.
        suspect: Parallel to `events`.
        in_events: Lines that are part of an event, each once.
        dead_letters: Rejected lines.
        ignored: Lines ignored, with the reason.
    """

    events: Ints
    late: npt.NDArray[np.bool_]
    suspect: npt.NDArray[np.bool_]
    in_events: Ints
    dead_letters: Ints
    ignored: Sequence[tuple[int, str]] = ()


class Ledger:
    """Open chunks of one source. Bounded by the joins that are open: a chunk without held lines is closed.

    Args:
        source: Source name.
        type_name: Its type.
        timeline: Empty for live.
    """

    def __init__(self, source: str, type_name: str, timeline: str) -> None:
        self._head = {"source": source, "type": type_name, "timeline": timeline}
        self._chunks: dict[tuple[str, int], Chunk] = {}
        self._bases: list[tuple[int, str]] = []  # (base, generation) ascending, of generations with open chunks
        self._hash = hashlib.sha256()
        self._hashed = 0  # lines in the hash
        self._last: Chunk | None = None  # the chunk being read
        self._reached = 0  # where it ends: the next one begins there, be it with a hole that belongs to no line
        self._stale = False  # its hash does not cover what was read before a restart

    @property
    def open_lines(self) -> int:
        """Lines read and not decided."""
        return sum(chunk.open for chunk in self._chunks.values())

    @property
    def rehash_from(self) -> int | None:
        """After `load`: offset from which the lines of the chunk being read must be given to `rehash` again."""
        return None if self._last is None else self._last.first_offset

    def read(self, generation: str, base: int, lines: Sequence[bytes], offsets: Ints, end_offset: int) -> None:
        """Count lines that were read; before what became of any of them is told."""
        if self._last is not None and self._last.generation != generation:
            self.generation_ended()
        if self._last is None:
            self._reached = 0
        if not self._bases or self._bases[-1][1] != generation:
            self._bases.append((base, generation))
        numbers = offsets // LEDGER_CHUNK
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(lines)]
        for start, stop in pairwise(edges):
            end = end_offset if stop == len(lines) else int(offsets[stop])
            self._count(generation, int(numbers[start]), lines[start:stop], end)

    def _count(self, generation: str, number: int, lines: Sequence[bytes], end: int) -> None:
        if self._last is None or self._last.chunk != number:
            self._chunk_read()
            self._last = self._chunks[generation, number] = Chunk(generation, number, self._reached, end)
        self._last.lines += len(lines)
        self._last.end_offset = self._reached = end
        self.rehash(lines)

    def rehash(self, lines: Sequence[bytes]) -> None:
        """Hash lines of the chunk being read: joined by LF, as they were handed out."""
        text = b"\n".join(lines)
        self._hash.update(b"\n" + text if self._hashed else text)
        self._hashed += len(lines)

    def rehashed(self, *, where: str) -> None:
        """All lines of the chunk being read that were read before have been given again.

        Raises:
            StateError: they are not the lines that were read before.
        """
        if self._last is not None and self._last.sha256 != self._hash.hexdigest():
            raise StateError(
                f"the lines before offset {self._last.end_offset} are not those that were read before",
                where=where,
                hint="the log was edited, or another one begins with the same line: name it as a source of its own, "
                "or remove the saved position to read it from its start",
            )
        self._stale = False

    def generation_ended(self) -> None:
        """Every line of the generation has been read."""
        self._chunk_read()

    def _chunk_read(self) -> None:
        if self._last is not None:
            self._last.sha256 = self._digest(self._last)
            self._last.read = True
        self._last, self._stale = None, False
        self._hash, self._hashed = hashlib.sha256(), 0

    def _digest(self, chunk: Chunk) -> str:
        """Hash of a chunk's lines; after a restart the one that was saved, until the lines have been given again."""
        return self._hash.hexdigest() if chunk is self._last and not self._stale else chunk.sha256

    def decide(self, outcome: Outcome) -> None:
        """Count what became of lines.

        Raises:
            StateError: a line was decided that was not open: the normaliser is broken.
        """
        for chunk, places in self._by_chunk(outcome.in_events):
            chunk.in_events += len(places)
        for chunk, places in self._by_chunk(outcome.dead_letters):
            chunk.dead_letters += len(places)
        for chunk, places in self._by_chunk(outcome.events):
            chunk.events += len(places)
            chunk.late += int(outcome.late[places].sum())
            chunk.time_suspect += int(outcome.suspect[places].sum())
        if outcome.ignored:
            offsets = np.fromiter((line for line, _ in outcome.ignored), np.int64, len(outcome.ignored))
            for chunk, places in self._by_chunk(offsets):
                chunk.ignored.update(Counter(outcome.ignored[i][1] for i in places.tolist()))
        for chunk in self._chunks.values():
            if chunk.open < 0:
                raise StateError(
                    f"{chunk.decided} lines are decided of {chunk.lines} that were read",
                    where=f"{self._head['source']}: {chunk.generation}:{chunk.first_offset}",
                    hint="this is a fault of the normaliser; please report it with these lines",
                )

    def _by_chunk(self, offsets: Ints) -> Iterable[tuple[Chunk, Ints]]:
        """Indices of the stream offsets in each chunk."""
        if not len(offsets):
            return
        bases = np.array([base for base, _ in self._bases], np.int64)
        owner = np.maximum(np.searchsorted(bases, offsets, side="right") - 1, 0)
        numbers = (offsets - bases[owner]) // LEDGER_CHUNK
        keys = owner * (1 << 40) + numbers
        for key in np.unique(keys).tolist():
            chunk = self._chunks.get((self._bases[key >> 40][1], key & ((1 << 40) - 1)))
            if chunk is None:
                raise StateError(
                    "a line was decided twice",
                    where=f"{self._head['source']}: near stream offset {int(offsets[0])}",
                    hint="this is a fault of the normaliser; please report it with these lines",
                )
            yield chunk, np.flatnonzero(keys == key)

    def take_closed(self) -> list[dict[str, Any]]:
        """Final records of chunks in which everything is decided, oldest first; they are forgotten here."""
        closed = [key for key, chunk in self._chunks.items() if chunk.closed]
        records = [self._record(self._chunks.pop(key), final=True) for key in closed]
        if closed:
            held = {generation for generation, _ in self._chunks}
            self._bases = [b for i, b in enumerate(self._bases) if b[1] in held or i == len(self._bases) - 1]
        return records

    def provisional(self) -> list[dict[str, Any]]:
        """Records of the open chunks of which something new is known."""
        records = []
        for chunk in self._chunks.values():
            record = self._record(chunk, final=False)
            if record["version"] > chunk.told:
                chunk.told = record["version"]
                records.append(record)
        return records

    def _record(self, chunk: Chunk, *, final: bool) -> dict[str, Any]:
        return {
            **self._head,
            "generation": chunk.generation,
            "chunk": chunk.chunk,
            "version": 2 * (chunk.lines + chunk.decided) + final,
            "final": final,
            "first_offset": chunk.first_offset,
            "end_offset": chunk.end_offset,
            "lines": chunk.lines,
            "in_events": chunk.in_events,
            "events": chunk.events,
            "dead_letters": chunk.dead_letters,
            "open_joins": chunk.open,
            "ignored": dict(sorted(chunk.ignored.items())),
            "late": chunk.late,
            "time_suspect": chunk.time_suspect,
            "sha256": self._digest(chunk),
        }

    def locate(self, stream_offset: int) -> tuple[str, int]:
        """Generation and byte offset of a line that is held."""
        at = max(0, bisect_right(self._bases, stream_offset, key=lambda b: b[0]) - 1)
        return self._bases[at][1], stream_offset - self._bases[at][0]

    def save(self) -> dict[str, Any]:
        """State as JSON values."""
        chunks = []
        for chunk in self._chunks.values():
            values = {name: getattr(chunk, name) for name in Chunk.__slots__}
            values["ignored"] = dict(chunk.ignored)
            values["told"] = 0  # whether a record went out after this state was saved, the next run cannot know
            values["sha256"] = self._digest(chunk)
            chunks.append(values)
        return {"chunks": chunks, "bases": [list(b) for b in self._bases], "reading": self._last is not None}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `save` gave; the chunk being read must then be hashed again (`rehash_from`)."""
        for values in state["chunks"]:
            chunk = Chunk(**{**values, "ignored": Counter(values["ignored"])})
            self._chunks[chunk.generation, chunk.chunk] = chunk
            if state["reading"] and not chunk.read:
                self._last, self._stale, self._reached = chunk, True, chunk.end_offset
        self._bases = [(int(base), str(generation)) for base, generation in state["bases"]]
