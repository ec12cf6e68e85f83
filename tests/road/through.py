"""That a running system comes through with all it was given, and to what it should."""

from __future__ import annotations

from collections.abc import Mapping

from agents.rules.model import RuleSet
from infra.run.system import System
from tests.road.scene import WITHIN_S, Scene, backtest
from tests.road.stored import Stored, assert_conserved, assert_same


def assert_all_through(system: System, scene: Scene, lines: Mapping[str, int], rules: RuleSet | None = None) -> None:
    """Wait until all logs are through; every line is accounted for, and the violations are those of a backtest.

    Args:
        system: Running.
        scene: Whose logs it reads once.
        lines: How many there are, by source.
        rules: In force, in place of the policy pack.
    """
    system.wait_until_drained(within_s=WITHIN_S)
    stored = Stored(system)
    assert_conserved(stored, dict(lines))
    assert_same(stored, backtest(scene.config, rules=rules))
    stored.close()
