"""What every sink must do, and what Kafka does when it is killed: real servers, real kills."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

from infra.embedded import EmbeddedServers
from infra.run import topics
from schemas.errors import ServerError
from schemas.headers import BatchHeaders
from schemas.kinds import DEAD_LETTERS, LEDGER, SOURCES, EventKind
from streams.abstract import BatchSink, Message
from streams.collector import Collector
from streams.config import CollectorSettings
from streams.memory import MemorySink
from streams.positions import PositionFile
from streams.producer import KafkaSink, flush
from streams.register import missing, register_all, registration
from streams.runner import run
from streams.sources.make import make_source
from tests.embedded.servers_fixture import jar_cache
from tests.streams.small import MAKERS, SETTINGS, World, assert_conserved, config, run_to_end

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]
PARTITIONS = 3


def clock() -> int:
    return time.time_ns() // 1_000


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """Servers that the tests here may kill."""
    made = EmbeddedServers(tmp_path_factory.mktemp("servers") / "data", cache=jar_cache(), say=print)
    made.endpoints = made.start()  # type: ignore[attr-defined]
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def bootstrap(servers: EmbeddedServers) -> str:
    where = str(servers.endpoints.kafka)  # type: ignore[attr-defined]
    wanted = {
        t: topics.Wanted(PARTITIONS, {"max.message.bytes": "8388608"}) for t in (EventKind.LOGIN.topic, DEAD_LETTERS)
    }
    wanted |= {t: topics.Wanted(1, {}) for t in (LEDGER, SOURCES, "small")}
    wanted["tight"] = topics.Wanted(1, {"max.message.bytes": "1048588"})
    wanted["several"] = topics.Wanted(PARTITIONS, {})
    topics.create(where, wanted, 1)
    return where


@pytest.fixture(params=["memory", "kafka"])
def sink(request: pytest.FixtureRequest) -> Iterator[BatchSink]:
    made: BatchSink
    if request.param == "memory":
        made = MemorySink(PARTITIONS, room=10_000)
    else:
        made = KafkaSink(request.getfixturevalue("bootstrap"), max_in_flight=10_000)
    yield made
    made.close()


def read(bootstrap: str, topic: str) -> list[Message]:
    """A whole topic, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=8 << 20)
    places = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    consumer.seek_to_beginning(*places)
    got: dict[int, list[Message]] = {p.partition: [] for p in places}
    while any(consumer.position(p) < ends[p] for p in places):
        for records in consumer.poll(timeout_ms=1_000).values():
            for r in records:
                headers = BatchHeaders.from_kafka(r.headers, where="test") if r.headers else None
                got[r.partition].append(Message(topic, r.partition, r.value, headers, r.key))
    consumer.close()
    return [m for p in sorted(got) for m in got[p]]


def test_tickets_count_from_one_and_are_acknowledged_without_gap(sink: BatchSink) -> None:
    tickets = [sink.submit(Message("several", n % PARTITIONS, b"%d" % n)) for n in range(30)]
    assert tickets == list(range(1, 31))
    assert flush(sink, 30, clock, 60)
    assert sink.acknowledged == 30


def test_it_has_no_room_once_it_holds_its_limit_and_takes_no_harm(sink: BatchSink) -> None:
    for _ in range(20):
        sink.submit(Message("several", 0, b"x" * 1_000))
    assert not sink.has_room
    assert flush(sink, 20, clock, 60)
    if isinstance(sink, MemorySink):
        sink.take()
    assert sink.has_room


def test_it_knows_the_partitions_of_a_topic(sink: BatchSink) -> None:
    assert sink.partitions("several") == PARTITIONS
    assert sink.partitions(LEDGER) == 1


def test_order_within_a_partition_is_that_of_the_tickets_and_headers_arrive(bootstrap: str) -> None:
    kafka = KafkaSink(bootstrap)
    before = len(read(bootstrap, "small"))
    headers = BatchHeaders(kind="marker", schema="login", source="s", epoch=4)
    for n in range(200):
        kafka.submit(Message("small", 0, b"%d" % n, headers, None))
    assert flush(kafka, 200, clock, 60)
    got = read(bootstrap, "small")[before:]
    assert [m.value for m in got] == [b"%d" % n for n in range(200)]
    assert {m.headers for m in got} == {headers}
    kafka.close()


def test_a_message_that_kafka_never_takes_is_an_error_that_says_what_to_set(bootstrap: str) -> None:
    kafka = KafkaSink(bootstrap)
    kafka.submit(Message("tight", 0, os.urandom(3 << 20)))
    with pytest.raises(ServerError, match="refuses a message") as caught:
        flush(kafka, 1, clock, 60)
    assert "max.message.bytes" in caught.value.hint
    kafka.close()


