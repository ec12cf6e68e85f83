"""The topic of detections gets another number of partitions half-way: the same violations, and no alert twice."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from infra.run.repartition import repartition
from infra.run.system import System
from infra.run.topics import wanted
from schemas.errors import InputError, ServerError
from tests.cli.command import aupstream
from tests.road.scene import Scene, handled, simulated, wait_until
from tests.road.stored import Stored
from tests.road.through import assert_all_through

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def _number_in(scene: Scene, number: int) -> None:
    scene.change(kafka={"detection_partitions": number})


def _refused_while_agents_run(scene: Scene, system: System) -> None:
    topics = wanted(scene.config.kafka.event_partitions, 5)
    with pytest.raises(InputError, match="workers of detect and correlate run"):
        repartition(system.kafka, topics, 1, print, patience_s=1.0)


def _repartition(scene: Scene) -> None:
    """When they have gone it is done, and once only."""
    _number_in(scene, 5)
    done = aupstream("repartition", "-c", scene.file, "--json")
    assert done.code == 0, done.err
    (told,) = done.objects
    assert (told["before"], told["now"], len(told["remade"])) == (2, 5, 3)
    again = aupstream("repartition", "-c", scene.file)
    assert (again.code, again.out.strip()) == (0, "aup.detections has 5 partitions already: nothing to do")


def test_another_number_of_partitions_of_detections_changes_no_violation_and_alerts_nobody_twice(
    tmp_path: Path,
) -> None:
    scene = simulated(tmp_path, seed=6, lines=40_000)
    scene.change(sources=lambda sources: [s | {"batch_rows": 100} for s in sources])
    _number_in(scene, 2)
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    with scene.running() as system:
        stored = Stored(system)
        wait_until(system, lambda: stored.number("SELECT count() FROM violations_now") > 3)
        wait_until(system, lambda: handled(system.paths, "notify") > 3)
        stored.close()
        _refused_while_agents_run(scene, system)
        assert not system.drained()
    with scene.running(agents=()):
        _repartition(scene)
    _number_in(scene, 2)
    with pytest.raises(ServerError, match="has 5 partitions, the configuration says 2") as refused, scene.running():
        pass
    assert "aupstream repartition" in refused.value.hint
    _number_in(scene, 5)
    with scene.running() as system:
        assert_all_through(system, scene, lines)
        told = (system.paths.logs / "notify-0.log").read_text()
    alerts = Counter(re.findall(r"alert id=(\w+) .*?version=(\d+)", told))
    assert len(alerts) > 3
    assert set(alerts.values()) == {1}
