"""State that is lost is rebuilt of all that Kafka still has, at once, though the group had come much farther."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from agents.delivery.snapshots import Place
from agents.delivery.stalls import Ends
from agents.settings import INPUTS
from infra.run.drain import statuses
from infra.run.system import System
from schemas.kafkaaddress import kafka_options
from schemas.kinds import state_topic
from tests.road.scene import handled, simulated, wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]
GONE = 2  # messages of the partition that retention has taken
AGENT = "identify"


def _all_read(system: System, ends: Mapping[Place, int]) -> bool:
    told = {name: slot["next"] for s in statuses(system.paths.status) for name, slot in s["inputs"].items()}
    return all(told.get(place.text, -1) >= end for place, end in ends.items() if end)


def test_what_retention_left_is_read_again_where_the_state_is_gone(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=2_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 20} for s in sources])
    places = [Place(topic, p) for topic in INPUTS[AGENT] for p in range(scene.config.kafka.event_partitions)]
    with scene.running(agents=(AGENT,)) as system:
        wait_until(system, lambda: system.processes.exit_code("collect") is not None)
        ends = Ends(system.kafka)(dict.fromkeys(places, 0))
        wait_until(system, lambda: _all_read(system, ends))
    place = max(ends, key=lambda p: ends[p])
    assert ends[place] > GONE + 3
    with scene.running(agents=(), collectors=False) as system:
        admin = KafkaAdminClient(**kafka_options(system.kafka))
        admin.delete_topics([state_topic(AGENT)])
        admin.delete_records({TopicPartition(*place): GONE})
        admin.close()
    for file in system.paths.status.iterdir():
        file.unlink()
    with scene.running(agents=(AGENT,), collectors=False) as system:
        assert Ends(system.kafka)(dict.fromkeys(places, 0)) == ends  # no message comes that could wake anybody
        wait_until(system, lambda: _all_read(system, ends))
        assert handled(system.paths, AGENT) == sum(ends.values()) - GONE
