"""How workers hear of permits: records on `aup.sources`, which every worker reads whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kafka import KafkaProducer
from kafka.errors import KafkaError

from agents.context.permitlog import Record
from agents.delivery.feed import PERMIT
from infra.run.announcing import registry
from schemas.errors import ServerError
from schemas.jsonutil import canonical
from schemas.kafkaaddress import kafka_options
from schemas.kinds import SOURCES
from streams.producer import let_go

_WAIT_S = 30


def tell(kafka: str, records: Iterable[Record]) -> int:
    """Send the records that are not on the topic yet, in their order; how many those were.

    Raises:
        ServerError: Kafka does not answer.
    """
    try:
        told = {_key(r) for r in registry(kafka).permits}
        missing = [r for r in records if _key(r) not in told]
        if missing:
            _send(kafka, missing)
    except KafkaError as error:
        raise ServerError(f"permits cannot be told: {error}", where=kafka, hint="is Kafka running?") from error
    return len(missing)


def _key(record: Record) -> tuple[str, str, str]:
    return str(record.get("action")), str(record.get("id")), str(record.get("recorded"))


def _send(kafka: str, records: Sequence[Record]) -> None:
    producer = KafkaProducer(**kafka_options(kafka), acks="all")
    try:
        sent = [producer.send(SOURCES, canonical({"event": PERMIT, **r}).encode(), partition=0) for r in records]
        producer.flush(_WAIT_S)
        for one in sent:
            one.get(timeout=_WAIT_S)
    finally:
        let_go(producer)
