"""A real message that was damaged on Kafka is lost: what follows it is taken, and what may lack it is marked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.batches import EventBatches
from agents.delivery.correlate import CorrelateStage
from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context
from agents.delivery.identify import IdentifyStage
from agents.delivery.letters import is_letter
from agents.delivery.persist import Gatherer, PersistBatches
from agents.delivery.rulebook import Always
from agents.delivery.stage import Message, Output
from agents.engine.detect import Detector
from agents.engine.episodes import Judge
from agents.rules.loader import parse_rules
from schemas.kinds import DEAD_LETTERS, DETECTIONS, IDENTITY, SOURCES, VIOLATIONS, EventKind
from schemas.records import decode_record
from tests.agents.collecting import SentSource, batches, register, sourced
from tests.agents.simulated import day
from tests.agents.test_poison import Picky

TOPIC = EventKind.DHCP.topic
ROWS = 10
RULE = """title: Many leases
name: many-leases
id: 00000000-0000-4000-8000-000000000001
logsource: {category: dhcp}
detection: {selection: {event_action: ack}, condition: selection}
---
title: Ten in a minute
name: ten-in-a-minute
id: 00000000-0000-4000-8000-000000000002
level: low
correlation:
  type: event_count
  rules: [many-leases]
  group-by: [event_dataset]
  timespan: 1m
  condition: {gte: 2}
