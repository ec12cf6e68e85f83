"""Normalised events to rows that are complete but for their stamps: ids, places and hashes added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from schemas.ids import MAX_SUB, event_prefix
from streams.normalisers.abstract import Reject

Ints = npt.NDArray[np.int64]
_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), dtype="S2")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one generation in position order.

    Attributes:
        generation: Their content.
        frame: All columns of the schema.
        offsets: `log_offset` of each.
        subs: `log_sub` of each.
        running: Running maximum time as of each row, microseconds; empty for dead letters.
        earliest: Earliest time as of each row, microseconds; empty for dead letters.
    """

    generation: str
    frame: pl.DataFrame
    offsets: Ints
    subs: Ints
    running: Ints
    earliest: Ints

    def __len__(self) -> int:
        return len(self.offsets)

    def part(self, start: int, stop: int) -> Rows:
        """Rows `start` up to `stop`."""
        return Rows(
            self.generation,
            self.frame.slice(start, stop - start),
            self.offsets[start:stop],
            self.subs[start:stop],
            self.running[start:stop],
            self.earliest[start:stop],
        )


def places(line_offsets: Ints, subs: Ints) -> tuple[Ints, Ints]:
    """Positions of events from the offset of their line and their index among the line's events.

    An id has 16 bits for the index. One line may complete more events than that (all joins flushed at once); further
    ones take the offsets of the line's following bytes, which no other line has.
    """
    if not len(subs) or int(subs.max()) <= MAX_SUB:
        return line_offsets, subs
    return line_offsets + (subs >> 16), subs & MAX_SUB


def id_column(source: str, generation: str, offsets: Ints, subs: Ints) -> pl.Series:
    """`schemas.ids.event_ids` as a column, without a Python string for each."""
    packed = ((offsets.astype(np.uint64) << np.uint64(16)) | subs.astype(np.uint64)).astype(">u8")
    text = np.empty((len(offsets), 32), np.uint8)
    text[:, :16] = np.frombuffer(event_prefix(source, generation).encode(), np.uint8)
    text[:, 16:] = _HEX[packed.view(np.uint8)].view(np.uint8).reshape(-1, 16)
    return _fixed_text("event_id", text)


def hash_column(lines: Sequence[bytes]) -> pl.Series:
    """`schemas.ids.line_hash` of every line."""
    digests = b"".join([blake2b(line, digest_size=16).digest() for line in lines])
    return _fixed_text("log_hash", _HEX[np.frombuffer(digests, np.uint8)].view(np.uint8).reshape(-1, 32))


def _fixed_text(name: str, text: npt.NDArray[np.uint8]) -> pl.Series:
    """A column of ASCII strings that are all of the same length, one a row of the matrix."""
    count, width = text.shape
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int64)
    array = pa.LargeStringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(np.ascontiguousarray(text)))
    return pl.Series(name, pl.from_arrow(array), dtype=pl.String)


def located(
    events: pl.DataFrame, source: str, generation: str, offsets: Ints, subs: Ints, hashes: pl.Series
) -> pl.DataFrame:
    """Events with everything but the stamps.

    Args:
        events: As the normaliser gave them.
        source: Source name.
        generation: Content.
        offsets: Place of each event.
        subs: Index of each event.
        hashes: Hash of the line of each event.
    """
    return events.drop("line").with_columns(
        id_column(source, generation, offsets, subs),
        pl.lit(source).alias("log_source"),
        pl.lit(generation).alias("log_generation"),
        pl.Series("log_offset", offsets, dtype=pl.Int64),
        pl.Series("log_sub", subs, dtype=pl.Int32),
        hashes,
    )


def dead_letters(
    rejects: Sequence[Reject],
    lines: Sequence[bytes],
    offsets: Ints,
    lengths: Sequence[int],
    place: tuple[str, str, str],
    limit: int,
) -> Rows:
    """Rejected lines as rows of the schema `dead_letter`.

    Args:
        rejects: What the normaliser rejected.
        lines: The rejected lines, as read.
        offsets: Their places.
        lengths: Their full lengths.
        place: Source name, source type, generation.
        limit: Bytes kept of each at most.
    """
    source, type_name, generation = place
    count = len(rejects)
    subs = np.zeros(count, np.int64)
    frame = pl.DataFrame(
        [
            id_column(source, generation, offsets, subs),
            pl.Series("log_source", [source] * count, dtype=pl.String),
            pl.Series("log_generation", [generation] * count, dtype=pl.String),
            pl.Series("log_offset", offsets, dtype=pl.Int64),
            pl.Series("log_sub", subs, dtype=pl.Int32),
            hash_column(lines),
            pl.Series("timestamp", [r.timestamp for r in rejects], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
            pl.Series("stage", ["normalise"] * count, dtype=pl.String),
            pl.Series("format", [type_name] * count, dtype=pl.String),
            pl.Series("reason", [r.reason for r in rejects], dtype=pl.String),
            pl.Series("detail", [r.detail for r in rejects], dtype=pl.String),
            pl.Series("raw", [r.raw[:limit] for r in rejects], dtype=pl.Binary),
            pl.Series("raw_length", lengths, dtype=pl.Int64),
            pl.Series("masked", [r.masked for r in rejects], dtype=pl.Boolean),
        ]
    )
    nothing = np.empty(0, np.int64)
    return Rows(generation, frame, offsets, subs, nothing, nothing)
