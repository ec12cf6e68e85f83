"""persist: single records (ledger, violations) to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from agents.delivery.gathering import Gathering, GatheringStage, Held
from agents.delivery.letters import Flood
from agents.delivery.snapshots import META, pack
from agents.delivery.stage import Message, Output
from agents.privacy.live import LiveNames
from agents.privacy.records import violation
from agents.sinks.clickhouse import ClickHouse, insert_ledger, insert_names, insert_violations
from schemas.errors import CorruptBatchError
from schemas.kinds import LEDGER, VIOLATIONS
from schemas.ledger import LedgerRecord
from schemas.records import decode_as

log = logging.getLogger(__name__)
GATHER_ROWS = 500  # single records gathered into one insert


@dataclass(slots=True)
class HeldRecord(Held):
    """A message's record; None where it has none."""

    record: Mapping[str, object] | None = None


class RecordGatherer(Gathering[HeldRecord]):
    """Gathers the single records of one topic: a violation waits for all of those before it.

    Args:
        store: Connection.
        topic: `aup.violations` or `aup.ledger`.
        names: Replaces names in violations; None: they are stored as they are.
    """

    def __init__(self, store: ClickHouse, topic: str, names: LiveNames | None = None) -> None:
        super().__init__(names if topic == VIOLATIONS else None)
        self._store = store
        self.decode: Callable[[Message], Mapping[str, object]]
        self._into: Callable[[ClickHouse, list[Mapping[str, object]]], None]
        if topic == VIOLATIONS:
            self._into, self.decode = insert_violations, _violation
        elif topic == LEDGER:
            self._into, self.decode = insert_ledger, _of_ledger
        else:
            raise ValueError(topic)

    def full(self) -> bool:
        """See `Gathering`."""
        return len(self._held) >= GATHER_ROWS

    def insert(self, held: Sequence[HeldRecord]) -> None:
        """See `Gathering`."""
        records = [h.record for h in held if h.record is not None]
        if self._names is not None:
            records = [violation(self._names.names, record) for record in records]
            write_names(self._store, self._names)
        self._into(self._store, records)


class PersistRecords(GatheringStage[HeldRecord]):
    """Single records (violations, ledger), gathered for a moment into one insert.

    Args:
        gatherer: Of the topic.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(self, gatherer: RecordGatherer, flood: Flood | None = None) -> None:
        super().__init__(gatherer, flood)
        self._gatherer = gatherer
        self.refused = 0

    def handle(self, message: Message) -> Sequence[Output]:
        """Gather a record; what is none becomes a dead letter."""
        record, outputs = None, list[Output]()
        try:
            record = self._gatherer.decode(message)
            self._flood.taken()
        except CorruptBatchError as error:
            self.refused += 1
            log.warning("refused: %s", error, extra=message.fields)
            outputs.append(self.dead_letter(message, error))
        self._gatherer.add(HeldRecord(self, message, self._flood.row, record=record))
        return outputs + self._gatherer.letters()

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {META: pack(**self.saved())}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            self.taken_back(parts[META])

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {"refused": self.refused, "corrupt": self.refused}


def write_names(store: ClickHouse, names: LiveNames | None) -> None:
    """Before the rows that use them: what an analyst asks about can be unmasked."""
    if names is not None:
        insert_names(store, names.take_new())


def _violation(message: Message) -> Mapping[str, object]:
    return decode_as("violation", message.value, message.where)


def _of_ledger(message: Message) -> Mapping[str, object]:
    try:
        return LedgerRecord.model_validate_json(message.value).model_dump()
    except ValidationError as error:
        what = f"no record of the ledger: {error.error_count()} faults, the first: {error.errors()[0]['msg']}"
        raise CorruptBatchError(what, where=message.where) from error
