"""Records of one partition, fetched ahead by a thread, so that whoever takes them never waits for Kafka."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.errors import InputError
from schemas.kafkaaddress import kafka_options

MAX_AHEAD = 16 << 20  # bytes of records held ready; the last fetch may go beyond it by FETCH_BYTES
FETCH_BYTES = 4 << 20
_POLL_MS = 500
_ASK_S = 2.0  # an idle partition is asked for its end so often: an answer shows that Kafka is there
_PAUSE_S = 1.0
_ANSWER_MS = 10_000

Record = tuple[int, bytes | None]  # Kafka offset, value


@dataclass(frozen=True, slots=True)
class Fetched:
    """Records one behind the other.

    Attributes:
        records: In the order of their offsets.
        jumped: Where reading had to begin anew in front of these, because the place that was asked for is gone.
    """

    records: list[Record]
    jumped: int | None = None


class Fetcher:
    """Fetches from an offset on, for ever.

    Args:
        bootstrap: host:port, several separated by commas.
        topic: Name.
        partition: Number.
        offset: First one wanted.
        fallback: Where that is gone: go on here if this is there, else at the oldest that is.
    """

    def __init__(self, bootstrap: str, topic: str, partition: int, offset: int, fallback: int) -> None:
        self.problem: InputError | None = None
        self.at_end = False  # Kafka answered lately that there is nothing more
        self.first_end: int | None = None  # where the partition ended when it was first asked
        self.position = offset  # of the next record to fetch
        self._bootstrap, self._place, self._fallback = bootstrap, TopicPartition(topic, partition), fallback
        self._ready: deque[Fetched] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._over = False
        self._asked_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"kafka {topic}/{partition}", daemon=True)
        self._thread.start()

    @property
    def reached_first_end(self) -> bool:
        """True where all that was there when reading began is fetched and taken."""
        with self._changed:
            return not self._ready and self.first_end is not None and self.position >= self.first_end

    def take(self) -> Fetched | None:
        """What comes next; None where nothing is here."""
        with self._changed:
            if not self._ready:
                return None
            fetched = self._ready.popleft()
            self._bytes -= _size(fetched.records)
            self._changed.notify_all()
            return fetched

    def close(self) -> None:
        """End the thread; what it is waiting for may hold it for some seconds more."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._over:
            consumer = None
            try:
                consumer = self._opened()
                self._fetch(consumer)
            except (KafkaError, OSError, ValueError) as error:
                self.at_end = False
                self.problem = InputError(
                    f"Kafka does not give records ({type(error).__name__}); waiting",
                    where=f"{self._bootstrap}: {self._place.topic}/{self._place.partition}",
                    hint="check that it runs and that there is such a topic and partition",
                )
            finally:
                if consumer is not None:
                    with contextlib.suppress(Exception):
                        consumer.close(autocommit=False)
            with self._changed:
                self._changed.wait_for(lambda: self._over, _PAUSE_S)

    def _opened(self) -> Any:
        consumer = KafkaConsumer(
            **kafka_options(self._bootstrap),
            client_id="aupstream-source",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=FETCH_BYTES,
            bootstrap_timeout_ms=5_000,
        )
        consumer.assign([self._place])
        if self.first_end is None:
            self.first_end = int(consumer.end_offsets([self._place], timeout_ms=_ANSWER_MS)[self._place])
        consumer.seek(self._place, self.position)
        return consumer

    def _fetch(self, consumer: Any) -> None:
        jumped: int | None = None
        while not self._over:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._bytes < MAX_AHEAD)
            try:
                found = consumer.poll(timeout_ms=_POLL_MS).get(self._place, [])
            except OffsetOutOfRangeError:
                jumped = self._jump(consumer)
                continue
            if not found:
                self._ask(consumer)
                continue
            records = [(int(r.offset), r.value) for r in found]
            with self._changed:
                self._ready.append(Fetched(records, jumped))
                self._bytes += _size(records)
                self.position, self.at_end, self.problem = records[-1][0] + 1, False, None
            jumped = None

    def _jump(self, consumer: Any) -> int:
        first = int(consumer.beginning_offsets([self._place], timeout_ms=_ANSWER_MS)[self._place])
        end = int(consumer.end_offsets([self._place], timeout_ms=_ANSWER_MS)[self._place])
        self.position = self._fallback if first <= self._fallback <= end else first
        consumer.seek(self._place, self.position)
        return self.position

    def _ask(self, consumer: Any) -> None:
        """Nothing came: is that because there is nothing, or because Kafka is away?"""
        now = time.monotonic()
        if now - self._asked_s < _ASK_S and self.at_end:
            return
        end = int(consumer.end_offsets([self._place], timeout_ms=_ANSWER_MS)[self._place])
        self._asked_s = now
        reached = int(consumer.position(self._place))
        with self._changed:
            self.at_end, self.problem = reached >= end and not self._ready, None
            self.position = max(self.position, reached)  # behind records that are no data: transactions' marks


def _size(records: list[Record]) -> int:
    return sum(len(value or b"") + 64 for _, value in records)
