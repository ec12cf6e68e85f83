"""Announcing rules: the files to `aup.rules`, then from when they judge to `aup.sources`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from agents.delivery.feed import Registry
from agents.delivery.rulebook import Period, announcement, pieces
from agents.delivery.stage import Message
from agents.rules.bundle import Bundle, RuleSources, pack_rules
from schemas.codec import decode
from schemas.errors import AupstreamError, ConfigError, CorruptBatchError, ServerError
from schemas.headers import FOREVER, NEVER, BatchHeaders
from schemas.jsonutil import canonical
from schemas.kafkaaddress import kafka_options
from schemas.kinds import RULES, SOURCES, EventKind
from streams.producer import let_go

TAILS = (32, 1_024, None)  # newest messages of a partition that are looked at until a batch is among them; None: all
AHEAD_S = 60.0  # rules begin to judge so much later than they are announced while events come in
SILENT_S = 60.0  # Kafka that gives nothing of what it has for so long does not answer
_LOADING = 4.0  # and so many times as long as reading them took here


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was announced.

    Attributes:
        period: The set in force, or soon.
        changed: False where that very set was announced before.
        rules: How many rules it has.
    """

    period: Period
    changed: bool
    rules: int


def announce(kafka: str, sources: RuleSources, *, start: int | None = None, running: bool = True) -> Outcome:
    """Read rules, and announce them if they are not those announced last.

    Args:
        kafka: Bootstrap servers, of a Kafka that has our topics.
        sources: Where the rules are.
        start: Event time from which they judge, microseconds UTC; None: soon.
        running: True where events may be coming in. Without, *soon* is right after the newest event there is; with, it
            is far enough ahead of that and of the clock that every worker knows the rules before.

    Raises:
        Errors: everything that is wrong with the rules; nothing is announced then.
        ConfigError: `start` is not ahead of all events that there are.
        ServerError: Kafka does not do as it should.
    """
    began = time.monotonic()
    ruleset = sources.load()
    took = time.monotonic() - began
    bundle = pack_rules(sources)
    try:
        before = periods(kafka)
        if before and before[-1].version == bundle.version and start is None:
            return Outcome(before[-1], changed=False, rules=len(ruleset.rules))
        period = Period(_start(kafka, before, start, max(AHEAD_S, _LOADING * took) if running else 0.0), bundle.version)
        _send(kafka, bundle, period)
    except KafkaError as error:
        raise ServerError(f"rules cannot be announced: {error}", where=kafka, hint="is Kafka running?") from error
    return Outcome(period, changed=True, rules=len(ruleset.rules))


def periods(kafka: str) -> tuple[Period, ...]:
    """What was announced so far, in order. Raises `KafkaError`."""
    return registry(kafka).rules


def registry(kafka: str) -> Registry:
    """All that `aup.sources` says so far. Raises `KafkaError`."""
    found = Registry()
    for message in _messages(kafka, [TopicPartition(SOURCES, 0)], None):
        with suppress(CorruptBatchError):  # detect makes a dead letter of it
            found.take(message)
    return found


def shown(start: int) -> str:
    """A start as ISO 8601 in UTC."""
    return "the beginning" if start == NEVER else datetime.fromtimestamp(start / 1e6, UTC).isoformat()


def _start(kafka: str, before: tuple[Period, ...], wanted: int | None, ahead_s: float) -> int:
    if not before:
        if wanted is not None:
            raise ConfigError("the first rules are in force since ever", where="--at", hint="leave it out")
        return NEVER
    newest = max(_newest(kafka), before[-1].start)
    if wanted is not None and wanted <= newest:
        raise ConfigError(
            f"there are events, or rules announced, up to {shown(newest)}; new rules must begin later",
            where="--at",
            hint="rows that are judged are not judged again; `aupstream backtest` says what other rules make of them",
        )
    if wanted is not None:
        return wanted
    if not ahead_s:
        return newest + (newest > NEVER)  # where nothing ever came the new rules, too, are in force since ever
    return max(newest, time.time_ns() // 1_000) + int(ahead_s * 1e6)


def _newest(kafka: str) -> int:
    """A time that no event is newer than, microseconds UTC; `NEVER` where none ever came."""
    lateness = 0.0
    for message in _messages(kafka, [TopicPartition(SOURCES, 0)], None):
        lateness = max(lateness, _lateness(message))
    return max(_newest_of(kafka, kind, int(lateness * 1e6)) for kind in EventKind)


def _lateness(message: Message) -> float:
    try:
        return float(json.loads(message.value).get("lateness_s", 0))
    except (ValueError, TypeError, AttributeError):
        return 0.0


def _newest_of(kafka: str, kind: EventKind, lateness_us: int) -> int:
    newest = NEVER
    for place in _places(kafka, kind.topic):
        for tail in TAILS:
            batches = 0
            for message in _messages(kafka, [place], tail):
                progress, times = _told(kind, message)
                batches += bool(times)
                newest = max(newest, *times, progress + lateness_us if NEVER < progress < FOREVER else NEVER)
            if batches:
                break
    return newest


def _told(kind: EventKind, message: Message) -> tuple[int, list[int]]:
    """Progress and newest time of a message; what cannot be read is counted by those who read it."""
    try:
        progress = BatchHeaders.from_kafka(message.headers, where=message.where).progress
        if not message.value:
            return progress, []
        frame = decode(kind.value, message.value, ("timestamp", "time_suspect"))
    except AupstreamError:
        return NEVER, []
    newest = frame.filter(~frame["time_suspect"])["timestamp"].dt.timestamp("us").max()
    return progress, [NEVER if newest is None else int(newest)]  # type: ignore[arg-type]


def _places(kafka: str, topic: str) -> list[TopicPartition]:
    consumer = KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False)
    try:
        return [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    finally:
        consumer.close()


def _messages(kafka: str, places: list[TopicPartition], tail: int | None) -> Iterator[Message]:
    """Messages of some partitions as of now; of each the newest `tail`, None: all.

    Raises:
        KafkaError: also where nothing came of what is there for `SILENT_S`.
    """
    consumer = KafkaConsumer(**kafka_options(kafka), enable_auto_commit=False, fetch_max_wait_ms=50)
    try:
        consumer.assign(places)
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, begins[place] if tail is None else max(begins[place], ends[place] - tail))
        heard = time.monotonic()
        while any(consumer.position(place) < ends[place] for place in places):
            polled = consumer.poll(timeout_ms=500)
            if not polled and time.monotonic() - heard > SILENT_S:
                raise KafkaTimeoutError(f"nothing came for {SILENT_S:.0f} s")
            for records in polled.values():
                for r in records:
                    yield Message(r.topic, r.partition, r.offset, r.value or b"", r.headers or (), r.key)
            heard = time.monotonic() if polled else heard
    finally:
        consumer.close()


def _send(kafka: str, bundle: Bundle, period: Period) -> None:
    """The files first: whoever reads the announcement finds them."""
    producer = KafkaProducer(**kafka_options(kafka), acks="all", enable_idempotence=True, max_request_size=8_388_608)
    try:
        sent = [producer.send(RULES, part, key=key, partition=0) for key, part in pieces(bundle.version, bundle.data)]
        for future in sent:
            future.get(timeout=30)
        record = announcement(period) | {"at": datetime.now(UTC).isoformat()}
        producer.send(SOURCES, canonical(record).encode(), key=b"rules", partition=0).get(timeout=30)
    finally:
        let_go(producer)
