"""What a benchmark is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FEWEST = 2_000  # lines: a simulated day has no fewer
SAMPLE = 100_000  # lines at most for what needs no more to be measured: one core's rates, the naive pipeline
SMALL_LOAD = 2_000  # lines a second of the second latency run


def _silent(sentence: str) -> None:
    del sentence


@dataclass(frozen=True)
class Options:
    """How much is measured, and where.

    Attributes:
        lines: Lines of the simulated day that goes through the whole road.
        seed: Of that day.
        runs: How often the whole road is measured, each time with fresh servers; medians are reported.
        rounds: How often each rate of one core is measured.
        latency_s: Seconds of each latency run after its warm-up.
        folder: Where to work; logs, servers and tables are left there. None: a temporary folder, removed at the end.
        say: Told what is being done, one sentence a time.
    """

    lines: int = 400_000
    seed: int = 1
    runs: int = 3
    rounds: int = 5
    latency_s: float = 20.0
    folder: Path | None = None
    say: Callable[[str], None] = _silent

    @staticmethod
    def quick(
        lines: int | None = None, seed: int = 1, folder: Path | None = None, say: Callable[[str], None] = _silent
    ) -> Options:
        """A first impression in about two minutes: fewer lines, one run of each."""
        return Options(lines or SAMPLE, seed, runs=1, rounds=2, latency_s=6.0, folder=folder, say=say)
