"""persist: events and dead letters to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from agents.delivery.batches import NOTHING_HEARD, EventBatches, Heard
from agents.delivery.gathering import Gathering, GatheringStage, Held
from agents.delivery.letters import MOST_IN_A_ROW, Flood, is_letter, letter_of
from agents.delivery.persist_records import PersistRecords, RecordGatherer, write_names
from agents.delivery.reader import all_seen
from agents.delivery.snapshots import META, pack
from agents.delivery.stage import Message, Output, Stage
from agents.privacy.live import LiveNames
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse
from schemas.codec import check_batch, decode, encode
from schemas.errors import CorruptBatchError
from schemas.headers import BatchHeaders, Position
from schemas.kinds import DEAD_LETTERS, LEDGER, VIOLATIONS
from schemas.metrics import Metrics
from schemas.registry import polars_schema

INSERT_ROWS = 50_000  # rows of containers gathered into one insert
INSERT_BYTES = 6_000_000  # or so many bytes of them: a third more as text, below what servers take as one query
INSERT_PARTS = 32  # or so many containers: 6 ms each up to there, 40 at 512, and at some 1,000 servers refuse the query


@dataclass(slots=True)
class HeldBatch(Held):
    """A message's containers, none where it has none, and their rows."""

    heard: Heard = NOTHING_HEARD
    values: Sequence[bytes] = ()
    mark: Position | None = None
    rows: int = 0


class Gatherer(Gathering[HeldBatch]):
    """Gathers the containers of one topic: a row costs half as much in an insert of 50,000 as in one of 5,000.

    Args:
        store: Connection.
        topic: An event topic or that of the dead letters.
        names: Replaces names in events; None: they are stored as logged. Lines of dead letters are
            sealed with its key.
    """

    def __init__(self, store: ClickHouse, topic: str, names: LiveNames | None = None) -> None:
        super().__init__(names)
        kind = topic.rpartition(".")[2]
        self._letters_only = topic == DEAD_LETTERS
        self._store = store
        self._table = "dead_letters" if topic == DEAD_LETTERS else f"events_{kind}"
        self._columns = clickhouse_columns("dead_letter" if topic == DEAD_LETTERS else kind)
        self._rows = self._bytes = self._parts = 0

    def add(self, held: HeldBatch) -> None:
        """See `Gathering`."""
        self._rows += held.rows
        self._bytes += sum(map(len, held.values))
        self._parts += len(held.values)
        super().add(held)

    def full(self) -> bool:
        """See `Gathering`."""
        return self._rows >= INSERT_ROWS or self._bytes >= INSERT_BYTES or self._parts >= INSERT_PARTS

    def empty(self) -> bool:
        """See `Gathering`."""
        return not self._rows

    def write(self) -> None:
        """See `Gathering`."""
        super().write()
        self._rows = self._bytes = self._parts = 0

    def insert(self, held: Sequence[HeldBatch]) -> None:
        """See `Gathering`."""
        write_names(self._store, self._names)
        parts = [(value, h.mark) for h in held for value in h.values]
        if parts:
            self._store.insert_containers(self._table, self._columns, parts)
            self._store.count(self._table, sum(h.rows for h in held))

    def prepared(self, headers: BatchHeaders, value: bytes, where: str) -> Sequence[bytes]:
        """Containers to store for one that came.

        Raises:
            CorruptBatchError: its rows cannot be read.
        """
        if self._names is None or not headers.count:
            return (value,)
        if self._letters_only:
            return (self.sealed(decode(headers.schema, value, None, where)),)
        return self._names.containers(headers.schema, decode(headers.schema, value, None, where))

    def sealed(self, letters: pl.DataFrame) -> bytes:
        """A container of dead letters, the lines sealed of those that are not yet."""
        sealer = None if self._names is None else self._names.sealer
        return encode("dead_letter", letters if sealer is None else sealer.frame(letters))


class PersistBatches(GatheringStage[HeldBatch]):
    """Containers of events or dead letters.

    Args:
        gatherer: Of the topic.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(self, gatherer: Gatherer, flood: Flood | None = None) -> None:
        super().__init__(gatherer, flood)
        self._gatherer = gatherer
        self._live = EventBatches()
        self._written = EventBatches()

    def handle(self, message: Message) -> Sequence[Output]:
        """Check a batch and gather it; what is refused becomes a dead letter."""
        held, outputs = HeldBatch(self, message, 0), list[Output]()
        if message.topic == DEAD_LETTERS and is_letter(message):
            self._take_letter(held)
        else:
            self._take_batch(held)
            held.heard = self._live.heard
        if self._live.damage is not None:
            outputs.append(self.dead_letter(message, self._live.damage))
        held.row = self._flood.row
        self._gatherer.add(held)
        return outputs + self._gatherer.letters()

    def _take_batch(self, held: HeldBatch) -> None:
        message = held.message
        headers = self._live.headers(message)
        if headers is None:
            return
        held.mark = self._live.reader.mark(headers)
        if headers.kind == "batch" and not all_seen(headers, held.mark):
            try:
                check_batch(headers, message.value, message.where)
                held.values = self._gatherer.prepared(headers, message.value, message.where)
            except CorruptBatchError as error:
                self._live.lose(message, headers, error)
                return
            held.rows = headers.count
        self._live.accept(headers)
        self._flood.taken()

    def _take_letter(self, held: HeldBatch) -> None:
        """A message that another agent refused."""
        self._live.damage = None
        try:
            row = letter_of(held.message)
        except CorruptBatchError as error:
            self._live.refuse(held.message, error)
            return
        held.values = (self._gatherer.sealed(pl.DataFrame([row], schema=polars_schema("dead_letter"))),)
        held.rows = 1

    def written(self, held: HeldBatch) -> None:
        """A message's rows are in ClickHouse."""
        super().written(held)
        self._written.repeat(held.heard)

    def truncated(self) -> None:
        """See `Stage`."""
        self._live.reader.truncated()
        self._written.reader.truncated()

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part, as of `applied`."""
        return {META: pack(**self.saved(), batches=self._written.save())}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            plain = self.taken_back(parts[META])
            self._live = EventBatches.load(plain["batches"])
            self._written = EventBatches.load(plain["batches"])

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return self._live.figures()


class PersistStages:
    """Makes the stages of one process; those of one topic share a connection."""

    def __init__(
        self,
        dsn: str,
        stop: threading.Event,
        names: LiveNames | None = None,
        metrics: Metrics | None = None,
        refused_in_a_row: int = MOST_IN_A_ROW,
    ) -> None:
        self._dsn, self._stop, self._names, self._metrics = dsn, stop, names, metrics or Metrics()
        self._most = refused_in_a_row
        self._stores: dict[str, ClickHouse] = {}
        self._gatherers: dict[str, Gatherer] = {}
        self._records: dict[str, RecordGatherer] = {}

    def __call__(self, topic: str, partition: int) -> Stage:
        """The stage of an input partition."""
        del partition
        store = self._stores.setdefault(topic, ClickHouse(self._dsn, self._stop, self._metrics))
        if topic in (VIOLATIONS, LEDGER):
            gathered = self._records.setdefault(topic, RecordGatherer(store, topic, self._names))
            return PersistRecords(gathered, Flood(self._most))
        return PersistBatches(self._gatherers.setdefault(topic, Gatherer(store, topic, self._names)), Flood(self._most))
