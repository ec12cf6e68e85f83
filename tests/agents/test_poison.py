"""What is refused becomes a dead letter once, what stands beside it is stored, and a flood of it ends the agent."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from agents.delivery.identify import IdentifyStage
from agents.delivery.letters import CORRUPT, NOT_STORED, Flood, is_letter, letter_of
from agents.delivery.persist import Gatherer, PersistBatches
from agents.delivery.persist_records import PersistRecords, RecordGatherer
from agents.delivery.stage import Message, Output
from agents.sinks.clickhouse import ClickHouse, RefusedValuesError, Rows
from schemas.errors import StateError
from schemas.headers import Position
from schemas.kinds import DEAD_LETTERS, LEDGER, EventKind
from tests.agents.collecting import batches, sourced
from tests.agents.simulated import day

TOPIC = EventKind.DHCP.topic


class Picky(ClickHouse):
    """A store that refuses whatever has a value that is marked as poison, and keeps the rest."""

    def __init__(self, poison: bytes = b"\0") -> None:
        super().__init__("clickhouse://nowhere", threading.Event())
        self._poison = poison
        self.stored: list[object] = []

    def insert_containers(
        self, table: str, columns: Mapping[str, str], containers: Sequence[tuple[bytes, Position | None]]
    ) -> None:
        if any(value == self._poison for value, _ in containers):
            raise RefusedValuesError("ClickHouse refuses with code 117: incorrect data")
        self.stored += [value for value, _ in containers]

    def insert_rows(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        if any("poison" in row for row in rows):
            raise RefusedValuesError("values do not fit")
        self.stored += [row[0] for row in rows]


def _messages() -> list[Message]:
    kind, frame = day(seed=1, lines=20_000).frames["dhcp"]
    sent = batches(sourced("dhcp", kind, frame.head(60)), 10, 1, 0)
    return [Message(o.topic, 0, n, o.value, tuple(o.headers), o.key) for n, o in enumerate(sent) if o.value]


def _letters(outputs: Sequence[Output]) -> list[Mapping[str, object]]:
    told = [Message(o.topic, 0, n, o.value, tuple(o.headers), o.key) for n, o in enumerate(outputs)]
    assert all(m.topic == DEAD_LETTERS and is_letter(m) for m in told)
    return [letter_of(m) for m in told]


def test_a_batch_that_clickhouse_refuses_is_a_dead_letter_and_those_beside_it_are_stored() -> None:
    messages = _messages()
    store = Picky(messages[2].value)
    stage = PersistBatches(Gatherer(store, TOPIC))
    outputs: list[Output] = []
    for message in messages:
        outputs += stage.handle(message)
    outputs += stage.tick(0.0)
    outputs += stage.tick(1.0)
    [told] = _letters(outputs)
    assert (told["reason"], told["log_source"], told["log_offset"]) == (
        NOT_STORED,
        f"kafka:{TOPIC}",
        messages[2].offset,
    )
    assert told["raw"] == messages[2].value[:65_536]
    assert store.stored == [m.value for m in messages if m is not messages[2]]
    assert stage.applied == messages[-1].offset


def test_a_record_that_clickhouse_refuses_is_a_dead_letter_and_those_beside_it_are_stored() -> None:
    store = Picky()
    stage = PersistRecords(RecordGatherer(store, LEDGER))
    outputs: list[Output] = []
    for offset, name in enumerate(("a", "poison", "c")):
        outputs += stage.handle(Message(LEDGER, 0, offset, json.dumps({"source": name}).encode(), ()))
    outputs += stage.tick(0.0)
    outputs += stage.tick(1.0)
    assert [(told["reason"], told["log_offset"]) for told in _letters(outputs)] == [(NOT_STORED, 1)]
    assert store.stored == ["a", "c"]
    assert stage.applied == 2


def test_the_same_refused_message_has_the_same_id_whoever_reads_it_and_how_often() -> None:
    message = Message(TOPIC, 3, 17, b"rubbish", ())
    first, second = (PersistBatches(Gatherer(Picky(), TOPIC)) for _ in range(2))
    told = [*_letters(first.handle(message)), *_letters(second.handle(message))]
    assert told[0] == told[1]
    assert told[0]["reason"] == CORRUPT
    other = _letters(first.handle(replace(message, offset=18)))
    assert other[0]["event_id"] != told[0]["event_id"]


def test_a_batch_that_follows_rows_never_seen_is_counted_and_comes_again_so_it_is_no_dead_letter() -> None:
    stage = PersistBatches(Gatherer(Picky(), TOPIC))
    second = _messages()[1]
    assert stage.handle(second) == []
    assert stage.figures()["refused"] == 1


def test_a_dead_letter_of_another_agent_is_stored() -> None:
    refusing, store = PersistBatches(Gatherer(Picky(), TOPIC)), Picky()
    [told] = refusing.handle(Message(TOPIC, 3, 17, b"rubbish", ()))
    stage = PersistBatches(Gatherer(store, DEAD_LETTERS))
    assert stage.handle(Message(DEAD_LETTERS, 0, 0, told.value, told.headers, told.key)) == []
    stage.tick(0.0)
    stage.tick(1.0)
    assert len(store.stored) == 1
    assert stage.applied == 0


def test_a_flood_ends_the_agent_with_a_word_and_a_restart_lets_no_more_of_it_pass() -> None:
    messages = [Message(TOPIC, 0, n, b"rubbish", ()) for n in range(9)]
    stage = PersistBatches(Gatherer(Picky(), TOPIC), Flood(5))
    for message in messages[:4]:
        stage.handle(message)
    stage.tick(0.0)
    saved = stage.snapshot()
    assert stage.applied == 3
    again = PersistBatches(Gatherer(Picky(), TOPIC), Flood(5))
    again.restore(saved)
    again.handle(messages[4])
    with pytest.raises(StateError, match=f"{TOPIC}/0/5: 5 messages in a row are refused.*refused_in_a_row"):
        again.handle(messages[5])
    assert again.applied <= 4


def test_what_is_taken_between_begins_the_count_anew() -> None:
    rubbish = Message(TOPIC, 0, 7, b"rubbish", ())
    stage = PersistBatches(Gatherer(Picky(), TOPIC), Flood(2))
    for message in (rubbish, rubbish, _messages()[0], rubbish, rubbish):
        stage.handle(message)
    assert stage.figures()["refused"] == 4


def test_a_flood_of_what_clickhouse_refuses_ends_the_agent_too_and_a_restart_lets_no_more_pass() -> None:
    store = Picky()
    messages = [Message(LEDGER, 0, n, json.dumps({"source": "poison"}).encode(), ()) for n in range(9)]
    stage = PersistRecords(RecordGatherer(store, LEDGER), Flood(5))
    for message in messages[:4]:
        stage.handle(message)
    stage.tick(0.0)
    stage.tick(1.0)
    assert stage.applied == 3
    saved, stage = stage.snapshot(), PersistRecords(RecordGatherer(store, LEDGER), Flood(5))
    stage.restore(saved)
    for message in messages[4:]:
        stage.handle(message)
    stage.tick(0.0)
    with pytest.raises(StateError, match=f"{LEDGER}/0/5: 5 messages in a row are refused"):
        stage.tick(1.0)
    assert stage.applied == 3


def test_who_judges_is_ended_by_a_flood_as_well() -> None:
    stage = IdentifyStage(TOPIC, 0, EventKind.DHCP, Flood(2))
    rubbish = Message(TOPIC, 0, 7, b"rubbish", ())
    for message in (rubbish, _messages()[0], rubbish, rubbish):
        stage.handle(message)
    with pytest.raises(StateError, match="2 messages in a row are refused"):
        stage.handle(rubbish)
