"""Whether ClickHouse has all events that Kafka has: judging again without some of them would say what is not so."""

from __future__ import annotations

import time

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import ServerError
from schemas.kafkaaddress import kafka_options
from schemas.kinds import EventKind

PATIENCE_S = 120.0  # checkpoints are seconds apart; whoever is behind by more is asked for again later
_LOOK_S = 1.0
_GROUP = "aup-persist"  # what it has committed is in ClickHouse


def wait_until_stored(kafka: str, patience_s: float = PATIENCE_S) -> None:
    """Block until all events are stored that are on Kafka now.

    Args:
        kafka: Address of Kafka.
        patience_s: Seconds.

    Raises:
        ServerError: they are not, or Kafka does not answer.
    """
    try:
        consumer = KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False, group_id=_GROUP)
    except KafkaError as error:
        raise ServerError(f"Kafka does not answer: {error}", where=kafka, hint="is it running?") from error
    try:
        places = [
            TopicPartition(kind.topic, number)
            for kind in EventKind
            for number in sorted(consumer.partitions_for_topic(kind.topic) or ())
        ]
        ends, deadline = consumer.end_offsets(places), time.monotonic() + patience_s
        oldest = consumer.beginning_offsets(places)
        while behind := {p: end for p in places if _at(consumer, p, oldest[p]) < (end := ends[p])}:
            if time.monotonic() > deadline:
                some = ", ".join(f"{p.topic}/{p.partition}" for p in behind)
                raise ServerError(
                    f"not all events are in ClickHouse yet, after {patience_s:.0f} s",
                    where=some,
                    hint="nothing was changed; see with `aupstream status` whether persist runs, and judge again later",
                )
            places = list(behind)
            time.sleep(_LOOK_S)
    except KafkaError as error:
        raise ServerError(f"Kafka does not answer: {error}", where=kafka, hint="is it running?") from error
    finally:
        consumer.close()


def _at(consumer: KafkaConsumer, place: TopicPartition, oldest: int) -> int:
    return max(int(consumer.committed(place) or 0), oldest)
