"""Declares sources absent that nobody hears of any more, and back again, for every worker alike.

One for a Kafka, where the agents run. What is decided stands in `silence`; here is the thread that asks Kafka.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from agents.delivery.letters import letter
from agents.delivery.stage import Message
from infra.run.silence import Silence
from schemas.errors import CorruptBatchError
from schemas.kafkaaddress import kafka_options
from schemas.kinds import HEARTBEATS, SOURCES
from streams.producer import let_go
from streams.register import write

log = logging.getLogger(__name__)
OWN_S = 2.0  # between own beats
_PAUSE_S = 5.0  # after Kafka did not answer


class Absences(threading.Thread):
    """See the module; a thread of its own since Kafka may keep it waiting.

    Args:
        bootstrap: Kafka.
        after_s: A source that was not heard of for so long, while Kafka was there, is absent.
    """

    def __init__(self, bootstrap: str, after_s: float) -> None:
        super().__init__(name="absences", daemon=True)
        self._kafka = bootstrap
        self._after_s = after_s
        self._run = uuid.uuid4().hex
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._said: list[str] = []

    def poll(self) -> list[str]:
        """What happened since the last call, as sentences."""
        with self._lock:
            said, self._said = self._said, []
            return said

    def stop(self) -> None:
        """Ask it to end."""
        self._over.set()

    def run(self) -> None:
        """Watch until told to stop; begins anew where Kafka was away."""
        while not self._over.is_set():
            try:
                self._watch()
            except (KafkaError, OSError) as error:
                log.warning("Kafka does not answer (%s): nobody is declared absent meanwhile", type(error).__name__)
                self._over.wait(_PAUSE_S)
            except Exception:
                log.exception("watching for absent sources failed, and begins anew")
                self._over.wait(_PAUSE_S)

    def _watch(self) -> None:
        places = [TopicPartition(topic, 0) for topic in (SOURCES, HEARTBEATS)]
        consumer = KafkaConsumer(**kafka_options(self._kafka), enable_auto_commit=False, fetch_max_wait_ms=500)
        producer = KafkaProducer(
            **kafka_options(self._kafka), acks="all", max_block_ms=5_000, delivery_timeout_ms=10_000,
            request_timeout_ms=5_000,
        )  # fmt: skip
        silence, beat_s, written = Silence(self._after_s), 0.0, -1
        try:
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends = consumer.end_offsets(places)
            while not self._over.is_set():
                now = time.monotonic()
                if now - beat_s >= OWN_S:
                    passed = min(now - beat_s, 2 * OWN_S) if beat_s else 0.0
                    beat_s = now
                    own = {"watch": self._run, "passed_s": passed, "sent_us": time.time_ns() // 1_000}
                    producer.send(HEARTBEATS, json.dumps(own).encode(), key=_KEY, partition=0)
                for records in consumer.poll(timeout_ms=500).values():
                    for record in records:
                        self._take(silence, producer, record)
                there = all(consumer.position(place) >= ends[place] for place in places)
                if there and consumer.position(places[0]) > written:
                    written = self._declare(silence, written)
        finally:
            consumer.close()
            let_go(producer, 2)

    def _take(self, silence: Silence, producer: Any, record: Any) -> None:
        try:
            plain = json.loads(record.value or b"")
            if record.topic == SOURCES:
                silence.told(plain)
            elif "watch" not in plain:
                silence.heard(plain)
            elif plain["watch"] == self._run:
                silence.beat(float(plain["passed_s"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if record.topic == HEARTBEATS:  # of the other one detect says it
                message = Message(record.topic, record.partition, record.offset, record.value or b"", (), record.key)
                told = letter(message, "absences", CorruptBatchError("no heartbeat", where=message.where))
                log.warning("refused: %s: no heartbeat (%s)", message.where, type(error).__name__)
                producer.send(told.topic, told.value, key=told.key, headers=list(told.headers))

    def _declare(self, silence: Silence, written: int) -> int:
        records = list(silence.due())
        if not records:
            return written
        offset = write(records, self._kafka)
        with self._lock:
            self._said += [_sentence(record) for record in records]
        return offset


_KEY = f"watch@{socket.gethostname()}".encode()


def _sentence(record: Mapping[str, Any]) -> str:
    name = record["source"]
    if record["event"] == "absent":
        return (
            f"source {name} is absent: nothing was heard of it for {record['silent_s']} s; rules that read it go on "
            "without it, and what they say is marked incomplete"
        )
    if record["event"] == "returned":
        return f"source {name} is back"
    return f"source {name} has read what it had missed; what was judged without it is judged again"
