"""Gives `aup.detections` another number of partitions.

Rows of one key must stay in one partition, and the state of windows belongs to the partition, so the topic cannot just
grow. It is made anew, and what detect and correlate had saved is thrown away: at their next start they read the events
that Kafka still has from the beginning and come to the same violations, with the ids and versions that they have.
Everything downstream takes those for the repeats that they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from infra.run.knock import knock, refused
from infra.run.topics import SHOWN_WITHIN_S, Wanted, create
from schemas.errors import InputError, ServerError
from schemas.kafkaaddress import KafkaAddress, kafka_options
from schemas.kinds import DETECTIONS, state_topic

PATIENCE_S = 120.0  # longer than a worker's session
AGENTS = ("detect", "correlate")  # whose state is by partition of detections, or tells what was sent there


@dataclass(frozen=True, slots=True)
class Repartitioned:
    """What was done.

    Attributes:
        before: Partitions that it had.
        now: Partitions that it has.
        remade: Topics that were made anew; none: nothing was to be done.
    """

    before: int
    now: int
    remade: tuple[str, ...] = ()


def repartition(
    bootstrap: str,
    topics: Mapping[str, Wanted],
    replication: int,
    say: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> Repartitioned:
    """Make the topic anew with the number that the configuration asks for. It may be cut off and called again.

    Args:
        bootstrap: Kafka.
        topics: All topics as they should be.
        replication: Of those that are made.
        say: Told what is being done.
        patience_s: How long agents that run are waited for.

    Raises:
        InputError: agents run.
        ServerError: Kafka does not answer or refuses.
    """
    knock(bootstrap)
    try:
        admin = KafkaAdminClient(**kafka_options(bootstrap))
        try:
            before, gone = _standing(admin), [DETECTIONS, *map(state_topic, AGENTS)]
            if before == topics[DETECTIONS].partitions:
                return Repartitioned(before, before)
            _wait_for_their_end(admin, bootstrap, say, patience_s)
            # The topic of detections last: as long as it stands with the old number, this is to be done again.
            say(f"removing {', '.join(gone[1:])}, {DETECTIONS}")
            for name in (*gone[1:], DETECTIONS):
                _remove(admin, name)
            # A member that stays would be given no more than it had.
            admin.delete_groups([f"aup-{agent}" for agent in AGENTS])
        finally:
            admin.close()
    except KafkaError as error:
        raise refused(bootstrap, error, f"{DETECTIONS} cannot be made anew") from error
    say("making them anew")
    create(bootstrap, topics, replication)
    return Repartitioned(before, topics[DETECTIONS].partitions, tuple(gone))


def _standing(admin: KafkaAdminClient) -> int:
    """Partitions of the topic; 0: there is none."""
    if DETECTIONS not in admin.list_topics():
        return 0
    [described] = admin.describe_topics([DETECTIONS])
    return len(described["partitions"])


def _wait_for_their_end(admin: KafkaAdminClient, bootstrap: str, say: Callable[[str], None], patience_s: float) -> None:
    """Kafka takes a worker that was stopped for one that comes back, until its session ends."""
    groups, said = [f"aup-{agent}" for agent in AGENTS], False
    deadline = time.monotonic() + patience_s
    while members := sum(len(group["members"]) for group in admin.describe_groups(groups).values()):
        if time.monotonic() > deadline:
            raise InputError(
                f"{members} workers of {' and '.join(AGENTS)} run",
                where=KafkaAddress.of(bootstrap).servers,
                hint="stop the agents on every machine; collectors may go on. Nothing was changed",
            )
        if not said:
            say(f"waiting until Kafka counts none of {members} workers any more")
            said = True
        time.sleep(1.0)


def _remove(admin: KafkaAdminClient, name: str) -> None:
    """Remove a topic where there is one, and wait until it is gone, so that its name is free."""
    if name not in admin.list_topics():
        return
    admin.delete_topics([name])
    deadline = time.monotonic() + SHOWN_WITHIN_S
    while name in admin.list_topics():
        if time.monotonic() > deadline:
            raise ServerError(
                f"topic {name} is still there {SHOWN_WITHIN_S:.0f} s after it was removed",
                where=name,
                hint="see whether Kafka lets topics be removed (delete.topic.enable), then give the command again",
            )
        time.sleep(0.1)
