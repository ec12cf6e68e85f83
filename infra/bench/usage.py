"""Memory and processor time of processes, sampled from outside."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import psutil

EVERY_S = 0.2
Pids = Callable[[], Mapping[str, int]]


class Sampler(threading.Thread):
    """Samples while its `with` block runs.

    A process that is started again within the block is counted with the later of its lives.

    Args:
        pids: Gives the processes by name; asked at every sample.
    """

    def __init__(self, pids: Pids) -> None:
        super().__init__(name="usage", daemon=True)
        self.peak_mb: dict[str, float] = {}
        self._pids = pids
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}
        self._over = threading.Event()
        self._began = 0.0

    @property
    def cpu_s(self) -> dict[str, float]:
        """Seconds of processor time within the block, by name."""
        return {name: round(last - self._first[name, pid], 2) for (name, pid), last in self._last.items()}

    def run(self) -> None:
        """Sample until the block ends."""
        while not self._over.wait(EVERY_S):
            self.sample()

    def sample(self) -> None:
        """Look once."""
        for name, pid in self._pids().items():
            try:
                process = psutil.Process(pid)
                memory, times = process.memory_info().rss, process.cpu_times()
                started = process.create_time()
            except psutil.Error:
                continue  # it has just ended
            used = times.user + times.system
            # A process that began within the block has used nothing before it.
            self._first.setdefault((name, pid), used if started < self._began else 0.0)
            self._last[name, pid] = used
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), round(memory / 1e6, 1))

    def __enter__(self) -> Self:
        self._began = time.time()
        self.sample()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self.sample()


def machine() -> dict[str, Any]:
    """What it is measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }
