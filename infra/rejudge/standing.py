"""Violations as they stand, from the topic, newest versions: with names, which ClickHouse does not have."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from agents.engine.episodes import Records
from agents.engine.pipeline import last_versions
from schemas.errors import AupstreamError, ServerError
from schemas.kafkaaddress import kafka_options
from schemas.kinds import VIOLATIONS
from schemas.records import decode_as, encode_record
from streams.producer import let_go

_SILENT_POLLS = 60
_WAIT_S = 30


def standing(kafka: str) -> Records:
    """Newest version of every violation on the topic, by first event.

    Raises:
        ServerError: Kafka does not answer.
    """
    try:
        return last_versions(list(_records(kafka)))
    except KafkaError as error:
        raise ServerError(f"violations cannot be read: {error}", where=kafka, hint="is Kafka running?") from error


def _records(kafka: str) -> Iterable[dict[str, object]]:
    consumer = KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)
    try:
        places = [TopicPartition(VIOLATIONS, p) for p in sorted(consumer.partitions_for_topic(VIOLATIONS) or ())]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends, silent = consumer.end_offsets(places), 0
        while any(consumer.position(place) < ends[place] for place in places):
            polled = consumer.poll(timeout_ms=500)
            silent = 0 if polled else silent + 1
            if silent > _SILENT_POLLS:
                raise ServerError("Kafka gives no more messages", where=VIOLATIONS)
            for message in (m for batch in polled.values() for m in batch):
                try:
                    yield decode_as("violation", message.value or b"")
                except AupstreamError:
                    continue  # counted by those who read it live
    finally:
        consumer.close()


def send(kafka: str, records: Records) -> None:
    """Send records in their order; those of one id stay in theirs.

    Raises:
        ServerError: Kafka does not take them.
    """
    producer = KafkaProducer(**kafka_options(kafka), acks="all", enable_idempotence=True)
    try:
        sent = [producer.send(VIOLATIONS, encode_record("violation", r), key=r["id"].encode()) for r in records]
        for one in sent:
            one.get(timeout=_WAIT_S)
    except KafkaError as error:
        hint = "judge again: what was sent already is the same then"
        raise ServerError(f"not all could be sent: {error}", where=kafka, hint=hint) from error
    finally:
        let_go(producer)
