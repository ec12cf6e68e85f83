"""The seam between an agent's logic and what runs it.

A `Stage` is the logic of one agent for **one partition of one input topic**. It is synchronous and single-threaded:
the runtime calls one method at a time, from a worker thread, and sends what it returns, in order, before the next
call's outputs. It knows neither Faust nor a Kafka client.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Message:
    """One Kafka message.

    Attributes:
        topic: Topic.
        partition: Partition.
        offset: Offset.
        value: Bytes; empty for a marker.
        headers: Header list.
        key: Bytes or None.
        more: True where another message of the partition waits already: what this one asks for need not be done yet.
    """

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: Headers
    key: bytes | None = None
    more: bool = False

    @property
    def where(self) -> str:
        """topic/partition/offset, for errors."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def fields(self) -> dict[str, object]:
        """The same, for a log line's `extra`."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}


class Output(NamedTuple):
    """One message to send. `partition` None: by the key.

    `inputs` are the offsets of the input messages that it comes of, where somebody downstream is to know.
    """

    topic: str
    partition: int | None
    value: bytes
    headers: Headers = ()
    key: bytes | None = None
    inputs: Sequence[int] = ()


class Stage(ABC):
    """Logic of one agent for one input partition.

    What a call raises ends the process: the supervisor starts it again and it resumes from the last checkpoint. What is
    wrong with one message only (corrupt, missing rows before it) is counted and the message is passed over.
    """

    @abstractmethod
    def handle(self, message: Message) -> Sequence[Output]:
        """Take the next message: its offset is the one after the last. May block while a server is away."""

    def tick(self, now_s: float) -> Sequence[Output]:
        """Called about four times a second with a monotonic clock: what became due, waiting rows included."""
        del now_s
        return ()

    @property
    @abstractmethod
    def applied(self) -> int:
        """Highest offset all of whose consequences are in outputs that were returned, or -1."""

    @abstractmethod
    def snapshot(self) -> Mapping[str, bytes]:
        """State as of `applied`, changed parts only, under a tag each; an empty part is one to remove.

        The part `meta` holds `applied` and is written after the others are acknowledged; what is to be removed goes
        after `meta` is. Any other tag is used once. Called when all outputs returned so far were handed to the
        producer; the runtime writes it after they are acknowledged. What it returned is written, or the process ends.
        """

    @abstractmethod
    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back the newest of every part; an empty mapping starts from nothing.

        Raises:
            StateError: the parts are not of this release or the one before.
        """

    def truncated(self) -> None:
        """Messages before the next one are gone that were never read: what needed them is to be marked."""

    def figures(self) -> Mapping[str, float]:
        """Figures for the status file and metrics, by name."""
        return {}

    def close(self) -> None:
        """Give up connections. The stage is not used after."""
