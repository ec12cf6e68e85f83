"""Topics of events get more partitions half-way, after a kill: nothing is lost and nothing is doubled."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from infra.run.system import COLLECT
from schemas.errors import ServerError
from tests.road.scene import handled, simulated, wait_until
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def test_more_partitions_after_a_kill_half_way_change_no_violation(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=6, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 100} for s in sources], kafka={"event_partitions": 2})
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        wait_until(system, lambda: handled(system.paths) > 60)
        os.kill(system.processes.pids[COLLECT], signal.SIGKILL)
        assert not system.drained()
    scene.change(kafka={"event_partitions": 5})
    with scene.running() as system:
        assert_all_through(system, scene, lines)
    scene.change(kafka={"event_partitions": 3})
    with pytest.raises(ServerError, match="has 5 partitions, the configuration says 3"), scene.running():
        pass
