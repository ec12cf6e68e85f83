"""Reads a source once, in a timeline of its own, while everything else goes on.

The collector is the very one that follows logs. Its rows go where live ones go; those who judge take them for late
rows: rules without a window judge them at once, and no window that was judged is touched. Windows are judged again over
what is stored, by `aupstream rejudge`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from agents.privacy.keys import ensure
from infra.config import Config
from schemas.codec import decode
from schemas.errors import InputError
from schemas.kinds import EventKind
from schemas.sealing import Sealer
from streams.abstract import BatchSink, Message
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.positions import Positions
from streams.producer import KafkaSink
from streams.register import register_all, retire
from streams.sources.abstract import Source

_PAUSE_S = 0.02


@dataclass(slots=True)
class Sent:
    """What a reading made.

    Attributes:
        events: Ids by kind.
        rejected: Ids of lines that still cannot be read.
        first: Time of the oldest event, microseconds UTC; None: there is none.
        last: Of the newest.
        generations: Contents that were read.
        damage: Where a file is damaged or cut off, or was left out.
        ended: False: reading stopped at the damage, and goes on there once the whole file is here.
    """

    events: dict[EventKind, list[str]] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    first: int | None = None
    last: int | None = None
    generations: set[str] = field(default_factory=set)
    damage: InputError | None = None
    ended: bool = True

    @property
    def count(self) -> int:
        """Events in all."""
        return sum(map(len, self.events.values()))


class NotingSink(BatchSink):
    """Hands on to another sink, and notes what goes by.

    Args:
        inner: Takes the messages.
        refuse: Told of each content before its first row is sent; raises where it may not be.
    """

    def __init__(self, inner: BatchSink, refuse: Callable[[str], None] = lambda _: None) -> None:
        self._inner, self._refuse = inner, refuse
        self.sent = Sent()

    def partitions(self, topic: str) -> int:
        """See `BatchSink`."""
        return self._inner.partitions(topic)

    @property
    def has_room(self) -> bool:
        """See `BatchSink`."""
        return self._inner.has_room

    @property
    def acknowledged(self) -> int:
        """See `BatchSink`."""
        return self._inner.acknowledged

    def poll(self, now_us: int) -> None:
        """See `BatchSink`."""
        self._inner.poll(now_us)

    def close(self) -> None:
        """See `BatchSink`."""
        self._inner.close()

    def submit(self, message: Message) -> int:
        """See `BatchSink`."""
        headers = message.headers
        if headers is not None and headers.kind == "batch":
            if headers.generation not in self.sent.generations:
                self._refuse(headers.generation)
                self.sent.generations.add(headers.generation)
            self._note(headers.schema, message.value)
        return self._inner.submit(message)

    def _note(self, schema: str, value: bytes) -> None:
        rows = decode(schema, value, ["event_id", "timestamp"])
        if schema == "dead_letter":
            self.sent.rejected.update(rows["event_id"])
            return
        self.sent.events.setdefault(EventKind(schema), []).extend(rows["event_id"])
        times = rows["timestamp"].dt.timestamp("us")
        ends = [int(t) for t in (times.min(), times.max(), self.sent.first, self.sent.last) if t is not None]  # type: ignore[arg-type]
        self.sent.first, self.sent.last = min(ends), max(ends)


def send(
    config: Config,
    kafka: str,
    wanted: SourceConfig,
    source: Source,
    *,
    positions: Positions | None = None,
    refuse: Callable[[str], None] = lambda _: None,
    today: date | None = None,
) -> Sent:
    """Read a source to its end and hand everything on; blocks until Kafka has it.

    Args:
        config: Whose keys seal what cannot be read.
        kafka: Where to.
        wanted: The source, with a timeline.
        source: Its lines.
        positions: Where its place is kept, so that it can be cut off; None: it begins anew then.
        refuse: Told of each content before its first row is sent; raises where it may not be.
        today: Date that it is taken to be read at, for times without a year; None: today.

    Raises:
        InputError: the source cannot be read.
        StateError: what was kept of it cannot be used.
        ServerError: Kafka refuses.
    """
    if not wanted.timeline:
        raise InputError("a source without a timeline would be read twice", where=wanted.name)
    epoch = register_all([wanted], kafka)
    sink = NotingSink(KafkaSink(kafka), refuse)
    settings = CollectorSettings(epoch=epoch, today=today or datetime.now(UTC).date(), seal=_sealer(config))
    try:
        collector = Collector(wanted, source, sink, settings, positions=positions)
        try:
            to_the_end(collector, source)
        finally:
            collector.close()
    finally:
        sink.close()
    retire(wanted, kafka)
    sink.sent.damage, sink.sent.ended = source.damage, collector.finished
    return sink.sent


def to_the_end(collector: Collector, source: Source) -> None:
    """Step until everything is read and safe; what is damaged and has not ended is stopped where it is."""
    while not collector.done:
        if not collector.step(time.time_ns() // 1_000):
            time.sleep(_PAUSE_S)
        if source.damage is not None and not source.ended and not source.busy:
            collector.stop()


def _sealer(config: Config) -> Sealer | None:
    return ensure(config.privacy.keys(config.data)).sealer() if config.privacy.on else None
