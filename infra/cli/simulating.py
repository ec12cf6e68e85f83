"""`aupstream simulate`."""

from __future__ import annotations

from pathlib import Path

from infra.cli.output import progress, talk
from infra.simulate import Truth, simulate


def run(seed: int, lines: int, folder: Path) -> Truth:
    """Write a day and say what is in it. Raises as `simulate`."""
    with progress("simulating", lines, size=False) as advance:
        done = 0

        def told(now: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        truth = simulate(seed, lines, folder, progress=told)
    total = sum(truth.lines.values())
    talk(f"{total} lines in {len(truth.lines)} logs under {folder}: {len(truth.expected)} violations, permitted and")
    talk(f"informational ones among them, {len(truth.lookalikes)} look-alikes, {len(truth.dead_letters)} broken lines")
    return truth
