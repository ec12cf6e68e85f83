"""A topic of Kafka as a log: places, generations, retention, and Kafka being away; a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.memory import MemorySink
from streams.sources.abstract import SourceChunk
from streams.sources.kafka_topic import PLACES, KafkaTopic, address_of
from tests.embedded.servers_fixture import RunningServers, embedded_servers
from tests.streams.small import World, assert_conserved, collector, config

__all__ = ["embedded_servers"]
servers = pytest.mark.servers


@pytest.fixture
def topic(embedded_servers: RunningServers) -> Iterator[Callable[..., str]]:
    """Puts records onto a topic of the test's own; gives its path."""
    where = embedded_servers.endpoints.kafka
    name = embedded_servers.fresh_name("raw")
    admin = KafkaAdminClient(bootstrap_servers=where)
    admin.create_topics([NewTopic(name, 1, 1)])
    producer = KafkaProducer(bootstrap_servers=where)

    def put(*values: bytes | None) -> str:
        for value in values:
            producer.send(name, value, key=b"k", partition=0).get(30)
        return f"kafka://{where}/{name}"

    put.remove_before = lambda n: admin.delete_records({TopicPartition(name, 0): n})  # type: ignore[attr-defined]
    yield put
    producer.close()
    admin.close()


def chunks(source: KafkaTopic, lines: int, *, at_once: int = 100) -> list[SourceChunk]:
    """Read until so many lines are there."""
    got: list[SourceChunk] = []
    deadline = time.monotonic() + 30
    while sum(len(c.lines) for c in got) < lines:
        assert time.monotonic() < deadline, source.problem
        chunk = source.read(at_once, 0)
        got += [] if chunk is None else [chunk]
        time.sleep(0.002 if chunk is None else 0)
    return got


def lines_of(got: list[SourceChunk]) -> list[bytes]:
    return [line for c in got for line in c.lines]


@servers
def test_records_are_lines_at_their_offsets_and_their_own_lines_follow_within(topic: Callable[..., str]) -> None:
    many = b"\n".join(b"%d" % i for i in range(PLACES + 1))
    path = topic(b"one", b"two\nand\r\na half\n", None, many, b"x" * 50, b"last")
    source = KafkaTopic(path, 40)
    got = chunks(source, 7, at_once=2)
    assert lines_of(got)[:4] == [b"one", b"two", b"and", b"a half"]
    assert lines_of(got)[4:] == [many[:41], b"x" * 41, b"last"]
    assert [o for c in got for o in c.offsets.tolist()] == [0, 256, 257, 258, 768, 1_024, 1_280]
    assert [n for c in got for n in c.long_lines.values()] == [len(many), 50]
    again = KafkaTopic(path, 40)
    again.load(source.save())
    assert again.seek(got[0].generation, 257)
    assert lines_of(chunks(again, 5))[:2] == [b"and", b"a half"]
    for each in (source, again):
        each.close()


@servers
def test_a_collector_reads_a_topic_and_goes_on_after_a_kill_without_a_repeat_or_a_gap(
    topic: Callable[..., str], tmp_path: Path
) -> None:
    path = topic(*(b"%d ev\n%d ev" % (100 + i, 100 + i) for i in range(50)))
    made = replace(config(tmp_path, mode="follow", block_bytes=1 << 20), path=path)
    world, sink = World(), MemorySink(2)

    def run(lines: int) -> None:
        running = collector(made, sink, tmp_path / "state")
        deadline = time.monotonic() + 30
        while world.totals()["lines"] < lines:
            assert time.monotonic() < deadline
            running.step(time.time_ns() // 1_000)
            world.take(sink.take())
            time.sleep(0.002)
        running.close()

    run(100)
    topic(b"500 ev", b"rubbish")
    run(102)
    assert world.events(EventKind.LOGIN).height == 101
    assert_conserved(world, 102)
    assert {r["first_offset"] for r in world.ledger.values()} == {0}


@servers
def test_records_that_retention_removed_before_they_were_read_are_missed_with_a_word(topic: Callable[..., str]) -> None:
    path = topic(*(b"%d" % i for i in range(10)))
    source = KafkaTopic(path, 100)
    first = chunks(source, 3, at_once=3)[:1]
    state = source.save()
    source.close()
    topic.remove_before(6)  # type: ignore[attr-defined]
    again = KafkaTopic(path, 100)
    again.load(state)
    assert again.seek(first[0].generation, 0)
    rest = chunks(again, 4)
    assert lines_of(rest) == [b"6", b"7", b"8", b"9"]
    assert rest[0].generation != first[0].generation
    assert "offset 3 on are gone, and reading goes on at offset 6" in str(again.damage)
    again.close()


@servers
def test_what_was_read_already_may_be_gone(topic: Callable[..., str]) -> None:
    path = topic(*(b"%d" % i for i in range(10)))
    source = KafkaTopic(path, 100)
    first = chunks(source, 5, at_once=5)[:1]
    state = source.save()
    source.close()
    topic.remove_before(5)  # type: ignore[attr-defined]
    again = KafkaTopic(path, 100)
    again.load(state)
    assert again.seek(first[0].generation, 0)
    assert lines_of(chunks(again, 5)) == [b"5", b"6", b"7", b"8", b"9"]
    assert again.damage is None
    again.close()


@servers
def test_a_topic_read_once_ends_where_it_ended_when_reading_began(topic: Callable[..., str]) -> None:
    source = KafkaTopic(topic(b"a", b"b"), 100, once=True)
    assert lines_of(chunks(source, 2)) == [b"a", b"b"]
    deadline = time.monotonic() + 30
    while not source.ended:
        assert time.monotonic() < deadline
        assert source.read(1, 0) is None
        time.sleep(0.002)
    source.close()


def test_kafka_that_is_away_is_waited_for_and_said() -> None:
    source = KafkaTopic("kafka://127.0.0.1:1/raw", 100)
    deadline = time.monotonic() + 30
    while source.problem is None:
        assert time.monotonic() < deadline
        assert source.read(1, 0) is None
        time.sleep(0.002)
    assert not source.at_end
    assert "127.0.0.1:1: raw/0" in source.problem.where
    source.close()


@pytest.mark.parametrize(
    ("path", "bootstrap", "name", "partition"),
    [
        ("kafka://logs", "", "logs", 0),
        ("kafka://logs#3", "", "logs", 3),
        ("kafka://a:1,b:2/dis.trict_logs-1", "a:1,b:2", "dis.trict_logs-1", 0),
    ],
)
def test_a_topic_is_named_with_or_without_its_kafka(path: str, bootstrap: str, name: str, partition: int) -> None:
    address = address_of(path)
    assert (address.bootstrap, address.topic, address.partition) == (bootstrap, name, partition)
    assert address_of(address.path) == address


@pytest.mark.parametrize("path", ["kafka://", "kafka://a/b/c", "kafka://a b", "kafka://x#y", "kafka://a:1/"])
def test_what_is_no_topic_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="no Kafka topic"):
        address_of(path)
