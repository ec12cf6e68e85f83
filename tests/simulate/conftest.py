from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.simulate import Truth, simulate
from tests.simulate.oracle import Logs

Simulated = tuple[Truth, Logs]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Simulated]:
    """A simulated day by seed and number of lines, made and read once."""
    made: dict[tuple[int, int], Simulated] = {}

    def day(seed: int, lines: int) -> Simulated:
        if (seed, lines) not in made:
            folder: Path = tmp_path_factory.mktemp(f"day-{seed}-{lines}")
            truth = simulate(seed, lines, folder)
            made[seed, lines] = truth, Logs(folder)
        return made[seed, lines]

    return day