def test_registration_is_written_once_and_its_epoch_is_the_newest_record(bootstrap: str) -> None:
    sources = [config(Path("x"), name=name, type="openssh") for name in ("a", "b")]
    first = register_all(sources, bootstrap)
    assert first >= 1
    assert register_all(sources, bootstrap) == first
    assert register_all([*sources, config(Path("x"), name="c", type="squid")], bootstrap) == first + 1
    slower = config(Path("x"), name="a", type="openssh", lateness_s=60)
    assert register_all([slower], bootstrap) == first + 2


def test_a_source_that_was_absent_or_retired_is_announced_again() -> None:
    record = registration(config(Path("x"), type="openssh"))
    assert missing([record], [record]) == []
    for event in ("absent", "retired"):
        assert missing([record], [record, {**record, "event": event}]) == [record]
        assert missing([record], [record, {**record, "event": event}, record]) == []


def test_kafka_killed_in_the_middle_costs_time_and_no_row(
    servers: EmbeddedServers, bootstrap: str, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"%d ev\n" % t if t % 10 else b"rubbish %d\n" % t for t in range(3_000)))
    made = config(path, name="killed", block_bytes=512, batch_rows=37)
    settings = CollectorSettings(epoch=1, today=SETTINGS.today, save_every_us=100_000, read_lines=40)
    expected = run_to_end(made)
    kills = [5, None, 30, None]  # of Kafka, by run; each run but the last ends in a kill of the collector
    for run_number, kafka_killed_at in enumerate(kills):
        collector_killed_at = (20, 12, 45, None)[run_number]
        kafka = KafkaSink(bootstrap, delivery_timeout_s=4.0, max_in_flight=200_000)
        positions = PositionFile(tmp_path / "state", made.name)
        running = Collector(made, make_source(made), kafka, settings, positions=positions, make=MAKERS["tiny"])
        worked = 0
        killed = False
        while not running.done and worked != collector_killed_at:
            worked += running.step(clock())
            if worked == kafka_killed_at and not killed:
                killed = True
                os.kill(servers.pids["kafka"], signal.SIGKILL)
            servers.poll()
        running.close()
        kafka.close()
        await_kafka(servers)
    world = World()
    for topic in (EventKind.LOGIN.topic, DEAD_LETTERS, LEDGER):
        world.take([m for m in read(bootstrap, topic) if m.headers is None or m.headers.source == made.name])
    for topic in (EventKind.LOGIN.topic, DEAD_LETTERS):
        assert world.table(topic).equals(expected.table(topic))
    assert world.ledger == expected.ledger
    assert_conserved(world, 3_000)


def await_kafka(servers: EmbeddedServers) -> None:
    """Until the supervisor of the servers has it back."""
    pause = threading.Event()
    for _ in range(1_200):
        servers.poll()
        if all(health["ok"] for health in servers.check().values()):
            return
        pause.wait(0.1)
    raise AssertionError(f"Kafka did not come back: {servers.check()}")


def test_several_collectors_share_one_producer_and_stop_cleanly(bootstrap: str, tmp_path: Path) -> None:
    kafka, collectors = KafkaSink(bootstrap), []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"".join(b"%d ev\n" % t for t in range(100)))
        made = config(tmp_path / name, name=name)
        positions = PositionFile(tmp_path / "state", name)
        collectors.append(Collector(made, make_source(made), kafka, SETTINGS, positions=positions, make=MAKERS["tiny"]))
    assert run(collectors, threading.Event(), clock)
    assert all(c.done for c in collectors)
    kafka.close()
    for name in ("one", "two"):
        world = World()
        world.take([m for m in read(bootstrap, EventKind.LOGIN.topic) if m.headers and m.headers.source == name])
        assert world.events(EventKind.LOGIN).height == 100


def test_kafka_python_computes_checksums_with_the_fast_library() -> None:
    from kafka.record import util

    assert util.crc32c_c is not None


def test_a_message_that_was_too_large_goes_through_once_the_limit_is_raised(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic("narrow", 1, 1, topic_configs={"max.message.bytes": "100000"})])
    kafka = KafkaSink(bootstrap)
    kafka.submit(Message("narrow", 0, os.urandom(300_000)))
    kafka.submit(Message("narrow", 0, b"behind it"))
    for _ in range(2):
        with pytest.raises(ServerError, match="refuses a message"):
            flush(kafka, 2, clock, 60)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "narrow", {"max.message.bytes": "1000000"})])
    admin.close()
    assert flush(kafka, 2, clock, 60)
    assert [len(m.value) for m in read(bootstrap, "narrow")] == [300_000, 9]
    kafka.close()
