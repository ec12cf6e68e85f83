"""Two workers that start together on topics that are full already: the run in which stock Faust loses messages.

With a table, Faust recovers it while the partitions are live, seeks, then clears the agents' queues: what came in
between is never fetched again, and there is no error (faust-streaming issues 517, 323, 385). `stock_faust.py` shows it.
"""

from __future__ import annotations

import os
import signal
from itertools import product
from pathlib import Path

import pytest

from infra.run.system import COLLECT, System
from tests.road.scene import handled, simulated, wait_until
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def _collect_all(system: System) -> None:
    """Let the collectors put every log on Kafka, while no agent runs."""
    wait_until(system, lambda: system.processes.exit_code(COLLECT) == 0)


def _stop_and_start_both(system: System, agent: str) -> None:
    """SIGTERM to both workers of an agent, and both again together once they have ended."""
    names = [f"{agent}-{number}" for number in range(2)]
    for name in names:
        pid = system.processes.pid(name)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
    for name in names:
        system.processes.remove(name, within_s=60)
    for number in range(2):
        system.start_worker(agent, number)


def test_nothing_is_lost_where_two_workers_of_detect_and_correlate_start_on_a_backlog(tmp_path: Path) -> None:
    """Both start together on the whole backlog, and once more, together, in the middle of it."""
    scene = simulated(tmp_path, seed=4, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 50} for s in sources])
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running(agents=()) as system:
        _collect_all(system)
        assert sum(system.drain().ends().values()) > 700
        for agent, number in product(("detect", "correlate"), range(2)):
            system.start_worker(agent, number)
        for agent in ("identify", "persist", "notify"):
            system.start_worker(agent, 0)
        wait_until(system, lambda: handled(system.paths, "detect") > 100)
        for agent in ("detect", "correlate"):
            _stop_and_start_both(system, agent)
        assert_all_through(system, scene, lines)
