"""The sink that is Kafka: idempotent, every replica acknowledged, bounded, and patient."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_never, wait_exponential

from schemas import metrics as names
from schemas.errors import ConfigError, RetryableError, ServerError
from schemas.kafkaaddress import kafka_options
from schemas.metrics import Metrics
from schemas.traces import Span, Traces, travelling
from streams.abstract import BatchSink, Message

try:
    import crc32c as _crc32c
except ImportError as error:  # kafka-python would compute the checksum of every message in Python, 100 times slower
    raise ConfigError(
        "the package crc32c is missing, without which Kafka's checksums take most of the time",
        where="streams.producer",
        hint="install aupstream from its lock, or: pip install crc32c",
    ) from error

log = logging.getLogger(__name__)

assert _crc32c.crc32c(b"123456789") == 0xE3069283, "crc32c computes something else (RFC 3720, B.4)"

MAX_IN_FLIGHT = 32 << 20  # bytes not acknowledged at which collectors stop reading
_MAX_MESSAGE = 8 << 20
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_DENIED = (ClusterAuthorizationFailedError, TopicAuthorizationFailedError)
_LOG_EVERY_US = 5_000_000
_BACKOFF_US = (500_000, 1_000_000, 2_000_000, 5_000_000)


@dataclass(slots=True)
class _Sent:
    """A message that is not acknowledged."""

    message: Message
    future: Any = None  # kafka-python's; None: not handed over


class KafkaSink(BatchSink):
    """See `BatchSink`. After a failure a new producer sends everything from the failed message on again.

    Messages wait in one queue in the order of their tickets; its front is the oldest that is not acknowledged.
    kafka-python keeps the order within a partition (idempotence), and gives up on a message after
    `delivery_timeout_s`: then, and only then, this class goes back.

    Args:
        bootstrap: host:port, several separated by commas.
        max_in_flight: Bytes not acknowledged at which `has_room` turns False.
        delivery_timeout_s: How long one message is tried before going back.
        options: Further settings of kafka-python (security, client id).
        metrics: Counted into.
        traces: Which batches are traced; takes their spans.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        delivery_timeout_s: float = 30.0,
        options: dict[str, Any] | None = None,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
    ) -> None:
        self._metrics, self._traces = metrics or Metrics(), traces or Traces()
        self.retries = 0  # times that sending went back
        self._bootstrap, self._max, self._timeout_s = bootstrap, max_in_flight, delivery_timeout_s
        self._options = options or {}
        self._producer: Any = None
        self._queue: deque[_Sent] = deque()
        self._handed = 0  # messages at the front of the queue that are handed over
        self._bytes = 0
        self._tickets = 0
        self._acknowledged = 0
        self._failures = 0  # in a row
        self._wait_until: int | None = None
        self._logged_us: int | None = None
        self._counts: dict[str, int] = {}

    def partitions(self, topic: str) -> int:
        """See `BatchSink`; asked once a topic. Waits for Kafka for ever, saying so every few seconds."""
        if topic not in self._counts:
            self._counts[topic] = _patiently(lambda: self._ask(topic), self._bootstrap)
        return self._counts[topic]

    def _ask(self, topic: str) -> int:
        producer = self._opened()
        found = producer.partitions_for(topic)
        if not found:
            raise ServerError(
                f"there is no topic {topic}",
                where=self._bootstrap,
                hint="let `aupstream` make its topics, or make it with the partitions that the configuration names",
            )
        return len(found)

    @property
    def has_room(self) -> bool:
        """See `BatchSink`."""
        return self._bytes < self._max

    @property
    def acknowledged(self) -> int:
        """See `BatchSink`."""
        return self._acknowledged

    def submit(self, message: Message) -> int:
        """See `BatchSink`."""
        self._queue.append(_Sent(message))
        self._bytes += message.size
        self._tickets += 1
        return self._tickets

    def poll(self, now_us: int) -> None:
        """See `BatchSink`."""
        self._take_acknowledgements(now_us)
        if self._wait_until is not None and self._wait_until - _BACKOFF_US[-1] <= now_us < self._wait_until:
            return
        self._wait_until = None
        try:
            self._hand_over()
        except _TOO_LARGE as error:
            raise self._refused(error, self._queue[self._handed].message) from error
        except KafkaError as error:
            self._back_off(error, now_us)

    def close(self) -> None:
        """See `BatchSink`."""
        if self._producer is not None:
            # Its thread would go on sending behind the next producer's back: nothing is waited for.
            let_go(self._producer, 0)
            self._producer = None

    def _hand_over(self) -> None:
        """Give the producer what it does not have yet."""
        while self._handed < len(self._queue):
            waiting = self._queue[self._handed]
            message = waiting.message
            headers = _headers(message, self._traces)
            waiting.future = self._opened().send(
                message.topic, message.value, key=message.key, headers=headers, partition=message.partition
            )
            self._handed += 1

    def _take_acknowledgements(self, now_us: int) -> None:
        while self._queue and (future := self._queue[0].future) is not None and future.is_done:
            if future.failed():
                self._go_back(future.exception, now_us)
                return
            sent = self._queue.popleft()
            self._handed -= 1
            self._bytes -= sent.message.size
            self._acknowledged += 1
            self._failures = 0
            self._report(sent.message, now_us)
        self._metrics.set(names.BACKLOG, self._bytes)
        if self._failures == 0:
            self._logged_us = None

    def _report(self, message: Message, now_us: int) -> None:
        """Count what is safe, and end the span of a traced batch."""
        self._metrics.add(names.BATCHES_SENT, topic=message.topic)
        self._metrics.add(names.BYTES_SENT, len(message.value), topic=message.topic)
        headers = message.headers
        context = self._traces.begin(headers) if self._traces.on and headers is not None else None
        if context is None or headers is None or headers.first is None or headers.last is None:
            return
        about: dict[str, str | int] = {
            "aup.source": headers.source,
            "aup.generation": headers.generation,
            "aup.first_offset": headers.first.offset,
            "aup.last_offset": headers.last.offset,
            "aup.rows": headers.count,
            "messaging.system": "kafka",
            "messaging.destination.name": message.topic,
            "messaging.destination.partition.id": str(message.partition),
        }
        start = now_us if message.read_us is None else min(message.read_us, now_us)
        self._traces.record(Span("collect", context, None, start * 1_000, now_us * 1_000, about))

    def _go_back(self, error: BaseException, now_us: int) -> None:
        """The oldest message failed: send it and all behind it again, whatever became of those, with a new producer."""
        self.close()
        for sent in self._queue:
            sent.future = None
        self._handed = 0
        if isinstance(error, _TOO_LARGE):
            # It is tried again when somebody asks next: the limit may have been raised by then.
            raise self._refused(error, self._queue[0].message) from error
        self.retries += 1
        self._metrics.add(names.SEND_RETRIES)
        self._back_off(error, now_us)

    def _back_off(self, error: BaseException, now_us: int) -> None:
        self._wait_until = now_us + _BACKOFF_US[min(self._failures, len(_BACKOFF_US) - 1)]
        self._failures += 1
        if self._logged_us is None or not 0 <= now_us - self._logged_us < _LOG_EVERY_US:
            self._logged_us = now_us
            # A right that was taken away may be given back: until then it is as if Kafka were away.
            denied = ": give the collector leave to write" if isinstance(error, _DENIED) else ""
            log.warning(
                "Kafka at %s does not take messages (%s%s): waiting, %d of them kept, nothing is lost",
                self._bootstrap,
                type(error).__name__,
                denied,
                len(self._queue),
            )

    def _refused(self, error: BaseException, message: Message) -> ServerError:
        whose = "" if message.headers is None else f" of source {message.headers.source}"
        return ServerError(
            f"Kafka refuses a message{whose} of {len(message.value)} bytes: {type(error).__name__}",
            where=f"{message.topic}/{message.partition}",
            hint="set max.message.bytes of the topic to 8388608",
        )

    def _opened(self) -> Any:
        if self._producer is None:
            settings = {
                **kafka_options(self._bootstrap),
                "client_id": "aupstream-collector",
                "acks": "all",
                "enable_idempotence": True,
                "compression_type": None,  # the Avro containers are compressed
                "linger_ms": 0,
                "batch_size": 1 << 16,
                "max_request_size": _MAX_MESSAGE,
                "max_block_ms": 500,
                "delivery_timeout_ms": round(self._timeout_s * 1_000),
                "request_timeout_ms": round(self._timeout_s * 500),
                "bootstrap_timeout_ms": 5_000,
                "reconnect_backoff_max_ms": 2_000,
            }
            self._producer = KafkaProducer(**{**settings, **self._options})
        return self._producer


