"""persist: single records (ledger, violations) to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.delivery.letters import CORRUPT, NOT_STORED, Flood, letter
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.privacy.live import LiveNames
from agents.privacy.records import violation
from agents.sinks.clickhouse import ClickHouse, RefusedValuesError, insert_ledger, insert_names, insert_violations
from schemas.errors import AupstreamError, CorruptBatchError
from schemas.kinds import LEDGER, VIOLATIONS
from schemas.records import decode_as

log = logging.getLogger(__name__)
GATHER_ROWS = 500  # single records gathered into one insert
GATHER_S = 0.25
_Count = Annotated[int, Field(ge=0, lt=2**64)]


class _LedgerRecord(BaseModel):
    """A record of the ledger, as `streams.ledger` writes it; what a newer release adds is left out."""

    model_config = ConfigDict(strict=True, extra="ignore")

    source: str
    type: str = ""
    generation: str = ""
    timeline: str = ""
    chunk: _Count = 0
    version: _Count = 0
    final: bool = False
    first_offset: _Count = 0
    end_offset: _Count = 0
    lines: _Count = 0
    in_events: _Count = 0
    events: _Count = 0
    dead_letters: _Count = 0
    open_joins: _Count = 0
    ignored: dict[str, _Count] = Field(default_factory=dict)
    late: _Count = 0
    time_suspect: _Count = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message that is not written yet; its record, None where it has none."""

    stage: PersistRecords
    message: Message
    record: Mapping[str, object] | None
    row: int  # of refused messages up to and with this one


class RecordGatherer:
    """Gathers the single records of one topic, from all its partitions in this process, into one insert.

    An insert costs some 30 ms whatever is in it, and a violation waits for all of those before it: one for each
    partition would make it wait four times as long. Not locked, as `Gatherer`.

    Args:
        store: Connection.
        topic: `aup.violations` or `aup.ledger`.
        names: Replaces names in violations; None: they are stored as they are.
    """

    def __init__(self, store: ClickHouse, topic: str, names: LiveNames | None = None) -> None:
        self._store = store
        self.decode: Callable[[Message], Mapping[str, object]]
        self._insert: Callable[[ClickHouse, list[Mapping[str, object]]], None]
        self._names = names if topic == VIOLATIONS else None
        if topic == VIOLATIONS:
            self._insert, self.decode = insert_violations, _violation
        elif topic == LEDGER:
            self._insert, self.decode = insert_ledger, _of_ledger
        else:
            raise ValueError(topic)
        self._waiting: list[_Waiting] = []
        self._since_s: float | None = None
        self._letters: list[Output] = []

    def letters(self) -> list[Output]:
        """Dead letters of messages that ClickHouse refused since the last call."""
        told, self._letters = self._letters, []
        return told

    def add(self, waiting: _Waiting) -> None:
        """Take a message; writes where enough has been gathered."""
        self._waiting.append(waiting)
        if len(self._waiting) >= GATHER_ROWS:
            self.write()

    def tick(self, now_s: float) -> None:
        """Write what has waited long enough."""
        if self._names is not None:
            self._names.tick(now_s)
        if not self._waiting:
            return
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= GATHER_S:
            self.write()

    def write(self) -> None:
        """Insert everything gathered, then tell the stages."""
        try:
            self._write(self._waiting)
        except RefusedValuesError:
            self._write_each()
        done, self._waiting, self._since_s = self._waiting, [], None
        for waiting in done:
            waiting.stage.written(waiting)

    def _write(self, waiting: Iterable[_Waiting]) -> None:
        records = [w.record for w in waiting if w.record is not None]
        if self._names is not None:
            records = [violation(self._names.names, record) for record in records]
            write_names(self._store, self._names)
        self._insert(self._store, records)

    def _write_each(self) -> None:
        """One by one, so that what ClickHouse refuses keeps nothing else from being stored."""
        for waiting in self._waiting:
            try:
                self._write([waiting])
            except RefusedValuesError as error:
                log.warning("%s: %s", waiting.message.where, error, extra=waiting.message.fields)
                self._letters += waiting.stage.refused_as(waiting.message, error, NOT_STORED)

    def drop(self, stage: PersistRecords) -> None:
        """Forget what a stage gave that is not written; its next owner reads it again."""
        self._waiting = [w for w in self._waiting if w.stage is not stage]


class PersistRecords(Stage):
    """Single records (violations, ledger), gathered for a moment into one insert.

    Args:
        gatherer: Of the topic.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(self, gatherer: RecordGatherer, flood: Flood | None = None) -> None:
        self._applied = -1
        self._gatherer = gatherer
        self._flood = Flood() if flood is None else flood
        self._row = 0  # of refused messages, as of `applied`
        self.refused = 0

    @property
    def applied(self) -> int:
        """Highest offset whose record is in ClickHouse."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Gather a record; what is none becomes a dead letter."""
        record, outputs = None, list[Output]()
        try:
            record = self._gatherer.decode(message)
            self._flood.taken()
        except CorruptBatchError as error:
            self.refused += 1
            log.warning("refused: %s", error, extra=message.fields)
            outputs = self.refused_as(message, error, CORRUPT)
        self._gatherer.add(_Waiting(self, message, record, self._flood.row))
        return outputs + self._gatherer.letters()

    def refused_as(self, message: Message, error: AupstreamError, reason: str) -> list[Output]:
        """A message as a dead letter.

        Raises:
            StateError: too many in a row.
        """
        self._flood.refused(message, error)
        return [letter(message, "persist", error, reason)]

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        self._gatherer.tick(now_s)
        return self._gatherer.letters()

    def written(self, waiting: _Waiting) -> None:
        """A message's record is in ClickHouse."""
        self._applied, self._row = waiting.message.offset, waiting.row

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {META: pack(applied=self._applied, row=self._row)}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            plain = unpack(parts[META])
            self._applied, self._row = plain["applied"], plain.get("row", 0)  # the release before has no row
            self._flood.row = self._row

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {"refused": self.refused, "corrupt": self.refused}

    def close(self) -> None:
        """Forget what is not written."""
        self._gatherer.drop(self)


def write_names(store: ClickHouse, names: LiveNames | None) -> None:
    """Before the rows that use them: what an analyst asks about can be unmasked."""
    if names is not None:
        insert_names(store, names.take_new())


def _violation(message: Message) -> Mapping[str, object]:
    return decode_as("violation", message.value, message.where)


def _of_ledger(message: Message) -> Mapping[str, object]:
    try:
        return _LedgerRecord.model_validate_json(message.value).model_dump()
    except ValidationError as error:
        what = f"no record of the ledger: {error.error_count()} faults, the first: {error.errors()[0]['msg']}"
        raise CorruptBatchError(what, where=message.where) from error
