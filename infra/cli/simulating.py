"""`aupstream simulate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from infra.cli.output import progress, talk
from infra.simulate import Truth, simulate, simulate_term

DAY_LINES, TERM_LINES, TERM_SCHOOLS, TERM_DAYS = 20_000, 1_000_000, 4, 40


def run(seed: int, lines: int, folder: Path) -> Truth:
    """Write a day and say what is in it. Raises as `simulate`."""
    return _written(lines, folder, lambda told: simulate(seed, lines, folder, progress=told))


def run_term(seed: int, schools: int, days: int, lines: int, folder: Path) -> Truth:
    """Write a term and say what is in it. Raises as `simulate_term`."""
    return _written(lines, folder, lambda told: simulate_term(seed, schools, days, lines, folder, progress=told))


def _written(lines: int, folder: Path, write: Callable[[Callable[[int], None]], Truth]) -> Truth:
    with progress("simulating", lines, size=False) as advance:
        done = 0

        def told(now: int) -> None:
            nonlocal done
            advance(now - done)
            done = now

        truth = write(told)
    total = sum(truth.lines.values())
    talk(f"{folder}: {total} lines in {len(truth.lines)} logs")
    hidden, innocent, broken = len(truth.expected), len(truth.lookalikes), len(truth.dead_letters)
    talk(f"hidden in them: {hidden} violations (some permitted or informational), {innocent} innocent look-alikes")
    talk(f"and {broken} broken lines; truth.json lists all of them")
    return truth
