"""persist: events, dead letters, ledger and violations to ClickHouse, one stage for one partition of one topic."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from agents.delivery.batches import EventBatches
from agents.delivery.reader import all_seen
from agents.delivery.stage import Message, Output, Stage
from agents.sinks.clickhouse import ClickHouse, insert_ledger, insert_violations
from schemas.codec import check_batch
from schemas.errors import AupstreamError, CorruptBatchError, StateError
from schemas.kinds import DEAD_LETTERS, LEDGER, VIOLATIONS
from schemas.records import decode_record
from schemas.registry import column_names

log = logging.getLogger(__name__)
GATHER_ROWS = 500  # single records gathered into one insert
GATHER_S = 0.25


class _PersistStage(Stage):
    """What the two kinds of persisting share: they write before they count a message as applied."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self._applied = -1

    @property
    def applied(self) -> int:
        """Highest offset whose rows are in ClickHouse."""
        return self._applied

    def close(self) -> None:
        """Give up the connection."""
        self._store.close()


class PersistBatches(_PersistStage):
    """Containers of events or dead letters, handed to ClickHouse as they are."""

    def __init__(self, store: ClickHouse, topic: str) -> None:
        super().__init__(store)
        kind = topic.rpartition(".")[2]
        self._schema = "dead_letter" if topic == DEAD_LETTERS else kind
        self._table = "dead_letters" if topic == DEAD_LETTERS else f"events_{kind}"
        self._columns = column_names(self._schema)
        self._batches = EventBatches()

    def handle(self, message: Message) -> Sequence[Output]:
        """Insert the new rows of a batch."""
        headers = self._batches.headers(message)
        if headers is not None:
            mark = self._batches.reader.check(headers, message.where)
            if headers.kind == "batch" and not all_seen(headers, mark):
                try:
                    check_batch(headers, message.value, message.where)
                    self._store.insert_container(self._table, self._columns, message.value, mark)
                except CorruptBatchError as error:
                    self._batches.refused += 1
                    log.warning("refused: %s", error)
                    headers = None
        if headers is not None:
            self._batches.accept(headers)
        self._applied = message.offset
        return ()

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {"meta": msgspec.msgpack.encode({"v": 1, "applied": self._applied, "batches": self._batches.save()})}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if "meta" in parts:
            plain = _meta(parts["meta"])
            self._applied = plain["applied"]
            self._batches = EventBatches.load(plain["batches"])


class PersistRecords(_PersistStage):
    """Single records (violations, ledger), gathered for a moment into one insert."""

    def __init__(self, store: ClickHouse, topic: str) -> None:
        super().__init__(store)
        self._insert: Callable[[ClickHouse, list[Mapping[str, object]]], None]
        self._decode: Callable[[bytes], Mapping[str, object]]
        if topic == VIOLATIONS:
            self._insert, self._decode = insert_violations, lambda value: decode_record(value)[1]
        elif topic == LEDGER:
            self._insert, self._decode = insert_ledger, json.loads
        else:
            raise ValueError(topic)
        self._waiting: list[Mapping[str, object]] = []
        self._newest = -1
        self._since_s: float | None = None
        self.refused = 0

    def handle(self, message: Message) -> Sequence[Output]:
        """Gather a record."""
        try:
            self._waiting.append(self._decode(message.value))
        except (AupstreamError, ValueError) as error:
            self.refused += 1
            log.warning("%s: record cannot be read, passed over: %s", message.where, error)
        self._newest = message.offset
        if len(self._waiting) >= GATHER_ROWS:
            self._write()
        return ()

    def tick(self, now_s: float) -> Sequence[Output]:
        """Write what has waited long enough."""
        if self._newest == self._applied:
            return ()
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= GATHER_S:
            self._write()
        return ()

    def _write(self) -> None:
        self._insert(self._store, self._waiting)
        self._waiting = []
        self._applied, self._since_s = self._newest, None

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part."""
        return {"meta": msgspec.msgpack.encode({"v": 1, "applied": self._applied})}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`."""
        if "meta" in parts:
            self._applied = self._newest = _meta(parts["meta"])["applied"]


def _meta(part: bytes) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.msgpack.decode(part)
    if plain.get("v") != 1:
        raise StateError("the saved state has another layout", hint="run the release that wrote it")
    return plain


def persist_stage(store: ClickHouse, topic: str) -> Stage:
    """The stage for a topic."""
    return PersistRecords(store, topic) if topic in (VIOLATIONS, LEDGER) else PersistBatches(store, topic)
