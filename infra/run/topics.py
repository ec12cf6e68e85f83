"""Topics: made before anything runs, each with what it needs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from agents.settings import AGENTS
from infra.privacy_settings import Retention
from infra.run.knock import knock, refused
from schemas.errors import ServerError
from schemas.kafkaaddress import KafkaAddress, kafka_options
from schemas.kinds import (
    DEAD_LETTERS,
    DETECTIONS,
    HEARTBEATS,
    IDENTITY,
    LEDGER,
    RULES,
    SOURCES,
    VIOLATIONS,
    EventKind,
    state_topic,
)

DAY_MS = 86_400_000
FOR_EVER_DAYS = 3_650
_KEEP = "retention.ms"
STATE_PARTITIONS = 4
SHOWN_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be."""

    partitions: int
    config: Mapping[str, str]


def wanted(
    event_partitions: int,
    detection_partitions: int,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> dict[str, Wanted]:
    """Every topic of aupstream.

    Events are kept nine days where nothing else is said: longer than the longest outage that is promised to be caught
    up with, and the longest window of a shipped rule. Facts are kept longer than events, since every worker reads them
    whole. Violations are kept as long as in ClickHouse, for ever by Kafka's measure: ten years; their topic keeps the
    number of partitions that it was made with, since all that is said of one violation must stay in one of them.
    """
    # The broker's own time: it refuses messages from a client whose clock is more than an hour ahead.
    plain = {
        "max.message.bytes": "8388608",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(retention.kafka_days * DAY_MS),
    }
    long = {**plain, "retention.ms": str(FOR_EVER_DAYS * DAY_MS)}
    letters = min(retention.kafka_days, retention.dead_letters_days or FOR_EVER_DAYS)
    violations = retention.violations_days or FOR_EVER_DAYS
    compacted = {
        "cleanup.policy": "compact",
        "max.message.bytes": "8388608",
        "message.timestamp.type": "LogAppendTime",
        "min.cleanable.dirty.ratio": "0.3",
    }
    topics = {kind.topic: Wanted(event_partitions, plain) for kind in EventKind}
    topics |= {
        DEAD_LETTERS: Wanted(event_partitions, {**plain, "retention.ms": str(letters * DAY_MS)}),
        LEDGER: Wanted(1, plain),
        SOURCES: Wanted(1, long),
        HEARTBEATS: Wanted(1, compacted),
        RULES: Wanted(1, long),
        IDENTITY: Wanted(1, {**plain, "retention.ms": str(retention.identity_days * DAY_MS)}),
        DETECTIONS: Wanted(detection_partitions, plain),
        VIOLATIONS: Wanted(detection_partitions, {**plain, "retention.ms": str(violations * DAY_MS)}),
    }
    return topics | {state_topic(agent): Wanted(STATE_PARTITIONS, compacted) for agent in AGENTS}


def create(bootstrap: str, topics: Mapping[str, Wanted], replication: int) -> list[str]:
    """Make the topics that are missing, and let those of events grow; names of those made.

    Raises:
        ServerError: Kafka does not answer or refuses, or a topic stands with another number of partitions.
    """
    knock(bootstrap)
    try:
        admin = KafkaAdminClient(**kafka_options(bootstrap))
    except KafkaError as error:
        raise refused(bootstrap, error, "Kafka does not answer") from error
    try:
        there = set(admin.list_topics())
        missing = [name for name in topics if name not in there]
        if missing:
            new = [
                NewTopic(n, topics[n].partitions, replication, topic_configs=dict(topics[n].config)) for n in missing
            ]
            admin.create_topics(new)
        _grow(admin, topics)
        _check(admin, topics, bootstrap)
    except TopicAlreadyExistsError:
        return []
    except KafkaError as error:
        raise refused(bootstrap, error, "topics cannot be made") from error
    finally:
        admin.close()
    return missing


def _grow(admin: KafkaAdminClient, topics: Mapping[str, Wanted]) -> None:
    """Give topics of events the partitions that the configuration asks for, where they have fewer.

    Collectors send what they may have to send again where it went, so this may be done at any time; those that run go
    on as they are and must be started again, since only then they tell the new partitions of progress.
    """
    growing = {*(kind.topic for kind in EventKind), DEAD_LETTERS}
    found = _partitions(admin, topics)
    more = {n: topics[n].partitions for n in growing if 0 < found.get(n, 0) < topics[n].partitions}
    if more:
        admin.create_partitions(more)
        deadline = time.monotonic() + SHOWN_WITHIN_S
        while more.items() - _partitions(admin, topics).items() and time.monotonic() < deadline:
            time.sleep(0.1)  # a broker tells of the old number for a moment


def keep_for(bootstrap: str, topics: Mapping[str, Wanted]) -> list[str]:
    """Give topics that stand with another retention the one that they should have; what was changed, as sentences.

    Raises:
        ServerError: Kafka does not answer or refuses.
    """
    timed = {name: topic.config[_KEEP] for name, topic in topics.items() if _KEEP in topic.config}
    try:
        admin = KafkaAdminClient(**kafka_options(bootstrap))
        try:
            stand = _standing(admin, timed)
            other = {name: ms for name, ms in timed.items() if stand.get(name, ms) != ms}
            if other:
                changed = [ConfigResource(ConfigResourceType.TOPIC, name, {_KEEP: ms}) for name, ms in other.items()]
                admin.alter_configs(changed)
        finally:
            admin.close()
    except KafkaError as error:
        raise refused(bootstrap, error, "retention of topics cannot be set") from error
    return [f"topic {name} keeps {int(ms) // DAY_MS} days from now on" for name, ms in sorted(other.items())]


def _standing(admin: KafkaAdminClient, names: Iterable[str]) -> dict[str, str]:
    """Retention of topics as they stand, milliseconds."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, [_KEEP]) for name in names]
    found = admin.describe_configs(asked, config_filter="all").get("topic", {})
    return {name: str(configs[_KEEP]["value"]) for name, configs in found.items() if _KEEP in configs}


def _check(admin: KafkaAdminClient, topics: Mapping[str, Wanted], bootstrap: str) -> None:
    for name, number in _partitions(admin, topics).items():
        if name in topics and name != VIOLATIONS and number != topics[name].partitions:
            raise ServerError(
                f"topic {name} has {number} partitions, the configuration says {topics[name].partitions}",
                where=KafkaAddress.of(bootstrap).servers,
                hint=other_number(name),
            )


def other_number(name: str) -> str:
    """What to do where a topic stands with another number of partitions than the configuration says."""
    if name == DETECTIONS:
        return "put the number that stands into [kafka], or stop the agents and give `aupstream repartition`"
    return "put the number that stands into [kafka], or use another data folder"


def _partitions(admin: KafkaAdminClient, topics: Mapping[str, Wanted]) -> dict[str, int]:
    """Partitions of each topic. One that has just been made has none for a moment: it is asked again."""
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while True:
        described = admin.describe_topics(list(topics))
        found = {d.get("topic") or d.get("name") or "": len(d["partitions"]) for d in described}
        if all(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