"""


def _source() -> SentSource:
    kind, frame = day(seed=1, lines=20_000).frames["dhcp"]
    return sourced("dhcp", kind, frame.head(12 * ROWS))


def _messages(outputs: Sequence[Output]) -> list[Message]:
    return [Message(o.topic, o.partition or 0, n, o.value, tuple(o.headers), o.key) for n, o in enumerate(outputs)]


def _sent() -> list[Message]:
    return _messages([o for o in batches(_source(), ROWS, 1, 0) if o.value])


def _damaged(message: Message) -> Message:
    return replace(message, value=message.value[:-1] + bytes([message.value[-1] ^ 1]))


def _unreadable(message: Message) -> Message:
    return replace(message, headers=[(name, b"\xff" + content) for name, content in message.headers])


SPOILT = pytest.mark.parametrize("spoil", [_damaged, _unreadable])


@SPOILT
@pytest.mark.parametrize("restarted", [False, True])
def test_what_follows_a_damaged_batch_is_stored_and_it_is_one_dead_letter(spoil: object, restarted: bool) -> None:
    messages = _sent()
    messages[2] = spoil(messages[2])  # type: ignore[operator]
    store = Picky()
    stage = PersistBatches(Gatherer(store, TOPIC))
    outputs: list[Output] = []
    for n, message in enumerate(messages):
        outputs += stage.handle(message)
        if restarted and n == 2:
            stage.tick(0.0)
            stage.tick(1.0)
            saved, stage = stage.snapshot(), PersistBatches(Gatherer(store, TOPIC))
            stage.restore(saved)
            assert stage.applied == 2
    stage.tick(2.0)
    stage.tick(3.0)
    assert store.stored == [m.value for m in messages if m is not messages[2]]
    assert [is_letter(m) for m in _messages(outputs)] == [True]
    assert outputs[0].topic == DEAD_LETTERS
    assert (stage.figures()["lost"], stage.figures()["missing"]) == (1, 0)
    assert stage.applied == messages[-1].offset


def test_noise_beside_a_hole_that_comes_again_loses_nothing() -> None:
    messages = _sent()
    reading = EventBatches()
    assert reading.read(messages[0]) is not None
    assert reading.read(replace(messages[0], headers=())) is None
    assert reading.read(messages[1]) is not None
    assert reading.read(messages[3]) is None  # its sender was not told that the third had arrived, and sends both again
    assert reading.read(messages[2]) is not None
    assert reading.read(messages[3]) is not None
    assert reading.reader.lost == 0


def _context(source: SentSource) -> Context:
    context = Context(1)
    for n, output in enumerate(register([source])):
        context.take(Message(SOURCES, 0, n, output.value, ()))
    return context


def _detect(context: Context) -> DetectStage:
    rules = parse_rules(RULE)
    make = Detectors(Always(rules), lambda found: Detector(found, District.of("d", "UTC", [], []), Inventory.none()))
    return DetectStage(TOPIC, 0, EventKind.DHCP, make, context, partitions=1)


def _violations(messages: Sequence[Message], spoil: object = None, at: str = "") -> list[dict[str, object]]:
    """Through detect and correlate, where the third message of a topic is spoilt."""
    context = _context(_source())
    detect, correlate = _detect(context), CorrelateStage(Always(parse_rules(RULE)), Judge(), context, inventory=False)
    if at == TOPIC:
        messages = [spoil(m) if m.offset == 2 else m for m in messages]  # type: ignore[operator]
    made: list[Output] = []
    for message in messages:
        made += detect.handle(message)
        made += detect.tick(float(message.offset))
    rows = _messages([output for output in made if output.topic == DETECTIONS])
    if at == DETECTIONS:
        third = [m.offset for m in rows if m.value][2]
        rows = [spoil(m) if m.offset == third else m for m in rows]  # type: ignore[operator]
    found: dict[str, dict[str, object]] = {}
    for message in rows:
        for output in (*correlate.handle(message), *correlate.tick(0.0)):
            if output.topic == VIOLATIONS:
                record = decode_record(output.value)[1]
                found[str(record["id"])] = dict(record)
    assert correlate.figures()["missing"] == 0
    return list(found.values())


@SPOILT
@pytest.mark.parametrize("at", [TOPIC, DETECTIONS])
def test_violations_that_may_lack_lost_rows_say_so(spoil: object, at: str) -> None:
    source = _source()
    messages = _messages([o for o in batches(source, ROWS, 1, 0) if o.topic == TOPIC])
    whole = {str(v["id"]): v for v in _violations(messages)}
    assert whole
    assert not any(v["incomplete"] for v in whole.values())
    times = source.frame["timestamp"].dt.timestamp("us")
    begins, ends = int(times[2 * ROWS]), int(times[3 * ROWS - 1])
    found = _violations(messages, spoil, at)
    marked = [v for v in found if v["incomplete"]]
    sure = [v for v in found if not v["incomplete"]]
    assert marked
    assert sure
    assert all(whole[str(v["id"])] == v for v in sure)
    near = [v for v in marked if int(str(v["first_seen"])) < begins and int(str(v["last_seen"])) > ends]
    assert len(marked) - len(near) < len(found)


@SPOILT
def test_facts_that_were_lost_leave_a_mark_for_as_long_as_they_would_have_counted(spoil: object) -> None:
    source = _source()
    messages = _messages([o for o in batches(source, ROWS, 1, 0) if o.topic == TOPIC])
    for lost in (False, True):
        context, stage = _context(source), IdentifyStage(TOPIC, 0, EventKind.DHCP)
        for message in messages:
            spoilt = spoil(message) if lost and message.offset == 2 else message  # type: ignore[operator]
            for output in stage.handle(spoilt):
                assert output.topic == IDENTITY
                context.take(Message(IDENTITY, 0, message.offset, output.value, tuple(output.headers), output.key))
        assert context.nobody_tells_who() is lost
        assert context.refused == 0


def test_rules_that_are_announced_and_not_there_are_passed_over() -> None:
    context = _context(_source())
    record = json.dumps({"event": "rules", "version": "forged", "start": 0}).encode()
    context.take(Message(SOURCES, 0, 7, record, ()))
    assert context.periods()
    context.all_read()
    assert context.periods() == ()
    assert context.epoch() == 7


@pytest.mark.parametrize("record", [{"event": "permit"}, {"event": "caught_up", "source": "a", "from": "x", "to": 1}])
def test_half_a_record_of_a_permit_or_a_gap_is_refused(record: dict[str, object]) -> None:
    context = Context(1)
    context.take(Message(SOURCES, 0, 0, json.dumps(record).encode(), ()))
    assert (context.refused, context.permits(), context.registry.gaps) == (1, (), ())
