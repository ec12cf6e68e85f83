"""Takes over an input partition: with what was saved of it or, where that is damaged or gone, from its input."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

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


def take_over(bootstrap: str, agent: str, place: Place, saved: Saved, make: Callable[[], Stage]) -> Owned:
    """The same, with what is lost said, and marked where the input does not reach back far enough. Blocks.

    Args:
        bootstrap: Kafka.
        agent: Whose input it is.
        place: The input partition.
        saved: What the state topic holds of it.
        make: Makes its stage.

    Raises what the Kafka client raises.
    """
    found = owned(make, saved)
    faults, again = found.faults, found.stage.applied + 1
    if again and not faults:
        return found
    committed, earliest = _offsets(bootstrap, agent, place)
    if not faults and committed > 0:
        faults = ("there is none, though messages were read before",)
    if not faults:
        return found
    said = "; ".join(faults)
    log.error("%s: the saved state cannot be used: %s; it is built anew from message %s on", place.text, said, again)
    if earliest > again:
        what = "%s: messages %s to %s are gone by retention: what may rest on them is marked incomplete"
        log.error(what, place.text, again, earliest - 1)
        found.stage.truncated()
    return Owned(found.stage, found.epoch, faults)


def _offsets(bootstrap: str, agent: str, place: Place) -> tuple[int, int]:
    """Offset that an owner before has committed, 0 for none, and that of the oldest message."""
    options = {**kafka_options(bootstrap), "enable_auto_commit": False, "group_id": f"aup-{agent}"}
    consumer = KafkaConsumer(**options)
    try:
        at = TopicPartition(place.topic, place.partition)
        return int(consumer.committed(at) or 0), int(consumer.beginning_offsets([at])[at])
    finally:
        consumer.close()
