"""Whether a worker moves on: what Kafka has is held against what was taken.

Faust consumers are known to stall without a word (faust-streaming 175, 523, 597, 629). A client that fetches nothing
any more does not know either that there is more: the ends of the topics are asked of Kafka by a client of our own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from agents.delivery.snapshots import Place
from agents.sinks import patience
from schemas.errors import ConfigError
from schemas.kafkaaddress import kafka_options

log = logging.getLogger("aupstream.agent")
ASK_S = 15.0  # between two questions to Kafka
ANSWER_MS = 10_000
NOTHING_S = 60.0  # messages wait, and none of any partition was taken for so long
ONE_S = 300.0  # messages of one partition wait, and none of it was taken for so long while others were
STEP_S = 600.0  # one message takes so long and nothing is waited for; a server that does not answer may take 300 s


class Ends:
    """Ends of partitions, asked of Kafka by a client of its own.

    Args:
        kafka: Address of Kafka.
    """

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._client: Any = None

    def __call__(self, places: Mapping[Place, int]) -> Mapping[Place, int]:
        """Offset of the next message of each partition; empty where Kafka does not answer."""
        if not places:
            return {}
        try:
            if self._client is None:
                self._client = KafkaConsumer(**kafka_options(self._kafka), request_timeout_ms=ANSWER_MS)
            asked = [TopicPartition(*place) for place in places]
            return {Place(tp.topic, tp.partition): end for tp, end in self._client.end_offsets(asked).items()}
        except (KafkaError, ConfigError, OSError) as error:
            log.info("Kafka was not asked how far its topics are: %s", error)
            client, self._client = self._client, None
            if client is not None:
                client.close()
            return {}


class Stalls:
    """Says that a worker is stuck.

    Args:
        taken: Next offset of every partition that the worker has.
        ends: Offset of the next message of each, as Kafka has it.
        busy_since: Monotonic time since which one step has been going on; None between steps.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        taken: Callable[[], Mapping[Place, int]],
        ends: Callable[[Mapping[Place, int]], Mapping[Place, int]],
        busy_since: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._taken, self._ends, self._busy_since, self._clock = taken, ends, busy_since, clock
        self._seen: Mapping[Place, int] = {}
        self._waits: dict[Place, float] = {}  # since when messages wait there and none is taken
        self._moved_s = float("-inf")  # when any partition was seen to have moved
        self._asked_s = float("-inf")

    def look(self) -> str | None:
        """Why it is stuck; None where it is not."""
        now, free = self._clock(), patience.since_s()
        busy = self._busy_since()
        if free is None or (busy is not None and now - busy > ASK_S):
            self._waits.clear()  # messages wait behind that step, or for a server
        if busy is not None and free is not None and now - max(busy, free) > STEP_S:
            return f"one step has taken {now - busy:.0f} s, and no server is waited for"
        if now - self._asked_s < ASK_S:
            return None
        self._asked_s = now
        return self._stuck(now)

    def _stuck(self, now: float) -> str | None:
        taken, before, waited = self._taken(), self._seen, self._waits
        if any(offset != before.get(place, offset) for place, offset in taken.items()):
            self._moved_s = now
        ends = self._ends(taken)
        self._seen, self._waits = taken, {}
        for place, offset in taken.items():
            if ends.get(place, offset) > offset:
                since = waited.get(place, now) if before.get(place) == offset else now
                self._waits[place] = since
        for place, since in self._waits.items():
            long = now - since
            if long > ONE_S or (long > NOTHING_S and now - self._moved_s > NOTHING_S):
                at = f"next is {taken[place]}, the end is {ends[place]}"
                return f"{place.text}: {at}, nothing came for {long:.0f} s"
        return None


def client_gone(consumer: Any) -> str | None:
    """That the client's part in its group has ended, which it tells nobody; None while it goes on.

    Args:
        consumer: Faust's.
    """
    client = getattr(getattr(consumer, "_thread", None), "_consumer", None)
    coordinator = None if client is None else client._coordinator  # noqa: SLF001  # there is no other way to know
    task = None if coordinator is None else getattr(coordinator, "_coordination_task", None)
    if client is None or task is None or not task.done() or client._closed:  # noqa: SLF001
        return None
    error = None if task.cancelled() else task.exception()
    return None if error is None else f"the client has left its group: {error!r}"
