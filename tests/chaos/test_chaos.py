"""Three minutes of faults of every kind: no violation missing, extra, different or twice, every line accounted for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.oracle import Wanted
from tests.chaos.outcome import Outcome, outcome
from tests.chaos.plan import KINDS, PRELOADED, plan
from tests.chaos.run import Run
from tests.chaos.shim import compiler
from tests.road.stored import Stored

SEED, SECONDS = 20, 180.0
pytestmark = [pytest.mark.servers, pytest.mark.long, pytest.mark.timeout(900)]


def test_faults_of_every_kind_change_nothing(tmp_path: Path) -> None:
    """A judge that is asked for something else, too, must say so: else it would notice nothing."""
    noticed: list[Outcome] = []

    def judge(stored: Stored, asked: Wanted) -> Outcome:
        first, second, *_ = asked.violations
        wrong = {**asked.violations, "0" * 32: asked.violations[first]}
        wrong[second] = (*wrong[second][:8], wrong[second][8] + 1, *wrong[second][9:])
        del wrong[first]
        lines = {name: number + 1 for name, number in asked.lines.items()}
        noticed.append(outcome(stored, replace(asked, violations=wrong, lines=lines)))
        return outcome(stored, asked)

    kinds = KINDS if compiler() else [kind for kind in KINDS if kind not in PRELOADED]
    faults = plan(SEED, SECONDS, kinds)
    run = Run(tmp_path, SEED, SECONDS, faults, print, judge=judge)
    result = run.go()
    assert result.clean, result.mistakes
    assert result.expected > 1_000
    assert sorted(run.done, key=str) == sorted(faults, key=str)
    assert [(o.missing, o.extra, o.different) for o in noticed] == [(1, 1, 1)]
    assert noticed[0].lines_unaccounted == len(run.lines)
