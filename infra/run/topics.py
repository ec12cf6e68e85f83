"""Topics: made before anything runs, each with what it needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from agents.settings import AGENTS
from schemas.errors import ServerError
from schemas.kinds import DEAD_LETTERS, DETECTIONS, IDENTITY, LEDGER, RULES, SOURCES, VIOLATIONS, EventKind, state_topic

DAY_MS = 86_400_000
STATE_PARTITIONS = 4
SHOWN_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be."""

    partitions: int
    config: Mapping[str, str]


def wanted(event_partitions: int, detection_partitions: int) -> dict[str, Wanted]:
    """Every topic of aupstream.

    Events are kept a week: longer than the longest outage that is promised to be caught up with. Facts are kept longer
    than events, since every worker reads them whole. Violations are kept for ever by Kafka's measure: ten years.
    """
    plain = {"max.message.bytes": "8388608", "retention.ms": str(7 * DAY_MS)}
    long = {**plain, "retention.ms": str(3650 * DAY_MS)}
    compacted = {"cleanup.policy": "compact", "max.message.bytes": "8388608", "min.cleanable.dirty.ratio": "0.3"}
    topics = {kind.topic: Wanted(event_partitions, plain) for kind in EventKind}
    topics |= {
        DEAD_LETTERS: Wanted(event_partitions, plain),
        LEDGER: Wanted(1, plain),
        SOURCES: Wanted(1, long),
        RULES: Wanted(1, long),
        IDENTITY: Wanted(1, {**plain, "retention.ms": str(60 * DAY_MS)}),
        DETECTIONS: Wanted(detection_partitions, plain),
        VIOLATIONS: Wanted(detection_partitions, long),
    }
    return topics | {state_topic(agent): Wanted(STATE_PARTITIONS, compacted) for agent in AGENTS}


def create(bootstrap: str, topics: Mapping[str, Wanted], replication: int) -> list[str]:
    """Make the topics that are missing; names of those made.

    Raises:
        ServerError: Kafka does not answer or refuses, or a topic stands with another number of partitions.
    """
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    except KafkaError as error:
        raise ServerError(f"Kafka does not answer: {error}", where=bootstrap, hint="is it running?") from error
    try:
        there = set(admin.list_topics())
        missing = [name for name in topics if name not in there]
        if missing:
            new = [
                NewTopic(n, topics[n].partitions, replication, topic_configs=dict(topics[n].config)) for n in missing
            ]
            admin.create_topics(new)
        _check(admin, topics, bootstrap)
    except TopicAlreadyExistsError:
        return []
    except KafkaError as error:
        raise ServerError(f"topics cannot be made: {error}", where=bootstrap) from error
    finally:
        admin.close()
    return missing


def _check(admin: KafkaAdminClient, topics: Mapping[str, Wanted], bootstrap: str) -> None:
    for name, number in _partitions(admin, topics).items():
        if name in topics and number != topics[name].partitions:
            raise ServerError(
                f"topic {name} has {number} partitions, the configuration says {topics[name].partitions}",
                where=bootstrap,
                hint="put the number that stands into [kafka], or use another data folder",
            )


def _partitions(admin: KafkaAdminClient, topics: Mapping[str, Wanted]) -> dict[str, int]:
    """Partitions of each topic. One that has just been made has none for a moment: it is asked again."""
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while True:
        described = admin.describe_topics(list(topics))
        found = {d.get("topic") or d.get("name") or "": len(d["partitions"]) for d in described}
        if all(found.values()) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
