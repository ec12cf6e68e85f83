"""Takes over an input partition: with what was saved of it or, where that is damaged or gone, from its input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kafka import KafkaConsumer, TopicPartition

from agents.delivery.snapshots import Place, Saved, with_meta
from agents.delivery.stage import Stage
from schemas.errors import NewerReleaseError, StateError
from schemas.kafkaaddress import kafka_options

log = logging.getLogger("aupstream.agent")


@dataclass(frozen=True, slots=True)
class Owned:
    """A stage that was given what was saved of its place.

    Attributes:
        stage: Ready.
        epoch: Of its own checkpoints.
        faults: What of the saved state could not be used, the newest first; empty: all of it could.
    """

    stage: Stage
    epoch: int
    faults: tuple[str, ...]


def owned(make: Callable[[], Stage], saved: Saved) -> Owned:
    """A stage with the newest state that can be used; one that is new where none can.

    An older state is as true as the newest: it says up to where it has read.

    Raises:
        NewerReleaseError: a newer release saved it. Building it anew by older rules of saving would not be the same.
    """
    faults: list[str] = []
    for parts in saved.whole():
        stage = make()
        try:
            stage.restore(with_meta(parts))
        except NewerReleaseError:
            stage.close()
            raise
        except (StateError, KeyError, TypeError, ValueError) as error:
            faults.append(str(error) if isinstance(error, StateError) else f"it cannot be read: {error!r}"[:200])
            stage.close()
            continue
        return Owned(stage, saved.highest + 1, tuple(faults))
    return Owned(make(), saved.highest + 1, tuple(faults))


def take_over(
    bootstrap: str, agent: str, saved: Mapping[Place, Saved], make: Callable[[str, int], Stage]
) -> dict[Place, Owned]:
    """Stages of input partitions; what is lost is said, and marked where the input does not reach back far enough.

    Blocks. Kafka is asked once for all of them, and not at all where each was saved: as long as this takes, the group
    waits.

    Args:
        bootstrap: Kafka.
        agent: Whose input it is.
        saved: What the state topic holds of each partition.
        make: Makes the stage of one.

    Raises what the Kafka client raises.
    """
    found = {place: owned(partial(make, *place), saved[place]) for place in saved}
    doubtful = [place for place, mine in found.items() if mine.faults or mine.stage.applied < 0]
    offsets = _offsets(bootstrap, agent, doubtful) if doubtful else {}
    for place, (committed, earliest) in offsets.items():
        mine = found[place]
        faults = mine.faults
        if not faults and committed > 0:
            faults = ("there is none, though messages were read before",)
        if faults:
            found[place] = Owned(mine.stage, mine.epoch, faults)
            _say(place, mine.stage, faults, earliest)
    return found


def _say(place: Place, stage: Stage, faults: Sequence[str], earliest: int) -> None:
    said, again = "; ".join(faults), stage.applied + 1
    log.error("%s: the saved state cannot be used: %s; it is built anew from message %s on", place.text, said, again)
    if earliest > again:
        what = "%s: messages %s to %s are gone by retention: what may rest on them is marked incomplete"
        log.error(what, place.text, again, earliest - 1)
        stage.truncated()


def _offsets(bootstrap: str, agent: str, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
    """Offset that an owner before has committed, 0 for none, and that of the oldest message."""
    options = {**kafka_options(bootstrap), "enable_auto_commit": False, "group_id": f"aup-{agent}"}
    consumer = KafkaConsumer(**options)
    try:
        at = {place: TopicPartition(place.topic, place.partition) for place in places}
        oldest = consumer.beginning_offsets(list(at.values()))
        return {place: (int(consumer.committed(tp) or 0), int(oldest[tp])) for place, tp in at.items()}
    finally:
        consumer.close()
