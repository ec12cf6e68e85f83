"""Says on Kafka that sources are read, now and then, as long as they are."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from infra.run.silence import ENDED, READING
from schemas.kafkaaddress import kafka_options
from schemas.kinds import HEARTBEATS
from streams.producer import let_go
from streams.runner import Reader

log = logging.getLogger(__name__)
EACH_S = 5.0
HUNG_S = 60.0  # nobody has stepped a collector for so long: it does not read


class Heart(threading.Thread):
    """A thread beside the collectors: while Kafka is away nothing is kept for later.

    Args:
        bootstrap: Kafka.
        collectors: Of this process.
        each_s: Seconds between beats.
    """

    def __init__(self, bootstrap: str, collectors: Sequence[Reader], each_s: float = EACH_S) -> None:
        super().__init__(name="heart", daemon=True)
        self._kafka, self._collectors, self._each_s = bootstrap, collectors, each_s
        self._over = threading.Event()
        self._producer: Any = None

    def run(self) -> None:
        """Beat until told to stop."""
        while not self._over.is_set():
            self._beat()
            self._over.wait(self._each_s)

    def stop(self) -> None:
        """Say a last time who has ended, and stop."""
        self._over.set()
        self.join(timeout=2 * self._each_s)
        self._beat()
        if self._producer is not None:
            let_go(self._producer, 2)

    def _beat(self) -> None:
        try:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **kafka_options(self._kafka), acks="all", max_block_ms=2_000, request_timeout_ms=5_000,
                    delivery_timeout_ms=10_000, bootstrap_timeout_ms=2_000,
                )  # fmt: skip
            for collector in self._collectors:
                record = heartbeat(collector, time.time_ns() // 1_000)
                if record is not None:
                    self._producer.send(HEARTBEATS, json.dumps(record).encode(), key=_key(record), partition=0)
        except (KafkaError, OSError) as error:
            log.debug("no heartbeat: %r", error)


def heartbeat(collector: Reader, now_us: int) -> dict[str, Any] | None:
    """What is to be said of a source; None where it is not read: its log is away, or its collector hangs.

    Args:
        collector: Its collector.
        now_us: Wall clock, microseconds UTC.
    """
    head = {"source": collector.config.name, "newest": collector.newest, "sent_us": now_us}
    if collector.done and collector.finished:
        return {**head, "state": ENDED}
    hung = collector.stepped_us is None or now_us - collector.stepped_us > HUNG_S * 1_000_000
    if collector.done or collector.problem is not None or hung:
        return None
    return {**head, "state": READING}


def _key(record: dict[str, Any]) -> bytes:
    return str(record["source"]).encode()
