"""Batches, workers and the order of sources change nothing in the violations: a backtest's are those of the agents."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.road.scene import WITHIN_S, Scene, backtest, simulated
from tests.road.stored import Stored, assert_conserved, assert_same

BATCH_ROWS = (37, 1_000, 5_000)
AGENTS_OF_TWO = ("identify", "detect", "correlate", "persist")


def _scene(folder: Path, batch_rows: int, *, backwards: bool) -> Scene:
    """A day whose sources are listed in either order."""

    def change(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
        changed = [source | {"batch_rows": batch_rows} for source in sources]
        return changed[::-1] if backwards else changed

    scene = simulated(folder, seed=3, lines=20_000)
    scene.change(sources=change)
    return scene


def _lines(scene: Scene) -> dict[str, int]:
    return {str(s.name): Path(s.path).read_bytes().count(b"\n") for s in scene.config.sources}


def test_a_backtest_gives_the_same_whatever_the_batches_and_the_order_of_sources(tmp_path: Path) -> None:
    outcomes = [backtest(_scene(tmp_path, rows, backwards=b).config) for rows, b in product(BATCH_ROWS, (False, True))]
    assert len({r["rule_id"] for r in outcomes[0]}) == 5
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.servers
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("batch_rows", "workers", "backwards"),
    [(37, 2, True), (1_000, 1, True)],
    ids=["37 rows, 2 workers, backwards", "1000 rows, 1 worker, backwards"],
)
def test_the_agents_give_what_a_backtest_gives(tmp_path: Path, batch_rows: int, workers: int, backwards: bool) -> None:
    """`test_simulated_day` is the run with 5,000 rows, 1 worker and the sources in their order."""
    scene = _scene(tmp_path, batch_rows, backwards=backwards)
    scene.change(agents=dict.fromkeys(AGENTS_OF_TWO, workers))
    expected = backtest(_scene(tmp_path / "other", 5_000, backwards=False).config)
    with scene.running() as system:
        system.wait_until_drained(within_s=WITHIN_S)
        stored = Stored(system)
        assert_conserved(stored, _lines(scene))
        assert_same(stored, expected)
        stored.close()
