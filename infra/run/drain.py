"""Has everything that was read come out at the other end? Asked of the workers' status files and Kafka's ends."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from agents.settings import AGENTS, INPUTS
from schemas.kafkaaddress import kafka_options
from schemas.kinds import DETECTIONS, IDENTITY, VIOLATIONS

FRESH_S = 10.0  # an older status file is of a worker that does not run
ANSWER_S = 3.0  # whoever asks also starts again what died, Kafka perhaps: it must not wait for long


def statuses(folder: Path, *, now: float | None = None) -> Iterator[dict[str, Any]]:
    """Status of every worker that runs, as it wrote it; with `age_s`."""
    now = time.time() if now is None else now
    for path in sorted(folder.glob("*.json")):
        try:
            status = json.loads(path.read_text())
        except (OSError, ValueError):
            continue  # being replaced, or left half-written by a kill: the next one counts
        status["age_s"] = now - status.get("at", 0)
        if status["age_s"] <= FRESH_S:
            yield status


class Drain:
    """Compares what workers applied with the ends of their topics.

    Args:
        bootstrap: Kafka.
        status: Folder of status files.
        partitions: Partitions by topic.
    """

    def __init__(self, bootstrap: str, status: Path, partitions: dict[str, int]) -> None:
        self._status, self._partitions = status, dict(partitions)
        self._bootstrap = bootstrap
        self._consumer: KafkaConsumer | None = None
        self._last: object = None

    def ends(self) -> dict[str, int]:
        """End offset of every partition of the topics that agents read, by topic/partition.

        Raises:
            KafkaError: Kafka does not answer.
        """
        wanted = [TopicPartition(t, p) for t, n in self._partitions.items() for p in range(n)]
        if self._consumer is None:
            self._consumer = KafkaConsumer(**kafka_options(self._bootstrap), enable_auto_commit=False)
            # Of this topic what stands counts, and not what is configured for detections.
            standing = len(self._consumer.partitions_for_topic(VIOLATIONS) or ())
            self._partitions[VIOLATIONS] = standing or self._partitions[VIOLATIONS]
            wanted = [TopicPartition(t, p) for t, n in self._partitions.items() for p in range(n)]
        found = self._consumer.end_offsets(wanted, timeout_ms=round(ANSWER_S * 1000))
        return {f"{tp.topic}/{tp.partition}": end for tp, end in found.items()}

    def left(self, pids: Collection[int] | None = None) -> dict[str, int]:
        """Messages not yet applied, by agent; rows that wait inside agents count as messages, and so do unsent ones.

        Args:
            pids: Processes that count; None: all that wrote a status lately. What a worker that was killed had applied
                is no news: its successor goes on from what was saved.

        Raises:
            KafkaError: Kafka does not answer.
        """
        # Statuses first, ends after: what a worker had sent when it wrote its status is then in the ends.
        running = list(statuses(self._status))
        ends = self.ends()
        applied: dict[str, dict[str, int]] = {agent: {} for agent in AGENTS}
        inside = dict.fromkeys(AGENTS, 0)
        for status in running:
            if status["agent"] not in applied or (pids is not None and status["pid"] not in pids):
                continue
            inside[status["agent"]] += int(status.get("sending", 0))
            for place, figures in status["inputs"].items():
                applied[status["agent"]][place] = figures["applied"] + 1
                inside[status["agent"]] += int(figures.get("untold", 0) + figures.get("waiting", 0))
        return {
            agent: inside[agent]
            + sum(
                max(0, ends[f"{topic}/{p}"] - applied[agent].get(f"{topic}/{p}", 0))
                for topic in INPUTS[agent]
                for p in range(self._partitions[topic])
            )
            for agent in AGENTS
        }

    def is_empty(self, pids: Collection[int] | None = None) -> bool:
        """True where nothing is left, and nothing was added since the last time it was asked; `pids` as for `left`.

        False too where Kafka does not answer.
        """
        try:
            ends = self.ends()
            self._last, before = ends, self._last
            return ends == before and not any(self.left(pids).values())
        except KafkaError:
            return False

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close()


def agent_partitions(event_partitions: int, detection_partitions: int) -> dict[str, int]:
    """Partitions of every topic that any agent reads."""
    topics = {topic for inputs in INPUTS.values() for topic in inputs}
    special = {DETECTIONS: detection_partitions, VIOLATIONS: detection_partitions, IDENTITY: 1, "aup.ledger": 1}
    return {topic: special.get(topic, event_partitions) for topic in topics}
