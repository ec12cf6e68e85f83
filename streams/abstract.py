"""The seam between collectors and whatever takes their messages: Kafka, or memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from schemas.headers import BatchHeaders


@dataclass(frozen=True, slots=True)
class Message:
    """One message on its way.

    Attributes:
        topic: Where to.
        partition: Which partition of it.
        value: The bytes; empty for a marker.
        headers: Of a batch or marker; None for a record that has none.
        key: Of a record; None for batches and markers.
        read_us: When the oldest line of a batch was read: wall clock, microseconds UTC.
    """

    topic: str
    partition: int
    value: bytes
    headers: BatchHeaders | None = None
    key: bytes | None = None
    read_us: int | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        """Bytes that it takes up, about."""
        return len(self.value) + len(self.key or b"") + 700


class BatchSink(ABC):
    """Takes messages in order and says when they are safe.

    Every message gets a ticket, counted from 1. `acknowledged` is the highest ticket up to which *all* messages are
    safe, so it never passes one that failed. Order: messages of one partition are written in the order of their
    tickets; after a failure everything from the failed message on is written again, in order, so that a reader sees
    repeats and never a gap that stays.

    Who calls what: one thread for all methods. `submit` and `poll` never wait for a server; `partitions` and `flush`
    may. No method raises because a server is away; what can never succeed raises `ServerError` from `poll`.
    """

    @abstractmethod
    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic; waits for the server.

        Raises:
            ServerError: there is no such topic.
        """

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """False where no more should be submitted until something was acknowledged."""

    @abstractmethod
    def submit(self, message: Message) -> int:
        """Take a message; gives its ticket. Takes it even without room: callers ask before they make more."""

    @abstractmethod
    def poll(self, now_us: int) -> None:
        """Move things on: send, take acknowledgements, try again after a failure.

        Args:
            now_us: Wall clock, microseconds UTC.

        Raises:
            ServerError: a message can never be accepted (too large, not permitted).
        """

    @property
    @abstractmethod
    def acknowledged(self) -> int:
        """Highest ticket up to which every message is safe; 0 before the first."""

    @abstractmethod
    def close(self) -> None:
        """Stop at once; what is not acknowledged may or may not have been written."""
