"""persist gathers containers into inserts of a bounded size, and counts a message as applied once it is written."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from agents.delivery.persist import Gatherer, PersistBatches
from agents.delivery.stage import Message
from agents.sinks.clickhouse import ClickHouse
from schemas.headers import Position
from schemas.kinds import EventKind
from tests.agents.collecting import batches, sourced
from tests.agents.simulated import day


class Noting(ClickHouse):
    """A store that notes how many containers each insert has."""

    def __init__(self) -> None:
        super().__init__("clickhouse://nowhere", threading.Event())
        self.inserts: list[int] = []

    def insert_containers(
        self, table: str, columns: Mapping[str, str], containers: Sequence[tuple[bytes, Position | None]]
    ) -> None:
        self.inserts.append(len(containers))


def _messages(rows: int) -> list[Message]:
    kind, frame = day(seed=1, lines=20_000).frames["dhcp"]
    sent = batches(sourced("dhcp", kind, frame.head(rows * 100)), rows, 1, 0)
    return [Message(o.topic, 0, n, o.value, tuple(o.headers), o.key) for n, o in enumerate(sent)]


def test_many_small_batches_do_not_become_one_endless_statement() -> None:
    """ClickHouse takes four times as long for a container of 512 in a statement as for one of 32, and refuses 1,000."""
    store = Noting()
    stage = PersistBatches(Gatherer(store, EventKind.DHCP.topic))
    messages = _messages(rows=3)
    for message in messages:
        stage.handle(message)
    assert max(store.inserts) == 32
    assert stage.applied == sum(store.inserts) - 1
    stage.tick(0.0)
    stage.tick(1.0)
    assert sum(store.inserts) == 100
    assert stage.applied == messages[-1].offset
