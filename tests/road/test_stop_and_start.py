"""SIGTERM in the middle, and start again on the same folder: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from infra.run.system import System
from tests.road.scene import handled, simulated, wait_until
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def _ended(system: System) -> dict[str, int]:
    """Exit codes of all processes, once they have ended; nobody starts them again meanwhile."""
    children = system.processes._children.values()
    return {c.spec.name: c.process.wait(60) for c in children if c.process is not None}


def test_a_stop_in_the_middle_and_a_start_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    """Every process gets SIGTERM at once, as a service manager does it, while agents have a backlog; servers follow."""
    scene = simulated(tmp_path, seed=6, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 100} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        wait_until(system, lambda: handled(system.paths) > 100)
        assert not system.drained()
        for pid in system.processes.pids.values():
            os.kill(pid, signal.SIGTERM)
        assert set(_ended(system).values()) == {0}
    with scene.running() as system:
        assert_all_through(system, scene, lines)
