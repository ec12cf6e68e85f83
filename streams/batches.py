"""Rows to messages: batches that never cross a position block, markers, and what each follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from zlib import crc32

import numpy as np
import polars as pl

from schemas.errors import SchemaError
from schemas.headers import NEVER, BatchHeaders, Mark, Position
from schemas.ids import partition_of
from streams.abstract import Message
from streams.rows import Rows

MAX_BYTES = 900_000  # below Kafka's default limit of 1 MiB a message, with room for headers

Encode = Callable[[str, pl.DataFrame], bytes]


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """What is the same for all batches of one source and topic.

    Attributes:
        topic: Where to.
        schema: Name of the Avro schema.
        source: Source name.
        timeline: Empty for live.
        partitions: Partitions that rows go to: those of the topic, or those that it had when rows were sent that may
            have to be sent again.
        told: Partitions of the topic, which are all told of progress.
        block_bytes: Bytes of a position block.
        batch_rows: Rows a batch at most.
        lateness_us: Progress is the maximum time less this.
        max_bytes: A larger batch is split in two.
    """

    topic: str
    schema: str
    source: str
    timeline: str
    partitions: int
    told: int
    block_bytes: int
    batch_rows: int
    lateness_us: int
    max_bytes: int = MAX_BYTES


@dataclass(slots=True)
class BatchState:
    """What is remembered of what was sent; saved with the position.

    Attributes:
        follows: By partition, the last row sent to it.
        maximum: Running maximum time as of the last row sent; None before the first.
        earliest: Earliest time as of the last row sent.
        generation: Content of the last row sent; empty before the first.
    """

    follows: dict[int, Mark] = field(default_factory=dict)
    maximum: int | None = None
    earliest: int | None = None
    generation: str = ""


class Batcher:
    """Collects rows of one source for one topic and cuts them into batches, in position order.

    Since rows leave in the order in which they were added and the progress in a batch's headers is the one as of its
    own last row, no partition is told of progress beyond a row that is still to be sent to it. Bounded: at most
    `batch_rows` rows of one block wait here.

    Args:
        settings: See there.
        encode: Schema name and frame to the bytes of an Avro container.
        state: From an earlier run.
    """

    def __init__(self, settings: BatchSettings, encode: Encode, state: BatchState | None = None) -> None:
        self.state = state or BatchState()
        self.epoch = -1
        self.added = 0  # rows taken so far
        self.sent = 0  # rows given out in batches so far
        self._settings, self._encode = settings, encode
        self._waiting: list[Rows] = []
        self._count = 0
        self._block = -1
        self._since: int | None = None

    def add(self, rows: Rows, now_us: int) -> list[Message]:
        """Take rows; gives the batches that are complete by that."""
        out: list[Message] = []
        if not len(rows):
            return out
        self.added += len(rows)
        blocks = rows.offsets // self._settings.block_bytes
        edges = [0, *(np.flatnonzero(np.diff(blocks)) + 1).tolist(), len(rows)]
        for start, stop in pairwise(edges):
            block = int(blocks[start])
            if self._waiting and (block != self._block or self._waiting[0].generation != rows.generation):
                out += self.flush()
            self._block = block
            out += self._add_to_block(rows.part(start, stop), now_us)
        return out

    def _add_to_block(self, rows: Rows, now_us: int) -> list[Message]:
        out: list[Message] = []
        start = 0
        while start < len(rows):
            stop = min(len(rows), start + self._settings.batch_rows - self._count)
            self._waiting.append(rows.part(start, stop))
            self._count += stop - start
            self._since = now_us if self._since is None else self._since
            start = stop
            if self._count >= self._settings.batch_rows:
                out += self.flush()
        return out

    def due(self, now_us: int, linger_us: int) -> bool:
        """True where the oldest waiting row has waited long enough. A clock set back counts as that."""
        return self._since is not None and not 0 <= now_us - self._since < linger_us

    def flush(self) -> list[Message]:
        """Everything that waits, as batches."""
        if not self._waiting:
            return []
        parts = self._waiting
        rows = parts[0] if len(parts) == 1 else _joined(parts)
        since = self._since
        self._waiting, self._count, self._since = [], 0, None
        return self._batches(rows, since)

    def _batches(self, rows: Rows, since: int | None) -> list[Message]:
        value = self._encoded(rows)
        if value is None:
            middle = len(rows) // 2
            return self._batches(rows.part(0, middle), since) + self._batches(rows.part(middle, len(rows)), since)
        partition = partition_of(self._settings.source, self._block, self._settings.partitions)
        last = Position(int(rows.offsets[-1]), int(rows.subs[-1]))
        state = self.state
        follows = state.follows.get(partition)
        if len(rows.running):
            state.maximum, state.earliest = _known(int(rows.running[-1])), _known(int(rows.earliest[-1]))
        state.generation = rows.generation
        state.follows[partition] = Mark(rows.generation, last)
        self.sent += len(rows)
        headers = BatchHeaders(
            kind="batch",
            schema=self._settings.schema,
            source=self._settings.source,
            count=len(rows),
            crc32=crc32(value),
            timeline=self._settings.timeline,
            generation=rows.generation,
            block=self._block,
            first=Position(int(rows.offsets[0]), int(rows.subs[0])),
            last=last,
            follows=follows,
            progress=self.progress,
            earliest=state.earliest,
            epoch=self.epoch,
            newest=state.maximum,
        )
        return [Message(self._settings.topic, partition, value, headers, read_us=since)]

    def _encoded(self, rows: Rows) -> bytes | None:
        """The container; None where it is too large and the rows can be split. A single row goes as it is."""
        try:
            value = self._encode(self._settings.schema, rows.frame)
        except SchemaError:  # beyond what the codec takes at once
            if len(rows) == 1:
                raise
            return None
        return None if len(value) > self._settings.max_bytes and len(rows) > 1 else value

    @property
    def partitions(self) -> int:
        """Partitions that rows go to."""
        return self._settings.partitions

    @property
    def progress(self) -> int:
        """Progress as of the last row sent."""
        return NEVER if self.state.maximum is None else self.state.maximum - self._settings.lateness_us

    def markers(self, *, progress: int | None = None, idle: bool = False) -> list[Message]:
        """A marker for every partition, as of the last row sent.

        Args:
            progress: In place of the progress that follows from the rows.
            idle: The source has been read to its end.
        """
        told = self.progress if progress is None else progress
        return [
            Message(
                self._settings.topic,
                partition,
                b"",
                BatchHeaders(
                    kind="marker",
                    schema=self._settings.schema,
                    source=self._settings.source,
                    timeline=self._settings.timeline,
                    generation=self.state.generation,
                    follows=self.state.follows.get(partition),
                    progress=told,
                    earliest=self.state.earliest,
                    epoch=self.epoch,
                    idle=idle,
                    newest=self.state.maximum,
                ),
            )
            for partition in range(self._settings.told)
        ]


def _joined(parts: list[Rows]) -> Rows:
    """Rows of one generation, one behind the other."""
    return Rows(
        parts[0].generation,
        pl.concat([p.frame for p in parts]),
        np.concatenate([p.offsets for p in parts]),
        np.concatenate([p.subs for p in parts]),
        np.concatenate([p.running for p in parts]),
        np.concatenate([p.earliest for p in parts]),
    )


def _known(time: int) -> int | None:
    """A running value, or None where no row has counted yet."""
    limits = np.iinfo(np.int64)
    return None if time in (limits.min, limits.max) else time
