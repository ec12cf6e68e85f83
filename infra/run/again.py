"""Judging again while everything runs: what late leases and new permits ask for, now and then, in a process of its own.

It reads all stored events, so it must not live where processes are watched.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from infra.embedded.logs import bound

FIRST_S = 60.0  # after the start, when everything else has come up


class Again:
    """Starts `aupstream rejudge --due` now and then; never two at once.

    Args:
        config_file: Configuration; None: defaults.
        data: Data folder.
        log: File for what it says.
        each_s: Seconds from one start to the next.
    """

    def __init__(self, config_file: Path | None, data: Path, log: Path, each_s: float) -> None:
        file = [] if config_file is None else ["--config", str(config_file.absolute())]
        self._argv = [sys.executable, "-m", "infra.cli", "rejudge", "--due", *file, "--data", str(data.absolute())]
        self._log, self._each_s = log, each_s
        self._next_s = time.monotonic() + min(FIRST_S, each_s)
        self._process: subprocess.Popen[bytes] | None = None

    def poll(self) -> Iterator[str]:
        """Start it where it is due; what happened, as sentences. Never blocks."""
        now = time.monotonic()
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            if code:
                yield f"judging again ended with {code} and is tried again in {self._each_s:.0f} s (log: {self._log})"
        if self._process is None and now >= self._next_s:
            self._next_s = now + self._each_s
            bound(self._log)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
                )

    def stop(self) -> None:
        """End it; what it had not told yet is told the next time."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
