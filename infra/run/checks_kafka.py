"""What `aupstream doctor` looks at in Kafka: that it lets us in, what we may, topics, their retention, and clocks.

Retention is held against what it is for: a topic that is read again after an outage has to reach back over the outage
and the time to catch up; one from which windows are made anew, when a checkpoint is lost, over the longest window, too.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from agents.rules.model import RuleSet
from infra.config import Config
from infra.run.checks import SKEW_S, Check, State
from infra.run.knock import knock, refused
from infra.run.topics import DAY_MS, Wanted, other_number, wanted
from schemas.errors import AupstreamError
from schemas.kafkaaddress import KafkaAddress, kafka_options
from schemas.kinds import DETECTIONS, HEARTBEATS, VIOLATIONS, EventKind

OUTAGE_MS = DAY_MS  # Kafka, ClickHouse or an agent away for so long is to be caught up with
REBUILD_MS = 60 * 60_000  # catching up after that
_KEEP, _CLEAN, _LARGEST = "retention.ms", "cleanup.policy", "max.message.bytes"
_NEWEST = 500  # heartbeats that are looked at
_BEATS = 10  # of one sender
_WAIT_MS = 2_000


@dataclass(slots=True)
class Found:
    """What was found out about topics.

    Attributes:
        retention_ms: Of each topic that stands, milliseconds.
    """

    retention_ms: dict[str, int] = field(default_factory=dict)


def kafka(config: Config, address: str, found: Found) -> Iterator[Check]:
    """Whether it lets us in, what we may, and whether topics and clocks are as they should be.

    Args:
        config: The configuration.
        address: Of Kafka.
        found: Is filled.
    """
    servers = KafkaAddress.of(address).servers
    try:
        knock(address)
        admin = KafkaAdminClient(**kafka_options(address), bootstrap_timeout_ms=5_000)
    except AupstreamError as error:
        yield Check("Kafka", "bad", f"{error.where}: {error.what}", error.hint)
        return
    except KafkaError as error:
        yield Check("Kafka", "bad", f"{servers} does not answer: {error}", "is it running? is the address right?")
        return
    settings = config.kafka
    topics = wanted(settings.event_partitions, settings.detection_partitions, config.privacy.retention)
    try:
        described = {d.get("topic") or d.get("name"): d for d in admin.describe_topics(list(topics))}
        there = {str(name): len(one["partitions"]) for name, one in described.items() if one["partitions"]}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics if name in there]
        configs = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    except KafkaError as error:
        said = refused(address, error, "topics cannot be looked at")
        yield Check("Kafka", "bad", said.what, said.hint)
        return
    finally:
        admin.close()
    yield Check("Kafka", "ok", f"{servers} lets us in")
    standing = {n: {k: str(v["value"]) for k, v in one.items()} for n, one in configs.items()}
    found.retention_ms |= {name: int(one[_KEEP]) for name, one in standing.items() if _KEEP in one}
    yield from _topics(topics, there, standing)
    yield from _rights({str(n): one.get("authorized_operations") for n, one in described.items() if n in there})
    if HEARTBEATS in there:
        yield _clocks(address)


def _topics(topics: Mapping[str, Wanted], there: Mapping[str, int], standing: Mapping[str, Any]) -> Iterator[Check]:
    missing = sorted(topics.keys() - there.keys())
    if missing:
        detail = f"{len(missing)} are missing or hidden from us: {', '.join(missing[:3])} …"
        yield Check(
            "topics", "warning", detail, "they are made at the first start, by who may CREATE and DESCRIBE them"
        )
    for name in sorted(topics.keys() & there.keys()):
        if name != VIOLATIONS and there[name] != topics[name].partitions:
            detail = f"{name} has {there[name]} partitions, the configuration says {topics[name].partitions}"
            yield Check("topics", "bad", detail, other_number(name))
        for key, value in topics[name].config.items():
            is_now = standing.get(name, {}).get(key)
            if is_now is None or is_now == value or key in (_KEEP, "min.cleanable.dirty.ratio"):
                continue
            state: State = "bad" if key == _CLEAN or (key == _LARGEST and int(is_now) < int(value)) else "warning"
            todo = f"kafka-configs.sh --alter --topic {name} --add-config {key}={value}"
            yield Check("topics", state, f"{name}: {key} is {is_now}, not {value}", todo)
    if not missing:
        yield Check("topics", "ok", f"all {len(topics)} are there")


def _rights(allowed: Mapping[str, Any]) -> Iterator[Check]:
    """What this account may do with topics, as the broker says."""
    lacking: dict[str, list[str]] = {}
    for name, operations in sorted(allowed.items()):
        for right in ("READ", "WRITE") if operations is not None else ():
            if right not in operations:
                lacking.setdefault(right, []).append(name)
    for right, names in lacking.items():
        detail = f"this account may not {right} {len(names)} of {len(allowed)} topics: {', '.join(names[:3])} …"
        todo = f"kafka-acls.sh --add --allow-principal User:… --operation {right} --topic aup. "
        todo += "--resource-pattern-type prefixed; collectors alone need WRITE only, and READ of aup.sources"
        yield Check("access", "warning", detail, todo)
    if allowed and not lacking:
        yield Check("access", "ok", f"this account may read and write all {len(allowed)} topics")


def _clocks(address: str) -> Check:
    """How far the clocks of machines that beat are from the broker's, which stamps what comes in."""
    try:
        skews = _skews(address)
    except (KafkaError, OSError) as error:
        return Check("broker clock", "unknown", f"heartbeats cannot be read: {type(error).__name__}", "")
    if not skews:
        return Check("broker clock", "unknown", "nothing has told its time: start `aupstream run`", "")
    who, skew = max(skews.items(), key=lambda one: abs(one[1]))
    detail = f"Kafka's is {skew:+.1f} s from that of {who}"
    if abs(skew) <= SKEW_S:
        return Check("broker clock", "ok", detail)
    return Check("broker clock", "bad", detail, "let NTP set both: times of lines without a zone or year hang on it")


