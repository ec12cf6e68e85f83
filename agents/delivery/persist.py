"""persist: events, dead letters, ledger and violations to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agents.delivery.batches import EventBatches
from agents.delivery.reader import all_seen
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.privacy.live import LiveNames
from agents.privacy.records import violation
from agents.sinks.avro_columns import clickhouse_columns
from agents.sinks.clickhouse import ClickHouse, insert_ledger, insert_names, insert_violations
from schemas.codec import check_batch, decode
from schemas.errors import AupstreamError, CorruptBatchError
from schemas.headers import BatchHeaders, Position
from schemas.kinds import DEAD_LETTERS, LEDGER, VIOLATIONS
from schemas.records import decode_record

log = logging.getLogger(__name__)
GATHER_ROWS = 500  # single records gathered into one insert
GATHER_S = 0.25
INSERT_ROWS = 50_000  # rows of containers gathered into one insert
INSERT_BYTES = 6_000_000  # or so many bytes of them: a third more as text, below what servers take as one query
INSERT_PARTS = 32  # or so many containers: 6 ms each up to there, 40 at 512, and at some 1,000 servers refuse the query


class _PersistStage(Stage):
    """What the two kinds of persisting share: they write before they count a message as applied."""

    def __init__(self) -> None:
        self._applied = -1

    @property
    def applied(self) -> int:
        """Highest offset whose rows are in ClickHouse."""
        return self._applied


@dataclass(slots=True)
class _Held:
    """A message whose rows are not written yet: containers, none where it has none."""

    stage: PersistBatches
    offset: int
    headers: BatchHeaders | None
    values: Sequence[bytes]
    mark: Position | None


class Gatherer:
    """Gathers the containers of one topic, from all its partitions in this process, into few large inserts.

    A row costs ClickHouse half as much in an insert of 50,000 as in one of 5,000. The runtime calls the stages of a
    process one at a time, so they share this without a lock.

    Args:
        store: Connection.
        topic: An event topic or that of the dead letters.
        names: Replaces names in events; None: they are stored as logged. Dead letters are always as logged, and for
            operators only.
    """

    def __init__(self, store: ClickHouse, topic: str, names: LiveNames | None = None) -> None:
        kind = topic.rpartition(".")[2]
        self._names = None if topic == DEAD_LETTERS else names
        self._store = store
        self._table = "dead_letters" if topic == DEAD_LETTERS else f"events_{kind}"
        self._columns = clickhouse_columns("dead_letter" if topic == DEAD_LETTERS else kind)
        self._held: list[_Held] = []
        self._rows = self._bytes = self._parts = 0
        self._since_s: float | None = None

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
        return self._names.containers(headers.schema, decode(headers.schema, value, None, where))

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
        parts = [(value, h.mark) for h in self._held for value in h.values]
        _write_names(self._store, self._names)
        if parts:
            self._store.insert_containers(self._table, self._columns, parts)
        done, self._held = self._held, []
        self._rows = self._bytes = self._parts = 0
        self._since_s = None
        for held in done:
            held.stage.written(held.offset, held.headers)

    def drop(self, stage: PersistBatches) -> None:
        """Forget what a stage gave that is not written; its next owner reads it again."""
        self._held = [h for h in self._held if h.stage is not stage]


def _write_names(store: ClickHouse, names: LiveNames | None) -> None:
    """Before the rows that use them: what an analyst asks about can be unmasked."""
    if names is not None:
        insert_names(store, names.take_new())


class PersistBatches(_PersistStage):
    """Containers of events or dead letters."""

    def __init__(self, gatherer: Gatherer) -> None:
        super().__init__()
        self._gatherer = gatherer
        self._live = EventBatches()
        self._written = EventBatches()

    def handle(self, message: Message) -> Sequence[Output]:
        """Check a batch and gather it."""
        headers, mark = self._live.headers(message), None
        values: Sequence[bytes] = ()
        if headers is not None:
            mark = self._live.reader.check(headers, message.where)
            if headers.kind == "batch" and not all_seen(headers, mark):
                try:
                    check_batch(headers, message.value, message.where)
                    values = self._gatherer.prepared(headers, message.value, message.where)
                except CorruptBatchError as error:
                    self._live.refused += 1
                    log.warning("refused: %s", error)
                    headers = None
        if headers is not None:
            self._live.accept(headers)
        rows = headers.count if headers is not None and values else 0
        self._gatherer.add(_Held(self, message.offset, headers, values, mark), rows)
        return ()

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        self._gatherer.tick(now_s)
        return ()

    def written(self, offset: int, headers: BatchHeaders | None) -> None:
        """A message's rows are in ClickHouse."""
        self._applied = offset
        if headers is not None:
            self._written.accept(headers)

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part, as of `applied`."""
        return {META: pack(applied=self._applied, batches=self._written.save())}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            plain = unpack(parts[META])
            self._applied = plain["applied"]
            self._live = EventBatches.load(plain["batches"])
            self._written = EventBatches.load(plain["batches"])

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {"refused": self._live.refused}

    def close(self) -> None:
        """Forget what is not written."""
        self._gatherer.drop(self)


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
        self.decode: Callable[[bytes], Mapping[str, object]]
        self._insert: Callable[[ClickHouse, list[Mapping[str, object]]], None]
        self._decode: Callable[[bytes], Mapping[str, object]]
        self._names = names if topic == VIOLATIONS else None
        if topic == VIOLATIONS:
            self._insert, self.decode = insert_violations, lambda value: decode_record(value)[1]
        elif topic == LEDGER:
            self._insert, self.decode = insert_ledger, json.loads
        else:
            raise ValueError(topic)
        self._waiting: list[tuple[PersistRecords, int, Mapping[str, object] | None]] = []
        self._since_s: float | None = None

    def add(self, stage: PersistRecords, offset: int, record: Mapping[str, object] | None) -> None:
        """Take a message (record None: it could not be read); writes where enough has been gathered."""
        self._waiting.append((stage, offset, record))
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
        records = [record for _, _, record in self._waiting if record is not None]
        if self._names is not None:
            records = [violation(self._names.names, record) for record in records]
            _write_names(self._store, self._names)
        self._insert(self._store, records)
        done, self._waiting, self._since_s = self._waiting, [], None
        for stage, offset, _ in done:
            stage.written(offset)

    def drop(self, stage: PersistRecords) -> None:
        """Forget what a stage gave that is not written; its next owner reads it again."""
        self._waiting = [w for w in self._waiting if w[0] is not stage]


class PersistRecords(_PersistStage):
    """Single records (violations, ledger), gathered for a moment into one insert."""

    def __init__(self, gatherer: RecordGatherer) -> None:
        super().__init__()
        self._gatherer = gatherer
        self.refused = 0

    def handle(self, message: Message) -> Sequence[Output]:
        """Gather a record."""
        record = None
        try:
            record = self._gatherer.decode(message.value)
        except (AupstreamError, ValueError) as error:
            self.refused += 1
            log.warning("%s: record cannot be read, passed over: %s", message.where, error)
        self._gatherer.add(self, message.offset, record)
        return ()

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        self._gatherer.tick(now_s)
        return ()

    def written(self, offset: int) -> None:
        """A message's record is in ClickHouse."""
        self._applied = offset

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {META: pack(applied=self._applied)}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if META in parts:
            self._applied = unpack(parts[META])["applied"]

    def close(self) -> None:
        """Forget what is not written."""
        self._gatherer.drop(self)


class PersistStages:
    """Makes the stages of one process; those of one topic share a connection."""

    def __init__(self, dsn: str, stop: threading.Event, names: LiveNames | None = None) -> None:
        self._dsn, self._stop, self._names = dsn, stop, names
        self._stores: dict[str, ClickHouse] = {}
        self._gatherers: dict[str, Gatherer] = {}
        self._records: dict[str, RecordGatherer] = {}

    def __call__(self, topic: str, partition: int) -> Stage:
        """The stage of an input partition."""
        del partition
        store = self._stores.setdefault(topic, ClickHouse(self._dsn, self._stop))
        if topic in (VIOLATIONS, LEDGER):
            return PersistRecords(self._records.setdefault(topic, RecordGatherer(store, topic, self._names)))
        return PersistBatches(self._gatherers.setdefault(topic, Gatherer(store, topic, self._names)))
