"""Events of rule examples, sent as a collector would: registered, cut into blocks over partitions, with progress."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from agents.delivery.stage import Output
from schemas.codec import encode_batch
from schemas.headers import FOREVER, BatchHeaders, Mark, Position
from schemas.ids import event_ids, partition_of
from schemas.kinds import SOURCES, EventKind

GENERATION = "0123456789abcdef"


@dataclass(frozen=True)
class SentSource:
    """A source's events, in the order of the log."""

    name: str
    kind: EventKind
    frame: pl.DataFrame
    lateness: int = 0  # what progress is behind the newest row, microseconds
    marked: int = 0  # after so many batches every partition is told of progress; 0: never before the end


def sourced(name: str, kind: EventKind, frame: pl.DataFrame) -> SentSource:
    """Events with positions of one log, in the order of their times, and ids that fit."""
    ordered = frame.sort("timestamp", maintain_order=True).with_columns(
        log_source=pl.lit(name),
        log_generation=pl.lit(GENERATION),
        log_offset=pl.int_range(pl.len(), dtype=pl.Int64) * 100,
        log_sub=pl.lit(0, pl.Int32),
    )
    offsets = ordered["log_offset"].to_numpy()
    ids = event_ids(name, GENERATION, offsets, offsets * 0)
    return SentSource(name, kind, ordered.with_columns(event_id=pl.Series(ids, dtype=pl.String)))


def register(sources: list[SentSource]) -> list[Output]:
    """Registrations, before any row."""
    records = [{"event": "registered", "source": s.name, "kind": s.kind.value, "timeline": ""} for s in sources]
    return [Output(SOURCES, 0, json.dumps(r).encode()) for r in records]


def batches(source: SentSource, rows: int, partitions: int, epoch: int) -> list[Output]:
    """Batches of a source, a block each, then markers that it has ended."""
    out: list[Output] = []
    follows: dict[int, Mark] = {}
    times = source.frame["timestamp"].dt.timestamp("us")
    earliest = None if times.is_empty() else int(times.min())  # type: ignore[arg-type]
    newest: int | None = None

    def mark(progress: int) -> list[Output]:
        markers = (
            BatchHeaders(
                kind="marker", schema=source.kind.value, source=source.name, generation=GENERATION,
                follows=follows.get(p), progress=progress, earliest=earliest, epoch=epoch, newest=newest,
            )
            for p in range(partitions)
        )  # fmt: skip
        return [Output(source.kind.topic, p, b"", m.to_kafka()) for p, m in enumerate(markers)]

    for n, part in enumerate(source.frame.iter_slices(rows)):
        p = partition_of(source.name, n, partitions)
        first, last = Position(part["log_offset"][0]), Position(part["log_offset"][-1])
        newest = int(times[n * rows + part.height - 1])
        headers = BatchHeaders(
            kind="batch", schema=source.kind.value, source=source.name, generation=GENERATION, block=n, first=first,
            last=last, follows=follows.get(p), progress=newest - source.lateness, earliest=earliest, epoch=epoch,
            newest=newest,
        )  # fmt: skip
        headers, value = encode_batch(source.kind.value, part, headers)
        out.append(Output(source.kind.topic, p, value, headers.to_kafka()))
        follows[p] = Mark(GENERATION, last)
        if source.marked and (n + 1) % source.marked == 0:
            out += mark(newest - source.lateness)
    return out + mark(FOREVER)
