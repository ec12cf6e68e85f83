"""A sink in memory: for `aupstream backtest`, which needs no servers, and for tests."""

from __future__ import annotations

from collections import deque

from schemas.errors import ServerError
from streams.abstract import BatchSink, Message


class MemorySink(BatchSink):
    """Keeps messages until `take` gives them away. A message is safe as soon as it is here.

    Args:
        partitions: Partitions of each event topic and of the dead letters.
        room: Bytes kept at most before `has_room` is False: the caller must `take` first.
        single: Topics that have one partition.
    """

    def __init__(
        self, partitions: int, *, room: int = 64 << 20, single: tuple[str, ...] = ("aup.ledger", "aup.sources")
    ) -> None:
        if partitions < 1:
            raise ServerError(f"{partitions} partitions", where="memory", hint="use at least one")
        self._partitions, self._room, self._single = partitions, room, single
        self._kept: deque[Message] = deque()
        self._bytes = 0
        self._tickets = 0

    def partitions(self, topic: str) -> int:
        """See `BatchSink`."""
        return 1 if topic in self._single else self._partitions

    @property
    def has_room(self) -> bool:
        """See `BatchSink`."""
        return self._bytes < self._room

    def submit(self, message: Message) -> int:
        """See `BatchSink`."""
        self._kept.append(message)
        self._bytes += message.size
        self._tickets += 1
        return self._tickets

    def poll(self, now_us: int) -> None:
        """Nothing to move on."""

    @property
    def acknowledged(self) -> int:
        """See `BatchSink`."""
        return self._tickets

    def take(self) -> list[Message]:
        """Everything submitted and not taken yet, in order."""
        out = list(self._kept)
        self._kept.clear()
        self._bytes = 0
        return out

    def close(self) -> None:
        """See `BatchSink`."""
        self._kept.clear()
        self._bytes = 0