def _headers(message: Message, traces: Traces) -> list[tuple[str, bytes]]:
    """Headers of a message, with when it was read, and its trace where it has one."""
    if message.headers is None:
        return []
    span = traces.begin(message.headers)
    return message.headers.to_kafka() + travelling(message.read_us, () if span is None else (span,))


def flush(sink: BatchSink, ticket: int, clock: Callable[[], int], timeout_s: float) -> bool:
    """Poll until everything up to a ticket is safe; False where it was not in time."""
    end = clock() + round(timeout_s * 1_000_000)
    while sink.acknowledged < ticket:
        if clock() > end:
            return False
        sink.poll(clock())
        time.sleep(0.005)
    return True


def _patiently(ask: Callable[[], int], where: str) -> int:
    """Ask again until Kafka answers."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("Kafka at %s does not answer (%s): asking again", where, type(error).__name__)

    retrying = Retrying(
        retry=retry_if_exception_type((KafkaError, RetryableError)),
        stop=stop_never,
        wait=wait_exponential(multiplier=0.5, max=5),
        before_sleep=say,
        reraise=True,
    )
    return int(retrying(ask))


def let_go(producer: Any, timeout_s: float = 5) -> None:
    """Close a producer of kafka-python, whether Kafka is there or not; what it has not sent by then is dropped.

    `close` of kafka-python 3.0.12 raises while messages are open and leaves the thread running, and the producer writes
    a traceback when it is collected: the thread is ended first.

    Args:
        producer: Used by nobody any more.
        timeout_s: So long messages that are open are waited for.
    """
    if timeout_s > 0:
        with contextlib.suppress(KafkaError):
            producer.close(timeout=timeout_s)
            return
    producer._sender.force_close()  # noqa: SLF001
    with contextlib.suppress(KafkaError):
        producer.close(timeout=2)
