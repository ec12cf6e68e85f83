"""The seam between sources and batches: what a normaliser takes and gives.

A normaliser is a pure, single-threaded state machine: no I/O, no clock, no randomness. The same lines in the same
order give the same events whatever the size of the chunks they come in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.custom.spec import FormatSpec


@dataclass(frozen=True, slots=True)
class NormaliserSettings:
    """What a source's configuration tells its normaliser.

    Attributes:
        timezone: Zone of times that carry none.
        year: Year of the first line where times carry none; None: taken from `first_seen`.
        first_seen: Date at which the source was first read; with a year-less first line, the newest year in which
            that line is not more than a day after this date.
        join_max_s: Event-time seconds after which an open join is flushed, counted from its newest line.
        max_joins: Open joins kept at most; beyond it the oldest is flushed.
        max_line_bytes: Longer lines are dead letters (`line_too_long`).
        keep_subject: Store the subject of a message itself; else its hash alone.
        mask_parameters: Names of URL parameters whose values are masked, beside those that name a secret; lower case.
        format: A format of one's own, which then is what is read.
        options: Further settings by the names that the type declares (`registry.NormaliserType.options`).
    """

    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    year: int | None = None
    first_seen: date = date(1970, 1, 1)
    join_max_s: int = 86_400
    max_joins: int = 100_000
    max_line_bytes: int = 65_536
    keep_subject: bool = False
    mask_parameters: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    format: FormatSpec | None = None


@dataclass(frozen=True, slots=True)
class LineChunk:
    """Consecutive complete lines of one generation, in order.

    Attributes:
        lines: Raw bytes without line end (neither LF nor CRLF). Never empty-list; an empty line is a line.
        offsets: Byte offset of each line's first byte in the decompressed content; same length.
    """

    lines: Sequence[bytes]
    offsets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that becomes a dead letter.

    Attributes:
        line: Index into the chunk.
        reason: Snake-case word of a closed vocabulary (`streams.normalisers.reasons`).
        detail: What exactly, for a person; never a secret.
        raw: The line with known secret patterns masked.
        masked: True where something was masked.
        timestamp: Microseconds UTC where a time could be read.
    """

    line: int
    reason: str
    detail: str
    raw: bytes
    masked: bool = False
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of a chunk.

    Every line of the chunk is in exactly one of: the event frame's `line` column or some event's `log_offsets`
    (now or later), `rejects`, `ignored`. A line that is neither rejected, ignored nor the sole line of an event of
    this chunk is *held*: it is decided when an event with its offset in `log_offsets` comes out.

    Attributes:
        events: One row an event, in the order of (`line`, `log_sub`). Columns: those of the kind's schema in its
            order, with its Polars types, less the ones that the collector adds (`COLLECTOR_COLUMNS`), plus `line`
            (UInt32): index of the line that completed it. For an event that `finish` made, `line` is 0 and the
            collector uses the end of the content as its position. `timestamp` is never null.
        rejects: Lines for the dead letters, ascending.
        ignored: (line index, reason) of lines that are no events by design, ascending.
    """

    events: pl.DataFrame
    rejects: Sequence[Reject] = ()
    ignored: Sequence[tuple[int, str]] = ()


COLLECTOR_COLUMNS = (
    "event_id",
    "log_source",
    "log_generation",
    "log_offset",
    "log_hash",
    "late",
    "time_suspect",
)


class Normaliser(ABC):
    """Lines of one source to events of one kind."""

    kind: EventKind
    type_name: str  # e.g. "squid"
    joins: bool = False  # True where lines may be held
    fields: ClassVar[tuple[str, ...]]  # columns that it can fill, for people who choose a format

    @abstractmethod
    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines. Never raises for what is in a line; never blocks."""

    def finish(self) -> Normalised | None:
        """End of content that was read once: complete what is open. None where nothing is held."""
        return None

    def save(self) -> bytes:
        """State (open joins, year) to be saved atomically with the position: JSON, UTF-8."""
        return b"{}"

    def load(self, state: bytes) -> None:
        """Take back what `save` gave, of this or the last release.

        Raises:
            StateError: it is not such a state.
        """

    @property
    def open_lines(self) -> int:
        """Number of lines held in open joins."""
        return 0
