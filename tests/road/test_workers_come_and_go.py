"""From one worker of each agent to eight and back while there is much to do, with one address that is in half of it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from agents.rules.loader import POLICY_FOLDER, load_rules
from infra.run.system import System
from tests.road.scene import WITHIN_S, Scene, backtest, handled, simulated, wait_until
from tests.road.stored import Stored, assert_conserved, assert_same

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

MOST = 8
RULES = """
title: Refused pages of an address
name: refused-pages
description: One address asked again and again for what the filter refuses.
level: low
falsepositives: [a page that asks by itself]
correlation: {type: event_count, rules: [refused], group-by: [source_ip], timespan: 10m, condition: {gte: 1000}}
aupstream: {clause: 2}
---
title: A request that the filter refused
name: refused
logsource: {category: proxy}
detection:
  selection: {event_action: denied}
  condition: selection
"""
HOT = "10.99.0.1"  # as behind a NAT: all that its windows count goes to one worker


def _with_a_hot_address(scene: Scene, lines: int) -> None:
    """One address is refused again and again after everything else; every line is a row for the same windows."""
    log = next(Path(s.path) for s in scene.config.sources if s.type == "squid")
    last = float(log.read_bytes().splitlines()[-1].split()[0]) + 1
    with log.open("a") as file:
        for n in range(lines):
            page = f"http://refused.example/{n} - HIER_NONE/- text/html"
            file.write(f"{last + n / 100:.3f}      1 {HOT} TCP_DENIED/403 3900 GET {page}\n")


def _workers(system: System) -> set[str]:
    return {name for name in system.processes.pids if name.rpartition("-")[0] in ("detect", "correlate")}


def test_one_to_eight_workers_and_back_under_load_with_a_hot_address_change_no_violation(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=6, lines=20_000)
    _with_a_hot_address(scene, 20_000)
    (tmp_path / "refused.yml").write_text(RULES)
    scene.change(
        sources=lambda sources: [s | {"batch_rows": 50} for s in sources],
        rules={"paths": [str(POLICY_FOLDER), str(tmp_path / "refused.yml")]},
        kafka={"event_partitions": 4, "detection_partitions": MOST},
    )
    lines = {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}
    more = list(product(("detect", "correlate"), range(1, MOST)))
    with scene.running() as system:
        wait_until(system, lambda: handled(system.paths, "detect") > 30)
        for agent, number in more:
            system.start_worker(agent, number)
        wait_until(system, lambda: len(_workers(system)) == 2 * MOST and system.ready())
        assert not system.drained(), "the load is over before all are there"
        for agent, number in more:
            system.processes.remove(f"{agent}-{number}")
        assert _workers(system) == {"detect-0", "correlate-0"}
        system.wait_until_drained(within_s=WITHIN_S)
        stored = Stored(system)
        assert_conserved(stored, lines)
        expected = backtest(scene.config, rules=load_rules([POLICY_FOLDER, tmp_path / "refused.yml"]))
        assert any(HOT in record["group_key"].values() for record in expected)
        assert_same(stored, expected)
        stored.close()
