"""persist: events and dead letters to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from agents.delivery.batches import EventBatches
from agents.delivery.letters import MOST_IN_A_ROW, NOT_STORED, Flood, is_letter, letter, letter_of
from agents.delivery.persist_records import PersistRecords, RecordGatherer, write_names
from agents.delivery.reader import all_seen
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.privacy.live import LiveNames
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse, RefusedValuesError
from schemas.codec import check_batch, decode, encode
from schemas.errors import CorruptBatchError
from schemas.headers import BatchHeaders, Position
from schemas.kinds import DEAD_LETTERS, LEDGER, VIOLATIONS
from schemas.metrics import Metrics
from schemas.registry import polars_schema

log = logging.getLogger(__name__)
AGENT = "persist"
GATHER_S = 0.25
INSERT_ROWS = 50_000  # rows of containers gathered into one insert
INSERT_BYTES = 6_000_000  # or so many bytes of them: a third more as text, below what servers take as one query
INSERT_PARTS = 32  # or so many containers: 6 ms each up to there, 40 at 512, and at some 1,000 servers refuse the query


@dataclass(slots=True)
class _Held:
    """A message whose rows are not written yet: containers, none where it has none."""

    stage: PersistBatches
    message: Message
    headers: BatchHeaders | None
    values: Sequence[bytes]
    mark: Position | None
    row: int  # of refused messages up to and with this one


class Gatherer:
    """Gathers the containers of one topic, from all its partitions in this process, into few large inserts.

    A row costs ClickHouse half as much in an insert of 50,000 as in one of 5,000. The runtime calls the stages of a
    process one at a time, so they share this without a lock.

    Args:
        store: Connection.
        topic: An event topic or that of the dead letters.
        names: Replaces names in events; None: they are stored as logged. Lines of dead letters are
            sealed with its key.
    """

    def __init__(self, store: ClickHouse, topic: str, names: LiveNames | None = None) -> None:
        kind = topic.rpartition(".")[2]
        self._names, self._letters_only = names, topic == DEAD_LETTERS
        self._store = store
        self._table = "dead_letters" if topic == DEAD_LETTERS else f"events_{kind}"
        self._columns = clickhouse_columns("dead_letter" if topic == DEAD_LETTERS else kind)
        self._held: list[_Held] = []
        self._rows = self._bytes = self._parts = 0
        self._since_s: float | None = None
        self._letters: list[Output] = []

    def letters(self) -> list[Output]:
        """Dead letters of messages that ClickHouse refused since the last call."""
        told, self._letters = self._letters, []
        return told

    def add(self, held: _Held, rows: int) -> None:
        """Take a message; writes where enough has been gathered."""
        self._held.append(held)
        self._rows += rows
        self._bytes += sum(map(len, held.values))
        self._parts += len(held.values)
        if self._rows >= INSERT_ROWS or self._bytes >= INSERT_BYTES or self._parts >= INSERT_PARTS:
            self.write()

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

    def tick(self, now_s: float) -> None:
        """Write what has waited long enough; what holds no rows waits for nothing."""
        if self._names is not None:
            self._names.tick(now_s)
        if not self._held:
            return
        if self._since_s is None:
            self._since_s = now_s
        if not self._rows or now_s - self._since_s >= GATHER_S:
            self.write()

    def write(self) -> None:
        """Insert everything held, then tell the stages."""
        write_names(self._store, self._names)
        try:
            self._insert(self._held)
        except RefusedValuesError:
            self._insert_each()
        self._store.count(self._table, self._rows)
        done, self._held = self._held, []
        self._rows = self._bytes = self._parts = 0
        self._since_s = None
        for held in done:
            held.stage.written(held)

    def _insert(self, held: Iterable[_Held]) -> None:
        parts = [(value, h.mark) for h in held for value in h.values]
        if parts:
            self._store.insert_containers(self._table, self._columns, parts)

    def _insert_each(self) -> None:
        """One by one, so that what ClickHouse refuses keeps nothing else from being stored."""
        for held in self._held:
            try:
                self._insert([held])
            except RefusedValuesError as error:
                log.warning("%s: %s", held.message.where, error, extra=held.message.fields)
                self._letters += held.stage.refused(held.message, error)

    def drop(self, stage: PersistBatches) -> None:
        """Forget what a stage gave that is not written; its next owner reads it again."""
        self._held = [h for h in self._held if h.stage is not stage]


class PersistBatches(Stage):
    """Containers of events or dead letters.

    Args:
        gatherer: Of the topic.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(self, gatherer: Gatherer, flood: Flood | None = None) -> None:
        self._applied = -1
        self._gatherer = gatherer
        self._flood = Flood() if flood is None else flood
        self._row = 0  # of refused messages, as of `applied`
        self._live = EventBatches()
        self._written = EventBatches()

    @property
    def applied(self) -> int:
        """Highest offset whose rows are in ClickHouse."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Check a batch and gather it; what is refused becomes a dead letter."""
        if message.topic == DEAD_LETTERS and is_letter(message):
            return self._letter(message)
        headers, mark = self._live.headers(message), None
        values: Sequence[bytes] = ()
        if headers is not None:
            mark = self._live.reader.check(headers, message.where)
            if headers.kind == "batch" and not all_seen(headers, mark):
                try:
                    check_batch(headers, message.value, message.where)
                    values = self._gatherer.prepared(headers, message.value, message.where)
                except CorruptBatchError as error:
                    self._live.refuse(message, error)
                    headers = None
        outputs: list[Output] = []
        if headers is not None:
            self._live.accept(headers)
            self._flood.taken()
        elif self._live.damage is not None:
            outputs = self.refused(message, self._live.damage)
        held = _Held(self, message, headers, values, mark, self._flood.row)
        self._gatherer.add(held, headers.count if headers is not None and values else 0)
        return outputs + self._gatherer.letters()

    def _letter(self, message: Message) -> Sequence[Output]:
        """A message that another agent refused."""
        try:
            row = letter_of(message)
        except CorruptBatchError as error:
            self._live.refuse(message, error)
            outputs = self.refused(message, error)
            self._gatherer.add(_Held(self, message, None, (), None, self._flood.row), 0)
            return outputs + self._gatherer.letters()
        value = self._gatherer.sealed(pl.DataFrame([row], schema=polars_schema("dead_letter")))
        self._gatherer.add(_Held(self, message, None, (value,), None, self._flood.row), 1)
        return self._gatherer.letters()

    def refused(self, message: Message, error: CorruptBatchError | RefusedValuesError) -> list[Output]:
        """A message as a dead letter.

        Raises:
            StateError: too many in a row.
        """
        self._flood.refused(message, error)
        return [letter(message, AGENT, error, *([NOT_STORED] if isinstance(error, RefusedValuesError) else []))]

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        self._gatherer.tick(now_s)
        return self._gatherer.letters()

    def written(self, held: _Held) -> None:
        """A message's rows are in ClickHouse."""
        self._applied, self._row = held.message.offset, held.row
        if held.headers is not None:
            self._written.accept(held.headers)

    def truncated(self) -> None:
        """See `Stage`."""
        self._live.reader.truncated()
        self._written.reader.truncated()

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part, as of `applied`."""
        return {META: pack(applied=self._applied, batches=self._written.save(), row=self._row)}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            plain = unpack(parts[META])
            self._applied, self._row = plain["applied"], plain.get("row", 0)  # the release before has no row
            self._flood.row = self._row
            self._live = EventBatches.load(plain["batches"])
            self._written = EventBatches.load(plain["batches"])

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return self._live.figures()

    def close(self) -> None:
        """Forget what is not written."""
        self._gatherer.drop(self)


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
