"""The copy of Kafka's metadata: made at each start, put back where the log was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka import KafkaConsumer

from infra.embedded import EmbeddedServers, metadata
from tests.embedded.servers_fixture import jar_cache
from tests.embedded.test_servers import make_topic

LOG = Path("__cluster_metadata-0") / "00000000000000000000.log"


def test_a_log_that_was_cut_off_is_put_back_and_one_that_grew_is_copied(tmp_path: Path) -> None:
    said: list[str] = []
    data, copy = tmp_path / "data", tmp_path / "copy"
    metadata.keep(data, copy, said.append)  # before the first start there is nothing
    (data / LOG).parent.mkdir(parents=True)
    (data / LOG).write_bytes(b"12345")
    (data / LOG).with_suffix(".index").write_bytes(bytes(1_000))
    metadata.keep(data, copy, said.append)
    assert sorted(p.name for p in copy.iterdir()) == [LOG.name]
    (data / LOG).write_bytes(b"1234567")
    metadata.keep(data, copy, said.append)
    assert (copy / LOG.name).read_bytes() == b"1234567"
    assert said == []
    (data / LOG).write_bytes(b"")
    metadata.keep(data, copy, said.append)
    assert (data / LOG).read_bytes() == b"1234567"
    assert said == ["Kafka's metadata had been cut off (0 bytes of 7): put back as it was at the last start"]


def test_a_snapshot_beside_it_does_not_hide_that_it_was_cut_off(tmp_path: Path) -> None:
    """Kafka makes one every hour; only where the first segment is gone altogether does it stand for it."""
    said: list[str] = []
    data, copy = tmp_path / "data", tmp_path / "copy"
    (data / LOG).parent.mkdir(parents=True)
    (data / LOG).write_bytes(b"1234567")
    snapshot = (data / LOG).with_name("00000000000000000005-0000000001.checkpoint")
    snapshot.write_bytes(b"snapshot")
    metadata.keep(data, copy, said.append)
    (data / LOG).write_bytes(b"12")
    metadata.keep(data, copy, said.append)
    assert (data / LOG).read_bytes() == b"1234567"
    assert snapshot.read_bytes() == b"snapshot"
    assert len(said) == 1
    (data / LOG).unlink()
    metadata.keep(data, copy, said.append)
    assert not (data / LOG).exists()
    assert len(said) == 1


@pytest.mark.servers
@pytest.mark.timeout(240)
def test_a_kafka_whose_metadata_was_cut_off_has_its_topics_and_their_messages(tmp_path: Path) -> None:
    said: list[str] = []
    servers = EmbeddedServers(tmp_path / "data", cache=jar_cache(), say=said.append, kafka_heap_mb=256)
    try:
        address = servers.start().kafka
        make_topic(address, "kept")
        servers.stop()
        servers.start()  # a copy that knows the topic
        servers.stop()
        (tmp_path / "data" / "kafka" / "data" / LOG).write_bytes(b"")
        address = servers.start().kafka
        consumer = KafkaConsumer(bootstrap_servers=address)
        assert "kept" in consumer.topics()
        consumer.close()
        assert any("put back" in sentence for sentence in said)
    finally:
        servers.stop()
