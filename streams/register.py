"""Registration: before the first row of any source is read, everybody can know that it is there.

A source that is registered has progress minus infinity until its collector says otherwise, so no watermark passes what
it may still bring. The offset of the newest record on the topic is the *epoch* in every header.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from tenacity import before_sleep_log, retry, retry_if_exception_type, stop_never, wait_exponential

from schemas.errors import ServerError
from schemas.jsonutil import canonical
from schemas.kafkaaddress import kafka_options
from schemas.kinds import SOURCES, EventKind
from streams.config import SourceConfig

log = logging.getLogger(__name__)

Record = Mapping[str, Any]
_ENDS = ("retired", "absent")  # newest records after which a source must be announced again


def registration(config: SourceConfig, kind: EventKind | None = None) -> dict[str, Any]:
    """The record that announces a source.

    Args:
        config: The source.
        kind: Kind of its events; None: its type's.

    Raises:
        ConfigError: there is no such type.
    """
    return {
        "event": "registered",
        "source": config.name,
        "kind": (kind or config.kind).value,
        "type": config.type,
        "timeline": config.timeline,
        "lateness_s": config.lateness_s,
    }


def missing(wanted: Iterable[Record], there: Iterable[Record]) -> list[Record]:
    """Registrations that do not stand: never written, of other content, or of a source retired or absent since.

    Args:
        wanted: Registrations of the sources that are about to be read.
        there: All records of the topic, oldest first.
    """
    standing: dict[tuple[str, str], dict[str, Any]] = {}
    for record in there:
        key = (str(record.get("source")), str(record.get("timeline", "")))
        if record.get("event") == "registered":
            standing[key] = _content(record)
        elif record.get("event") in _ENDS:
            standing.pop(key, None)
    return [r for r in wanted if standing.get((r["source"], r["timeline"])) != _content(r)]


@retry(
    retry=retry_if_exception_type(KafkaError),
    stop=stop_never,
    wait=wait_exponential(multiplier=0.5, max=5),
    before_sleep=before_sleep_log(log, logging.WARNING),
    reraise=True,
)
def register_all(sources: Iterable[SourceConfig], bootstrap: str, *, topic: str = SOURCES) -> int:
    """Announce the sources that are not announced; waits for Kafka.

    Args:
        sources: All that this process is about to read.
        bootstrap: host:port, several separated by commas.
        topic: Of one partition.

    Returns:
        The epoch: offset of the newest record, -1 where there is none.

    Raises:
        ServerError: the topic is missing or has more than one partition.
        ConfigError: a source is of no known type.
    """
    wanted = [registration(source) for source in sources]
    records, newest = _read_all(bootstrap, topic)
    new = missing(wanted, records)
    if not new:
        return newest
    return write(new, bootstrap, topic=topic)


def retire(source: SourceConfig, bootstrap: str) -> None:
    """Say that a source has ended for good. Raises `KafkaError` where Kafka does not take it."""
    write([{**registration(source), "event": "retired"}], bootstrap)


def write(records: Iterable[Record], bootstrap: str, *, topic: str = SOURCES) -> int:
    """Write records about sources; gives the offset of the last. Raises `KafkaError` where Kafka does not take them."""
    producer = KafkaProducer(**kafka_options(bootstrap), acks="all", enable_idempotence=True)
    try:
        keyed = [(f"{r['source']}\0{r['timeline']}".encode(), canonical(r).encode()) for r in records]
        sent = [producer.send(topic, value, key=key, partition=0) for key, value in keyed]
        return max(int(future.get(timeout=30).offset) for future in sent)
    finally:
        producer.close(timeout=5)


def _read_all(bootstrap: str, topic: str) -> tuple[list[Record], int]:
    """All readable records of the topic, and the offset of the newest."""
    consumer = KafkaConsumer(**kafka_options(bootstrap), enable_auto_commit=False, group_id=None)
    try:
        partitions = consumer.partitions_for_topic(topic)
        if partitions != {0}:
            raise ServerError(
                f"topic {topic} has {len(partitions or ())} partitions and must have one",
                where=bootstrap,
                hint="let `aupstream` make its topics",
            )
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        records: list[Record] = []
        newest = -1
        while consumer.position(place) < end:
            for message in consumer.poll(timeout_ms=1_000).get(place, []):
                newest = message.offset
                records += _parsed(message.value)
        return records, newest
    finally:
        consumer.close()


def _content(record: Record) -> dict[str, Any]:
    """A registration without the time at which it was written."""
    return {name: value for name, value in record.items() if name != "at"}


def _parsed(value: bytes | None) -> list[Record]:
    try:
        record = json.loads(value or b"")
    except ValueError:
        return []
    return [record] if isinstance(record, dict) else []
