"""A part of an event topic: between two offsets, or two times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from agents.delivery.reader import Reader, all_seen, only_new
from infra.cli.configuration import Chosen
from infra.cli.output import Bar, warn
from infra.cli.store import embedded
from schemas.codec import decode_batch
from schemas.errors import ConfigError, CorruptBatchError, ServerError
from schemas.headers import BatchHeaders
from schemas.kafkaaddress import kafka_options
from schemas.kinds import EventKind

_RANGE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)(?:/(?P<partition>\d+))?(?:@(?P<first>.*?)\.\.(?P<last>.*))?")
_KINDS = {kind.topic: kind for kind in EventKind}
_POLL_MS = 1_000
_SILENT_POLLS = 30  # polls without an answer before it is said that Kafka does not answer
Bound = int | datetime | None


@dataclass(frozen=True, slots=True)
class Range:
    """Messages of one topic.

    Attributes:
        bootstrap: Servers.
        topic: An event topic.
        partition: Its number; None: all.
        first: Offset, or time at which the messages were written; None: the oldest that is there.
        last: The same, not included; None: what is there when reading begins.
    """

    bootstrap: str
    topic: str
    partition: int | None
    first: Bound
    last: Bound

    @property
    def name(self) -> str:
        """For people."""
        return self.topic

    def check(self) -> None:
        """Nothing can be said before the server is asked."""

    def frames(self, bar: Bar) -> Iterator[tuple[EventKind, pl.DataFrame]]:
        """Events, repeats left out; what cannot be read is passed over with a word.

        Raises:
            ServerError: Kafka does not answer, or has not the topic.
        """
        try:
            consumer = KafkaConsumer(**kafka_options(self.bootstrap), enable_auto_commit=False, group_id=None)
        except (KafkaError, OSError) as error:
            hint = "is it running?"
            raise ServerError(f"Kafka does not answer: {error}", where=self.bootstrap, hint=hint) from error
        try:
            spans = [(place, *self._span(consumer, place)) for place in self._partitions(consumer)]
            bar.expect(sum(max(0, end - at) for _, at, end in spans))
            for place, at, end in spans:
                yield from self._read(consumer, place, at, end, bar)
        except KafkaError as error:
            raise ServerError(f"Kafka refuses: {error}", where=self.topic) from error
        finally:
            consumer.close()

    def _partitions(self, consumer: Any) -> list[Any]:
        known = sorted(consumer.partitions_for_topic(self.topic) or ())
        wanted = known if self.partition is None else [p for p in known if p == self.partition]
        if not wanted:
            raise ServerError(f"there is no partition {self.partition or 0} of {self.topic}", where=self.bootstrap)
        return [TopicPartition(self.topic, p) for p in wanted]

    def _span(self, consumer: Any, place: Any) -> tuple[int, int]:
        """First offset, and the one after the last."""
        consumer.assign([place])
        beginning = consumer.beginning_offsets([place])[place]
        newest = consumer.end_offsets([place])[place]
        at = max(beginning, _offset(consumer, place, self.first, beginning, newest))
        return at, min(newest, _offset(consumer, place, self.last, newest, newest))

    def _read(self, consumer: Any, place: Any, at: int, end: int, bar: Bar) -> Iterator[tuple[EventKind, pl.DataFrame]]:
        consumer.assign([place])
        consumer.seek(place, at)
        reader, silent = Reader(), 0
        while at < end:
            records = consumer.poll(timeout_ms=_POLL_MS).get(place, [])
            silent = 0 if records else silent + 1
            if silent > _SILENT_POLLS:
                raise ServerError("Kafka gives no more messages", where=f"{self.topic}/{place.partition}/{at}")
            for record in records:
                if record.offset >= end:
                    return
                bar(record.offset + 1 - at)
                at = record.offset + 1
                frame = self._events(record, reader)
                if frame is not None and frame.height:
                    yield _KINDS[self.topic], frame
            at = max(at, consumer.position(place)) if not records else at

    def _events(self, record: Any, reader: Reader) -> pl.DataFrame | None:
        where = f"{self.topic}/{record.partition}/{record.offset}"
        try:
            headers = BatchHeaders.from_kafka(record.headers or (), where=where)
            if headers.kind != "batch":
                return None
            # Not `Reader.check`: a range may begin anywhere, what came before it is not missed.
            mark = reader.marks.get((headers.source, headers.timeline), {}).get(headers.generation)
            if all_seen(headers, mark):
                return None
            frame = only_new(decode_batch(headers, record.value, where), mark)
        except CorruptBatchError as error:
            warn(f"{error}; passed over")
            return None
        reader.advance(headers)
        return frame


def _offset(consumer: Any, place: Any, bound: Bound, default: int, newest: int) -> int:
    """Offset of a bound; of a time, the first message that was written at it or later."""
    if isinstance(bound, datetime):
        found = consumer.offsets_for_times({place: int(bound.timestamp() * 1_000)}).get(place)
        return newest if found is None else int(found.offset)
    return default if bound is None else bound


def range_of(text: str, chosen: Chosen) -> Range:
    """Read `TOPIC[/PARTITION][@FROM..TO]`.

    Raises:
        ConfigError: it is something else, or no topic of events.
        ServerError: no Kafka is configured, and the embedded one does not run.
    """
    found = _RANGE.fullmatch(text)
    if found is None or found["topic"] not in _KINDS:
        hint = f"write kafka:TOPIC[/PARTITION][@FROM..TO], offsets or ISO 8601; topics are {', '.join(_KINDS)}"
        raise ConfigError("this names no part of an event topic", where=f"kafka:{text}", hint=hint)
    first, last = (_bound(found[name], text) for name in ("first", "last"))
    bootstrap = chosen.config.kafka.address
    if not bootstrap:
        running = embedded(chosen)
        if running is None:
            hint = "start `aupstream up`, or set kafka.bootstrap"
            raise ServerError("no embedded Kafka is running", where=f"kafka:{text}", hint=hint)
        bootstrap = running.kafka
    partition = None if found["partition"] is None else int(found["partition"])
    return Range(bootstrap, found["topic"], partition, first, last)


def _bound(text: str | None, whole: str) -> Bound:
    if not text:
        return None
    if text.isdecimal():
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write an offset, or a time in ISO 8601"
        raise ConfigError(f"{text!r} is neither", where=f"kafka:{whole}", hint=hint) from error
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
