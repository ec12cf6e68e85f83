"""Which rules are in force when: announcements on `aup.sources`, the rules themselves on `aup.rules`.

An announcement says from which event time on a set of rules judges. Whoever announces it writes the rules first, then
the announcement, whose offset is an epoch: a worker that knows the epoch has the rules.
"""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from agents.delivery.stage import Message
from agents.rules.bundle import RuleSources, unpack_rules
from agents.rules.model import RuleSet
from schemas.errors import CorruptBatchError, StateError
from schemas.headers import NEVER
from schemas.kafkaaddress import kafka_options
from schemas.kinds import RULES

MAX_PIECE = 900_000  # bytes of one message on `aup.rules`
LOADED = 4  # rule sets kept in memory; an older one is read again when rows of its time come
_PIECE = re.compile(rb"([0-9a-z]{1,64})#(\d{1,6})/(\d{1,6})")  # keys on the topic: version, number, of how many
LOCAL = "local"  # name of the version that was never announced


class MissingRulesError(StateError):
    """Rules are announced and not on the topic, where whoever announces them writes them first."""


@dataclass(frozen=True, slots=True)
class Period:
    """A set of rules from an event time on, up to the next one's.

    Attributes:
        start: Microseconds UTC; `NEVER` of the first.
        version: Of its bundle.
    """

    start: int
    version: str


def announcement(period: Period) -> dict[str, Any]:
    """The record on `aup.sources`."""
    return {"event": "rules", "version": period.version, "start": period.start}


def announced(record: Mapping[str, Any], before: Sequence[Period]) -> Period:
    """What a record says. The first is in force since ever, and none begins before the one announced before it."""
    start = max(int(record["start"]), before[-1].start) if before else NEVER
    return Period(start, str(record["version"]))


def pieces(version: str, data: bytes) -> list[tuple[bytes, bytes]]:
    """Keys and values of the messages that carry a bundle."""
    parts = [data[i : i + MAX_PIECE] for i in range(0, len(data), MAX_PIECE)]
    return [(f"{version}#{i}/{len(parts)}".encode(), part) for i, part in enumerate(parts)]


def piece_of(message: Message) -> tuple[str, int, int]:
    """Version, number and how many there are of the part of a bundle that a message carries.

    Raises:
        CorruptBatchError: it carries none.
    """
    found = _PIECE.fullmatch(message.key or b"")
    if found is None or not message.value:
        raise CorruptBatchError("no piece of a rule set, by its key", where=message.where)
    return found[1].decode(), int(found[2]), int(found[3])


def read_bundle(bootstrap: str, version: str) -> bytes:
    """The bundle of a version.

    Raises:
        MissingRulesError: it is not, or not wholly, on the topic.
    """
    consumer = KafkaConsumer(**kafka_options(bootstrap), enable_auto_commit=False, fetch_max_wait_ms=50)
    found: dict[int, bytes] = {}
    wanted = 1
    try:
        place = TopicPartition(RULES, 0)
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        while consumer.position(place) < end:
            for record in consumer.poll(timeout_ms=500).get(place, []):
                piece = _PIECE.fullmatch(record.key or b"")
                if piece is not None and piece[1] == version.encode():
                    found[int(piece[2])], wanted = record.value or b"", int(piece[3])
    finally:
        consumer.close()
    if set(found) != set(range(wanted)):
        what = f"rules {version} are announced and not there"
        raise MissingRulesError(what, where=RULES, hint="`aupstream rules apply`")
    return b"".join(found[i] for i in range(wanted))


class InForce(ABC):
    """Says which rules judge rows of an event time. Used by several threads."""

    @abstractmethod
    def periods(self) -> tuple[Period, ...]:
        """All periods known, in order; the first starts at `NEVER`. Another tuple when more are known."""

    @abstractmethod
    def ruleset(self, version: str) -> RuleSet:
        """The rules of a version; takes seconds where they are not loaded. Raises what reading rules raises."""


class Always(InForce):
    """One set of rules, ever since."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._periods = (Period(NEVER, LOCAL),)

    def periods(self) -> tuple[Period, ...]:
        """One."""
        return self._periods

    def ruleset(self, version: str) -> RuleSet:
        """The rules."""
        del version
        return self._rules


class Announced(InForce):
    """Rules as announced.

    Args:
        announced: Gives the periods that were announced.
        bundle: Gives the bundle of a version, as `read_bundle`.
        folder: Where rules are unpacked.
        local: Where rules are read from while none were ever announced.
    """

    def __init__(
        self,
        announced: Callable[[], tuple[Period, ...]],
        bundle: Callable[[str], bytes],
        folder: Path,
        local: RuleSources,
    ) -> None:
        self._announced, self._bundle, self._folder, self._local = announced, bundle, folder, local
        self._loaded: dict[str, RuleSet] = {}
        self._lock = threading.Lock()

    def periods(self) -> tuple[Period, ...]:
        """Those announced."""
        return self._announced() or (Period(NEVER, LOCAL),)

    def ruleset(self, version: str) -> RuleSet:
        """Read once, and again when it was not used for long."""
        with self._lock:
            found = self._loaded.pop(version, None)
            if found is None:
                found = self._load(version)
                while len(self._loaded) >= LOADED:
                    del self._loaded[next(iter(self._loaded))]
            self._loaded[version] = found
            return found

    def _load(self, version: str) -> RuleSet:
        if version == LOCAL:
            return self._local.load()
        return unpack_rules(self._bundle(version), self._folder / version).load()