def _skews(address: str) -> dict[str, float]:
    """Seconds from each sender's clock to the broker's, by its newest heartbeats: the one that travelled fastest."""
    place, found = TopicPartition(HEARTBEATS, 0), dict[str, deque[float]]()
    consumer = KafkaConsumer(**kafka_options(address), enable_auto_commit=False, bootstrap_timeout_ms=5_000)
    try:
        consumer.assign([place])
        end, first = consumer.end_offsets([place])[place], consumer.beginning_offsets([place])[place]
        consumer.seek(place, max(first, end - _NEWEST))
        while consumer.position(place) < end:
            records = consumer.poll(timeout_ms=_WAIT_MS).get(place, [])
            for record in records:
                who, sent = _told(record.value)
                if sent is not None:
                    skews = found.setdefault(who, deque(maxlen=_BEATS))
                    skews.append(record.timestamp / 1_000 - sent / 1_000_000)
            if not records:
                break
    finally:
        consumer.close()
    return {who: min(skews) for who, skews in found.items()}


def _told(value: bytes | None) -> tuple[str, float | None]:
    """Who sent a heartbeat and when, microseconds by their own clock; None where it does not say."""
    try:
        plain = json.loads(value or b"")
        sent = plain.get("sent_us")
        return f"source {plain['source']}" if "source" in plain else "the watch", None if sent is None else float(sent)
    except (ValueError, TypeError, AttributeError):
        return "", None


def retention(config: Config, rules: RuleSet, found: Found) -> Iterator[Check]:
    """Of every topic that is read again, against what it is for: as it stands, else as it would be made."""
    longest = max(rules.rules, key=lambda r: r.timespan_us, default=None)
    window_ms = 0 if longest is None else longest.timespan_us // 1_000
    topics = wanted(1, 1, config.privacy.retention)
    needed = OUTAGE_MS + REBUILD_MS
    for name in (*(kind.topic for kind in EventKind), DETECTIONS):
        said = int(topics[name].config[_KEEP])
        kept = found.retention_ms.get(name, said)
        if 0 <= kept != said and config.privacy.retention.model_fields_set:  # else a start leaves it as it is, too
            detail = f"{name} is kept {_days(kept)}, and [privacy.retention] says {_days(said)}"
            todo = (
                f"kafka-configs.sh --alter --topic {name} --add-config {_KEEP}={said}, or a restart of `aupstream run`"
            )
            yield Check("retention", "warning", detail, todo)
        if 0 <= kept < needed:
            detail = f"{name} is kept {_days(kept)}; an outage and catching up take {_days(needed)}"
            yield Check("retention", "bad", detail, "raise privacy.retention.kafka_days")
        elif name == DETECTIONS and 0 <= kept < needed + window_ms and longest is not None:
            detail = f"{name} is kept {_days(kept)}, the longest window is {_days(window_ms)} ({longest.id})"
            detail += ": a lost checkpoint could not be made anew whole"
            days = -(-(needed + window_ms) // DAY_MS)
            todo = f"set privacy.retention.kafka_days = {days}, or keep copies of the state topics"
            yield Check("retention", "warning", detail, todo)
        else:
            yield Check("retention", "ok", f"{name} is kept {_days(kept)}")


def _days(milliseconds: int) -> str:
    """Days in words; Kafka keeps for ever what has a negative retention."""
    return "for ever" if milliseconds < 0 else f"{milliseconds / DAY_MS:.3g} days"
