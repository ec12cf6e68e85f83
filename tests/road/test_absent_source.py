"""A collector that dies is declared absent; what is judged meanwhile stands, and is judged again when it is back."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.run.announcing import registry
from infra.run.system import COLLECT, System
from streams.register import register_all
from tests.cli.command import aupstream
from tests.road.scene import WITHIN_S, Scene, backtest, simulated, wait_until
from tests.road.stored import Stored

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


def _absent(system: System) -> list[str]:
    return sorted(s.name for s in registry(system.kafka).sources.values() if s.absent)


def _judged(scene: Scene) -> dict[str, str]:
    return {r["id"]: r["status"] for r in backtest(scene.config)}


def test_what_is_judged_without_a_dead_collector_stands_until_it_is_back_and_judged_again(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=5, lines=12_000)
    everything = _judged(scene)
    [lost] = [str(s.name or s.type) for s in scene.config.collectors() if s.kind == "dhcp"]
    scene.change(agents={"source_absent_after_s": 10.0, "rejudge_s": 3600.0})
    whole = scene.file.read_text()
    with scene.running(collectors=False) as system:
        # All sources are registered, as by a collector that died at once; then only the others are read.
        register_all(scene.config.collectors(), system.kafka)
        scene.change(sources=lambda some: [s for s in some if s.get("name", s["type"]) != lost])
        system.start_collectors()
        assert system.absences.is_alive()
        wait_until(system, lambda: _absent(system) == [lost], WITHIN_S)
        system.wait_until_drained(within_s=WITHIN_S)
        assert aupstream("status", "-c", scene.file, "--json").objects[0]["absent"] == [lost]
        stored = Stored(system)
        rows = stored.rows("SELECT id, status, incomplete FROM violations_now")
        assert rows
        before = {i: status for i, status, _ in rows}
        assert any(incomplete for _, _, incomplete in rows), "whose address it was is said without the leases"
        scene.file.write_text(whole)
        system.processes.remove(COLLECT)
        system.start_collectors()
        wait_until(system, lambda: _absent(system) == [], WITHIN_S)
        system.wait_until_drained(within_s=WITHIN_S)
        wait_until(system, lambda: len(registry(system.kafka).gaps) == 1, WITHIN_S)
        during = dict(stored.rows("SELECT id, status FROM violations_now"))
        assert during.items() >= before.items()
        ran = aupstream("rejudge", "--due", "-c", scene.file)
        assert ran.code == 0, ran.err
        assert f"source {lost} was absent" in ran.err
        system.wait_until_drained(within_s=WITHIN_S)
        standing = dict(stored.rows("SELECT id, status FROM violations_now WHERE status != 'withdrawn'"))
        assert standing == everything
        assert "nothing is to be judged again" in aupstream("rejudge", "--due", "-c", scene.file).err
        stored.close()
