"""The collectors' road without servers: logs in, decoded batches out, by the same code as with Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import polars as pl

from schemas.codec import decode_batch
from schemas.headers import BatchHeaders
from streams.abstract import Message
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.memory import MemorySink
from streams.sources.abstract import Source
from streams.sources.make import make_source


class Delivered(NamedTuple):
    """One message of the road.

    Attributes:
        headers: Of a batch or marker; None for a ledger record.
        frame: Rows of a batch; None otherwise.
        message: As it would have gone to Kafka.
    """

    headers: BatchHeaders | None
    frame: pl.DataFrame | None
    message: Message


def deliveries(
    configs: Sequence[SourceConfig],
    *,
    now_us: int,
    today: date,
    partitions: int = 1,
    make: Callable[[SourceConfig], Source] = make_source,
) -> Iterator[Delivered]:
    """Read logs once, taking turns a portion each, and give every message in the order of sending.

    Args:
        configs: The logs; mode `once` whatever they say would never end otherwise.
        now_us: Wall clock of the whole reading, microseconds UTC: a time far ahead at the end of a log is confirmed
            if it is not after this.
        today: Date that year-less logs are taken to have been read at.
        partitions: Partitions of the event topics.
        make: Opens a log.

    Raises:
        AupstreamError: a log is missing or unreadable.
    """
    sink = MemorySink(partitions)
    settings = CollectorSettings(epoch=0, today=today)
    running = [Collector(config, make(config), sink, settings) for config in configs]
    try:
        while running:
            for collector in list(running):
                collector.step(now_us)
                for message in sink.take():
                    yield _delivered(message)
            running = [c for c in running if not c.done]
    finally:
        for collector in running:
            collector.close()


def frames(
    configs: Sequence[SourceConfig], *, now_us: int, today: date, partitions: int = 1
) -> Iterator[tuple[BatchHeaders, pl.DataFrame | None]]:
    """`deliveries` without the ledger: headers, and the rows of a batch or None for a marker."""
    for delivered in deliveries(configs, now_us=now_us, today=today, partitions=partitions):
        if delivered.headers is not None:
            yield delivered.headers, delivered.frame


def _delivered(message: Message) -> Delivered:
    headers = message.headers
    if headers is None or headers.kind != "batch":
        return Delivered(headers, None, message)
    frame = decode_batch(headers, message.value, f"{message.topic}/{message.partition}")
    return Delivered(headers, frame, message)
