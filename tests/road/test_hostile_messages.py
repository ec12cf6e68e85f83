"""Messages that nobody of ours sent, on every topic: no agent ends, each is a dead letter, all else is as it was."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from agents.delivery.letters import letter
from agents.delivery.link import NOTHING, Link
from agents.delivery.stage import Message
from agents.settings import INPUTS
from infra.run.drain import statuses
from infra.run.system import System
from infra.run.topics import wanted
from schemas.codec import encode
from schemas.errors import CorruptBatchError
from schemas.headers import BatchHeaders
from schemas.kinds import DEAD_LETTERS, IDENTITY, RULES, SOURCES, VIOLATIONS, EventKind
from schemas.registry import empty
from tests.road.scene import WITHIN_S, backtest, simulated, wait_until
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]

NOISE = 4  # of the messages to each partition that nobody could take for anything
Record = tuple[bytes, list[tuple[str, bytes]]]
_NOT_STATE = [topic for topic in wanted(1, 1) if not topic.startswith("aup.state.")]
PARTITIONS = {topic: made.partitions for topic, made in wanted(4, 4).items()}


def _hostile(chance: random.Random, real: Record | None) -> Iterator[Record]:
    """Random bytes with and without headers; a real message cut, damaged, with other headers, of a huge count."""
    noise = chance.randbytes(300)
    yield noise, []
    yield b"", [("aup-kind", b"batch")]
    yield noise, [("aup-kind", b"\xff"), ("aup-source", noise), ("aup-count", b"99999999999999999999")]
    yield b"Obj\x01" + noise, []
    if real is None:
        return
    value, headers = real
    if value:
        yield value[: len(value) // 2], headers
        if any(name == "aup-check" for name, _ in headers):  # records have no checksum: ACLs guard them
            yield value[:-1] + bytes([value[-1] ^ 1]), headers
        yield value, []
        yield noise, headers
    yield value, [(name, b"9" * 18 if b"0" <= content[:1] <= b"9" else content) for name, content in headers]
    yield value, [(name, content) for name, content in headers if not chance.randrange(3)]


def _of_another_schema(topic: str) -> Iterator[Record]:
    """What is whole and well-formed, but nothing that belongs there."""
    mail = encode("mail", empty("mail"))
    for schema in ("mail", "proxy", "dead_letter"):
        headers = BatchHeaders("batch", schema, "stranger", count=0, crc32=zlib.crc32(mail))
        yield mail, headers.to_kafka()
    link = Link(EventKind.PROXY.topic, 0, "immediate", NOTHING, NOTHING, [], -1, 5, zlib.crc32(mail), [(1, 5)])
    yield mail, list(link.to_kafka())
    for text in (b"[]", b"1", b'"text"', b'{"source": 7}', b'{"source": "a", "lines": -1}', b'{"event": "rules"}'):
        yield text, []
    stray = letter(Message(topic, 99, 1, b"x", ()), "test", CorruptBatchError("a stray"))
    if topic != DEAD_LETTERS:  # there it is what it says
        yield stray.value, list(stray.headers)


def _newest(bootstrap: str, topic: str) -> Record | None:
    """A real message of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        for number in sorted(consumer.partitions_for_topic(topic) or ()):
            place = TopicPartition(topic, number)
            end = consumer.end_offsets([place])[place]
            if end:
                consumer.assign([place])
                consumer.seek(place, end - 1)
                for records in consumer.poll(timeout_ms=5_000).values():
                    return records[-1].value or b"", list(records[-1].headers or ())
        return None
    finally:
        consumer.close()


def _send(system: System, seed: int) -> dict[str, int]:
    """Hostile messages to every partition of every topic; how many by topic."""
    chance = random.Random(seed)
    producer = KafkaProducer(bootstrap_servers=system.kafka)
    sent = dict.fromkeys(_NOT_STATE, 0)
    for topic in _NOT_STATE:
        # What a worker is told by a real message that comes again under another key is the same thing again.
        real = None if topic in (SOURCES, RULES) else _newest(system.kafka, topic)
        for number in sorted(producer.partitions_for(topic)):
            for value, headers in (*_hostile(chance, real), *_of_another_schema(topic)):
                producer.send(topic, value, key=chance.randbytes(4), headers=headers, partition=number)
                sent[topic] += 1
    producer.flush()
    producer.close()
    return sent


def _assert_dead_letters(system: System, sent: dict[str, int]) -> None:
    """What nobody could take for anything is there by topic, once; nothing more than was sent."""
    stored = Stored(system)
    try:
        query = (
            "SELECT substring(log_source, 7), count(), uniqExact(event_id) FROM dead_letters FINAL "
            "WHERE startsWith(log_source, 'kafka:') AND reason IN ('corrupt_message', 'not_stored') GROUP BY 1"
        )
        found = {topic: (rows, ids) for topic, rows, ids in stored.rows(query)}
        assert found.keys() == set(_NOT_STATE), set(_NOT_STATE) ^ found.keys()
        for topic, (rows, ids) in found.items():
            assert rows == ids
            assert NOISE * PARTITIONS[topic] <= rows <= sent[topic], topic
    finally:
        stored.close()


def test_hostile_messages_on_every_topic_end_no_agent_and_change_nothing(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=9, lines=20_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 100} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        wait_until(system, lambda: sum(s.get("handled", 0) for s in statuses(system.paths.status)) > 300, WITHIN_S)
        assert system.absences.is_alive()
        sent = _send(system, 1)
        system.wait_until_drained(within_s=WITHIN_S)
        assert all(number == 1 for number in system.processes.starts.values()), system.processes.starts
        refused = {
            s["agent"]: sum(f.get("refused", 0) for f in s["inputs"].values()) for s in statuses(system.paths.status)
        }
        assert refused["detect"] >= sum(sent[topic] for topic in INPUTS["detect"]) // 2
        assert refused["correlate"] > 0
        _assert_dead_letters(system, sent)
        stored = Stored(system, passing_over=True)
        assert_conserved(stored, lines)
        assert_same(stored, backtest(scene.config))
        assert stored.passed_over > 5
        stored.close()
    assert sent[IDENTITY] > 5
    assert sent[VIOLATIONS] > 5
