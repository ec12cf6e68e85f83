"""`kill -9` of every part in the middle of a run changes nothing of what comes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.settings import AGENTS
from infra.run.system import COLLECT
from tests.road.kills import SERVERS, run_with_kills
from tests.road.scene import simulated

pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(600)]


def test_every_part_is_killed_in_the_middle_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Each agent once, Kafka and ClickHouse once, the collectors twice; no line, no row and no violation differs."""
    scene = simulated(tmp_path, seed=5, lines=150_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 200} for s in sources])
    victims = (*AGENTS, *SERVERS, COLLECT, COLLECT)
    killed = run_with_kills(scene, 5, victims, within_s=540)
    assert sorted(killed) == sorted(victims)
