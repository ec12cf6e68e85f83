"""persist writes the records of all its partitions in one insert, and counts each as applied once it is written."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

from agents.delivery.persist_records import PersistRecords, RecordGatherer
from agents.delivery.stage import Message
from agents.sinks.clickhouse import ClickHouse, Rows
from schemas.kinds import LEDGER


class Noting(ClickHouse):
    """A store that notes the sources of the rows of each insert."""

    def __init__(self) -> None:
        super().__init__("clickhouse://nowhere", threading.Event())
        self.inserts: list[list[object]] = []

    def insert_rows(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        self.inserts.append([row[0] for row in rows])


def _record(partition: int, offset: int, name: str) -> Message:
    return Message(LEDGER, partition, offset, json.dumps({"source": name}).encode(), ())


def test_records_of_all_partitions_become_one_insert() -> None:
    store = Noting()
    gatherer = RecordGatherer(store, LEDGER)
    first, second = PersistRecords(gatherer), PersistRecords(gatherer)
    first.handle(_record(0, 7, "a"))
    second.handle(_record(1, 3, "b"))
    first.handle(Message(LEDGER, 0, 8, b"no json", ()))
    first.tick(0.0)
    assert (first.applied, second.applied) == (-1, -1)
    second.tick(1.0)
    assert store.inserts == [["a", "b"]]
    assert (first.applied, second.applied) == (8, 3)
    assert first.refused == 1


def test_what_a_closed_stage_gave_is_not_written_and_the_others_lose_nothing() -> None:
    store = Noting()
    gatherer = RecordGatherer(store, LEDGER)
    gone, stays = PersistRecords(gatherer), PersistRecords(gatherer)
    gone.handle(_record(0, 7, "a"))
    stays.handle(_record(1, 3, "b"))
    gone.close()
    stays.tick(0.0)
    stays.tick(1.0)
    assert store.inserts == [["b"]]
    assert (gone.applied, stays.applied) == (-1, 3)
