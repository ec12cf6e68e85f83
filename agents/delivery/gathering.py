"""What the stages of persist share: messages gathered into few inserts, and those that ClickHouse refuses found.

An insert costs some 30 ms whatever is in it, so those of all partitions of a topic in this process go into one. The
runtime calls the stages of a process one at a time: they share a gatherer without a lock.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agents.delivery.letters import CORRUPT, NOT_STORED, Flood, letter
from agents.delivery.snapshots import unpack
from agents.delivery.stage import Message, Output, Stage
from agents.privacy.live import LiveNames
from agents.sinks.clickhouse import RefusedValuesError
from schemas.errors import AupstreamError

log = logging.getLogger(__name__)
AGENT = "persist"
GATHER_S = 0.25


@dataclass(slots=True)
class Held:
    """A message that is not written yet.

    Attributes:
        stage: Whose it is.
        message: What came.
        row: Unreadable messages up to and with this one, one after the other.
        refused: Why ClickHouse refuses what is in it; None where it does not, or was not asked yet.
    """

    stage: GatheringStage[Any]
    message: Message
    row: int
    refused: RefusedValuesError | None = None


H = TypeVar("H", bound=Held)


class Gathering(ABC, Generic[H]):
    """Gathers what the stages of one topic hold.

    Args:
        names: Replaces names; None: they are stored as logged.
    """

    def __init__(self, names: LiveNames | None) -> None:
        self._names = names
        self._held: list[H] = []
        self._since_s: float | None = None
        self._letters: list[Output] = []

    @abstractmethod
    def full(self) -> bool:
        """Whether what is held is enough for an insert."""

    @abstractmethod
    def insert(self, held: Sequence[H]) -> None:
        """Write messages to ClickHouse.

        Raises:
            RefusedValuesError: it refuses what is in one of them; none is written.
        """

    def empty(self) -> bool:
        """Whether there is nothing to insert, so that nothing need be waited for."""
        return False

    def letters(self) -> list[Output]:
        """Dead letters of messages that ClickHouse refused since the last call."""
        told, self._letters = self._letters, []
        return told

    def add(self, held: H) -> None:
        """Take a message; writes where enough has been gathered."""
        self._held.append(held)
        if self.full():
            self.write()

    def tick(self, now_s: float) -> None:
        """Write what has waited long enough."""
        if self._names is not None:
            self._names.tick(now_s)
        if not self._held:
            return
        if self._since_s is None:
            self._since_s = now_s
        if self.empty() or now_s - self._since_s >= GATHER_S:
            self.write()

    def write(self) -> None:
        """Insert everything held, then tell the stages.

        Raises:
            StateError: ClickHouse refuses too many in a row.
        """
        try:
            self.insert(self._held)
        except RefusedValuesError:
            self._insert_each()
        for held in self._held:
            held.stage.asked(held)
        done, self._held, self._since_s = self._held, [], None
        for held in done:
            if held.refused is not None:
                log.warning("%s: %s", held.message.where, held.refused, extra=held.message.fields)
                self._letters.append(letter(held.message, AGENT, held.refused, NOT_STORED))
            held.stage.written(held)

    def _insert_each(self) -> None:
        """One by one, so that what ClickHouse refuses keeps nothing else from being stored."""
        for held in self._held:
            try:
                self.insert([held])
            except RefusedValuesError as error:
                held.refused = error

    def drop(self, stage: GatheringStage[H]) -> None:
        """Forget what a stage gave that is not written; its next owner reads it again."""
        self._held = [held for held in self._held if held.stage is not stage]


class GatheringStage(Stage, Generic[H]):
    """A stage that has come to a message once the gatherer has written it.

    Args:
        gathering: Of the topic.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(self, gathering: Gathering[H], flood: Flood | None) -> None:
        self._gathering = gathering
        self._flood = Flood() if flood is None else flood  # of messages that cannot be read
        self._unstored = Flood(self._flood.limit)  # of those that can, and that ClickHouse refuses
        self._applied = -1
        self._row = 0  # of unreadable messages, as of `applied`

    @property
    def applied(self) -> int:
        """Highest offset all of which is in ClickHouse."""
        return self._applied

    def dead_letter(self, message: Message, error: AupstreamError) -> Output:
        """A message that cannot be read as a dead letter.

        Raises:
            StateError: too many in a row.
        """
        self._flood.refused(message, error)
        return letter(message, AGENT, error, CORRUPT)

    def asked(self, held: H) -> None:
        """ClickHouse has a message, or has refused it.

        Raises:
            StateError: it has refused too many in a row.
        """
        if held.refused is None:
            self._unstored.taken()
        else:
            self._unstored.refused(held.message, held.refused)

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        self._gathering.tick(now_s)
        return self._gathering.letters()

    def written(self, held: H) -> None:
        """A message is in ClickHouse."""
        self._applied, self._row = held.message.offset, held.row

    def close(self) -> None:
        """Forget what is not written."""
        self._gathering.drop(self)

    def saved(self) -> dict[str, Any]:
        """Plain values of this class, as of `applied`."""
        return {"applied": self._applied, "row": self._row, "unstored": self._unstored.row}

    def taken_back(self, part: bytes) -> Mapping[str, Any]:
        """Take back `saved`; all that the part holds."""
        plain = unpack(part)
        self._applied, self._row = plain["applied"], plain.get("row", 0)  # the release before has no row
        self._flood.row, self._unstored.row = self._row, plain.get("unstored", 0)
        return plain
