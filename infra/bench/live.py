"""Writes logs as they would grow: `python -m infra.bench.live FOLDER LINES_PER_S WARM_S SECONDS [PACE [INJECT_S]]`.

Appends to the logs in the folder every 20 ms. After the time it writes `injected.json`: the violations after the
warm-up, and how many lines a second were written; then it goes on without violations until it is stopped, so that time
goes on in the logs. Lines that are behind schedule are written at once, with the time of then.

PACE is seconds of event time in a second, 1 unless it is said: the lines' times begin so far back that they are now at
the end, and from then on they are the time of writing.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import astuple
from pathlib import Path

from infra.bench.live_lines import LOGS, RESULT, Injected, Lines, Portion

TICK_S = 0.02
INJECT_S = 0.2


class Clock:
    """What the lines are stamped with.

    Args:
        pace: Seconds of event time in a second.
        seconds: How long it runs ahead so; then it is the time of day.
    """

    def __init__(self, pace: float, seconds: float) -> None:
        self._ahead, self._end = pace - 1, time.monotonic() + seconds

    def now(self) -> float:
        """Unix seconds."""
        return time.time() - self._ahead * max(0.0, self._end - time.monotonic())


class Writer:
    """Appends to the logs of a folder.

    Args:
        folder: Where the logs are.
        lines_per_s: All logs together.
        clock: Stamps the lines.
        inject_s: Seconds from one violation of each kind to the next.
    """

    def __init__(self, folder: Path, lines_per_s: int, clock: Clock, inject_s: float = INJECT_S) -> None:
        self._lines, self._rate = Lines(), lines_per_s
        self._clock, self._inject_s = clock, inject_s
        self._logs = {name: (folder / f"{name}.log").open("ab", buffering=0) for name in LOGS}
        self._began = time.monotonic()
        self._counted = 0
        self._next_injection = 0.0

    def open(self) -> None:
        """Write what stands before everything else."""
        self._append(self._lines.opening(self._clock.now()))
        self._began = time.monotonic()

    def write(self, seconds: float, *, inject: bool) -> tuple[list[Injected], int]:
        """Write for a time; the violations written, and how many lines."""
        injected, before = list[Injected](), self._counted
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            gone = now - self._began
            due = max(4, int(gone * self._rate) - self._counted)
            now_inject = inject and gone >= self._next_injection
            if now_inject:
                self._next_injection = gone + self._inject_s
            portion = self._lines.portion(due, self._clock.now(), inject=now_inject)
            self._append(portion)
            self._counted += portion.lines
            injected += portion.injected
            time.sleep(max(0.0, TICK_S - (time.monotonic() - now)))
        return injected, self._counted - before

    def _append(self, portion: Portion) -> None:
        for name, text in portion.text.items():
            self._logs[name].write(text)


def main(
    folder: Path, lines_per_s: int, warm_s: float, seconds: float, pace: float = 1.0, inject_s: float = INJECT_S
) -> None:
    """Write until stopped."""
    writer = Writer(folder, lines_per_s, Clock(pace, warm_s + seconds), inject_s)
    writer.open()
    writer.write(warm_s, inject=True)
    injected, lines = writer.write(seconds, inject=True)
    part = folder / (RESULT + ".part")
    part.write_text(json.dumps({"injected": [astuple(i) for i in injected], "lines_per_s": round(lines / seconds)}))
    part.replace(folder / RESULT)
    while True:
        writer.write(60.0, inject=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
